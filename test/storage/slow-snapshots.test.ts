/** A disk that is slower than the encoding of snapshots, or hangs, has it wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SnapshotSink } from "../../src/ports.js";
import { FakeDisk, settle, systemError } from "./fake-disk.js";
import { identityOf, metaOf, noise, type Opened, withGroup } from "./support.js";

const piece = noise(1024 * 1024);

/** Writes pieces until no more ought to come; so many were. Resolves once more may. */
function fill(sink: SnapshotSink): { readonly pieces: number; readonly room: Promise<void> } {
  for (let pieces = 0; ; pieces++) {
    assert.ok(pieces < 100, "everything is taken");
    let hasRoom!: () => void;
    const room = new Promise<void>((resolve) => (hasRoom = resolve));
    if (!sink.takesMore!(hasRoom)) return { pieces, room };
    sink.write(piece);
  }
}

/** A disk whose snapshot files wait until `go`. */
async function hangingDisk(): Promise<{ disk: FakeDisk; opened: Opened; go: () => void }> {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  opened.storage.createGroup(identityOf("other"));
  let go!: () => void;
  const gone = new Promise<void>((resolve) => (go = resolve));
  disk.onOpen = (path) => (path.includes("/snapshot-") ? gone : undefined);
  return { disk, opened, go };
}

test("while the disk hangs, all groups together keep so much of their snapshots in memory and no more", async () => {
  const { opened, go } = await hangingDisk();
  const sink = opened.storage.beginSnapshot("queue");
  const { pieces, room } = fill(sink);
  assert.ok(pieces > 4, `${pieces} pieces`);
  const other = opened.storage.beginSnapshot("other");
  const none = fill(other);
  assert.equal(none.pieces, 0);
  go();
  await Promise.all([room, none.room]);
  other.abort();
  // Whoever does not ask may write all the same.
  for (let at = pieces; at < 40; at++) sink.write(piece);
  const data = new Uint8Array(Buffer.concat(Array.from({ length: 40 }, () => piece)));
  sink.commit(metaOf(5, 1, data));
  const saved = await opened.until((one) => one.type === "saved");
  assert.ok(saved.type === "saved" && saved.ok);
  const later = fill(opened.storage.beginSnapshot("queue"));
  assert.equal(later.pieces, pieces, "all of it was let go");
  await opened.close();
});

test("a snapshot for which the disk is too full goes on to its end, and is answered", async () => {
  const { disk, opened, go } = await hangingDisk();
  const sink = opened.storage.beginSnapshot("queue");
  const { room } = fill(sink);
  disk.before = ({ type, path }) => {
    if (type === "write" && path.includes("/snapshot-")) throw systemError("ENOSPC");
  };
  go();
  await room;
  assert.ok(sink.takesMore!(assert.fail));
  sink.commit(metaOf(5, 1, piece));
  const saved = await opened.until((one) => one.type === "saved");
  assert.ok(saved.type === "saved" && !saved.ok);
  await opened.close();
});

test("an aborted snapshot is not told of room, and holds none", async () => {
  const { disk, opened, go } = await hangingDisk();
  const sink = opened.storage.beginSnapshot("queue");
  const { room, pieces } = fill(sink);
  void room.then(() => assert.fail("it has ended"));
  sink.abort();
  go();
  await settle(disk);
  assert.equal(fill(opened.storage.beginSnapshot("other")).pieces, pieces);
  await opened.close();
});
