/** The file `mark` trails the log (docs/decisions/0032): what that saves, and what it must not cost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectDirectory } from "../../src/storage/file/inspect.js";
import { fileStorage } from "../../src/storage/file/file-storage.js";
import {
  FakeDisk,
  type Operation,
  flipBitAt,
  isLog,
  lost,
  settle,
  systemError,
} from "./fake-disk.js";
import { Opened, type Recovered, entriesOf, hardStateOf, identityOf } from "./support.js";

const options = { segmentBytes: 1 << 20, firstSegmentBytes: 1 << 16 };
/** Longer than any test runs: nothing comes of it by time. */
const never = 3_600_000;

const isMark = ({ type, path }: Operation): boolean => type === "write" && path.endsWith("/mark");

/** A group with one entry, of which the disk has said everything that it has to say by itself. */
async function begin(disk: FakeDisk, markLagMs: number): Promise<Opened> {
  const opened = await Opened.open("/data", { ...options, fs: disk, markLagMs });
  opened.storage.createGroup(identityOf("queue"));
  const ticket = opened.store("queue", entriesOf(1, 1), { hardState: hardStateOf(1) });
  await opened.stored("queue", ticket);
  await settle(disk);
  return opened;
}

const reopen = (disk: FakeDisk): Promise<Opened> =>
  Opened.open("/data", { ...options, fs: disk, markLagMs: never });

/** Each in a block of its own. */
async function storeOneByOne(opened: Opened, first: number, count: number): Promise<void> {
  for (let index = first; index < first + count; index++) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 1)));
  }
}

/** The sequence of the last block that the mark vouches for, by its newer slot; here that of its entry. */
function markedSequence(disk: FakeDisk): number {
  const bytes = disk.file("/data/mark");
  const newer = slotGeneration(bytes, 1) > slotGeneration(bytes, 0) ? 512 : 0;
  return new DataView(bytes.buffer).getFloat64(newer + 8, true);
}

function slotGeneration(mark: Uint8Array, slot: number): number {
  return new DataView(mark.buffer).getFloat64(slot * 512 + 32, true);
}

/** The process is killed, one bit of the block with that text changes: what a restart makes of it. */
async function restartDamagedAt(disk: FakeDisk, text: string): Promise<Recovered> {
  const image = disk.killImage();
  flipBitAt(image, "/data/wal-00000001.log", text);
  const again = await Opened.open("/data", { ...options, fs: image });
  const group = again.group("queue")!;
  await again.close();
  return group;
}

test("with a lag, blocks in quick succession cost no write of the mark each", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, never);
  const from = disk.operations.length;
  await storeOneByOne(opened, 2, 20);
  assert.equal(disk.operations.slice(from).filter(isMark).length, 0);
  await opened.close();
  assert.equal(markedSequence(disk), 21, "closing in order tells it all the same");
});

test("without a lag, each block costs one", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, 0);
  const from = disk.operations.length;
  await storeOneByOne(opened, 2, 20);
  await settle(disk);
  assert.equal(disk.operations.slice(from).filter(isMark).length, 20);
  await opened.close();
});

test("soon after the last block the mark vouches for it", { timeout: 20_000 }, async (t) => {
  const disk = new FakeDisk();
  const opened = await begin(disk, 1);
  await storeOneByOne(opened, 2, 5);
  while (markedSequence(disk) < 6) {
    t.signal.throwIfAborted();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const { damage } = await restartDamagedAt(disk, "entry 6");
  assert.notEqual(damage, null, "the last block was synced: that is damage");
  await opened.close();
});

test("before that, only the last block goes without: the others vouch for those before them", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, never);
  await storeOneByOne(opened, 2, 5);
  const last = await restartDamagedAt(disk, "entry 6");
  assert.equal(last.damage, null, "it passes for one that was cut short");
  assert.equal(last.entries.length, 5);
  const other = await restartDamagedAt(disk, "entry 5");
  assert.notEqual(other.damage, null);
  await opened.close();
});

test("when the log fails, the mark is told at once of what was synced before", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, never);
  await storeOneByOne(opened, 2, 3);
  disk.before = (operation) => {
    if (operation.type === "sync" && isLog(operation)) throw systemError("EIO");
  };
  opened.store("queue", entriesOf(5, 1));
  await opened.until((answer) => answer.type === "failed");
  await settle(disk);
  assert.equal(markedSequence(disk), 4);
  const { damage } = await restartDamagedAt(disk, "entry 4");
  assert.notEqual(damage, null);
  await opened.close();
});

test("a mark that is too short keeps its intact slot: it may prove that the last block was synced", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, 0);
  await storeOneByOne(opened, 2, 5);
  await settle(disk);
  for (const more of [0, 1]) {
    await storeOneByOne(opened, 7 + more, 1);
    await settle(disk);
    const mark = disk.file("/data/mark");
    const newer = slotGeneration(mark, 1) > slotGeneration(mark, 0) ? 1 : 0;
    const image = disk.killImage();
    image.setFile("/data/mark", mark.slice(0, newer * 512 + 100));
    const whole = await Opened.open("/data", { ...options, fs: image.killImage() });
    assert.equal(whole.group("queue")!.damage, null);
    await whole.close();
    flipBitAt(image, "/data/wal-00000001.log", `entry ${7 + more}`);
    for (let round = 0; round < 3; round++) {
      const damaged = await Opened.open("/data", { ...options, fs: image });
      assert.notEqual(damaged.group("queue")!.damage, null, `slot ${newer}, round ${round}`);
      await damaged.close();
      assert.equal(image.file("/data/mark").length, 1024);
    }
  }
  await opened.close();
});

test("a mark that is too short is whole again after the next write", async () => {
  for (const length of [0, 20, 500, 530, 1023]) {
    const disk = new FakeDisk();
    await (await begin(disk, 0)).close();
    disk.setFile("/data/mark", disk.file("/data/mark").slice(0, length));
    const opened = await Opened.open("/data", { ...options, fs: disk });
    await storeOneByOne(opened, 2, 2);
    await opened.close();
    assert.equal(markedSequence(disk), 3, `cut at ${length}`);
    const again = await Opened.open("/data", { ...options, fs: disk });
    await again.close();
    assert.deepEqual(again.warnings(), []);
  }
});

test("an option that does not exist is refused by name", () => {
  assert.throws(() => fileStorage("/data", { markLag: 0 } as object), {
    code: "invalidArgument",
    message: /^fileStorage: markLag is no option; there are .*markLagMs/,
  });
  assert.throws(() => fileStorage("/data", 0 as never), /fileStorage: options must be an object/);
  // An object without a prototype has no text of its own.
  assert.throws(() => fileStorage("/data", { markLagMs: Object.create(null) as never }), {
    code: "invalidArgument",
    message: /^fileStorage: markLagMs must be an integer of at least 0 .*, not an object$/,
  });
});

test("a lag that is no count of milliseconds is refused by name", async () => {
  for (const markLagMs of [-1, 0.5, Number.NaN, Infinity, 2 ** 31]) {
    await assert.rejects(
      async () => Opened.open("/data", { ...options, fs: new FakeDisk(), markLagMs }),
      /markLagMs must be an integer of at least 0 and at most 2147483647, not /,
    );
  }
});

test("an orderly close is known when the power goes right after it", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, never);
  await storeOneByOne(opened, 2, 3);
  await opened.close();
  const image = disk.crashImage(lost, false);
  assert.ok((await inspectDirectory("/data", { fs: image })).closedInOrder);
  flipBitAt(image, "/data/wal-00000001.log", "entry 4");
  const again = await Opened.open("/data", { ...options, fs: image });
  assert.notEqual(again.group("queue")!.damage, null, "its last block was promised");
  await again.close();
});

test("nothing of a mark that lags is left to be written once storage is closed", async (context) => {
  const disk = new FakeDisk();
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const opened = await begin(disk, 100);
  await opened.close();
  const closedAt = disk.operations.length;
  context.mock.timers.tick(1000);
  await settle(disk);
  assert.equal(disk.operations.length, closedAt);
});

test("a slot of the mark that is not what was written is passed over, and that is told", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, 0);
  await storeOneByOne(opened, 2, 3);
  await opened.close();
  const bytes = disk.file("/data/mark");
  const ahead = slotGeneration(bytes, 1) - slotGeneration(bytes, 0);
  assert.equal(Math.abs(ahead), 1, "they take turns");
  const newer = ahead > 0 ? 512 : 0;
  // Of the sequence: it would vouch for blocks that never were.
  bytes[newer + 14]! ^= 4;
  disk.setFile("/data/mark", bytes);
  const again = await Opened.open("/data", { ...options, fs: disk });
  assert.equal(again.group("queue")!.damage, null);
  assert.equal(again.group("queue")!.entries.length, 4);
  await again.until(({ type }) => type === "warning");
  assert.match(again.warnings().join(), /mark is partly damaged/);
  await again.close();
});

test("the first mark that is written after a restart leaves the one that holds alone", async () => {
  const disk = new FakeDisk();
  for (const first of [2, 3, 4]) {
    const opened = first === 2 ? await begin(disk, never) : await reopen(disk);
    const before = disk.file("/data/mark");
    const newer = slotGeneration(before, 1) > slotGeneration(before, 0) ? 1 : 0;
    await storeOneByOne(opened, first, 1);
    const after = disk.file("/data/mark");
    if (first > 2) {
      assert.equal(slotGeneration(after, newer), slotGeneration(before, newer));
      assert.equal(slotGeneration(after, 1 - newer), slotGeneration(before, newer) + 1);
    }
    await opened.close();
  }
});

test("while the mark is being written the next one waits", async () => {
  const disk = new FakeDisk();
  const openFile = disk.open.bind(disk);
  let under = 0;
  let most = 0;
  disk.open = async (path, mode) => {
    const file = await openFile(path, mode);
    if (!path.endsWith("/mark")) return file;
    const write = async (position: number, buffers: readonly Uint8Array[]): Promise<void> => {
      most = Math.max(most, ++under);
      for (let round = 0; round < 10; round++) await new Promise((r) => setImmediate(r));
      await file.write(position, buffers);
      under--;
    };
    return { ...file, write };
  };
  const opened = await begin(disk, 0);
  await storeOneByOne(opened, 2, 20);
  await opened.close();
  assert.equal(most, 1);
  assert.equal(markedSequence(disk), 21);
});

test("what is gone behind the end of a log that was closed in order was never anything", async () => {
  const disk = new FakeDisk();
  await (await begin(disk, 0)).close();
  const path = "/data/wal-00000001.log";
  const bytes = disk.file(path);
  disk.setFile(path, bytes.slice(0, bytes.findLastIndex((byte) => byte !== 0) + 1));
  const again = await reopen(disk);
  assert.equal(again.group("queue")!.damage, null);
  assert.equal(again.group("queue")!.entries.length, 1);
  await storeOneByOne(again, 2, 3);
  await again.close();
  const third = await reopen(disk);
  assert.equal(third.group("queue")!.entries.length, 4);
  assert.equal(third.group("queue")!.damage, null);
  await third.close();
});

test("a log that was cut where its last block began is damaged: four bytes of unused room would show that none did", async () => {
  const disk = new FakeDisk();
  await (await begin(disk, 0)).close();
  const old = disk.file("/data/mark");
  // From here on the mark says nothing.
  const opened = await reopen(disk);
  await storeOneByOne(opened, 2, 3);
  const path = "/data/wal-00000001.log";
  const bytes = disk.file(path);
  const lastBlock = Buffer.from(bytes).lastIndexOf("RVB1");
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  for (const [length, isDamaged, change] of [
    [lastBlock, true, null],
    [end + 3, true, null],
    [end + 3, true, (image: FakeDisk) => image.setFile("/data/mark", old)],
    [end + 4, true, (image: FakeDisk) => flipBitAt(image, path, "entry 4")],
    [end + 4, false, null],
  ] as const) {
    const image = disk.killImage();
    image.setFile(path, bytes.slice(0, length));
    change?.(image);
    const { findings } = await inspectDirectory("/data", { fs: image });
    const again = await reopen(image);
    assert.equal(again.group("queue")!.damage !== null, isDamaged, `${length} bytes`);
    if (!isDamaged) {
      assert.match(findings.at(-1)!.message, /unused room at its end is gone/);
      assert.ok(Buffer.from(bytes).equals(image.file(path)), "and there again, behind the log");
    }
    await again.close();
  }
  await opened.close();
});

test("a log that was cut within a block is damaged for every group: nobody knows whose blocks were behind it", async () => {
  const disk = new FakeDisk();
  const before = await begin(disk, 0);
  before.storage.createGroup(identityOf("other"));
  await before.stored("other", before.store("other", entriesOf(1, 1)));
  await before.close();
  // From here on the mark says nothing.
  const opened = await reopen(disk);
  await storeOneByOne(opened, 2, 1);
  await opened.stored("other", opened.store("other", entriesOf(2, 1)));
  const image = disk.killImage();
  const path = "/data/wal-00000001.log";
  const bytes = image.file(path);
  image.setFile(path, bytes.slice(0, Buffer.from(bytes).indexOf("entry 2") + 3));
  const again = await reopen(image);
  for (const name of ["queue", "other"]) assert.notEqual(again.group(name)!.damage, null, name);
  await again.close();
  await opened.close();
});

function usedEnd(disk: FakeDisk): number {
  return disk.file("/data/wal-00000001.log").findLastIndex((byte) => byte !== 0) + 1;
}

test("the mark says no more that the log was closed in order, for certain, before the log goes on", async () => {
  const disk = new FakeDisk();
  await (await begin(disk, never)).close();
  const opened = await reopen(disk);
  const from = usedEnd(disk);
  await storeOneByOne(opened, 2, 2);
  const image = disk.crashImage(lost, true);
  // Taken for closed in order behind the first, the log would be whole without what is not to be read.
  const bytes = image.file("/data/wal-00000001.log");
  bytes[from + 4]! ^= 1;
  image.setFile("/data/wal-00000001.log", bytes);
  const again = await reopen(image);
  assert.match(again.group("queue")!.damage!, /^wal-00000001\.log/);
  await again.close();
  await opened.close();
});

test("what is known of groups is what is written of them: a lost block costs none that was created later", async () => {
  const disk = new FakeDisk();
  const opened = await begin(disk, never);
  const from = usedEnd(disk);
  const ticket = opened.store("queue", entriesOf(2, 1));
  // While that is being written.
  opened.storage.createGroup(identityOf("later"));
  await opened.stored("queue", ticket);
  await opened.stored("later", opened.store("later", entriesOf(1, 1)));
  const image = disk.killImage();
  const bytes = image.file("/data/wal-00000001.log");
  bytes[from + 4]! ^= 1;
  image.setFile("/data/wal-00000001.log", bytes);
  const again = await reopen(image);
  assert.match(again.group("queue")!.damage!, /^wal-00000001\.log/);
  assert.deepEqual(again.group("later")!.entries.length, 1);
  await again.close();
  await opened.close();
});
