/** Snapshots on their way between members: what was received of one, and what is still being sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  frameDataBytes,
  frameHeaderBytes,
  snapshotHeaderBytes,
} from "../../src/storage/file/snapshot-file.js";
import { openSnapshot } from "../../src/storage/file/snapshot-reader.js";
import { FakeDisk, lost, settle, systemError } from "./fake-disk.js";
import { Opened, entriesOf, metaOf, noise, largeSegments, withGroup } from "./support.js";

// More than goes out between two syncs.
const big = noise(9 * 1024 * 1024, 7);
const bigMeta = metaOf(100, 3, big);
const half = big.subarray(0, 4 * 1024 * 1024);

/** The process has ended and begun again when half of it was received. */
async function restartedHalfway() {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.chunk(bigMeta, 0, half);
  await opened.close();
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  return { disk, again };
}

function send(opened: Opened, from: number): void {
  const chunkBytes = 512 * 1024;
  for (let at = from; at < big.length; at += chunkBytes) {
    opened.storage.writeSnapshotChunk("queue", bigMeta, at, big.subarray(at, at + chunkBytes));
  }
}

for (const end of ["closed", "killed"] as const) {
  test(`a received part whose sync had failed is on the disk before it counts, when the process was ${end}`, async () => {
    const disk = new FakeDisk();
    const opened = await withGroup(disk);
    disk.before = ({ type, path }) => {
      if (type !== "sync" || !path.endsWith(".part")) return;
      // As Linux does: the pages are dropped from what is to be written, and stay readable.
      disk.forgetUnsynced(path);
      throw systemError("EIO");
    };
    send(opened, 0);
    await opened.until((answer) => answer.type === "failed");
    disk.before = null;
    if (end === "closed") await opened.close();
    const left = end === "closed" ? disk : disk.killImage();
    const again = await Opened.open("/data", { ...largeSegments, fs: left });
    const held = await again.chunk(bigMeta, 0, big.subarray(0, 1));
    assert.ok(held > 1_000_000, "it is gone on with");
    send(again, held);
    again.storage.installSnapshot("queue", bigMeta);
    const saved = await again.until((answer) => answer.type === "saved");
    assert.ok(saved.type === "saved" && saved.ok);
    await again.close();
    const afterPowerLoss = await Opened.open("/data", {
      ...largeSegments,
      fs: left.crashImage(lost, true),
    });
    assert.equal(afterPowerLoss.group("queue")!.damage, null);
    const pieces = await afterPowerLoss.storage.loadSnapshot("queue");
    assert.equal(Buffer.compare(Buffer.concat(pieces), big), 0);
    await afterPowerLoss.close();
  });
}

/** Reads of the snapshot at `index` as a leader does that sends it; true if there was anything. */
async function read(opened: Opened, index: number, offset: number): Promise<boolean> {
  const from = opened.answers.length;
  opened.storage.readSnapshotChunk("queue", "bar", index, offset, 100_000);
  await opened.until((answer) => opened.answers.indexOf(answer) >= from && answer.type === "read");
  const answer = opened.answers.findLast(({ type }) => type === "read");
  return answer?.type === "read" && answer.data !== null;
}

test("a snapshot that was replaced is let go once nobody reads it any more (hazard 57)", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const { openFiles } = disk;
  await opened.snapshot("queue", 10, 1, noise(300_000));
  assert.ok(await read(opened, 10, 0));
  await opened.snapshot("queue", 11, 1, noise(10));
  // Read again and again, it outlives one after the other; the current one is not even open.
  for (let index = 12; index < 16; index++) {
    assert.ok(await read(opened, 10, 100_000));
    await opened.snapshot("queue", index, 1, noise(10, index));
  }
  assert.equal(disk.openFiles, openFiles + 1);
  assert.ok(await read(opened, 10, 200_000), "to its end");
  await opened.snapshot("queue", 16, 1, noise(300_000));
  assert.equal(await read(opened, 10, 0), false);
  assert.equal(disk.openFiles, openFiles);
  // Begun, and then nobody comes back.
  assert.ok(await read(opened, 16, 0));
  await opened.snapshot("queue", 17, 1, noise(300_000, 2));
  assert.equal(disk.openFiles, openFiles + 1);
  await opened.snapshot("queue", 18, 1, noise(10));
  assert.equal(disk.openFiles, openFiles);
  // The same after it was read once as a former one, and where another takes its place.
  for (const [index, at] of [
    [19, 0],
    [20, 100_000],
  ] as const) {
    await opened.snapshot("queue", index, 1, noise(300_000, index));
    assert.ok(await read(opened, 19, at));
  }
  for (const [index, files] of [
    [21, 1],
    [22, 0],
    [23, 0],
  ] as const) {
    await opened.snapshot("queue", index, 1, noise(300_000, index));
    assert.equal(disk.openFiles, openFiles + files);
  }
  for (const index of [24, 25, 26]) {
    assert.ok(await read(opened, index - 1, 0));
    await opened.snapshot("queue", index, 1, noise(300_000, index));
    assert.equal(disk.openFiles, openFiles + 1);
  }
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("one that was read to its end keeps no file open, and is opened again for whoever reads on", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const { openFiles } = disk;
  await opened.snapshot("queue", 10, 1, noise(150_000));
  for (const [offset, files] of [
    [0, 1],
    [100_000, 0],
    [20_000, 1],
    [140_000, 0],
    [150_000, 0],
  ] as const) {
    assert.ok(await read(opened, 10, offset));
    assert.equal(disk.openFiles, openFiles + files, `after ${offset}`);
  }
  await opened.close();
});

test("one that was read to its end makes no place for itself among those that are still read", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const { openFiles } = disk;
  await opened.snapshot("queue", 10, 1, noise(300_000));
  assert.ok(await read(opened, 10, 0));
  await opened.snapshot("queue", 11, 1, noise(150_000));
  for (const offset of [0, 100_000]) assert.ok(await read(opened, 11, offset));
  assert.ok(await read(opened, 10, 100_000));
  assert.equal(await read(opened, 9, 0), false, "which is neither of them");
  await opened.snapshot("queue", 12, 1, noise(10));
  assert.ok(await read(opened, 10, 200_000));
  assert.equal(disk.openFiles, openFiles + 1);
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("a snapshot that rots under a running process can be sent once it was taken anew, at the same entry", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 10, 1, noise(300_000));
  const path = disk.names().find((name) => name.includes("snapshot"))!;
  const bytes = disk.file(path);
  bytes[70_000]! ^= 1;
  disk.setFile(path, bytes);
  assert.equal(await read(opened, 10, 0), false);
  assert.match(opened.warnings().join(), /checksum/);
  assert.equal(await read(opened, 10, 0), false);
  assert.equal(opened.warnings().length, 1, "it is not read again and again");
  const from = opened.answers.length;
  await opened.snapshot("queue", 10, 1, noise(300_000));
  await opened.until((answer) => answer.type === "saved" && opened.answers.indexOf(answer) >= from);
  assert.ok(await read(opened, 10, 0));
  assert.ok(await read(opened, 10, 250_000));
  await opened.close();
});

test("what was received before a restart is gone on with where only the rest has room", async () => {
  const { disk, again } = await restartedHalfway();
  const reserve = largeSegments.segmentBytes;
  disk.capacityBytes = disk.usedBytes + big.length - half.length + reserve + frameDataBytes;
  const held = await again.chunk(bigMeta, 0, half.subarray(0, 1));
  assert.ok(held > half.length - frameDataBytes);
  await again.close();
});

test("a snapshot that is taken anew at the same entry takes the place of a whole one only when it is whole", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const data = noise(200_000);
  await opened.snapshot("queue", 5, 1, data);
  await settle(disk);
  disk.before = ({ type }) => {
    if (type === "rename") disk.stopAt = disk.operations.length;
  };
  void opened.snapshot("queue", 5, 1, data);
  await settle(disk);
  assert.ok(disk.stopped);
  const image = disk.crashImage(lost, true);
  const again = await Opened.open("/data", { ...largeSegments, fs: image });
  assert.equal(again.group("queue")!.damage, null);
  await again.close();
});

test("what was received before a restart is given up where the rest would leave the log no room", async () => {
  const { disk, again } = await restartedHalfway();
  const left = disk.usedBytes;
  disk.capacityBytes = left + big.length - half.length;
  assert.equal(await again.chunk(bigMeta, 0, half.subarray(0, 1)), 0);
  assert.match(again.warnings().join(), /no space left for the snapshot/);
  assert.ok(disk.names().every((name) => !name.includes("snapshot")));
  await again.close();
  assert.equal(disk.openFiles, 0);
});

test("a leader's snapshot that finds no room for its first bytes leaves no file behind", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  disk.freeBytes = () => Promise.reject(systemError("ENOSYS"));
  disk.before = ({ type, path }) => {
    if (type === "write" && path.endsWith(".part")) throw systemError("ENOSPC");
  };
  await opened.chunk(bigMeta, 0, big.subarray(0, 1));
  assert.ok(disk.names().every((name) => !name.includes("snapshot")));
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("what was received of a snapshot is let go once one of its own has overtaken it", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const parts = (): number => disk.names().filter((name) => name.endsWith(".part")).length;
  const receive = (index: number): Promise<number> =>
    opened.chunk(metaOf(index, 1, big), 0, big.subarray(0, 1000));
  await receive(5);
  await opened.snapshot("queue", 5, 1, noise(100));
  assert.equal(parts(), 0, "it would take room until a restart");
  await receive(8);
  await opened.snapshot("queue", 7, 1, noise(100));
  assert.equal(parts(), 1, "a newer one goes on");
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("every bit of a snapshot's file but that of its data is compared when it is opened", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const data = noise(200);
  const meta = await opened.snapshot("queue", 5, 1, data);
  const path = disk.names().find((name) => name.endsWith(".snap"))!;
  await opened.close();
  const bytes = disk.file(path);
  const refused = { code: "storageCorrupt" };
  for (let at = 0; at < bytes.length; at++) {
    if (at === snapshotHeaderBytes) at += frameHeaderBytes + data.length;
    const flipped = bytes.slice();
    flipped[at]! ^= 1;
    disk.setFile(path, flipped);
    await assert.rejects(openSnapshot(disk, path, meta), refused, `offset ${at}`);
  }
  disk.setFile(path, bytes);
  await assert.rejects(openSnapshot(disk, path, metaOf(5, 1, noise(200, 2))), refused, "another");
  await (await openSnapshot(disk, path, meta)).close();
  assert.equal(disk.openFiles, 0);
});

test("a snapshot that is taken anew where the log begins right behind it leaves the log as it is", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  for (const seed of [1, 2]) {
    await opened.snapshot("queue", 5, 1, noise(100, seed));
    opened.storage.compactLog("queue", 6);
    await opened.stored("queue", opened.store("queue", []));
  }
  await opened.stored("queue", opened.store("queue", entriesOf(11, 1)));
  await opened.close();
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  const { entries, damage } = again.group("queue")!;
  assert.deepEqual([entries[0]?.index, entries.length, damage], [6, 6, null]);
  await again.close();
});

test("a snapshot that cannot be opened for now is told of once, and again when it happens again", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 10, 1, noise(1000));
  for (const round of [1, 2]) {
    disk.onOpen = (path) => {
      if (path.includes("/snapshot-")) throw systemError("EMFILE");
    };
    for (let times = 0; times < 3; times++) await read(opened, 10, 0);
    const answer = opened.answers.findLast(({ type }) => type === "read");
    assert.ok(answer?.type === "read" && answer.data === "later");
    assert.equal(opened.warnings().length, round);
    assert.match(opened.warnings().at(-1)!, /EMFILE.*it is tried again$/);
    disk.onOpen = null;
    assert.ok(await read(opened, 10, 0));
  }
  await opened.close();
});

test("one that is found damaged takes the place of none that is still read", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 10, 1, noise(300_000));
  assert.ok(await read(opened, 10, 0));
  await opened.snapshot("queue", 11, 1, noise(300_000, 2));
  assert.ok(await read(opened, 10, 100_000));
  const path = disk.names().find((name) => name.includes("snapshot-1-11-"))!;
  const bytes = disk.file(path);
  bytes[1000]! ^= 1;
  disk.setFile(path, bytes);
  assert.equal(await read(opened, 11, 0), false);
  await opened.snapshot("queue", 12, 1, noise(10));
  assert.ok(await read(opened, 10, 200_000));
  await opened.close();
  assert.equal(disk.openFiles, 0);
});
