/**
 * Exhaustive: a short history is cut off at every single write, sync, creation, rename, removal, and for
 * each of those the power takes away unsynced writes in every way that the disk could. What is
 * recovered is all that was acknowledged and some prefix of what was under way (HAZARDS, storage).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry, HardState, SnapshotMeta } from "../../src/core/types.js";
// Storage loads it when it is opened, which takes rounds without an operation of the disk.
import "../../src/storage/file/parts.js";
import { FakeDisk, type Fate, kept, lost } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  hardStateOf,
  identityOf,
  metaOf,
  noise,
  textsOf,
  type Recovered,
} from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };
const snapshotData = noise(70_000);

/** The group as it is after each step, in order; a step may be found whole or not at all. */
type State = {
  readonly exists: boolean;
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
};

/** What the history has done so far, and what of it was acknowledged. */
type Ledger = {
  readonly states: State[];
  /** Index into `states` of the newest acknowledged one. */
  acknowledged: number;
  snapshots: SnapshotMeta[];
  snapshotAcknowledged: boolean;
  finished: boolean;
};

function newLedger(): Ledger {
  return {
    states: [{ exists: false, hardState: null, entries: [] }],
    acknowledged: 0,
    snapshots: [],
    snapshotAcknowledged: false,
    finished: false,
  };
}

/** The same calls in the same order every time; stops for ever where the disk stops. */
async function history(disk: FakeDisk, ledger: Ledger): Promise<void> {
  const opened = await Opened.open("/data", { ...options, fs: disk });
  const { storage } = opened;
  const step = (entries: Entry[], hardState: HardState | null, truncateFrom = 0): number => {
    const before = ledger.states.at(-1)!;
    const left = truncateFrom === 0 ? before.entries : before.entries.slice(0, truncateFrom - 1);
    ledger.states.push({
      exists: true,
      hardState: hardState ?? before.hardState,
      entries: [...left, ...entries],
    });
    const rest = hardState === null ? { truncateFrom } : { truncateFrom, hardState };
    return opened.store("queue", entries, rest);
  };
  const acknowledged = async (ticket: number): Promise<void> => {
    await opened.stored("queue", ticket);
    ledger.acknowledged = ticket;
  };
  storage.createGroup(identityOf("queue"));
  await acknowledged(step(entriesOf(1, 2), hardStateOf(1, "foo#1")));
  step(entriesOf(3, 5, 1, "to be cut"), null);
  await acknowledged(step([], hardStateOf(2)));
  await acknowledged(step(entriesOf(4, 30, 2, "a longer entry, so that segments fill"), null, 4));
  const meta = metaOf(20, 2, snapshotData);
  ledger.snapshots.push(meta);
  const sink = storage.beginSnapshot("queue");
  sink.write(snapshotData);
  sink.commit(meta);
  await opened.until((answer) => answer.type === "saved");
  ledger.snapshotAcknowledged = true;
  storage.compactLog("queue", 15);
  await acknowledged(step(entriesOf(34, 60, 3, "another longer entry, to begin a segment"), null));
  step(entriesOf(94, 1, 3), null);
  await acknowledged(step(entriesOf(95, 40, 3, "the last ones, of some length again"), null));
  await opened.close();
  ledger.finished = true;
}

/** Runs the history up to operation `stopAt` of the disk. */
async function runUntil(stopAt: number): Promise<{ disk: FakeDisk; ledger: Ledger }> {
  const disk = new FakeDisk();
  disk.stopAt = stopAt;
  const ledger = newLedger();
  let ended = false;
  void history(disk, ledger).then(() => {
    ended = true;
  });
  // Every answer of the disk takes one round; when several pass without an operation it has stopped.
  for (let idle = 0, seen = -1; idle < 6 && !ended;) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    idle = disk.operations.length === seen ? idle + 1 : 0;
    seen = disk.operations.length;
  }
  return { disk, ledger };
}

function isState(group: Recovered | undefined, state: State): boolean {
  if (group === undefined) return !state.exists;
  if (!state.exists) return false;
  const covered = group.snapshot?.index ?? 0;
  const first = group.entries[0]?.index ?? covered + 1;
  if (first > covered + 1) return false;
  const entries = state.entries.filter((entry) => entry.index >= first);
  return (
    JSON.stringify(textsOf(group.entries)) === JSON.stringify(textsOf(entries)) &&
    group.entries.every((entry, at) => entry.term === entries[at]!.term) &&
    JSON.stringify(group.hardState) === JSON.stringify(state.hardState ?? hardStateOf(0))
  );
}

async function judge(image: FakeDisk, ledger: Ledger, where: string): Promise<void> {
  const opened = await Opened.open("/data", { ...options, fs: image });
  const group = opened.group("queue");
  assert.equal(group?.damage ?? null, null, where);
  const found = ledger.states.findIndex(
    (state, at) => at >= ledger.acknowledged && isState(group, state),
  );
  // Created and not yet stored to is a state of its own, before the first ticket.
  const created = ledger.acknowledged === 0 && group !== undefined && group.entries.length === 0;
  assert.ok(found >= 0 || created, `${where}: recovered ${JSON.stringify(group)}`);
  const snapshot = group?.snapshot ?? null;
  if (ledger.snapshotAcknowledged) assert.deepEqual(snapshot, ledger.snapshots[0], where);
  if (snapshot !== null) {
    assert.deepEqual(snapshot, ledger.snapshots[0], where);
    const pieces = await opened.storage.loadSnapshot("queue");
    assert.ok(Buffer.concat(pieces).equals(snapshotData), where);
  }
  await opened.close();
  assert.equal(image.openFiles, 0, `${where}: files left open`);
}

function sectors(keep: (sector: number) => boolean): Fate {
  return (write) => {
    const parts: [number, number][] = [];
    const end = write.position + write.bytes.length;
    for (let at = write.position; at < end;) {
      const next = Math.min((Math.floor(at / 512) + 1) * 512, end);
      if (keep(Math.floor(at / 512))) parts.push([at - write.position, next - write.position]);
      at = next;
    }
    return parts;
  };
}

const fates: readonly (readonly [string, Fate])[] = [
  ["lost", lost],
  ["kept", kept],
  ["even sectors", sectors((sector) => sector % 2 === 0)],
  ["odd sectors", sectors((sector) => sector % 2 === 1)],
  ["first sector", (write) => [[0, Math.min(512 - (write.position % 512), write.bytes.length)]]],
  ["all but the last byte", (write) => [[0, write.bytes.length - 1]]],
  ["a prefix of a sector", (write) => [[0, Math.min(100, write.bytes.length)]]],
  ["all but the head", (write) => [[Math.min(40, write.bytes.length), write.bytes.length]]],
  ["the log kept, others lost", (write, path) => (path.includes("wal-") ? kept(write, path) : [])],
  ["the log lost, others kept", (write, path) => (path.includes("wal-") ? [] : kept(write, path))],
];

test("cut off at every operation, nothing acknowledged is lost and nothing is invented", async (t) => {
  const whole = await runUntil(Infinity);
  assert.ok(whole.ledger.finished);
  const total = whole.disk.operations.length;
  const kinds = new Set(whole.disk.operations.map(({ type }) => type));
  assert.deepEqual([...kinds].sort(), [
    "create",
    "remove",
    "rename",
    "sync",
    "syncDirectory",
    "write",
  ]);
  let images = 0;
  for (let stopAt = 0; stopAt <= total; stopAt++) {
    const { disk, ledger } = await runUntil(stopAt);
    const where = `stopped at operation ${stopAt} of ${total}`;
    await judge(disk.killImage(), ledger, `${where}, killed`);
    for (const [name, fate] of fates) {
      for (const namesKept of [true, false]) {
        const image = disk.crashImage(fate, namesKept);
        await judge(image, ledger, `${where}, ${name}, names ${namesKept ? "kept" : "lost"}`);
        images++;
      }
    }
  }
  t.diagnostic(`${total} operations, ${images} crash images`);
});

test("a crash during the recovery of a crash changes nothing about it", async () => {
  const total = (await runUntil(Infinity)).disk.operations.length;
  for (let stopAt = 10; stopAt <= total; stopAt += 7) {
    const { disk, ledger } = await runUntil(stopAt);
    for (const [name, fate] of fates) {
      const first = disk.crashImage(fate, true);
      for (let again = 0; ; again++) {
        const second = first.crashImage(kept, true);
        second.stopAt = again;
        let done = false;
        const recovery = Opened.open("/data", { ...options, fs: second }).then((opened) =>
          opened.close(),
        );
        void recovery.then(() => {
          done = true;
        });
        for (let idle = 0, seen = -1; idle < 6 && !done;) {
          await new Promise<void>((resolve) => setImmediate(resolve));
          idle = second.operations.length === seen ? idle + 1 : 0;
          seen = second.operations.length;
        }
        const where = `stopped at ${stopAt}, ${name}, recovery stopped at ${again}`;
        await judge(
          second.crashImage(
            sectors((s) => s % 2 === 0),
            true,
          ),
          ledger,
          where,
        );
        await judge(second.crashImage(lost, true), ledger, where);
        if (done) break;
      }
    }
  }
});
