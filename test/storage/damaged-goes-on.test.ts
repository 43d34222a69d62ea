/** A directory in which one group is damaged goes on for the others, through losses of power as well. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeDisk, type Fate, flipBitAt, isLog, lost, systemError } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  entryOf,
  errorsOf,
  hardStateOf,
  identityOf,
  textsOf,
} from "./support.js";

const text = "entry of good";

const open = (disk: FakeDisk): Promise<Opened> =>
  Opened.open("/data", { segmentBytes: 16_384, firstSegmentBytes: 8192, fs: disk });

async function store(opened: Opened, group: string, first: number, count: number): Promise<void> {
  await opened.stored(group, opened.store(group, entriesOf(first, count, 1, `entry of ${group}`)));
}

const isUsed = (disk: FakeDisk, name: string): boolean => disk.file(name).some((byte) => byte > 0);

/** Groups `good` and `bad` with three entries each. */
async function openWithBoth(disk: FakeDisk): Promise<Opened> {
  const opened = await open(disk);
  for (const name of ["good", "bad"]) {
    opened.storage.createGroup(identityOf(name));
    opened.store(name, [], { hardState: hardStateOf(1) });
    await store(opened, name, 1, 3);
  }
  return opened;
}

/** Both, closed; of the second one entry does not read back. */
async function damagedDisk(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const opened = await openWithBoth(disk);
  await opened.close();
  flipBitAt(disk, "/data/wal-00000001.log", "entry of bad 2");
  return disk;
}

/** The power goes after a large entry was written and before it is synced. */
async function powerLoss(disk: FakeDisk, opened: Opened, last: number, fate: Fate) {
  disk.before = ({ type, path }) => {
    if (type === "write" && path.endsWith(".log")) disk.stopAt = disk.operations.length - 1;
  };
  opened.store("good", [entryOf(last + 1, 1, "never promised ".repeat(100))]);
  while (!disk.stopped) await new Promise<void>((resolve) => setImmediate(resolve));
  return disk.crashImage(fate, true);
}

async function reopened(disk: FakeDisk, last: number): Promise<Opened> {
  const opened = await open(disk);
  assert.equal(opened.group("good")!.damage, null);
  assert.notEqual(opened.group("bad")!.damage, null);
  assert.deepEqual(textsOf(opened.group("good")!.entries), textsOf(entriesOf(1, last, 1, text)));
  return opened;
}

const fates: readonly (readonly [string, Fate])[] = [
  ["nothing", () => []],
  ["the first sector", () => [[0, 512]]],
  ["all but the first sector", ({ bytes }) => [[512, bytes.length]]],
];

describe("of a torn write in a damaged directory", () => {
  for (const [what, fate] of fates) {
    test(`${what} is on the disk: the other group is whole, time and again`, async () => {
      let disk = await damagedDisk();
      let opened = await open(disk);
      let last = 3;
      for (let times = 0; times < 3; times++) {
        await store(opened, "good", ++last, 1);
        disk = await powerLoss(disk, opened, last, fate);
        opened = await reopened(disk, last);
        for (let more = 0; more < 3; more++) await store(opened, "good", ++last, 1);
        await opened.close();
        opened = await reopened(disk, last);
      }
      await opened.close();
    });
  }
});

test("in a damaged directory a segment whose first block was cut short stays as it is, and costs the other group nothing", async () => {
  const disk = await damagedDisk();
  const opened = await open(disk);
  const image = await powerLoss(disk, opened, 3, () => [[0, 100]]);
  const torn = image.names().findLast((name) => name.includes("/wal-"))!;
  const bytes = image.file(torn);
  assert.ok(isUsed(image, torn));
  const again = await reopened(image, 3);
  await store(again, "good", 4, 1);
  await again.close();
  assert.deepEqual(image.file(torn), bytes);
  await (await reopened(image, 4)).close();
});

test("in a damaged directory what was never finished is removed, and what has a name stays", async () => {
  const disk = await damagedDisk();
  disk.setFile("/data/snapshot-1-7.tmp", new Uint8Array(10));
  disk.setFile("/data/wal-00000009.log.tmp", new Uint8Array(10));
  const named = "/data/snapshot-7-9-1-00000000.snap";
  disk.setFile(named, new Uint8Array(10));
  await (await reopened(disk, 3)).close();
  assert.ok(disk.names().every((name) => !name.endsWith(".tmp")));
  assert.ok(disk.names().includes(named));
});

test("in a damaged directory a block whose sync had failed is on the disk before anybody counts on it", async () => {
  const disk = await damagedDisk();
  const opened = await open(disk);
  await store(opened, "good", 4, 1);
  disk.before = (operation) => {
    if (operation.type !== "sync" || !isLog(operation)) return;
    disk.forgetUnsynced(operation.path);
    throw systemError("EIO");
  };
  opened.store("good", entriesOf(5, 1, 1, text));
  await opened.until(({ type }) => type === "failed");
  assert.equal(errorsOf(opened).length, 1);
  // The system still shows it.
  const killed = disk.killImage();
  const again = await reopened(killed, 5);
  await store(again, "good", 6, 1);
  await (await reopened(killed.crashImage(lost, true), 6)).close();
});

test("a checkpoint in the midst of the log that does not read back costs nothing: what came before says the same", async () => {
  const disk = new FakeDisk();
  const before = await open(disk);
  before.storage.createGroup(identityOf("good"));
  for (let first = 1; first < 200; first += 20) await store(before, "good", first, 20);
  await before.close();
  const segment = disk.names().findLast((name) => name.includes("/wal-") && isUsed(disk, name))!;
  assert.notEqual(segment, "/data/wal-00000001.log");
  flipBitAt(disk, segment, "id-of-good");
  const opened = await open(disk);
  assert.equal(opened.group("good")!.damage, null);
  assert.deepEqual(textsOf(opened.group("good")!.entries), textsOf(entriesOf(1, 200, 1, text)));
  await store(opened, "good", 201, 1);
  await opened.close();
});

test("what is lost and was not needed any more when a segment began damages nobody", async () => {
  const disk = new FakeDisk();
  const opened = await openWithBoth(disk);
  await opened.snapshot("bad", 3, 1, new Uint8Array(10));
  opened.storage.compactLog("bad", 4);
  for (let first = 4; first < 300; first += 4) await store(opened, "good", first, 4);
  await opened.close();
  assert.ok(disk.names().filter((name) => name.includes("/wal-")).length > 1);
  flipBitAt(disk, "/data/wal-00000001.log", "entry of bad 2");
  const again = await open(disk);
  assert.equal(again.group("bad")!.damage, null);
  assert.equal(again.group("good")!.entries.at(-1)!.index, 299);
  await again.close();
});

test("a group that comes in after one was set aside is whole however soon the process is killed", async () => {
  const disk = new FakeDisk();
  const before = await open(disk);
  before.storage.createGroup(identityOf("bad"));
  for (let index = 1; index <= 5; index++) await store(before, "bad", index, 1);
  await before.close();
  // The last blocks, which the mark vouches for: the log seems to end before them.
  const log = "/data/wal-00000001.log";
  const bytes = disk.file(log);
  disk.setFile(log, bytes.fill(0, Buffer.from(bytes).indexOf("entry of bad 2") - 100));
  const never = 3_600_000;
  const options = { segmentBytes: 16_384, firstSegmentBytes: 8192, markLagMs: never, fs: disk };
  const opened = await Opened.open("/data", options);
  assert.notEqual(opened.group("bad")!.damage, null);
  await opened.storage.setAside!("bad");
  opened.storage.createGroup(identityOf("good"));
  await store(opened, "good", 1, 2);
  const image = disk.killImage();
  const again = await Opened.open("/data", { ...options, fs: image });
  assert.equal(again.group("good")!.damage, null);
  assert.equal(again.group("good")!.entries.length, 2);
  await again.close();
  await opened.close();
});
