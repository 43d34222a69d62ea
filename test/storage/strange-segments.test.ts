import assert from "node:assert/strict";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { doctorDirectory, inspectDirectory } from "../../src/storage/file/index.js";
import { FakeDisk } from "./fake-disk.js";
import { Opened, entriesOf, hardStateOf, identityOf, noise, textsOf } from "./support.js";

const log = "/data/wal-00000001.log";

async function built(entries: number): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { fs: disk });
  opened.storage.createGroup(identityOf("queue"));
  const hardState = hardStateOf(1, "foo#1");
  await opened.stored("queue", opened.store("queue", entriesOf(1, entries), { hardState }));
  await opened.snapshot("queue", 2, 1, noise(300));
  await opened.close();
  return disk;
}

function bytesOf(disk: FakeDisk): Record<string, string> {
  const names = disk.names().filter((name) => !name.endsWith("/lock"));
  return Object.fromEntries(
    names.map((name) => [name, Buffer.from(disk.file(name)).toString("hex")]),
  );
}

// A host that was started with an empty directory by mistake wrote an identity of the same name, and one who
// brings the old files back beside it, or the identity alone from a backup, mixes two directories.
test("a log with the identity of another directory is damage, and nothing of it is cut off", async () => {
  const disk = await built(5);
  const own = new Uint8Array(disk.file("/data/identity"));
  disk.setFile("/data/identity", (await built(3)).file("/data/identity"));
  const before = bytesOf(disk);
  await assert.rejects(Opened.open("/data", { fs: disk }), (error) => {
    assert.ok(error instanceof RaftError);
    assert.equal(error.code, "storageCorrupt");
    assert.match(error.message, /wal-00000001\.log is of another directory than the file identity/);
    return true;
  });
  assert.equal((await inspectDirectory("/data", { fs: disk })).health, "damaged");
  const { problems, repaired } = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.ok(problems.some(({ message }) => message.includes("of another directory")));
  assert.equal(repaired, false);
  assert.deepEqual(bytesOf(disk), before);
  disk.setFile("/data/identity", own);
  const again = await Opened.open("/data", { fs: disk });
  assert.deepEqual(textsOf(again.group("queue")!.entries), textsOf(entriesOf(1, 5)));
  await again.close();
});

test("without the wrong identity, doctor makes the right one anew", async () => {
  const disk = await built(5);
  await disk.remove("/data/identity");
  const { inspection } = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.equal(inspection.health, "good");
  assert.equal(inspection.hostId, "foo");
});

test("a segment of another directory behind one's own log damages it, and stays as it is", async () => {
  const disk = await built(5);
  const strange = new Uint8Array((await built(3)).file(log));
  disk.setFile("/data/wal-00000002.log", strange);
  const opened = await Opened.open("/data", { fs: disk });
  assert.match(opened.group("queue")!.damage!, /wal-00000002\.log is of another directory/);
  await opened.close();
  assert.deepEqual(new Uint8Array(disk.file("/data/wal-00000002.log")), strange);
  await disk.remove("/data/wal-00000002.log");
  const again = await Opened.open("/data", { fs: disk });
  assert.equal(again.group("queue")!.damage, null);
  await again.close();
});

test("a copy of a segment under a name with more zeros is not taken for that segment", async () => {
  const disk = await built(5);
  const copy = "/data/wal-000000001.log";
  disk.setFile(copy, disk.file(log));
  const opened = await Opened.open("/data", { fs: disk });
  assert.equal(opened.group("queue")!.damage, null);
  assert.deepEqual(textsOf(opened.group("queue")!.entries), textsOf(entriesOf(1, 5)));
  await opened.close();
  assert.ok(disk.names().includes(copy), "it is somebody's, and stays");
  assert.equal((await inspectDirectory("/data", { fs: disk })).health, "good");
});
