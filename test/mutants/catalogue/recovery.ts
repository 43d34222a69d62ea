/** Reading a directory back: what is believed, what is mended, what is left alone. */
import { type Mutant, unit } from "../types.js";

const crash = unit("test/storage/crash.test");
const damage = unit("test/storage/damage.test");
const failures = unit("test/storage/failures.test");
const lives = unit("test/storage/lives.test");
const segments = unit("test/storage/segments.test");
const snapshotTests = unit("test/storage/snapshots.test");

const writing: readonly Mutant[] = [
  {
    id: "vote-not-written",
    hazards: [1, 2],
    bug: "term and vote are acknowledged as stored and never reach the file",
    file: "src/storage/file/batch.ts",
    find: "writeStored(writer, hardState, truncateFrom, entries)",
    replace: "writeStored(writer, null, truncateFrom, entries)",
    catchers: [unit("test/storage/basic.test"), crash],
  },
  {
    id: "mark-ahead-of-the-sync",
    hazards: [78],
    bug: "the mark says that a block is synced which is only written",
    file: "src/storage/file/wal.ts",
    find: "await file.write(this.#offset, buffers, true);",
    replace: `await file.write(this.#offset, buffers, true);
    await this.#mark.write({ ...this.#markNow(false), sequence: this.#nextSequence });`,
    catchers: [crash],
  },
  {
    id: "mark-never-moves",
    hazards: [79],
    bug: "nobody knows how far the log was synced, so a damaged end passes for a torn one",
    file: "src/storage/file/wal.ts",
    find: "while (this.#markStale && this.#failed === null) {",
    replace: "while (false) {",
    catchers: [damage, unit("test/storage/process.test")],
  },
  {
    id: "clean-mark-stays",
    hazards: [78, 79],
    bug: "a log that went on behind an orderly close is believed to end there",
    file: "src/storage/file/wal.ts",
    find: "if (this.#mark.current.clean) {\n      await",
    replace: "if (false) {\n      await",
    catchers: [failures],
  },
  {
    id: "segment-freed-by-an-unsynced-block",
    hazards: [79, 80],
    bug: "segments go before the block that says so is synced",
    file: "src/storage/file/wal.ts",
    find: "await file.write(this.#offset, buffers, true);",
    replace: `await file.write(this.#offset, buffers, true);
    if (batch.frees) this.#removeBefore(this.#oldestNeeded());
    await this.#tidying;`,
    catchers: [segments],
  },
  {
    id: "segments-of-a-damaged-group-freed",
    hazards: [79],
    bug: "the only copy of a damaged group's log is tidied away",
    file: "src/storage/file/wal.ts",
    find: "if (group.damage !== null) return 0;",
    replace: "",
    catchers: [segments],
  },
  {
    id: "damage-not-carried-on",
    hazards: [79],
    bug: "one segment later a damaged group passes for a whole one",
    file: "src/storage/file/records.ts",
    find: `writer.text(group.damage ?? "");`,
    replace: `writer.text("");`,
    catchers: [damage, segments],
  },
  {
    id: "checkpoint-without-the-snapshot",
    hazards: [51],
    bug: "a new segment does not say which snapshot its groups have",
    file: "src/storage/file/records.ts",
    find: "group.snapshot === null ? new",
    replace: "true || group.snapshot === null ? new",
    catchers: [crash, lives],
  },
];

const snapshotFiles: readonly Mutant[] = [
  {
    id: "older-snapshot-with-a-newer-log",
    hazards: [50, 51],
    bug: "a group keeps its first snapshot, and the log begins behind the newest one",
    file: "src/storage/file/group-state.ts",
    find: "group.snapshot = snapshot;",
    replace: "group.snapshot ??= snapshot;",
    catchers: [snapshotTests, unit("test/storage/contract.test")],
  },
  {
    id: "old-snapshot-removed-before-the-record",
    hazards: [55],
    bug: "the last snapshot goes before the log names the next one durably",
    file: "src/storage/file/snapshot-store.ts",
    find: "if (!(await this.#services.record(group.number, meta))) return;",
    replace: "void this.#services.record(group.number, meta);",
    catchers: [crash],
  },
  {
    id: "old-snapshot-removed-before-the-next-is-whole",
    hazards: [55],
    bug: "the last snapshot goes when the next one is begun",
    file: "src/storage/file/snapshot-store.ts",
    find: "group.sink?.abort();\n    const name",
    replace: `group.sink?.abort();
    if (group.current !== null) void this.#remove(snapshotName(number, group.current));
    const name`,
    catchers: [snapshotTests, crash],
  },
  {
    id: "deleted-snapshot-before-the-record",
    hazards: [55],
    bug: "a group's snapshot goes although its deletion may never become durable",
    file: "src/storage/file/snapshot-store.ts",
    find: "void durable.then((gone) => {\n      if (gone)",
    replace: "void Promise.resolve().then(() => {\n      if (true)",
    catchers: [snapshotTests],
  },
  {
    id: "current-snapshot-taken-for-a-leftover",
    hazards: [55],
    bug: "opening tidies the current snapshot away",
    file: "src/storage/file/read-log.ts",
    find: "current.add(snapshotName(state.number, state.snapshot));",
    replace: "void current;",
    catchers: [snapshotTests],
  },
  {
    id: "snapshot-frame-not-compared",
    hazards: [55, 79],
    bug: "a follower is sent bytes of a snapshot that do not match their checksum",
    file: "src/storage/file/snapshot-file.ts",
    find: `if (view.getUint32(at + 8, true) !== crc) return { type: "bad", offset: at };`,
    replace: "",
    catchers: [snapshotTests],
  },
  {
    id: "received-part-not-compared",
    hazards: [56],
    bug: "damaged bytes that were received before a restart are gone on with",
    file: "src/storage/file/snapshot-writer.ts",
    find: `if (read.type === "bad") return null;`,
    replace: `if (read.type === "bad") return 0;`,
    catchers: [snapshotTests],
  },
  {
    id: "received-part-forgotten",
    hazards: [57],
    bug: "a receiver that was restarted is sent everything once more",
    file: "src/core/receive-snapshot.ts",
    find: "incoming.heldBytes = Math.min(event.sizeBytes, meta.sizeBytes);",
    replace: "incoming.heldBytes = Math.min(event.sizeBytes, incoming.requestedBytes);",
    catchers: [unit("test/core/incoming-snapshot.test")],
  },
  {
    id: "full-disk-for-a-snapshot-is-fatal",
    hazards: [82],
    bug: "a snapshot for which there is no room ends the storage",
    file: "src/storage/file/snapshot-store.ts",
    find: "if (!isDiskFull(error)) throw error;",
    replace: "throw error;",
    catchers: [failures],
  },
];

const reading: readonly Mutant[] = [
  {
    id: "table-not-compared",
    hazards: [79],
    bug: "a block whose own header or table has a flipped bit is believed",
    file: "src/storage/file/block.ts",
    find: "if (view.getUint32(32, true) !== 0 || checkOf(bytes, seed) !== check) return null;",
    replace: "",
    catchers: [damage],
  },
  {
    id: "block-of-another-place",
    hazards: [79],
    bug: "a block that was copied from elsewhere is believed where it lies now",
    file: "src/storage/file/checksum.ts",
    find: "return crc32(this.#bytes, this.#directorySeed);",
    replace: "return 0 * segment * offset;",
    catchers: [damage, unit("test/storage/format.test")],
  },
  {
    id: "block-of-another-history",
    hazards: [79],
    bug: "a block follows one that it was never written behind",
    file: "src/storage/file/scan.ts",
    find: "return scan.blocks === 0 || header.previousCheck === scan.previousCheck;",
    replace: "return true;",
    catchers: [segments],
  },
  {
    id: "damaged-log-mended",
    hazards: [79],
    bug: "of a damaged log bytes are overwritten and files removed",
    file: "src/storage/file/repair.ts",
    find: "if (isDamaged(log)) return readyDamaged(fs, dir, log, opened);",
    replace: "",
    catchers: [damage],
  },
  {
    id: "torn-tail-left-in-place",
    hazards: [78],
    bug: "what is left of a torn block stays behind the log's end",
    file: "src/storage/file/repair.ts",
    find: "for (const litter of scan.litter) await clearLitter(fs, dir, litter);",
    replace: "",
    catchers: [failures, crash],
  },
  {
    id: "failed-sync-forgotten-by-a-restart",
    hazards: [77],
    bug: "a block that is only in the system's memory is taken for stored after a restart",
    file: "src/storage/file/repair.ts",
    find: "if (!scan.clean) await rewriteLastBlock(segment, end.lastBlockOffset, end.offset);",
    replace: "await segment.file.sync();",
    catchers: [failures],
  },
  {
    id: "cut-entries-moved-back",
    hazards: [81],
    bug: "an entry that was cut off while it was copied is in the log again",
    file: "src/storage/file/replay.ts",
    find: "if (entry.term !== termAt(group.state, entry.index)) continue;",
    replace: "",
    catchers: [segments, lives],
  },
  {
    id: "group-number-used-twice",
    hazards: [81],
    bug: "a group that was created after the last checkpoint shares its number with the next one",
    file: "src/storage/file/replay.ts",
    find: "replay.nextGroup = Math.max(replay.nextGroup, section.group + 1);",
    replace: "",
    catchers: [unit("test/storage/contract.test")],
  },
];

export const recovery: readonly Mutant[] = [...writing, ...snapshotFiles, ...reading];
