/** The room that is prepared for the log: what goes into it, what of it is let go, and when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectDirectory } from "../../src/storage/file/inspect.js";
import { FakeDisk, isLog, lost, settle, systemError } from "./fake-disk.js";
import { Opened, entryOf, entriesOf, errorsOf, identityOf, noise, withQueue } from "./support.js";

const names = (disk: FakeDisk): string[] => disk.names().filter((name) => name.endsWith(".log"));

/** Stores until there are `count` segments, the last of them prepared, and closes in order. */
async function fillSegments(disk: FakeDisk, count: number): Promise<void> {
  const opened = await withQueue(disk);
  for (let index = 4; names(disk).length < count; index += 5) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 5)));
    await settle(disk);
  }
  await opened.close();
}

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
  assert.equal(disk.openFiles, 0);
});

test("a log that was closed in order is known for it with a prepared segment behind it, and not written again", async () => {
  const disk = new FakeDisk();
  await fillSegments(disk, 2);
  const { segments, closedInOrder } = await inspectDirectory("/data", { fs: disk });
  assert.deepEqual([segments.map(({ used }) => used), closedInOrder], [[true, false], true]);
  const before = disk.operations.length;
  const again = await Opened.open("/data", { fs: disk });
  assert.deepEqual(disk.operations.slice(before).filter(isLog), []);
  await again.close();
});

test("opening what was closed in order reads nothing of the room behind its end", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes: 4 << 20, firstSegmentBytes: 4 << 20, fs: disk };
  const opened = await Opened.open("/data", options);
  opened.storage.createGroup(identityOf("queue"));
  await opened.stored("queue", opened.store("queue", entriesOf(1, 3)));
  await opened.close();
  let reads = 0;
  disk.onRead = (path) => void (reads += path.endsWith(".log") ? 1 : 0);
  const again = await Opened.open("/data", options);
  assert.equal(reads, 1, "pieces of 1 MiB");
  await again.close();
});

for (const [what, keptBytes, health] of [
  ["of which only the header was written is torn, and blank again", 64, "torn"],
  ["whose first block was written in part is torn, and blank again", 100, "torn"],
  [
    "of which only the header was written shows that what is bad before it was synced",
    64,
    "damaged",
  ],
] as const) {
  test(`a segment ${what}`, async () => {
    const disk = new FakeDisk();
    await fillSegments(disk, 3);
    disk.setFile("/data/mark", new Uint8Array(1024));
    for (const name of names(disk).slice(2)) disk.deleteFile(name);
    const [first, second] = names(disk) as [string, string];
    disk.setFile(second, disk.file(second).fill(0, keptBytes));
    if (health === "damaged") {
      const bytes = disk.file(first);
      bytes[Buffer.from(bytes).lastIndexOf("entry")]! ^= 1;
      disk.setFile(first, bytes);
    }
    const inspection = await inspectDirectory("/data", { fs: disk });
    assert.equal(inspection.health, health);
    const again = await Opened.open("/data", { fs: disk });
    assert.equal(again.group("queue")!.damage === null, health === "torn");
    if (health === "torn") {
      assert.equal(inspection.findings[0]!.offset, 0);
      assert.ok(disk.file(second).every((byte) => byte === 0));
    }
    await again.close();
  });
}

test("each piece of a segment is synced before the next, and its name before the log goes on in it", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  const path = "/data/wal-00000002.log";
  for (let index = 4; disk.names().at(-1) !== path || disk.file(path)[0] === 0; index += 5) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 5)));
  }
  const begun = disk.operations.findIndex((one) => one.path === `${path}.tmp`);
  const steps = disk.operations.slice(begun).flatMap((one) => {
    const isOfIt = one.path.startsWith(path) || one.type === "syncDirectory";
    return isOfIt ? [`${one.type}${one.path.endsWith(".tmp") ? " of zeros" : ""}`] : [];
  });
  const piece = ["write of zeros", "sync of zeros"];
  assert.deepEqual(steps.slice(0, steps.indexOf("write") + 2), [
    "create of zeros",
    ...piece,
    "rename",
    "syncDirectory",
    "write",
    "sync",
  ]);
  await opened.close();
});

test("what was acknowledged on a later segment is there when the power goes, its name included", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  let last = 3;
  while (names(disk).length < 4) {
    await opened.stored("queue", opened.store("queue", entriesOf(last + 1, 5)));
    last += 5;
  }
  const again = await Opened.open("/data", { fs: disk.crashImage(lost, false) });
  assert.equal(again.group("queue")!.damage, null);
  assert.equal(again.group("queue")!.entries.at(-1)!.index, last);
  await again.close();
  await opened.close();
});
