/** Files that are removed under a running process, and those that cannot be removed for now. */
import assert from "node:assert/strict";
import * as nodeFs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nodeFileSystem, type FileSystem } from "../../src/storage/file/fs.js";
import { FakeDisk, settle, systemError } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  errorsOf,
  identityOf,
  inDirectory,
  noise,
  textsOf,
  withQueue,
} from "./support.js";

const options = { segmentBytes: 16_384, firstSegmentBytes: 8192 };

async function begun(dir: string, fs: FileSystem = nodeFileSystem): Promise<Opened> {
  const opened = await Opened.open(dir, { ...options, fs });
  opened.storage.createGroup(identityOf("queue"));
  await opened.stored("queue", opened.store("queue", entriesOf(1, 3)));
  return opened;
}

for (const [what, named] of [
  [".", "wal-00000001.log"],
  ["wal-00000001.log", "wal-00000001.log"],
  ["mark", "mark"],
] as const) {
  test(`what is written after ${what} of a data directory was removed is not acknowledged`, () =>
    inDirectory(async (root) => {
      const opened = await begun(join(root, "data"));
      nodeFs.rmSync(join(root, "data", what), { recursive: true });
      const ticket = opened.store("queue", entriesOf(4, 1));
      await opened.until((one) => one.type === "failed" || opened.storedTicket("queue") >= ticket);
      const [error, ...more] = errorsOf(opened);
      assert.equal(error?.code, "storageFailed");
      assert.ok(error.message.startsWith(`${named} was removed while it was in use`));
      assert.match(error.message, /empty directory, as a new member/);
      assert.deepEqual(more, []);
      assert.equal(opened.storedTicket("queue"), ticket - 1);
      await opened.close();
    }));
}

test("where files have no number of names, none passes for removed", () =>
  inDirectory(async (root) => {
    const nameless: FileSystem = {
      ...nodeFileSystem,
      open: async (path, mode) => {
        const file = await nodeFileSystem.open(path, mode);
        file.isRemoved = () => true;
        return file;
      },
    };
    const opened = await begun(root, nameless);
    await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
    assert.deepEqual(errorsOf(opened), []);
    await opened.close();
  }));

test("whether files were removed is asked once a second at least, and not with each write", async (t) => {
  let nowMs = 5000;
  t.mock.method(performance, "now", () => nowMs);
  const disk = new FakeDisk();
  const before = await withQueue(disk);
  await before.close();
  const opened = await Opened.open("/data", { ...options, fs: disk, markLagMs: 60_000 });
  await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
  disk.deleteFile("/data/mark");
  nowMs += 999;
  await opened.stored("queue", opened.store("queue", entriesOf(5, 1)));
  nowMs += 1;
  opened.store("queue", entriesOf(6, 1));
  await opened.until(({ type }) => type === "failed");
  await opened.close();
});

/** Has the entries up to 200 let go, which several segments hold. */
async function compacted(opened: Opened): Promise<void> {
  for (let first = 4; first < 200; first += 14) {
    await opened.stored("queue", opened.store("queue", entriesOf(first, 14, 1, "some more text")));
  }
  await opened.snapshot("queue", 199, 1, noise(10));
  opened.storage.compactLog("queue", 200);
  await opened.stored("queue", opened.store("queue", entriesOf(200, 1)));
}

function segmentsOf(disk: FakeDisk): string[] {
  return disk.names().filter((name) => name.includes("/wal-"));
}

for (const code of ["ENOSPC", "EDQUOT", "EACCES"]) {
  test(`a segment that cannot be removed (${code}) is removed later, and ends nothing`, async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    disk.before = ({ type, path }) => {
      if (type === "remove" && path.includes("/wal-")) throw systemError(code);
    };
    await compacted(opened);
    await opened.snapshot("queue", 200, 1, noise(10));
    opened.storage.compactLog("queue", 201);
    await opened.stored("queue", opened.store("queue", entriesOf(201, 1)));
    await settle(disk);
    assert.deepEqual(errorsOf(opened), []);
    const told = opened.warnings().filter((warning) => warning.includes("removing a segment"));
    assert.equal(told.length, 1, "said once, and not with each try");
    assert.match(told[0]!, new RegExp(`${code}.*the log goes on`));
    const kept = segmentsOf(disk);
    assert.ok(kept.includes("/data/wal-00000001.log"));
    // As it is, it harms nobody who opens the directory.
    const killed = await Opened.open("/data", { ...options, fs: disk.killImage() });
    assert.deepEqual(textsOf(killed.group("queue")!.entries), ["entry 201"]);
    await killed.close();
    disk.before = null;
    // Nobody compacts any more: the next segment that is begun has it tried again.
    for (let first = 202; segmentsOf(disk).includes("/data/wal-00000001.log"); first += 14) {
      assert.ok(first < 2000, "never removed");
      await opened.stored("queue", opened.store("queue", entriesOf(first, 14)));
      await settle(disk);
    }
    assert.ok(segmentsOf(disk).length < kept.length);
    await opened.close();
    const again = await Opened.open("/data", { ...options, fs: disk });
    assert.equal(again.group("queue")!.damage, null);
    assert.equal(again.group("queue")!.entries[0]!.index, 201);
    await again.close();
  });
}

test("a segment that somebody else has removed already, when nobody needs it, is gone, and that is all", async () => {
  const disk = new FakeDisk();
  const opened = await withQueue(disk);
  disk.before = ({ type, path }) => {
    if (type === "remove" && path.includes("/wal-")) disk.deleteFile(path);
  };
  await compacted(opened);
  await settle(disk);
  assert.ok(!segmentsOf(disk).includes("/data/wal-00000001.log"));
  assert.deepEqual([...errorsOf(opened), ...opened.warnings()], []);
  await opened.close();
});
