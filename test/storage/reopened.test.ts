/** A storage that is opened again while it is still being closed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileStorage } from "../../src/storage/file/index.js";
import type { StorageHandlers } from "../../src/ports.js";
import { FakeDisk, settle, systemError } from "./fake-disk.js";
import { withQueue } from "./support.js";

const handlers: StorageHandlers = {
  onStored: () => undefined,
  onSnapshotChunkWritten: () => undefined,
  onSnapshotSaved: () => undefined,
  onSnapshotChunkRead: () => undefined,
  onFailed: () => undefined,
  onWarning: () => undefined,
};

test("a storage that is opened while it is being closed waits for that", async () => {
  const disk = new FakeDisk();
  await (await withQueue(disk)).close();
  const storage = fileStorage("/data", { fs: disk });
  await storage.open("foo", handlers);
  const closed = storage.close();
  const [recovered] = await Promise.all([storage.open("foo", handlers), closed]);
  assert.equal(recovered[0]!.entries.length, 3);
  await storage.close();
  assert.equal(disk.openFiles, 0);
});

test("an opening that fails after its closing was asked for does not hide the next one", async () => {
  const disk = new FakeDisk();
  await (await withQueue(disk)).close();
  const storage = fileStorage("/data", { fs: disk });
  disk.onOpen = () => Promise.reject(systemError("EMFILE"));
  const failing = storage.open("foo", handlers);
  const refused = assert.rejects(failing, { code: "storageFailed" });
  void storage.close();
  const next = storage.open("foo", handlers);
  await refused;
  disk.onOpen = null;
  await assert.rejects(storage.open("foo", handlers), { code: "storageLocked" });
  await next;
  await storage.close();
  await settle(disk);
  assert.equal(disk.openFiles, 0);
});
