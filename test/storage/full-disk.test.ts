/** Disks without room for a snapshot (hazard 82): that costs the snapshot, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SnapshotMeta } from "../../src/core/types.js";
import { FakeDisk, isLog, settle, systemError } from "./fake-disk.js";
import { Opened, entriesOf, errorsOf, identityOf, metaOf, noise, withQueue } from "./support.js";

const options = { segmentBytes: 16_384, firstSegmentBytes: 8192 };

/** From here on, of everything but the log. */
function countWrites(disk: FakeDisk): () => number {
  let writes = 0;
  disk.before = (operation) => {
    if (operation.type === "write" && !isLog(operation)) writes += 1;
  };
  return () => writes;
}

test("a snapshot for which there is no room is given up, and the log goes on", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.capacityBytes = disk.usedBytes + 100_000;
  const saved = opened.snapshot("queue", 2, 1, noise(900_000));
  await saved;
  const answer = opened.answers.find(({ type }) => type === "saved");
  assert.ok(answer?.type === "saved" && !answer.ok);
  assert.ok(opened.warnings().some((warning) => warning.includes('group "queue"')));
  assert.equal(errorsOf(opened).length, 0);
  await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
  await opened.close();
  assert.ok(disk.names().every((name) => !name.includes("snapshot")));
});

test("a snapshot is not begun where one as large as the last has no room", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await opened.snapshot("queue", 2, 1, noise(900_000));
  await settle(disk);
  disk.capacityBytes = disk.usedBytes + 500_000;
  const writes = countWrites(disk);
  await opened.snapshot("queue", 3, 1, noise(900_000, 2));
  const answer = opened.answers.findLast(({ type }) => type === "saved");
  assert.ok(answer?.type === "saved" && answer.index === 3 && !answer.ok);
  assert.equal(writes(), 0);
  assert.equal(errorsOf(opened).length, 0);
  await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
  await opened.close();
});

test("a snapshot of a value that has shrunk is taken where one as large as the last has no room", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await opened.snapshot("queue", 1, 1, noise(900_000));
  await settle(disk);
  disk.capacityBytes = disk.usedBytes + 500_000;
  const saved: boolean[] = [];
  for (const index of [2, 3]) {
    await opened.snapshot("queue", index, 1, noise(1000));
    const answer = opened.answers.findLast(({ type }) => type === "saved");
    saved.push(answer?.type === "saved" && answer.ok);
  }
  assert.deepEqual(saved, [false, true], "or the log would grow until the disk is full");
  assert.ok(disk.usedBytes < 500_000);
  await opened.close();
});

/** Offers a leader's snapshot, chunk by chunk, as far as it is taken; true once all of it is held. */
async function offer(opened: Opened, meta: SnapshotMeta, data: Uint8Array): Promise<boolean> {
  for (let at = 0; at < data.length;) {
    const from = opened.answers.length;
    opened.storage.writeSnapshotChunk("queue", meta, at, data.subarray(at, at + 300_000));
    await opened.until((a) => a.type === "written" && opened.answers.indexOf(a) >= from);
    const answer = opened.answers.findLast(({ type }) => type === "written");
    assert.ok(answer?.type === "written");
    if (answer.sizeBytes <= at) return false;
    at = answer.sizeBytes;
  }
  return true;
}

for (const canSay of [true, false]) {
  const told = canSay ? "is not begun" : "is given up where the disk cannot say beforehand";
  test(`a leader's snapshot for which there is no room ${told}, and comes in once there is`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    await settle(disk);
    disk.freeBytes = canSay
      ? () => Promise.resolve(disk.capacityBytes - disk.usedBytes)
      : () => Promise.reject(systemError("ENOSYS"));
    disk.capacityBytes = disk.usedBytes + 400_000;
    const data = noise(900_000);
    const meta = metaOf(100, 3, data);
    const writes = countWrites(disk);
    const offered = offer(opened, meta, data);
    await opened.until(
      (answer) => answer.type === "warning" && answer.message.includes("no space"),
    );
    await settle(disk);
    const heldBytes = opened.answers.flatMap((a) => (a.type === "written" ? [a.sizeBytes] : []));
    assert.ok(!heldBytes.includes(0), "the leader would send it again at once");
    assert.equal(await offered, false);
    assert.equal(await offer(opened, meta, data), false);
    assert.ok(disk.names().every((name) => !name.includes("snapshot")));
    assert.equal(writes() === 0, canSay);
    const warnings = opened.warnings().filter((warning) => warning.includes("900000 bytes"));
    assert.equal(warnings.length, 1);
    assert.equal(errorsOf(opened).length, 0);
    await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
    disk.capacityBytes = disk.usedBytes + 2_000_000;
    assert.ok(await offer(opened, meta, data));
    opened.storage.installSnapshot("queue", meta);
    await opened.until((answer) => answer.type === "saved");
    assert.ok(opened.answers.some((answer) => answer.type === "saved" && answer.ok));
    assert.equal(errorsOf(opened).length, 0);
    await settle(disk);
    disk.capacityBytes = disk.usedBytes + 400_000;
    const before = opened.warnings().length;
    assert.equal(await offer(opened, metaOf(200, 3, data), data), false);
    assert.equal(opened.warnings().length, before + 1, "it is told again");
    await opened.close();
  });
}

/** "queue" and another one. */
async function withTwoGroups(disk: FakeDisk): ReturnType<typeof withQueue> {
  const opened = await withQueue(disk);
  opened.storage.createGroup(identityOf("other"));
  opened.store("other", []);
  await opened.until((answer) => answer.type === "stored" && answer.group === "other");
  return opened;
}

test("a leader's snapshot that entries have made needless keeps no room from another group's", async () => {
  const disk = new FakeDisk();
  const opened = await withTwoGroups(disk);
  const data = noise(900_000);
  const meta = metaOf(5, 1, data);
  await opened.chunk(meta, 0, data.subarray(0, 100_000));
  await settle(disk);
  disk.capacityBytes = disk.usedBytes + data.length + 100_000;
  const offered = async (): Promise<number> => {
    const from = opened.answers.length;
    opened.storage.writeSnapshotChunk("other", meta, 0, data);
    const isNew = (index: number): boolean => index >= from;
    await opened.until((a) => a.type === "written" && isNew(opened.answers.indexOf(a)));
    const answer = opened.answers.findLast(({ type }) => type === "written");
    return answer?.type === "written" ? answer.sizeBytes : 0;
  };
  assert.equal(await offered(), 0, "the first may still go on");
  // Another leader sends the entries themselves, as far as the snapshot would have reached.
  await opened.stored("queue", opened.store("queue", entriesOf(4, 2)));
  assert.equal(await offered(), data.length);
  assert.equal(errorsOf(opened).length, 0);
  await opened.close();
});

test("leaders' snapshots that come at once do not take the log's room together", async () => {
  const disk = new FakeDisk();
  const opened = await withTwoGroups(disk);
  await settle(disk);
  const data = noise(300_000);
  const meta = metaOf(100, 3, data);
  disk.capacityBytes = disk.usedBytes + 2 * data.length + 10_000;
  const groups = ["queue", "other"];
  for (const at of [0, 150_000]) {
    for (const group of groups) {
      opened.storage.writeSnapshotChunk(group, meta, at, data.subarray(at, at + 150_000));
    }
  }
  await settle(disk);
  for (const group of groups) opened.storage.installSnapshot(group, meta);
  for (const group of groups) {
    await opened.until((answer) => answer.type === "saved" && answer.group === group);
  }
  const saved = opened.answers.flatMap((answer) => (answer.type === "saved" ? [answer.ok] : []));
  assert.deepEqual(saved, [true, false]);
  for (let index = 101; index < 400; index += 20) {
    await opened.stored("queue", opened.store("queue", entriesOf(index, 20)));
  }
  assert.deepEqual(errorsOf(opened), []);
  await opened.close();
});

for (const failing of ["write", "sync", "rename", "syncDirectory"]) {
  test(`a leader's snapshot whose end finds no room (${failing}) is begun anew`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    await settle(disk);
    const data = noise(300_000);
    const meta = metaOf(100, 3, data);
    assert.ok(await offer(opened, meta, data));
    disk.before = ({ type, path }) => {
      const isOfIt = path.includes("snapshot") || failing === "syncDirectory";
      if (type === failing && isOfIt) throw systemError("ENOSPC");
    };
    opened.storage.installSnapshot("queue", meta);
    await opened.until((answer) => answer.type === "saved" || answer.type === "failed");
    assert.deepEqual(errorsOf(opened), []);
    assert.ok(opened.answers.some((answer) => answer.type === "saved" && !answer.ok));
    assert.ok(disk.names().every((name) => !name.includes("snapshot")));
    const told = opened.warnings().filter((warning) => warning.includes("no space left"));
    assert.equal(told.length, 1, told.join());
    disk.before = null;
    assert.ok(await offer(opened, meta, data));
    opened.storage.installSnapshot("queue", meta);
    await opened.until((answer) => answer.type === "saved" && answer.ok);
    await opened.close();
    assert.equal(disk.openFiles, 0);
  });
}

test("a snapshot for whose name there is no room leaves no file on the full disk", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  await opened.snapshot("queue", 1, 1, noise(300));
  const before = disk.names();
  disk.before = ({ type }) => {
    if (type === "syncDirectory") throw systemError("ENOSPC");
  };
  await opened.snapshot("queue", 2, 1, noise(400));
  await settle(disk);
  assert.deepEqual(disk.names(), before);
  disk.before = null;
  await opened.snapshot("queue", 3, 1, noise(500));
  assert.deepEqual(errorsOf(opened), []);
  assert.deepEqual(savedOf(opened), ["1 saved", "2 not saved", "3 saved"]);
  await opened.close();
});

function savedOf({ answers }: Opened): string[] {
  return answers.flatMap((answer) =>
    answer.type === "saved" ? [`${answer.index} ${answer.ok ? "saved" : "not saved"}`] : [],
  );
}

test("where a full disk has no room to remove a file either, a snapshot counts all the same", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  await opened.snapshot("queue", 1, 1, noise(300));
  disk.before = ({ type }) => {
    if (type === "remove") throw systemError("ENOSPC");
  };
  await opened.snapshot("queue", 2, 1, noise(400));
  disk.before = null;
  const data = noise(300_000);
  const meta = metaOf(100, 3, data);
  assert.ok(await offer(opened, meta, data));
  disk.before = ({ type }) => {
    if (type === "remove") throw systemError("EDQUOT");
  };
  opened.storage.installSnapshot("queue", meta);
  await opened.until((answer) => answer.type === "saved" && answer.index === 100);
  disk.before = null;
  assert.deepEqual(errorsOf(opened), []);
  assert.deepEqual(savedOf(opened), ["1 saved", "2 saved", "100 saved"]);
  assert.deepEqual(opened.warnings(), []);
  await opened.close();
  const again = await Opened.open("/data", { ...options, fs: disk });
  assert.equal(again.group("queue")!.snapshot!.index, 100);
  assert.equal(disk.names().filter((name) => name.includes("snapshot")).length, 1);
  await again.close();
});

test("a part for whose rest there is no room when storage is closed costs that part alone", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  const data = noise(900_000);
  opened.storage.writeSnapshotChunk("queue", metaOf(100, 3, data), 0, data.subarray(0, 300_000));
  await opened.until((answer) => answer.type === "written");
  disk.before = (operation) => {
    if (operation.type === "write" && operation.path.includes("snapshot"))
      throw systemError("ENOSPC");
  };
  await opened.close();
  assert.deepEqual(errorsOf(opened), []);
  assert.ok(disk.names().every((name) => !name.includes("snapshot")));
  assert.equal(disk.openFiles, 0);
});

test("short room is warned of before anything fails, once", async () => {
  const disk = new FakeDisk();
  disk.capacityBytes = 500_000;
  const opened = await Opened.open("/data", { ...options, fs: disk, lowSpaceBytes: 1_000_000 });
  await opened.until((answer) => answer.type === "warning");
  opened.storage.createGroup(identityOf("queue"));
  opened.store("queue", entriesOf(1, 3));
  await opened.snapshot("queue", 2, 1, noise(1000));
  await settle(disk);
  assert.deepEqual(
    opened.warnings().map((warning) => warning.includes("free for /data")),
    [true],
  );
  assert.equal(errorsOf(opened).length, 0);
  await opened.close();
});
