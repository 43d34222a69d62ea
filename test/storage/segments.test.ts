import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk, flipBitAt, kept, lost, settle } from "./fake-disk.js";
import { Opened, entriesOf, hardStateOf, identityOf, noise, textsOf } from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };

function segmentsOf(disk: FakeDisk): string[] {
  return disk.names().flatMap((name) => /wal-\d+\.log$/.exec(name)?.[0] ?? []);
}

async function open(disk: FakeDisk, maxLogBytes = 1 << 30): Promise<Opened> {
  return Opened.open("/data", { ...options, maxLogBytes, fs: disk });
}

/** Appends `count` entries in batches of ten. */
async function fill(opened: Opened, group: string, first: number, count: number): Promise<void> {
  for (let at = 0; at < count; at += 10) {
    const batch = entriesOf(first + at, 10, 1, `entry of ${group}`);
    await opened.stored(group, opened.store(group, batch));
  }
}

test("segments grow from small to full size, and a large batch gets one that holds it", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  opened.storage.createGroup(identityOf("a"));
  await fill(opened, "a", 1, 300);
  await opened.stored("a", opened.store("a", entriesOf(301, 500, 1, "larger than a segment")));
  await opened.close();
  const sizes = segmentsOf(disk).map((name) => disk.file(`/data/${name}`).length);
  assert.equal(sizes[0], 4096);
  assert.equal(sizes[1], 8192);
  assert.ok(
    sizes.some((size) => size > 20_000),
    `${sizes}`,
  );
  const again = await open(disk);
  assert.equal(again.group("a")!.entries.length, 800);
  assert.equal(again.group("a")!.damage, null);
  await again.close();
});

test("a batch too large for the segment that is ready meets the preparation of another", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  opened.storage.createGroup(identityOf("a"));
  let next = 1;
  const store = (count: number): number => {
    const ticket = opened.store("a", entriesOf(next, count, 1, "an entry of some length"));
    next += count;
    return ticket;
  };
  for (let round = 0; round < 6; round++) {
    for (let small = 0; small < 12; small++) await opened.stored("a", store(7));
    // The second gathers behind the first, and finds what was prepared too small.
    store(1);
    store(400);
    await opened.stored("a", store(1));
  }
  await opened.close();
  const again = await open(disk);
  assert.equal(again.group("a")!.damage, null);
  assert.equal(again.group("a")!.entries.length, next - 1);
  await again.close();
  assert.equal(disk.openFiles, 0);
});

test("a segment goes when every group on it has compacted past it, and not before", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  for (const name of ["a", "b"]) opened.storage.createGroup(identityOf(name));
  await fill(opened, "b", 1, 10);
  await fill(opened, "a", 1, 400);
  const before = segmentsOf(disk);
  assert.ok(before.length >= 4);
  await opened.snapshot("a", 395, 1, noise(10));
  opened.storage.compactLog("a", 390);
  await fill(opened, "a", 401, 10);
  assert.equal(segmentsOf(disk)[0], before[0], "group b still needs it");
  await opened.snapshot("b", 10, 1, noise(10));
  opened.storage.compactLog("b", 11);
  await fill(opened, "a", 411, 10);
  await opened.close();
  assert.ok(segmentsOf(disk).length <= 3, segmentsOf(disk).join());
  const again = await open(disk);
  assert.deepEqual(
    again.group("a")!.entries.map((entry) => entry.index),
    entriesOf(390, 31).map((entry) => entry.index),
  );
  assert.deepEqual(again.group("b")!.entries, []);
  assert.equal(again.group("b")!.snapshot!.index, 10);
  await again.close();
});

test("above maxLogBytes a slow group's entries are written again, so that it holds back no more", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk, 60_000);
  for (const name of ["busy", "slow"]) opened.storage.createGroup(identityOf(name));
  await fill(opened, "slow", 1, 20);
  // Part of the slow group's log is cut off and replaced, which the copies must not undo.
  await opened.stored(
    "slow",
    opened.store("slow", entriesOf(15, 3, 2, "new"), { truncateFrom: 15 }),
  );
  const expected = [...textsOf(entriesOf(1, 14, 1, "entry of slow")), "new 15", "new 16", "new 17"];
  for (let first = 1; first < 3000; first += 100) {
    await fill(opened, "busy", first, 100);
    await opened.snapshot("busy", first + 99, 1, noise(10, first));
    opened.storage.compactLog("busy", first + 100);
  }
  await opened.stored("busy", opened.store("busy", []));
  assert.ok(segmentsOf(disk).length <= 9, segmentsOf(disk).join());
  assert.ok(!segmentsOf(disk).includes("wal-00000001.log"));
  const killed = await Opened.open("/data", { ...options, fs: disk.killImage() });
  assert.equal(killed.group("slow")!.damage, null);
  assert.deepEqual(textsOf(killed.group("slow")!.entries), expected);
  await killed.close();
  await opened.stored("slow", opened.store("slow", entriesOf(18, 1)));
  await opened.close();
  const again = await open(disk);
  assert.deepEqual(textsOf(again.group("slow")!.entries), [...expected, "entry 18"]);
  await again.close();
});

test("entries that are cut off while they are being written again stay cut off", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk, 40_000);
  for (const name of ["busy", "slow"]) opened.storage.createGroup(identityOf(name));
  await fill(opened, "slow", 1, 20);
  let cut = 0;
  disk.onOpen = (path, mode) => {
    if (cut > 0 || mode !== "read" || !path.endsWith("wal-00000001.log")) return;
    // A write is under way, the truncation gathers, and the copies queue up behind it.
    opened.store("busy", []);
    opened.store("busy", entriesOf(next, 10));
    next += 10;
    cut = opened.store("slow", entriesOf(11, 2, 2, "new"), { truncateFrom: 11 });
  };
  let next = 1;
  while (segmentsOf(disk)[0] === "wal-00000001.log") {
    const from = next;
    next += 10;
    await opened.stored("busy", opened.store("busy", entriesOf(from, 10, 1, "of some length")));
    assert.ok(next < 10_000, "the oldest segment is never let go");
    if (next % 100 !== 1) continue;
    await opened.snapshot("busy", from, 1, noise(10, from));
    opened.storage.compactLog("busy", from);
  }
  assert.ok(cut > 0);
  await opened.stored("slow", cut);
  await opened.close();
  const again = await open(disk);
  const texts = [...textsOf(entriesOf(1, 10, 1, "entry of slow")), "new 11", "new 12"];
  assert.equal(again.group("slow")!.damage, null);
  assert.deepEqual(textsOf(again.group("slow")!.entries), texts);
  await again.close();
});

test("segments of two histories of one directory do not pass for one (a copy put back in part)", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  opened.storage.createGroup(identityOf("a"));
  await fill(opened, "a", 1, 10);
  await opened.close();
  const histories: FakeDisk[] = [];
  for (const text of ["one", "two"]) {
    const copy = disk.crashImage(kept, true);
    const history = await open(copy);
    for (let first = 11; first < 200; first += 10) {
      await history.stored("a", history.store("a", entriesOf(first, 10, 1, text)));
    }
    await history.close();
    histories.push(copy);
  }
  const [one, two] = histories as [FakeDisk, FakeDisk];
  one.setFile("/data/wal-00000002.log", two.file("/data/wal-00000002.log"));
  const mixed = await open(one);
  assert.match(mixed.group("a")!.damage!, /wal-00000002\.log/);
  await mixed.close();
});

test("a group that needs most of the log is named instead of being written again and again", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk, 20_000);
  opened.storage.createGroup(identityOf("hoarder"));
  await fill(opened, "hoarder", 1, 1000);
  await opened.close();
  const named = opened.warnings().filter((warning) => warning.includes('"hoarder"'));
  assert.equal(named.length, 1);
  assert.ok(segmentsOf(disk).includes("wal-00000001.log"));
});

test("closing while the next segment is prepared is no failure and leaves no part of it", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  opened.storage.createGroup(identityOf("a"));
  await opened.stored("a", opened.store("a", entriesOf(1, 50)));
  await opened.close();
  assert.deepEqual(
    opened.answers.filter(({ type }) => type !== "stored"),
    [],
  );
  assert.deepEqual(segmentsOf(disk), ["wal-00000001.log"]);
  assert.ok(disk.names().every((name) => !name.endsWith(".tmp")));
  assert.equal(disk.openFiles, 0);
});

const MiB = 1024 * 1024;
const large = { segmentBytes: 4 * MiB, firstSegmentBytes: 4 * MiB };
const secondSegment = "/data/wal-00000002.log";

/**
 * Appends entries of 16 KiB until so much of the first segment of 4 MiB is written, and lets everything else
 * happen. Returns how much is written then.
 */
async function writeUntil(
  disk: FakeDisk,
  opened: Opened,
  from: number,
  part: number,
): Promise<number> {
  let written = from;
  while (written < part * 4 * MiB) {
    const entry = entriesOf(1 + Math.round(written / 16384), 1, 1, "x".repeat(16_300));
    await opened.stored("a", opened.store("a", entry));
    written += 16384;
  }
  await settle(disk);
  return written;
}

test("the next segment is filled in step with the one in use, and ready before that is full", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...large, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  let written = await writeUntil(disk, opened, 0, 0.2);
  assert.deepEqual(segmentsOf(disk), ["wal-00000001.log"]);
  assert.ok(!disk.names().includes(`${secondSegment}.tmp`), "not begun yet");
  for (const part of [0.3, 0.5, 0.7, 0.8]) {
    written = await writeUntil(disk, opened, written, part);
    const filled = disk.file(`${secondSegment}.tmp`).length / (4 * MiB);
    const due = (written / (4 * MiB) - 1 / 4) / (5 / 8);
    assert.ok(filled >= due && filled <= due + 1 / 16 + 0.01, `at ${part} ${filled} is filled`);
  }
  written = await writeUntil(disk, opened, written, 0.9);
  assert.equal(disk.file(secondSegment).length, 4 * MiB);
  await writeUntil(disk, opened, written, 1.1);
  assert.deepEqual(segmentsOf(disk), ["wal-00000001.log", "wal-00000002.log"]);
  const ofSecond = disk.operations.filter(({ path }) => path === `${secondSegment}.tmp`);
  assert.equal(ofSecond.filter(({ type }) => type === "create").length, 1);
  assert.equal(ofSecond.filter(({ type }) => type === "write").length, 16, "pieces of 256 KiB");
  await opened.close();
  const again = await Opened.open("/data", { ...large, fs: disk });
  assert.equal(again.group("a")!.damage, null);
  await again.close();
});

test("a batch that needs the next segment at once does not wait for its pace", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...large, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  const written = await writeUntil(disk, opened, 0, 0.5);
  const filled = disk.file(`${secondSegment}.tmp`).length;
  assert.ok(filled > 0 && filled < 2 * MiB, `${filled} bytes are filled`);
  const first = 1 + Math.round(written / 16384);
  const many = entriesOf(first, 150, 1, "x".repeat(16_300));
  await opened.stored("a", opened.store("a", many));
  assert.equal(disk.file(secondSegment).length, 4 * MiB);
  const creations = disk.operations.filter(
    ({ type, path }) => type === "create" && path === `${secondSegment}.tmp`,
  );
  assert.equal(creations.length, 1, "what was begun is what is used");
  await opened.close();
  const again = await Opened.open("/data", { ...large, fs: disk });
  assert.equal(again.group("a")!.entries.length, first - 1 + 150);
  await again.close();
});

test("closing gives up a segment that is filled in part", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...large, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  await writeUntil(disk, opened, 0, 0.5);
  assert.ok(disk.names().includes(`${secondSegment}.tmp`));
  await opened.close();
  assert.deepEqual(segmentsOf(disk), ["wal-00000001.log"]);
  assert.ok(disk.names().every((name) => !name.endsWith(".tmp")));
  assert.equal(disk.openFiles, 0);
  assert.deepEqual(opened.warnings(), []);
});

test("where there is no room for the next segment it is tried now and then, not with every write", async () => {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...large, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  const written = await writeUntil(disk, opened, 0, 0.2);
  disk.capacityBytes = disk.usedBytes;
  const before = disk.operations.length;
  await writeUntil(disk, opened, written, 0.95);
  const tried = disk.operations
    .slice(before)
    .filter(({ type, path }) => type === "create" && path.endsWith(".tmp")).length;
  const told = opened.warnings().filter((warning) => warning.includes("as its last segment has"));
  // 192 writes, twelve sixteenths of the segment, each time a few sizes.
  assert.ok(told.length >= 5 && told.length <= 12, `told ${told.length} times`);
  assert.ok(tried <= told.length * 5, `tried ${tried} times`);
  disk.capacityBytes = Infinity;
  await opened.close();
});

test("nothing of a damaged group is removed, until the group is", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  for (const name of ["a", "b"]) opened.storage.createGroup(identityOf(name));
  await fill(opened, "b", 1, 10);
  await fill(opened, "a", 1, 100);
  await opened.close();
  // A byte of the one record of group b.
  flipBitAt(disk, "/data/wal-00000001.log", "entry of b 7");
  const damaged = await open(disk);
  assert.match(damaged.group("b")!.damage!, /^wal-00000001\.log at offset \d+/);
  assert.equal(damaged.group("a")!.damage, null, "what is another group's is whole");
  await fill(damaged, "a", 101, 200);
  await damaged.snapshot("a", 300, 1, noise(10));
  damaged.storage.compactLog("a", 301);
  await fill(damaged, "a", 301, 10);
  assert.ok(segmentsOf(disk).includes("wal-00000001.log"));
  const still = await open(disk.crashImage(kept, true));
  assert.match(still.group("b")!.damage!, /^wal-00000001\.log at offset \d+/);
  await still.close();
  const names = disk.crashImage(kept, true);
  await (await open(names)).close();
  const files = names.names();
  await (await open(names)).close();
  assert.deepEqual(names.names(), files, "to open a damaged directory costs no file each time");
  damaged.storage.deleteGroup("b");
  await fill(damaged, "a", 311, 10);
  await damaged.close();
  assert.ok(!segmentsOf(disk).includes("wal-00000001.log"));
  const again = await open(disk);
  assert.equal(again.recovered.length, 1);
  assert.equal(again.group("a")!.damage, null);
  await again.close();
});

test("the segment of a damaged group stays although no entry of the group is in it", async () => {
  const disk = new FakeDisk();
  const opened = await open(disk);
  for (const name of ["a", "b"]) opened.storage.createGroup(identityOf(name));
  await opened.stored("b", opened.store("b", [], { hardState: hardStateOf(3, "voted-for-me") }));
  await fill(opened, "a", 1, 10);
  await opened.close();
  const path = "/data/wal-00000001.log";
  flipBitAt(disk, path, "voted-for-me");
  const bytes = disk.file(path);
  const damaged = await open(disk);
  assert.match(damaged.group("b")!.damage!, /^wal-00000001\.log at offset \d+/);
  await fill(damaged, "a", 11, 300);
  await damaged.snapshot("a", 310, 1, noise(10));
  damaged.storage.compactLog("a", 311);
  await fill(damaged, "a", 311, 10);
  await damaged.close();
  assert.deepEqual(disk.file(path), bytes, "the only trace of what b has voted");
});

test("a segment goes only once the block that frees it is synced, wherever the power goes", async () => {
  const run = async (stopAt: number): Promise<{ disk: FakeDisk; from: number; acked: number }> => {
    const disk = new FakeDisk();
    const opened = await open(disk);
    opened.storage.createGroup(identityOf("a"));
    await fill(opened, "a", 1, 200);
    await opened.snapshot("a", 190, 1, noise(10));
    const from = disk.operations.length;
    disk.stopAt = stopAt;
    opened.storage.compactLog("a", 191);
    opened.store("a", entriesOf(201, 10, 1, "entry of a"));
    for (let round = 0; round < 40; round++) await new Promise(setImmediate);
    const acked = opened.storedTicket("a") > 20 ? 210 : 200;
    return { disk, from, acked };
  };
  const whole = await run(Infinity);
  const total = whole.disk.operations.length;
  const isRemoval = ({ type, path }: { type: string; path: string }): boolean =>
    type === "remove" && path.includes("wal-");
  assert.ok(whole.disk.operations.slice(whole.from).some(isRemoval), "nothing was freed");
  for (let stopAt = whole.from; stopAt <= total; stopAt++) {
    const { disk, acked } = await run(stopAt);
    const image = await open(disk.crashImage(lost, true));
    const where = `stopped at operation ${stopAt} of ${total}`;
    assert.equal(image.group("a")!.damage, null, where);
    assert.ok(image.group("a")!.entries.at(-1)!.index >= acked, where);
    await image.close();
  }
});
