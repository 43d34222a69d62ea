/** What is written again when the log is too large, while the disk or other work interferes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk, flipBitAt, isLog } from "./fake-disk.js";
import { Opened, entriesOf, identityOf, noise, textsOf } from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };
const firstSegment = "/data/wal-00000001.log";

async function fill(opened: Opened, group: string, first: number, count: number): Promise<void> {
  for (let at = 0; at < count; at += 10) {
    const batch = entriesOf(first + at, 10, 1, `entry of ${group}`);
    await opened.stored(group, opened.store(group, batch));
  }
}

/** A busy group with snapshots drives the log far above its limit, again and again. */
async function drive(opened: Opened, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 100) {
    await fill(opened, "busy", first, 100);
    await opened.snapshot("busy", first + 99, 1, noise(10, first));
    opened.storage.compactLog("busy", first + 100);
  }
}

for (const [what, text, at] of [
  ["an entry", "entry of slow 7", 0],
  ["a block's header", "RVB1", 8],
] as const) {
  test(`a segment in which ${what} has changed is not written again, but kept and named`, async () => {
    const disk = new FakeDisk();
    const opened = await Opened.open("/data", { ...options, maxLogBytes: 60_000, fs: disk });
    for (const name of ["busy", "slow"]) opened.storage.createGroup(identityOf(name));
    await fill(opened, "slow", 1, 20);
    await drive(opened, 1, 201);
    const bytes = Buffer.from(disk.file(firstSegment));
    bytes[bytes.indexOf(text) + at]! ^= 1;
    disk.setFile(firstSegment, bytes);
    await drive(opened, 201, 3000);
    await opened.stored("busy", opened.store("busy", []));
    const image = disk.killImage();
    assert.deepEqual(Buffer.from(image.file(firstSegment)), bytes, "the only trace of the damage");
    const named = opened.warnings().filter((warning) => warning.includes("wal-00000001.log"));
    assert.equal(named.length, 1);
    assert.match(named[0]!, /group "slow"/);
    const damaged = await Opened.open("/data", { ...options, fs: image });
    assert.match(damaged.group("slow")!.damage!, /wal-00000001\.log/);
    assert.equal(damaged.group("busy")!.damage, null);
    await damaged.close();
    // The living group has lost nothing, and with a snapshot needs none of it any more.
    await opened.snapshot("slow", 20, 1, noise(10));
    opened.storage.compactLog("slow", 21);
    await drive(opened, 3001, 3401);
    await opened.close();
    assert.ok(!disk.names().includes(firstSegment));
    const again = await Opened.open("/data", { ...options, fs: disk });
    assert.equal(again.group("slow")!.damage, null);
    await again.close();
  });
}

test("a segment in which only what nobody needs has changed is let go", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...options, maxLogBytes: 60_000, fs: disk });
  for (const name of ["busy", "slow"]) opened.storage.createGroup(identityOf(name));
  await fill(opened, "busy", 1, 10);
  await fill(opened, "slow", 1, 20);
  await opened.snapshot("busy", 10, 1, noise(10));
  opened.storage.compactLog("busy", 11);
  await drive(opened, 11, 211);
  flipBitAt(disk, firstSegment, "entry of busy 7");
  await drive(opened, 211, 3011);
  await opened.close();
  assert.ok(!disk.names().includes(firstSegment));
  const again = await Opened.open("/data", { ...options, fs: disk });
  assert.equal(again.group("slow")!.damage, null);
  assert.deepEqual(
    textsOf(again.group("slow")!.entries),
    textsOf(entriesOf(1, 20, 1, "entry of slow")),
  );
  await again.close();
});

test(
  "a segment that is freed and removed while it is about to be written again is no failure",
  { timeout: 20_000 },
  async (t) => {
    const disk = new FakeDisk();
    const opened = await Opened.open("/data", { ...options, maxLogBytes: 60_000, fs: disk });
    for (const name of ["busy", "slow"]) opened.storage.createGroup(identityOf(name));
    await fill(opened, "slow", 1, 20);
    let removed = false;
    disk.onOpen = async (path, mode) => {
      if (mode !== "read" || path !== firstSegment) return;
      disk.onOpen = null;
      await opened.snapshot("slow", 20, 1, noise(10));
      opened.storage.compactLog("slow", 21);
      await opened.stored("slow", opened.store("slow", entriesOf(21, 1)));
      while (disk.names().includes(firstSegment)) {
        t.signal.throwIfAborted();
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      removed = true;
    };
    await drive(opened, 1, 3001);
    assert.ok(removed, "the segment was not removed meanwhile");
    await opened.close();
    assert.deepEqual(
      opened.answers.filter(({ type }) => type === "failed" || type === "warning"),
      [],
    );
    const again = await Opened.open("/data", { ...options, fs: disk });
    assert.deepEqual(textsOf(again.group("slow")!.entries), ["entry 21"]);
    await again.close();
  },
);

test("what is just being removed is not read for what might be needed of it", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...options, maxLogBytes: 20_000, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  const read: string[] = [];
  disk.onOpen = (path, mode) => {
    if (mode === "read" && path.includes("/wal-")) read.push(path);
  };
  for (let first = 1; first < 1000; first += 10) {
    await opened.stored("a", opened.store("a", entriesOf(first, 10)));
    await opened.snapshot("a", first + 9, 1, noise(10, first));
    // It goes out with the next entries, and where those begin a segment it frees the one before.
    opened.storage.compactLog("a", first + 10);
  }
  await opened.close();
  const removed = disk.operations.filter((operation) => {
    return operation.type === "remove" && isLog(operation);
  });
  assert.ok(removed.length > 5, `only ${removed.length} segments were removed`);
  assert.deepEqual(read, []);
});

test("where checkpoints fill most of the segments, the log is not written again and again for ever", async () => {
  const disk = new FakeDisk();
  const small = { segmentBytes: 4096, firstSegmentBytes: 4096, maxLogBytes: 4096 };
  const opened = await Opened.open("/data", { ...small, fs: disk });
  const names = Array.from({ length: 8 }, (_, at) => `group ${at}`);
  for (const name of names) opened.storage.createGroup(identityOf(name));
  for (let index = 1; index <= 4; index++) {
    for (const name of names) {
      await opened.stored(name, opened.store(name, entriesOf(index, 1, 1, "x".repeat(80))));
    }
  }
  const before = disk.operations.length;
  for (let round = 0; round < 1500; round++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const operations = disk.operations.length - before;
  await opened.close();
  assert.ok(operations < 500, `${operations} operations, and nobody wrote anything`);
  const again = await Opened.open("/data", { ...small, fs: disk });
  for (const name of names) assert.equal(again.group(name)!.entries.length, 4);
  await again.close();
});
