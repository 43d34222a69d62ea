/**
 * A killed process leaves names that only the system's memory holds. The next one finds them like all others,
 * and must not promise anything on them before they are on the disk.
 */
import assert from "node:assert/strict";
import * as nodeFs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test, type TestContext } from "node:test";
// Storage loads it when it is opened, which takes rounds without an operation of the disk.
import "../../src/storage/file/parts.js";
import { nodeFileSystem } from "../../src/storage/file/fs.js";
import { FakeDisk, kept, lost, settle, systemError } from "./fake-disk.js";
import { Opened, entriesOf, identityOf, removeDirectory, temporaryDirectory } from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };

/** A process that was killed right behind the first rename to a path that ends so. */
async function killedAt(name: string): Promise<FakeDisk> {
  const disk = new FakeDisk();
  disk.before = ({ type, path }) => {
    if (type === "rename" && path.endsWith(name)) disk.stopAt = disk.operations.length;
  };
  void Opened.open("/data", { ...options, fs: disk }).then(async (opened) => {
    opened.storage.createGroup(identityOf("a"));
    for (let next = 1; ; next += 10) {
      await opened.stored("a", opened.store("a", entriesOf(next, 10)));
    }
  });
  await settle(disk);
  assert.ok(disk.stopped);
  assert.ok(disk.names().some((path) => path.endsWith(name)));
  return disk.killImage();
}

for (const name of ["identity", "wal-00000001.log", "wal-00000002.log"]) {
  test(`what is promised when the name ${name} was not synced survives a loss of power`, async () => {
    const disk = await killedAt(name);
    const opened = await Opened.open("/data", { ...options, fs: disk });
    const group = opened.group("a");
    if (group === undefined) opened.storage.createGroup(identityOf("a"));
    let last = group?.entries.at(-1)?.index ?? 0;
    // Into both segments, and into none that this process has made.
    while (last < 110) {
      await opened.stored("a", opened.store("a", entriesOf(last + 1, 10)));
      last += 10;
      for (const fate of [lost, kept]) {
        const after = await Opened.open("/data", { ...options, fs: disk.crashImage(fate, false) });
        assert.equal(after.group("a")?.damage, null);
        assert.equal(after.group("a")!.entries.at(-1)!.index, last);
        await after.close();
      }
    }
    assert.ok(!disk.names().includes("/data/wal-00000003.log"));
    await opened.close();
  });
}

let root: string;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => {
  removeDirectory(root);
});

/** Paths of the directories that are synced from now on; the system refuses to read `denied`. */
function watchSyncs(t: TestContext, denied = ""): string[] {
  const synced: string[] = [];
  const open = nodeFs.promises.open.bind(nodeFs.promises);
  t.mock.method(nodeFs.promises, "open", async (path: string, flags: string) => {
    if (path === denied) throw systemError("EACCES");
    const handle = await open(path, flags);
    t.mock.method(handle, "sync", async () => {
      await handle.datasync();
      synced.push(path);
    });
    return handle;
  });
  return synced;
}

test("a directory that is there already is made durable in its parent", async (t) => {
  const dir = join(root, "data");
  nodeFs.mkdirSync(dir);
  const synced = watchSyncs(t);
  await nodeFileSystem.makeDirectory(dir);
  assert.deepEqual(synced, [root]);
});

test("a new directory is made durable with all above it that may be as new", async (t) => {
  const outer = join(root, "outer");
  nodeFs.mkdirSync(outer);
  const synced = watchSyncs(t);
  await nodeFileSystem.makeDirectory(join(outer, "inner", "data"));
  assert.deepEqual(synced, [root, outer, join(outer, "inner")]);
});

test("a directory that is there, in one that may not be read, does without", async (t) => {
  const dir = join(root, "data");
  nodeFs.mkdirSync(dir);
  watchSyncs(t, root);
  await nodeFileSystem.makeDirectory(dir);
  await assert.rejects(nodeFileSystem.makeDirectory(join(root, "new")), { code: "EACCES" });
});
