/** The room that is prepared for the log: what goes into it, what of it is let go, and when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectDirectory } from "../../src/storage/file/inspect.js";
import { FakeDisk, isLog, settle, systemError } from "./fake-disk.js";
import { Opened, entryOf, entriesOf, errorsOf, identityOf, noise, withQueue } from "./support.js";

const names = (disk: FakeDisk): string[] => disk.names().filter((name) => name.endsWith(".log"));

test("no block reaches beyond what was prepared: its sync would have more to write than its bytes", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes: 4096, firstSegmentBytes: 2048, fs: disk };
  const opened = await Opened.open("/data", options);
  opened.storage.createGroup(identityOf("queue"));
  for (let index = 1; index <= 500; index++) {
    const entry = entryOf(index, 1, "x".repeat((index * 37) % 301));
    await opened.stored("queue", opened.store("queue", [entry]));
  }
  await opened.close();
  assert.ok(names(disk).length > 20);
  for (const name of names(disk)) {
    const bytes = disk.file(name);
    const prepared = new DataView(bytes.buffer).getFloat64(40, true);
    if (prepared > 0) assert.equal(bytes.length, prepared, name);
  }
});

test("the removal of segments is over when storage is closed", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes: 1024, firstSegmentBytes: 1024, fs: disk };
  const opened = await Opened.open("/data", options);
  opened.storage.createGroup(identityOf("queue"));
  for (let index = 1; index <= 300; index += 10) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 10)));
  }
  assert.ok(names(disk).length > 25);
  await opened.snapshot("queue", 300, 1, noise(10));
  opened.storage.compactLog("queue", 301);
  opened.storage.flush();
  await opened.close();
  assert.ok(names(disk).length <= 3);
  const closedAt = disk.operations.length;
  await settle(disk);
  assert.equal(disk.operations.length, closedAt, "nothing happens behind the lock's back");
});

test("a disk that fails while the next segment is prepared ends the storage, and is not asked twice", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes: 65_536, firstSegmentBytes: 4096, fs: disk };
  const opened = await Opened.open("/data", options);
  opened.storage.createGroup(identityOf("queue"));
  await settle(disk);
  let tries = 0;
  disk.before = (operation) => {
    if (!isLog(operation) || !operation.path.endsWith(".tmp")) return;
    tries++;
    throw systemError("EIO");
  };
  for (let index = 1; errorsOf(opened).length === 0; index += 5) {
    assert.ok(index < 200, "it goes on");
    opened.store("queue", entriesOf(index, 5));
    await settle(disk);
  }
  const [error] = errorsOf(opened);
  assert.equal(error!.code, "storageFailed");
  assert.match(error!.message, /preparing a segment/);
  assert.equal(tries, 1);
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("closing waits for a segment that is being prepared", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  let isBegun = false;
  disk.before = ({ path }) => {
    isBegun ||= path.endsWith("2.log.tmp");
  };
  for (let index = 4; !isBegun; index += 5) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 5)));
  }
  await opened.close();
  const closedAt = disk.operations.length;
  await settle(disk);
  assert.equal(disk.operations.length, closedAt);
  assert.equal(disk.openFiles, 0);
});

test("a prepared segment that a large batch finds too small goes", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  for (let index = 4; names(disk).length < 2; index += 5) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 5)));
    await settle(disk);
  }
  const { lastIndex } = (await inspectDirectory("/data", { fs: disk })).groups[0]!;
  const large = entryOf(lastIndex + 1, 1, "x".repeat(100_000));
  await opened.stored("queue", opened.store("queue", [large]));
  await settle(disk);
  const { segments } = await inspectDirectory("/data", { fs: disk });
  assert.deepEqual(
    segments.map(({ file, used }) => [file, used]),
    [
      ["wal-00000001.log", true],
      ["wal-00000003.log", true],
      ["wal-00000004.log", false],
    ],
  );
  await opened.close();
});
