/** What was received of a snapshot when the process ended: each group goes on with its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk, lost } from "./fake-disk.js";
import { Opened, identityOf, largeSegments, metaOf, noise, withGroup } from "./support.js";

const data = noise(1_000_000);
/** Of which the file gets whole frames. */
const heldBytes = 589_824;

/** The beginning of a snapshot at `index`; how much of it is held then. */
async function receive(opened: Opened, group: string, index: number): Promise<number> {
  const from = opened.answers.length;
  const chunk = data.subarray(0, 600_000);
  opened.storage.writeSnapshotChunk(group, metaOf(index, 2, data), 0, chunk);
  const answer = await opened.until((one) => {
    return one.type === "written" && one.group === group && opened.answers.indexOf(one) >= from;
  });
  return (answer as { sizeBytes: number }).sizeBytes;
}

test("two groups go on where they were, and what is older than a group's snapshot goes", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  opened.storage.createGroup(identityOf("other"));
  await opened.snapshot("queue", 5, 1, noise(10));
  assert.equal(await receive(opened, "queue", 40), 600_000);
  assert.equal(await receive(opened, "other", 50), 600_000);
  await opened.close();
  const parts = (): string[] => disk.names().filter((name) => name.endsWith(".part"));
  const left = parts();
  assert.equal(left.length, 2);
  for (const what of ["1-4", "1-5", "1-20", "3-60"]) {
    disk.setFile(`/data/snapshot-${what}-1-00000000.part`, data);
  }
  const former = "/data/snapshot-1-4-1-00000000.snap";
  disk.setFile(former, data);
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  assert.deepEqual(parts(), left);
  assert.ok(!disk.names().includes(former));
  assert.equal(await receive(again, "queue", 40), heldBytes);
  assert.equal(await receive(again, "other", 50), heldBytes);
  await again.close();
  // Without one that is newer, the older one of a group goes all the same.
  disk.deleteFile(left.find((name) => name.includes("snapshot-1-"))!);
  for (const what of ["1-4", "1-5"]) disk.setFile(`/data/snapshot-${what}-1-00000000.part`, data);
  const third = await Opened.open("/data", { ...largeSegments, fs: disk });
  assert.deepEqual(
    parts(),
    left.filter((name) => name.includes("snapshot-2-")),
  );
  await third.close();
});

test("what a sync that failed has left of a part in memory only is on the disk before it is gone on with", async () => {
  const disk = new FakeDisk();
  const opened = await withGroup(disk);
  await receive(opened, "queue", 40);
  await opened.close();
  const part = disk.names().find((name) => name.endsWith(".part"))!;
  disk.forgetUnsynced(part);
  const again = await Opened.open("/data", { ...largeSegments, fs: disk });
  const meta = metaOf(40, 2, data);
  for (let held = 0; held < data.length;) {
    held = await again.chunk(meta, held, data.subarray(held, held + 600_000));
  }
  again.storage.installSnapshot("queue", meta);
  await again.until(({ type }) => type === "saved");
  const image = disk.crashImage(lost, true);
  const third = await Opened.open("/data", { ...largeSegments, fs: image });
  assert.equal(third.group("queue")!.damage, null);
  assert.ok(Buffer.concat(await third.storage.loadSnapshot("queue")).equals(data));
  await third.close();
  await again.close();
});
