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
