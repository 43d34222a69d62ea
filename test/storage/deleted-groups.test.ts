/** What is under way for a group when it is deleted: it ends, leaves nothing and answers nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk, flipBitAt, settle } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  identityOf,
  metaOf,
  noise,
  largeSegments,
  withGroup,
} from "./support.js";

function snapshotsOn(disk: FakeDisk): string[] {
  return disk.names().filter((name) => name.includes("snapshot"));
}

test("closing waits for what is under way for deleted groups, and the directory can be opened again", async () => {
  for (const flushed of [true, false]) {
    for (const sizeBytes of [1, 600_000, 3_000_000]) {
      const disk = new FakeDisk();
      const opened = await withGroup(disk, 50);
      await opened.snapshot("queue", 40, 1, noise(200));
      const data = noise(sizeBytes);
      opened.storage.writeSnapshotChunk("queue", metaOf(100, 2, data), 0, data);
      await new Promise(setImmediate);
      opened.storage.deleteGroup("queue");
      if (flushed) opened.storage.flush();
      await opened.close();
      assert.equal(disk.openFiles, 0);
      assert.deepEqual(snapshotsOn(disk), []);
      const closedAt = disk.operations.length;
      await settle(disk);
      assert.equal(disk.operations.length, closedAt, "nothing happens behind the lock's back");
      const again = await Opened.open("/data", { ...largeSegments, fs: disk });
      assert.deepEqual(again.recovered, []);
      await again.close();
    }
  }
});

test("a leftover that somebody else removes meanwhile does not keep a directory closed", async () => {
  for (const damaged of [false, true]) {
    const disk = new FakeDisk();
    const opened = await withGroup(disk, 50);
    await opened.stored("queue", opened.store("queue", entriesOf(51, 1)));
    await opened.close();
    if (damaged) flipBitAt(disk, "/data/wal-00000001.log", "entry 7");
    const leftover = "/data/snapshot-1-2.tmp";
    disk.setFile(leftover, noise(10));
    disk.before = ({ type, path }) => {
      if (type === "remove" && path === leftover) disk.deleteFile(path);
    };
    const again = await Opened.open("/data", { ...largeSegments, fs: disk });
    assert.equal(again.group("queue")!.damage !== null, damaged);
    assert.deepEqual(snapshotsOn(disk), []);
    await again.close();
  }
});

test("what was asked for before a group was deleted is not answered to the next one of its name", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk, 50);
  await opened.snapshot("queue", 40, 1, noise(200_000));
  const beginAnew = (): void => {
    opened.storage.deleteGroup("queue");
    opened.storage.createGroup(identityOf("queue"));
  };
  disk.onOpen = (path, mode) => {
    if (mode !== "read" || !path.endsWith(".snap")) return;
    disk.onOpen = null;
    beginAnew();
  };
  opened.storage.readSnapshotChunk("queue", "bar", 40, 0, 1000);
  await settle(disk);
  assert.equal(disk.onOpen, null);
  const data = noise(1_000_000);
  disk.before = ({ type, path }) => {
    if (type !== "write" || !path.endsWith(".part")) return;
    disk.before = null;
    beginAnew();
  };
  opened.storage.writeSnapshotChunk("queue", metaOf(100, 2, data), 0, data);
  await settle(disk);
  assert.equal(disk.before, null);
  const types = opened.answers.map(({ type }) => type);
  assert.ok(!types.includes("read") && !types.includes("written"), types.join());
  await opened.close();
});

test("a group that is deleted while its snapshot gets its name leaves no file", async () => {
  for (const saved of ["own", "received"] as const) {
    const disk = new FakeDisk();
    const opened = await withGroup(disk, 50);
    await opened.snapshot("queue", 10, 1, noise(10));
    const data = noise(100_000);
    const meta = metaOf(40, 1, data);
    disk.before = ({ type, path }) => {
      if (type === "rename" && path.endsWith(".snap")) opened.storage.deleteGroup("queue");
    };
    if (saved === "own") {
      const sink = opened.storage.beginSnapshot("queue");
      sink.write(data);
      sink.commit(meta);
    } else {
      opened.storage.writeSnapshotChunk("queue", meta, 0, data);
      opened.storage.installSnapshot("queue", meta);
    }
    await settle(disk);
    assert.equal(snapshotsOn(disk).length, 2, "the deletion is not durable yet");
    opened.storage.flush();
    await settle(disk);
    assert.deepEqual(snapshotsOn(disk), [], saved);
    await opened.close();
  }
});

/** The one snapshot, whole or not, that is on the disk. */
async function goesWithGroup(disk: FakeDisk, opened: Opened): Promise<void> {
  assert.equal(snapshotsOn(disk).length, 1);
  opened.storage.deleteGroup("queue");
  opened.storage.flush();
  await settle(disk);
  assert.deepEqual(snapshotsOn(disk), []);
  await opened.close();
  assert.equal(disk.openFiles, 0);
}

test("a snapshot that is half written when its group is deleted leaves nothing", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk, 50);
  opened.storage.beginSnapshot("queue").write(noise(600_000));
  await settle(disk);
  await goesWithGroup(disk, opened);
});

test("what an earlier process had received of a snapshot goes with its group", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk, 50);
  const data = noise(600_000);
  await opened.chunk(metaOf(100, 2, data), 0, data.subarray(0, 300_000));
  await opened.close();
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  await goesWithGroup(disk, again);
});

test("a group whose deletion is lost is gone with the next checkpoint, which does not know it any more", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes: 4096, firstSegmentBytes: 4096, fs: disk };
  const opened = await Opened.open("/data", options);
  for (const name of ["a", "b"]) opened.storage.createGroup(identityOf(name));
  await opened.stored("b", opened.store("b", entriesOf(1, 1)));
  opened.storage.deleteGroup("b");
  await opened.stored("a", opened.store("a", entriesOf(1, 1, 1, "beside the deletion")));
  const bytes = disk.file("/data/wal-00000001.log");
  const at = Buffer.from(bytes).lastIndexOf("RVB1");
  for (let first = 2; first < 200; first += 10) {
    await opened.stored("a", opened.store("a", entriesOf(first, 10)));
  }
  await opened.close();
  const lost = disk.file("/data/wal-00000001.log");
  lost[at]! ^= 1;
  disk.setFile("/data/wal-00000001.log", lost);
  const again = await Opened.open("/data", options);
  assert.equal(again.group("b"), undefined);
  await again.close();
});
