/** Too many open files (a crowd of connections has them, say) cost what was about to be begun, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SnapshotMeta } from "../../src/core/types.js";
import { FakeDisk, settle, systemError } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  errorsOf,
  identityOf,
  metaOf,
  noise,
  textsOf,
  withQueue,
} from "./support.js";

const snapshots = /\/snapshot-/;
const segments = /\/wal-/;

/** No file of that kind can be opened, or made: or the directory, whose names are to be synced, cannot. */
function refuse(disk: FakeDisk, code: string, what: RegExp | "directory"): void {
  if (what === "directory") {
    disk.before = ({ type }) => {
      if (type === "syncDirectory") throw systemError(code);
    };
  } else {
    disk.onOpen = (path) => {
      if (what.test(path)) throw systemError(code);
    };
  }
}

function allow(disk: FakeDisk): void {
  disk.before = null;
  disk.onOpen = null;
}

function snapshotFiles(disk: FakeDisk): string[] {
  return disk.names().filter((name) => name.includes("snapshot-"));
}

function lastSaved(opened: Opened): boolean {
  const answer = opened.answers.findLast(({ type }) => type === "saved");
  return answer?.type === "saved" && answer.ok;
}

for (const [code, what] of [
  ["EMFILE", snapshots],
  ["ENFILE", snapshots],
  ["EMFILE", "directory"],
] as const) {
  test(`a snapshot of its own (${code}, ${what}) is given up, and the next one is taken`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    await settle(disk);
    await opened.snapshot("queue", 1, 1, noise(300));
    const before = snapshotFiles(disk);
    refuse(disk, code, what);
    await opened.snapshot("queue", 2, 1, noise(400));
    assert.equal(lastSaved(opened), false);
    assert.match(opened.warnings().at(-1)!, /too many open files.*"queue"/);
    assert.deepEqual(snapshotFiles(disk), before);
    allow(disk);
    await opened.snapshot("queue", 3, 1, noise(500));
    assert.ok(lastSaved(opened));
    await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
    assert.deepEqual(errorsOf(opened), []);
    await opened.close();
    assert.equal(disk.openFiles, 0);
  });
}

test("the snapshot that is the current one already keeps its file", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  const data = noise(300);
  await opened.snapshot("queue", 2, 1, data);
  opened.answers.length = 0;
  refuse(disk, "EMFILE", "directory");
  await opened.snapshot("queue", 2, 1, data);
  assert.equal(lastSaved(opened), false);
  allow(disk);
  assert.ok(Buffer.concat(await opened.storage.loadSnapshot("queue")).equals(data));
  await opened.close();
});

/** Sends it from the beginning; how much is held then. */
async function send(opened: Opened, meta: SnapshotMeta, data: Uint8Array): Promise<number> {
  await opened.chunk(meta, 0, data.subarray(0, 500));
  return opened.chunk(meta, 500, data.subarray(500));
}

test("a leader's snapshot comes in once there are fewer, whatever of it was refused", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  const data = noise(1000);
  const meta = metaOf(20, 2, data);
  refuse(disk, "EMFILE", snapshots);
  assert.equal(await opened.chunk(meta, 0, data.subarray(0, 500)), 0);
  assert.equal(await opened.chunk(meta, 0, data.subarray(0, 500)), 0);
  allow(disk);
  refuse(disk, "EMFILE", "directory");
  assert.equal(await send(opened, meta, data), 1000);
  opened.storage.installSnapshot("queue", meta);
  await opened.until(({ type }) => type === "saved");
  assert.equal(lastSaved(opened), false);
  assert.deepEqual(snapshotFiles(disk), []);
  const warnings = opened.warnings().filter((warning) => warning.includes("too many open files"));
  assert.equal(warnings.length, 2, "said once for each that was received, or not");
  allow(disk);
  assert.equal(await send(opened, meta, data), 1000);
  opened.storage.installSnapshot("queue", meta);
  await opened.until((answer) => answer.type === "saved" && answer.ok);
  assert.deepEqual(errorsOf(opened), []);
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

for (const what of [segments, "directory"] as const) {
  test(`the next segment (${what}) is prepared later, and leaves nothing until then`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    refuse(disk, "EMFILE", what);
    let next = 4;
    const store = (): Promise<void> =>
      opened.stored("queue", opened.store("queue", entriesOf(next++, 1, 1, "x".repeat(400))));
    while (opened.warnings().length < 3) await store();
    assert.match(opened.warnings()[0]!, /preparing a segment: EMFILE.*the log goes on/);
    await settle(disk);
    const files = (): number => disk.names().filter((name) => name.includes("wal-")).length;
    assert.equal(files(), 1);
    allow(disk);
    while (files() < 3) await store();
    assert.deepEqual(errorsOf(opened), []);
    await opened.close();
    const again = await Opened.open("/data", { fs: disk });
    assert.equal(again.group("queue")!.entries.length, next - 1);
    await again.close();
  });
}

test("what a slow group needs is moved later", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes: 8192, firstSegmentBytes: 4096, maxLogBytes: 20_000, fs: disk };
  const opened = await Opened.open("/data", options);
  for (const name of ["busy", "slow"]) opened.storage.createGroup(identityOf(name));
  await opened.stored("slow", opened.store("slow", entriesOf(1, 3)));
  let refused = 0;
  disk.onOpen = (path, mode) => {
    if (mode !== "read" || !segments.test(path)) return;
    refused++;
    throw systemError("EMFILE");
  };
  let next = 1;
  const drive = async (): Promise<void> => {
    await opened.stored("busy", opened.store("busy", entriesOf(next, 20)));
    next += 20;
    await opened.snapshot("busy", next - 1, 1, noise(10));
    opened.storage.compactLog("busy", next);
  };
  while (refused < 2) await drive();
  allow(disk);
  const first = "/data/wal-00000001.log";
  assert.ok(disk.names().includes(first));
  while (disk.names().includes(first)) await drive();
  assert.deepEqual(errorsOf(opened), []);
  await opened.close();
  const again = await Opened.open("/data", options);
  assert.deepEqual(textsOf(again.group("slow")!.entries), textsOf(entriesOf(1, 3)));
  await again.close();
});
