/** When a disk that is nearly full is spoken of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SpaceWatch } from "../../src/storage/file/space.js";
import { FakeDisk, systemError } from "./fake-disk.js";

const MiB = 1024 * 1024;

function watched(disk: FakeDisk) {
  const warnings: string[] = [];
  const watch = new SpaceWatch(disk, "/data", 10 * MiB, (message) => warnings.push(message));
  const look = async (): Promise<number> => {
    watch.check();
    await watch.close();
    return warnings.length;
  };
  return { watch, warnings, look };
}

test("whoever made room is warned again when that is used up, and not before", async () => {
  const disk = new FakeDisk();
  const { warnings, look } = watched(disk);
  for (const [freeBytes, told] of [
    [10 * MiB, 0],
    [10 * MiB - 1, 1],
    [5 * MiB, 1],
    [20 * MiB, 1],
    [3 * MiB + 7, 2],
  ] as const) {
    disk.capacityBytes = freeBytes;
    assert.equal(await look(), told, `${freeBytes} bytes free`);
  }
  assert.match(warnings[0]!, /^only 9 MiB are free for \/data/);
  assert.match(warnings[1]!, /^only 3 MiB are free/);
});

test("where the system cannot say how much is free, nobody is warned", async () => {
  const disk = new FakeDisk();
  const { look } = watched(disk);
  disk.freeBytes = () => Promise.reject(systemError("ENOSYS"));
  assert.equal(await look(), 0);
});

test("closing waits for the look that is under way, and it is one look for all who ask meanwhile", async () => {
  const disk = new FakeDisk();
  const { watch, look } = watched(disk);
  let looks = 0;
  let answer!: (freeBytes: number) => void;
  disk.freeBytes = () => {
    looks++;
    return new Promise((resolve) => (answer = resolve));
  };
  watch.check();
  const told = look();
  answer(0);
  assert.deepEqual([await told, looks], [1, 1]);
});
