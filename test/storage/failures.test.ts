import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk, isLog, lost, settle, systemError } from "./fake-disk.js";
import { Opened, entriesOf, errorsOf, identityOf, noise, textsOf, withQueue } from "./support.js";

const options = { segmentBytes: 16_384, firstSegmentBytes: 8192 };

for (const type of ["write", "sync"] as const) {
  test(`the first ${type} that fails is the last one tried, and nothing is acknowledged after it (hazard 77)`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    await settle(disk);
    let failures = 0;
    disk.before = (operation) => {
      if (operation.type === type && isLog(operation)) {
        failures++;
        throw systemError("EIO");
      }
    };
    opened.store("queue", entriesOf(4, 1));
    const gathered = opened.store("queue", entriesOf(5, 1));
    await opened.until((answer) => answer.type === "failed");
    disk.before = null;
    // The disk is well again; that must not matter.
    opened.store("queue", entriesOf(6, 1));
    const sink = opened.storage.beginSnapshot("queue");
    sink.write(noise(10));
    opened.storage.createGroup(identityOf("other"));
    const before = disk.operations.length;
    await settle(disk);
    assert.equal(failures, 1);
    assert.equal(disk.operations.length, before);
    assert.equal(opened.storedTicket("queue"), 1);
    assert.ok(gathered > 1);
    const errors = errorsOf(opened);
    assert.equal(errors.length, 1);
    assert.equal(errors[0]!.code, "storageFailed");
    assert.match(errors[0]!.message, /wal-00000001\.log.*EIO/);
    await opened.close();
    assert.equal(disk.openFiles, 0);
    const again = await Opened.open("/data", { ...options, fs: disk.crashImage(lost, true) });
    assert.deepEqual(textsOf(again.group("queue")!.entries), ["entry 1", "entry 2", "entry 3"]);
    await again.close();
  });
}

for (const [systemCode, code, remedy] of [
  ["EIO", "storageFailed", /the disk reports an error: check it/],
  ["ENOENT", "storageFailed", /it was removed, its disk is not mounted/],
  ["EROFS", "storageFailed", /mounted read-only: mount it for writing/],
  ["EDQUOT", "diskFull", /start again/],
  ["ENOSPC", "diskFull", /free some space and start again/],
] as const) {
  test(`${systemCode} of a write ends the storage with ${code}, and says what to do`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    await settle(disk);
    disk.before = (operation) => {
      if (operation.type === "write" && isLog(operation)) throw systemError(systemCode);
    };
    opened.store("queue", entriesOf(4, 1));
    await opened.until((answer) => answer.type === "failed");
    disk.before = null;
    const [error] = errorsOf(opened);
    assert.equal(error!.code, code);
    assert.match(error!.message, remedy);
    await opened.close();
    const again = await Opened.open("/data", { ...options, fs: disk });
    assert.equal(again.group("queue")!.entries.length, 3, "it goes on when that is mended");
    await again.stored("queue", again.store("queue", entriesOf(4, 1)));
    await again.close();
  });
}

test("a batch that is being written while something else fails is never acknowledged (hazard 77)", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.before = (operation) => {
    if (operation.type === "write" && operation.path.endsWith("/mark")) throw systemError("EIO");
  };
  // The mark is written when the first is durable, and the second is on its way by then.
  const first = opened.store("queue", entriesOf(4, 1));
  opened.store("queue", entriesOf(5, 1));
  await opened.until((answer) => answer.type === "failed");
  await settle(disk);
  assert.equal(opened.storedTicket("queue"), first);
  assert.equal(disk.operations.filter(isLog).at(-1)?.type, "sync", "the second was written out");
  await opened.close();
});

test("what a failed sync left in the system's memory is not taken for stored after a restart", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.before = (operation) => {
    if (operation.type !== "sync" || !isLog(operation)) return;
    // As Linux does: the pages are dropped from what is to be written, and stay readable.
    disk.forgetUnsynced(operation.path);
    throw systemError("EIO");
  };
  opened.store("queue", entriesOf(4, 2));
  await opened.until((answer) => answer.type === "failed");
  disk.before = null;
  await opened.close();
  const again = await Opened.open("/data", { ...options, fs: disk });
  const recovered = textsOf(again.group("queue")!.entries);
  assert.equal(recovered.length, 5, "the system still shows what it could not write");
  // From here on others may count on it, so the loss of power must not take it away again.
  const afterPowerLoss = await Opened.open("/data", {
    ...options,
    fs: disk.crashImage(lost, false),
  });
  assert.deepEqual(textsOf(afterPowerLoss.group("queue")!.entries), recovered);
  await afterPowerLoss.close();
  await again.close();
});

test("a batch costs exactly one write and one sync of the log", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { firstSegmentBytes: 1 << 20, fs: disk });
  opened.storage.createGroup(identityOf("queue"));
  await opened.stored("queue", opened.store("queue", entriesOf(1, 1)));
  await settle(disk);
  const from = disk.operations.length;
  for (let batch = 0; batch < 20; batch++) {
    await opened.stored("queue", opened.store("queue", entriesOf(2 + batch, 1)));
  }
  const operations = disk.operations.slice(from).filter(isLog);
  assert.equal(operations.filter(({ type }) => type === "sync").length, 20);
  assert.equal(operations.filter(({ type }) => type === "write").length, 20);
  const syncs = disk.operations.slice(from).filter(({ type }) => type === "sync");
  assert.equal(syncs.length, 20, "the mark costs no sync of its own");
  await opened.close();
});

test("what gathers during a sync goes out together with the next", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  const from = disk.operations.length;
  let last = 0;
  for (let turn = 0; turn < 10; turn++) last = opened.store("queue", entriesOf(4 + turn, 1));
  await opened.stored("queue", last);
  const syncs = disk.operations.slice(from).filter((one) => one.type === "sync" && isLog(one));
  assert.equal(syncs.length, 2);
  await opened.close();
});

test("nothing is written before flush, and an empty batch is acknowledged in its turn", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  const from = disk.operations.length;
  const batch = { group: "queue", hardState: null, truncateFrom: 0 };
  opened.storage.append({ ...batch, ticket: 100, entries: entriesOf(4, 1) });
  await settle(disk);
  assert.equal(disk.operations.length, from);
  opened.storage.flush();
  opened.storage.append({ ...batch, ticket: 101, entries: [] });
  opened.storage.flush();
  assert.equal(opened.storedTicket("queue"), 1, "not before the one in front of it");
  await opened.stored("queue", 101);
  const stored = opened.answers.filter(({ type }) => type === "stored");
  assert.deepEqual(
    stored.map((answer) => (answer.type === "stored" ? answer.ticket : 0)),
    [1, 100, 101],
  );
  await opened.close();
});

test("a full disk ends the log with diskFull, and it goes on after a restart with room (hazard 82)", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.capacityBytes = disk.usedBytes;
  let index = 4;
  while (errorsOf(opened).length === 0) {
    const ticket = opened.store("queue", entriesOf(index, 5, 1, "filling the segment"));
    index += 5;
    await opened.until(
      (answer) =>
        answer.type === "failed" || (answer.type === "stored" && answer.ticket === ticket),
    );
  }
  const [error] = errorsOf(opened);
  assert.equal(error!.code, "diskFull");
  assert.match(error!.message, /free some space/);
  assert.ok(opened.warnings().some((warning) => warning.includes("preparing a segment")));
  const acknowledged = opened.storedTicket("queue");
  await opened.close();
  assert.ok(
    disk.names().every((name) => !name.endsWith(".tmp")),
    "no litter fills the disk",
  );

  const full = await Opened.open("/data", { ...options, fs: disk });
  const expected = 3 + 5 * (acknowledged - 1);
  assert.ok(full.group("queue")!.entries.length >= expected);
  const { length } = full.group("queue")!.entries;
  await full.close();
  disk.capacityBytes = Infinity;
  const again = await Opened.open("/data", { ...options, fs: disk });
  await again.stored("queue", again.store("queue", entriesOf(length + 1, 100)));
  await again.close();
});

test("entries that do not follow the log are a defect of the caller and end the storage as internal", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  opened.store("queue", entriesOf(9, 1));
  await opened.until((answer) => answer.type === "failed");
  assert.equal(errorsOf(opened)[0]!.code, "internal");
  await opened.close();
});

test("a log that goes on behind an orderly close is not believed to end there", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await opened.close();
  const again = await Opened.open("/data", { ...options, fs: disk });
  await again.stored("queue", again.store("queue", entriesOf(4, 3)));
  const from = disk.file("/data/wal-00000001.log").length;
  await again.stored("queue", again.store("queue", entriesOf(7, 3)));
  // The power goes, and takes what the mark was told without a sync; the first new block is gone.
  const image = disk.crashImage(lost, true);
  const bytes = image.file("/data/wal-00000001.log");
  assert.equal(bytes.length, from);
  const text = Buffer.from(bytes);
  bytes.fill(0, text.lastIndexOf("RVB1", text.indexOf("entry 4")), text.indexOf("entry 6") + 7);
  image.setFile("/data/wal-00000001.log", bytes);
  const damaged = await Opened.open("/data", { ...options, fs: image });
  assert.match(damaged.group("queue")!.damage!, /wal-00000001\.log at offset/);
  await damaged.close();
});

test("a torn tail is cut, reported once, and everything before it is kept (hazard 78)", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  const from = disk.operations.length;
  opened.store("queue", entriesOf(4, 20));
  // The write happens, the sync does not.
  disk.stopAt = from + 1;
  await settle(disk);
  const image = disk.crashImage((write) => [[30, write.bytes.length - 30]], true);
  const again = await Opened.open("/data", { ...options, fs: image });
  assert.equal(again.group("queue")!.entries.length, 3);
  assert.equal(again.group("queue")!.damage, null);
  await again.until((answer) => answer.type === "warning");
  assert.match(again.warnings()[0]!, /wal-00000001\.log at offset \d+.*cut off/);
  await again.close();
  const third = await Opened.open("/data", { ...options, fs: image });
  await settle(image);
  assert.deepEqual(third.warnings(), []);
  await third.close();
});

test("of a torn tail nothing is left behind what is written in its place (hazard 78)", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.stopAt = disk.operations.length + 1;
  opened.store("queue", entriesOf(4, 60));
  await settle(disk);
  const image = disk.crashImage((write) => [[1000, write.bytes.length]], true);
  const again = await Opened.open("/data", { ...options, fs: image });
  await again.stored("queue", again.store("queue", entriesOf(4, 1)));
  const third = await Opened.open("/data", { ...options, fs: image.killImage() });
  assert.equal(third.group("queue")!.entries.length, 4);
  await settle(image);
  assert.deepEqual(third.warnings(), []);
  await third.close();
  await again.close();
});
