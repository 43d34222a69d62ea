/** Full disks that have no room to remove a file either: what nobody needs is removed later, and ends nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectDirectory } from "../../src/storage/file/inspect.js";
import { FakeDisk, type Operation, isLog, settle, systemError } from "./fake-disk.js";
import { Opened, entriesOf, entryOf, errorsOf, noise, withQueue } from "./support.js";

const options = { segmentBytes: 16_384, firstSegmentBytes: 8192 };
const first = "/data/wal-00000001.log";
const prepared = "/data/wal-00000002.log";

/** As it is on the disk, after the process was killed: nothing is damaged, and it goes on. */
async function checkImage(disk: FakeDisk, last: number): Promise<void> {
  const image = disk.killImage();
  assert.notEqual((await inspectDirectory("/data", { fs: image })).health, "damaged");
  const again = await Opened.open("/data", { ...options, fs: image });
  assert.equal(again.group("queue")!.damage, null);
  assert.equal(again.group("queue")!.entries.at(-1)!.index, last);
  await again.stored("queue", again.store("queue", entriesOf(last + 1, 1)));
  await again.close();
}

const isRemoval = (operation: Operation): boolean =>
  operation.type === "remove" && isLog(operation);

/** Lets the first segment go, which everything up to `last` needed. */
async function compact(opened: Opened, last: number): Promise<void> {
  await opened.snapshot("queue", last, 1, noise(10));
  opened.storage.compactLog("queue", last + 1);
  await opened.stored("queue", opened.store("queue", entriesOf(last + 1, 1)));
}

for (const code of ["ENOSPC", "EDQUOT", "EACCES"]) {
  test(`a prepared segment that is too small and cannot be removed (${code}) ends nothing`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    let last = 3;
    for (; !disk.names().includes(prepared); last += 5) {
      await opened.stored("queue", opened.store("queue", entriesOf(last + 1, 5)));
      await settle(disk);
    }
    disk.before = (operation) => {
      if (isRemoval(operation)) throw systemError(code);
    };
    const ticket = opened.store("queue", [entryOf(++last, 1, "x".repeat(100_000))]);
    await opened.until(({ type }) => type === "failed" || opened.storedTicket("queue") === ticket);
    assert.deepEqual(errorsOf(opened), []);
    await settle(disk);
    assert.ok(disk.names().includes(prepared), "nobody could remove it");
    await checkImage(disk, last);
    await compact(opened, last++);
    await settle(disk);
    assert.ok(
      disk.names().includes(first),
      "a log that began with a blank segment would seem damaged",
    );
    await checkImage(disk, last);
    disk.before = null;
    const from = disk.operations.length;
    await compact(opened, last++);
    await settle(disk);
    const steps = disk.operations.slice(from).flatMap((one) => {
      return isRemoval(one) || one.type === "syncDirectory" ? [`${one.type} ${one.path}`] : [];
    });
    const begin = steps.indexOf(`remove ${prepared}`);
    assert.deepEqual(steps.slice(begin, begin + 3), [
      `remove ${prepared}`,
      "syncDirectory /data",
      `remove ${first}`,
    ]);
    assert.deepEqual(errorsOf(opened), []);
    await checkImage(disk, last);
    await opened.close();
    assert.equal(disk.openFiles, 0);
  });
}

test("a segment that can neither be filled nor removed again is made later, and what is left of it goes", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.before = (operation) => {
    if (!isLog(operation) || operation.path === first) return;
    if (operation.type === "write" || operation.type === "remove") throw systemError("ENOSPC");
  };
  let last = 3;
  const store = async (): Promise<void> => {
    const ticket = opened.store("queue", entriesOf(last + 1, 1, 1, "x".repeat(200)));
    last++;
    await opened.until(({ type }) => type === "failed" || opened.storedTicket("queue") === ticket);
    await settle(disk);
  };
  const told = (): string[] =>
    opened.warnings().filter((warning) => warning.includes("preparing a segment"));
  while (told().length < 2 && errorsOf(opened).length === 0) await store();
  assert.deepEqual(errorsOf(opened), []);
  assert.match(
    told()[0]!,
    /ENOSPC.*; free some space \(the log goes on/,
    "nobody need start again",
  );
  assert.ok(disk.names().some((name) => name.endsWith(".tmp")));
  await checkImage(disk, last);
  disk.before = null;
  const segments = (): number => disk.names().filter((name) => name.endsWith(".log")).length;
  while (segments() < 3) await store();
  await compact(opened, last++);
  await settle(disk);
  assert.ok(disk.names().every((name) => !name.endsWith(".tmp")));
  assert.deepEqual(errorsOf(opened), []);
  await checkImage(disk, last);
  await opened.close();
  assert.equal(disk.openFiles, 0);
});
