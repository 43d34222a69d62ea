/** Who writes: the calling thread, or a thread of the pool (docs/decisions/0025). */
import assert from "node:assert/strict";
import nodeFs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { afterEach, beforeEach, mock, test } from "node:test";
import { attempt } from "../../src/storage/file/failure.js";
import { type File, nodeFileSystem } from "../../src/storage/file/fs.js";
import { removeDirectory, temporaryDirectory } from "./support.js";

let dir: string;
let file: File;
/** What the next writes by the calling thread take, in ms, by the clock that the file asks. */
let takesMs = 0;
let nowMs = 0;
let here = 0;
const { writevSync } = nodeFs;
/** What the system does with a write by the calling thread. */
let system = writevSync;

beforeEach(async () => {
  dir = temporaryDirectory();
  file = await nodeFileSystem.open(join(dir, "a"), "create");
  takesMs = 0;
  nowMs = 0;
  here = 0;
  system = writevSync;
  mock.method(performance, "now", () => nowMs);
  mock.method(nodeFs, "writevSync", (...args: Parameters<typeof writevSync>) => {
    here += 1;
    nowMs += takesMs;
    return system(...args);
  });
  syncBuiltinESMExports();
});

afterEach(async () => {
  mock.restoreAll();
  syncBuiltinESMExports();
  await file.close();
  removeDirectory(dir);
});

const block = (fill: number, sizeBytes: number): Uint8Array => new Uint8Array(sizeBytes).fill(fill);

async function bytesAt(position: number, sizeBytes: number): Promise<number[]> {
  return [...(await file.read(position, sizeBytes))];
}

test("what somebody waits for is written by the calling thread, up to 64 KiB", async () => {
  await file.write(0, [block(1, 40_000), block(2, 25_536)], true);
  assert.equal(here, 1);
  await file.write(65_536, [block(3, 65_537)], true);
  await file.write(65_536 + 65_537, [block(4, 10)]);
  assert.equal(here, 1, "more than 64 KiB, or nobody waits");
  assert.deepEqual(await bytesAt(39_999, 2), [1, 2]);
  assert.deepEqual(await bytesAt(65_535, 2), [2, 3]);
  assert.deepEqual(await bytesAt(65_536 + 65_536, 2), [3, 4]);
});

test("after a write that took more than 5 ms, 1000 go to the pool, then it is tried again", async () => {
  takesMs = 5;
  await file.write(0, [block(1, 4)], true);
  await file.write(0, [block(1, 4)], true);
  assert.equal(here, 2, "5 ms are not more than 5 ms");
  takesMs = 5.1;
  await file.write(0, [block(1, 4)], true);
  assert.equal(here, 3);
  takesMs = 0;
  for (let i = 0; i < 1000; i++) await file.write(8 * i, [block(i % 251, 8)], true);
  assert.equal(here, 3);
  for (let i = 0; i < 1000; i++) assert.deepEqual(await bytesAt(8 * i, 8), Array(8).fill(i % 251));
  await file.write(0, [block(7, 4)], true);
  assert.equal(here, 4);
  await file.write(4, [block(8, 4)], true);
  assert.equal(here, 5, "and stays as long as it is fast");
  assert.deepEqual(await bytesAt(0, 8), [7, 7, 7, 7, 8, 8, 8, 8]);
});

test("what is not urgent does not shorten the time at the pool", async () => {
  takesMs = 6;
  await file.write(0, [block(1, 4)], true);
  takesMs = 0;
  for (let i = 0; i < 1000; i++) await file.write(0, [block(1, 4)]);
  await file.write(0, [block(1, 4)], true);
  assert.equal(here, 1);
});

test("a write of the calling thread that fell short is carried on where it stopped", async () => {
  system = (fd, buffers, position) =>
    writevSync(fd, [(buffers as Uint8Array[])[0]!.subarray(0, 3)], position);
  await file.write(2, [block(1, 5), block(2, 2)], true);
  assert.equal(here, 1);
  assert.deepEqual(await bytesAt(0, 10), [0, 0, 1, 1, 1, 1, 1, 2, 2]);
});

test("a write of the calling thread that fails rejects, and does not throw", async () => {
  system = () => {
    throw Object.assign(new Error("no room"), { code: "ENOSPC" });
  };
  const wrote = file.write(0, [block(1, 4)], true);
  await assert.rejects(wrote, { code: "ENOSPC" });
});

test("a directory that cannot be made where its parent is there is refused, not tried for ever", async () => {
  const path = join(dir, "data");
  const real = nodeFs.promises.mkdir.bind(nodeFs.promises);
  mock.method(nodeFs.promises, "mkdir", async (at: string, options?: { recursive?: boolean }) => {
    if (at !== path) return real(at, options);
    assert.notEqual(
      options?.recursive,
      true,
      "Node would go round for ever, on a thread of its pool",
    );
    throw Object.assign(new Error("no such file or directory"), { code: "ENOENT" });
  });
  await assert.rejects(nodeFileSystem.makeDirectory(path), { code: "ENOENT" });
});

const onLinux = process.platform === "linux" ? {} : { skip: "/proc is Linux's" };

test("of a file system that counts no blocks nobody knows how much is free", onLinux, async () => {
  assert.equal(await nodeFileSystem.freeBytes("/proc"), Infinity);
  assert.ok((await nodeFileSystem.freeBytes(dir)) > 0);
});

test(
  "of a file system that cannot sync a directory the failure says what to do",
  onLinux,
  async () => {
    const syncing = attempt("opening /data", () => nodeFileSystem.syncDirectory("/proc"));
    await assert.rejects(syncing, {
      code: "storageFailed",
      message:
        /^opening \/data: EINVAL.*; this file system cannot make .* durable: use one that can/,
    });
  },
);
