/** Who waits for the log when it fails hears that it never will be durable: closing ends (hazard 77). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk, isLog, settle, systemError } from "./fake-disk.js";
import { type Opened, entriesOf, errorsOf, noise, withQueue } from "./support.js";

async function closeFailed(disk: FakeDisk, opened: Opened): Promise<void> {
  await opened.until((answer) => answer.type === "failed");
  await opened.close();
  assert.equal(disk.openFiles, 0);
  assert.equal(errorsOf(opened)[0]!.code, "storageFailed");
}

function failLog(disk: FakeDisk): void {
  disk.before = (operation) => {
    if (operation.type === "sync" && isLog(operation)) throw systemError("EIO");
  };
}

test("the log fails at the very block that somebody waits for", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  failLog(disk);
  opened.storage.deleteGroup("queue");
  opened.storage.flush();
  await closeFailed(disk, opened);
});

test("the log fails at the block before, and what gathered behind it is never written", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  failLog(disk);
  opened.store("queue", entriesOf(4, 1));
  opened.storage.deleteGroup("queue");
  await opened.until((answer) => answer.type === "failed");
  const tried = disk.operations.filter(isLog).length;
  await closeFailed(disk, opened);
  assert.equal(disk.operations.filter(isLog).length, tried);
});

test("something else fails while the block is being written", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  await settle(disk);
  disk.before = ({ type, path }) => {
    if (type === "create" && path.includes("snapshot")) throw systemError("EIO");
  };
  const sink = opened.storage.beginSnapshot("queue");
  sink.write(noise(10));
  opened.storage.deleteGroup("queue");
  opened.storage.flush();
  await closeFailed(disk, opened);
});
