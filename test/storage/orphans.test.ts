/** Files that nothing in the log refers to: leftovers are removed, and what may be more is not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { doctorDirectory } from "../../src/storage/file/index.js";
import { FakeDisk, kept, settle } from "./fake-disk.js";
import { Opened, entriesOf, hardStateOf, identityOf, noise } from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };

/** A directory with a snapshot in a log of several segments. */
async function built(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...options, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  opened.store("a", [], { hardState: hardStateOf(1, "foo#1") });
  for (let first = 1; first < 300; first += 10) {
    await opened.stored("a", opened.store("a", entriesOf(first, 10)));
  }
  await opened.snapshot("a", 250, 1, noise(10));
  await settle(disk);
  await opened.close();
  return disk;
}

const isSegment = (name: string): boolean => name.includes("/wal-");
const isSnapshot = (name: string): boolean => name.endsWith(".snap");

test("of a damaged log the doctor does not say that a snapshot is removed, which stays", async () => {
  const whole = await built();
  const disk = whole.crashImage(kept, true);
  for (const name of disk.names().filter(isSegment).slice(0, -1)) await disk.remove(name);
  disk.setFile("/data/snapshot-1-7.tmp", noise(10));
  const { problems } = await doctorDirectory("/data", { fs: disk, repair: true });
  const told = problems.find(({ file }) => file.endsWith(".snap"));
  assert.ok(told !== undefined, JSON.stringify(problems));
  assert.match(told.advice, /leave it as it is$/);
  for (const { advice, repairable } of problems) {
    if (!repairable) assert.doesNotMatch(advice, /repair (remove|cut|write)/);
  }
  await Opened.open("/data", { ...options, fs: disk }).then(
    (opened) => opened.close(),
    () => undefined,
  );
  assert.equal(disk.names().filter(isSnapshot).length, 1);
});

test("a snapshot of another directory is told of and left, whereas one's own leftover goes", async () => {
  const old = await built();
  const disk = new FakeDisk();
  const fresh = await Opened.open("/data", { ...options, fs: disk });
  fresh.storage.createGroup(identityOf("a"));
  await fresh.stored("a", fresh.store("a", entriesOf(1, 3)));
  await fresh.close();
  const [snapshot] = old.names().filter(isSnapshot);
  disk.setFile(snapshot!, old.file(snapshot!));
  const part = snapshot!.replace(/1-250-1-([0-9a-f]+)\.snap$/, "7-99-1-$1.part");
  disk.setFile(part, old.file(snapshot!));
  const own = snapshot!.replace("-250-", "-240-");
  const bytes = new Uint8Array(old.file(snapshot!));
  bytes.fill(0, 0, 64);
  disk.setFile(own, bytes);
  const { problems, inspection } = await doctorDirectory("/data", { fs: disk });
  assert.deepEqual(
    problems.map(({ file, repairable }) => [`/data/${file}`, repairable]).sort(),
    [
      [own, true],
      [snapshot, false],
      [part, false],
    ].sort(),
  );
  assert.equal(inspection.health, "good");
  const warned: string[] = [];
  for (let start = 1; start <= 2; start++) {
    const opened = await Opened.open("/data", { ...options, fs: disk });
    assert.equal(opened.group("a")!.entries.length, 3);
    await settle(disk);
    warned.push(...opened.warnings().filter((line) => line.includes("of another data directory")));
    await opened.close();
  }
  assert.equal(warned.length, 4);
  assert.deepEqual(
    [snapshot!, part, own].map((name) => disk.names().includes(name)),
    [true, true, false],
  );
});
