import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { FakeDisk, lost } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  identityOf,
  metaOf,
  noise,
  removeDirectory,
  temporaryDirectory,
  textsOf,
  largeSegments,
  withGroup,
} from "./support.js";

async function reopen(opened: Opened, disk: FakeDisk): Promise<Opened> {
  await opened.close();
  return Opened.open("/data", { ...largeSegments, fs: disk });
}

async function loaded(opened: Opened): Promise<Buffer> {
  return Buffer.concat(await opened.storage.loadSnapshot("queue"));
}

/** Sends `data` as a leader would, and installs it; returns the answer. */
async function receive(
  opened: Opened,
  index: number,
  term: number,
  data: Uint8Array,
): Promise<boolean> {
  const meta = metaOf(index, term, data);
  const { storage } = opened;
  for (let at = 0; at < data.length; at += 10_000) {
    storage.writeSnapshotChunk("queue", meta, at, data.subarray(at, at + 10_000));
  }
  storage.installSnapshot("queue", meta);
  const answer = await opened.until((one) => one.type === "saved" && one.index === index);
  return answer.type === "saved" && answer.ok;
}

for (const sizeBytes of [0, 1, 65_536, 65_537, 3_000_000]) {
  test(`a snapshot of ${sizeBytes} bytes is loaded as it was saved, before and after a restart`, async () => {
    const disk = new FakeDisk();
    const data = noise(sizeBytes);
    const opened = await withGroup(disk);
    const meta = await opened.snapshot("queue", 5, 1, data);
    assert.ok((await loaded(opened)).equals(data));
    const again = await reopen(opened, disk);
    assert.deepEqual(again.group("queue")!.snapshot, meta);
    assert.equal(again.group("queue")!.damage, null);
    assert.ok((await loaded(again)).equals(data));
    await again.close();
  });
}

test("chunks of any size and offset are read back, and null when the snapshot is another", async () => {
  const disk = new FakeDisk();
  const data = noise(200_000);
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 5, 1, data);
  const read = async (
    index: number,
    offset: number,
    maxBytes: number,
  ): Promise<Uint8Array | "later" | null> => {
    const from = opened.answers.length;
    opened.storage.readSnapshotChunk("queue", "bar", index, offset, maxBytes);
    await opened.until((answer) => opened.answers.indexOf(answer) >= from);
    const answer = opened.answers[from];
    assert.ok(answer?.type === "read" && answer.to === "bar" && answer.offset === offset);
    return answer.data;
  };
  for (const [offset, maxBytes] of [
    [0, 64],
    [0, 65_536],
    [1, 65_536],
    [65_535, 2],
    [65_536, 131_072],
    [131_000, 1_000_000],
    [199_999, 10],
  ] as const) {
    const chunk = await read(5, offset, maxBytes);
    assert.ok(Buffer.from(chunk!).equals(data.subarray(offset, offset + maxBytes)), `${offset}`);
  }
  assert.equal((await read(5, 200_000, 10))!.length, 0);
  assert.equal(await read(4, 0, 10), null);
  await opened.close();
});

test("a snapshot whose bytes are not those that its meta describes is refused and leaves nothing", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 4, 1, noise(1000));
  const sink = opened.storage.beginSnapshot("queue");
  sink.write(noise(1000, 2));
  sink.commit(metaOf(6, 1, noise(1000, 3)));
  const answer = await opened.until((one) => one.type === "saved" && one.index === 6);
  assert.ok(answer.type === "saved" && !answer.ok);
  const again = await reopen(opened, disk);
  assert.equal(again.group("queue")!.snapshot!.index, 4);
  await again.close();
  assert.equal(disk.names().filter((name) => name.includes("snapshot")).length, 1);
});

test("a snapshot in chunks replaces the log that does not reach it, and keeps one that agrees (hazards 48, 49)", async () => {
  const data = noise(50_000);
  for (const [entries, term, expected] of [
    [10, 1, []],
    [30, 1, textsOf(entriesOf(21, 10))],
    [30, 2, []],
  ] as const) {
    const disk = new FakeDisk();
    const opened = await withGroup(disk, entries);
    assert.ok(await receive(opened, 20, term, data));
    assert.ok((await loaded(opened)).equals(data));
    const again = await reopen(opened, disk);
    const group = again.group("queue")!;
    assert.equal(group.snapshot!.index, 20);
    assert.deepEqual(textsOf(group.entries.filter((entry) => entry.index > 20)), expected);
    // The log goes on behind the snapshot, whatever became of the entries before.
    const last = group.entries.at(-1)?.index ?? 20;
    await again.stored("queue", again.store("queue", entriesOf(last + 1, 2, 5)));
    const third = await reopen(again, disk);
    assert.equal(third.group("queue")!.entries.at(-1)!.index, last + 2);
    await third.close();
  }
});

test("a log that is cut at or below the snapshot goes on behind it", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk, 30);
  assert.ok(await receive(opened, 20, 1, noise(100)));
  // What the core does when a snapshot took the place of its log; nothing before it is of use alone.
  await opened.stored("queue", opened.store("queue", entriesOf(21, 2, 5), { truncateFrom: 1 }));
  await opened.stored("queue", opened.store("queue", entriesOf(21, 1, 6), { truncateFrom: 15 }));
  const again = await reopen(opened, disk);
  const { entries } = again.group("queue")!;
  assert.deepEqual(
    entries.map(({ index, term }) => [index, term]),
    [[21, 6]],
  );
  await again.close();
});

test("chunks of two snapshots are never mixed, and a gap is answered with what is held (hazard 56)", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const [a, b] = [noise(30_000, 1), noise(30_000, 2)];
  const [metaA, metaB] = [metaOf(50, 2, a), metaOf(60, 3, b)];
  const { storage } = opened;
  storage.writeSnapshotChunk("queue", metaA, 0, a.subarray(0, 10_000));
  storage.writeSnapshotChunk("queue", metaB, 10_000, b.subarray(10_000, 20_000));
  storage.writeSnapshotChunk("queue", metaA, 20_000, a.subarray(20_000));
  storage.writeSnapshotChunk("queue", metaA, 0, a.subarray(0, 5000));
  storage.writeSnapshotChunk("queue", metaA, 5000, a.subarray(5000));
  storage.writeSnapshotChunk("queue", metaA, 5000, a.subarray(5000));
  storage.installSnapshot("queue", metaB);
  await opened.until((answer) => answer.type === "saved");
  const sizes = opened.answers.flatMap((answer) =>
    answer.type === "written" ? [answer.sizeBytes] : [],
  );
  assert.deepEqual(sizes, [10_000, 0, 10_000, 5000, 30_000, 30_000]);
  const answer = opened.answers.find(({ type }) => type === "saved");
  assert.ok(answer?.type === "saved" && !answer.ok);
  await opened.close();
  assert.ok(disk.names().every((name) => !name.includes("snapshot")));
});

for (const end of ["closed", "killed"] as const) {
  test(`what was received of a snapshot is gone on with by the next process, when one was ${end}`, async () => {
    const disk = new FakeDisk();
    const opened = await withGroup(disk);
    const data = noise(3_000_000);
    const meta = metaOf(50, 2, data);
    const half = 2_000_000;
    for (let at = 0; at < half; at += 100_000) {
      opened.storage.writeSnapshotChunk("queue", meta, at, data.subarray(at, at + 100_000));
    }
    await opened.until((one) => one.type === "written" && one.sizeBytes === half);
    if (end === "closed") await opened.close();
    const left = end === "closed" ? disk : disk.killImage();
    const again = await Opened.open("/data", { ...largeSegments, fs: left });
    assert.equal(again.group("queue")!.snapshot, null, "it is nobody's snapshot yet");
    const held = await again.chunk(meta, 0, data.subarray(0, 100_000));
    assert.ok(held > half - 600_000 && held <= half, `${held} of ${half}`);
    for (let at = held; at < data.length; at += 100_000) {
      again.storage.writeSnapshotChunk("queue", meta, at, data.subarray(at, at + 100_000));
    }
    again.storage.installSnapshot("queue", meta);
    const saved = await again.until((one) => one.type === "saved");
    assert.ok(saved.type === "saved" && saved.ok);
    assert.ok((await loaded(again)).equals(data));
    await again.close();
    const files = left.names().filter((name) => name.includes("snapshot"));
    assert.equal(files.length, 1, files.join());
    assert.equal(left.openFiles, 0);
  });
}

test("what was received is not gone on with if it is damaged, another snapshot's, or out of date", async () => {
  const data = noise(1_000_000);
  const meta = metaOf(50, 2, data);
  const other = noise(1_000_000, 2);
  const ways: readonly (readonly [string, number, (disk: FakeDisk, path: string) => void])[] = [
    ["as it was", 524_288, () => undefined],
    ["a flipped bit", 0, (disk, path) => disk.setFile(path, flipped(disk.file(path), 300_000))],
    ["cut short", 0, (disk, path) => disk.setFile(path, disk.file(path).subarray(0, 400_000))],
    ["torn behind", 0, (disk, path) => disk.setFile(path, Buffer.concat([disk.file(path), data]))],
    ["another's", 0, (disk, path) => disk.setFile(path, flipped(disk.file(path), 20))],
  ];
  for (const [what, expected, harm] of ways) {
    const disk = new FakeDisk();
    const opened = await withGroup(disk);
    await opened.chunk(meta, 0, data.subarray(0, 600_000));
    const left = disk.killImage();
    harm(
      left,
      left.names().find((name) => name.endsWith(".part"))!,
    );
    const again = await Opened.open("/data", { ...largeSegments, fs: left });
    assert.equal(await again.chunk(meta, 1, data.subarray(0, 1)), expected, what);
    assert.ok(await receive(again, 60, 2, other), `${what}: a newer one takes its place`);
    assert.ok((await loaded(again)).equals(other));
    const third = await reopen(again, left);
    assert.deepEqual(
      left.names().filter((name) => name.endsWith(".part")),
      [],
      what,
    );
    await third.close();
  }
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  bytes[at]! ^= 1;
  return bytes;
}

test("an older snapshot never takes the place of a newer one (hazard 50)", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk, 30);
  const own = opened.storage.beginSnapshot("queue");
  own.write(noise(100));
  assert.ok(await receive(opened, 20, 1, noise(5000)));
  own.commit(metaOf(10, 1, noise(100)));
  const answer = await opened.until((one) => one.type === "saved" && one.index === 10);
  assert.ok(answer.type === "saved" && !answer.ok);
  const again = await reopen(opened, disk);
  assert.equal(again.group("queue")!.snapshot!.index, 20);
  assert.ok((await loaded(again)).equals(noise(5000)));
  await again.close();
});

test("the one that is being sent can be read to its end after a newer one was saved (hazard 57)", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const data = noise(200_000);
  await opened.snapshot("queue", 4, 1, data);
  opened.storage.readSnapshotChunk("queue", "bar", 4, 0, 100_000);
  await opened.until((answer) => answer.type === "read");
  await opened.snapshot("queue", 6, 1, noise(10));
  opened.storage.readSnapshotChunk("queue", "bar", 4, 100_000, 100_000);
  opened.storage.readSnapshotChunk("queue", "baz", 6, 0, 100);
  await opened.until((answer) => answer.type === "read" && answer.to === "baz");
  const read = opened.answers.find((one) => one.type === "read" && one.offset === 100_000);
  assert.ok(read?.type === "read" && Buffer.from(read.data!).equals(data.subarray(100_000)));
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("a group's snapshot goes only once the group is gone for certain, wherever the power goes", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 5, 1, noise(1000));
  const before = disk.operations.length;
  opened.storage.deleteGroup("queue");
  opened.storage.flush();
  await opened.close();
  const total = disk.operations.length;
  assert.ok(!disk.names().some((name) => name.includes("snapshot")));
  let there = 0;
  for (let stopAt = before; stopAt < total; stopAt++) {
    const cut = new FakeDisk();
    const again = await withGroup(cut);
    await again.snapshot("queue", 5, 1, noise(1000));
    cut.stopAt = stopAt;
    again.storage.deleteGroup("queue");
    again.storage.flush();
    for (let round = 0; round < 30; round++) await new Promise(setImmediate);
    for (const namesKept of [true, false]) {
      const image = await Opened.open("/data", {
        ...largeSegments,
        fs: cut.crashImage(lost, namesKept),
      });
      const group = image.group("queue");
      if (group !== undefined) {
        there += 1;
        assert.equal(group.damage, null, `stopped at ${stopAt} of ${total}`);
        assert.ok((await loaded(image)).equals(noise(1000)));
      }
      await image.close();
    }
  }
  assert.ok(there > 0, "the power never went before the deletion was durable");
});

test("a damaged snapshot is named on opening, with its file; its group's log stays", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await opened.snapshot("queue", 5, 1, noise(200_000));
  await opened.close();
  const path = disk.names().find((name) => name.includes("snapshot"))!;
  const bytes = disk.file(path);
  bytes[70_000]! ^= 1;
  disk.setFile(path, bytes);
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  assert.match(again.group("queue")!.damage!, /^\/data\/snapshot-1-5-1.*offset.*checksum/);
  await assert.rejects(again.storage.loadSnapshot("queue"), (error) => {
    return error instanceof RaftError && error.code === "storageCorrupt";
  });
  again.storage.readSnapshotChunk("queue", "bar", 5, 0, 10);
  again.storage.readSnapshotChunk("queue", "bar", 5, 70_000, 10);
  await again.until((answer) => answer.type === "read" && answer.offset === 70_000);
  const reads = again.answers.filter(({ type }) => type === "read");
  assert.ok(reads.at(-1)!.type === "read" && (reads.at(-1) as { data: unknown }).data === null);
  // Told to begin anew, the host deletes the group and gets the snapshot from the leader.
  again.storage.deleteGroup("queue");
  again.storage.createGroup(identityOf("queue"));
  assert.ok(await receive(again, 9, 2, noise(7000)));
  const third = await reopen(again, disk);
  assert.equal(third.group("queue")!.damage, null);
  assert.equal(third.group("queue")!.snapshot!.index, 9);
  await third.close();
});

test("behind a group without a snapshot, a damaged one of another is found as well", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  opened.storage.createGroup(identityOf("other"));
  await opened.stored("other", opened.store("other", entriesOf(1, 5)));
  await opened.snapshot("other", 5, 1, noise(300));
  await opened.close();
  const path = disk.names().find((name) => name.includes("snapshot"))!;
  disk.setFile(path, disk.file(path).fill(1, 100, 101));
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  assert.equal(again.group("queue")!.damage, null);
  assert.match(again.group("other")!.damage!, /snapshot-2-5-1/);
  await again.close();
});

test("an aborted snapshot, and one that is begun anew, leave no file", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  const first = opened.storage.beginSnapshot("queue");
  first.write(noise(600_000));
  const second = opened.storage.beginSnapshot("queue");
  second.write(noise(600_000));
  second.abort();
  first.commit(metaOf(3, 1, noise(600_000)));
  await opened.chunk(metaOf(40, 2, noise(9)), 0, noise(4));
  await opened.close();
  assert.ok(disk.names().every((name) => !name.includes("snapshot")));
  assert.equal(disk.openFiles, 0);
});

test("on a real disk: saved, received, read and loaded, and only the current file is left", async () => {
  const dir = temporaryDirectory();
  try {
    const data = noise(1_500_000);
    const opened = await Opened.open(dir);
    opened.storage.createGroup(identityOf("queue"));
    await opened.stored("queue", opened.store("queue", entriesOf(1, 30)));
    await opened.snapshot("queue", 10, 1, noise(900_000, 7));
    assert.ok(await receive(opened, 20, 1, data));
    opened.storage.compactLog("queue", 21);
    opened.storage.flush();
    await opened.close();
    const again = await Opened.open(dir);
    assert.ok((await loaded(again)).equals(data));
    assert.deepEqual(textsOf(again.group("queue")!.entries), textsOf(entriesOf(21, 10)));
    await again.close();
    assert.equal(readdirSync(dir).filter((name) => name.startsWith("snapshot")).length, 1);
  } finally {
    removeDirectory(dir);
  }
});
