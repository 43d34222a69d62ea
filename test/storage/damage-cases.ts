/**
 * The cases of damage.test.ts. They run in a worker: the test runner's hooks on every promise would make
 * them several times slower.
 */
import assert from "node:assert/strict";
import { parentPort, workerData } from "node:worker_threads";
import { RaftError } from "../../src/errors.js";
import { FakeDisk, kept } from "./fake-disk.js";
import {
  Opened,
  entriesOf,
  hardStateOf,
  identityOf,
  noise,
  textsOf,
  type Recovered,
} from "./support.js";

const options = { segmentBytes: 1024, firstSegmentBytes: 1024 };
const snapshotData = noise(300);

type Built = { readonly disk: FakeDisk; readonly groups: readonly Recovered[] };

/** Two groups on three segments, one with a snapshot, as left by `end`. */
async function build(end: "closed" | "killed"): Promise<Built> {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...options, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  opened.storage.createGroup(identityOf("b"));
  await opened.stored("a", opened.store("a", entriesOf(1, 5), { hardState: hardStateOf(1, "x") }));
  await opened.stored("b", opened.store("b", entriesOf(1, 5), { hardState: hardStateOf(1) }));
  await opened.snapshot("a", 3, 1, snapshotData);
  await opened.stored("b", opened.store("b", entriesOf(6, 5, 2), { hardState: hardStateOf(2) }));
  await opened.stored("a", opened.store("a", entriesOf(5, 3, 3), { truncateFrom: 5 }));
  await opened.stored("b", opened.store("b", entriesOf(11, 4, 2)));
  if (end === "closed") await opened.close();
  // The mark is written behind the last acknowledgement.
  else for (let round = 0; round < 4; round++) await new Promise((r) => setImmediate(r));
  const image = end === "closed" ? disk : disk.killImage();
  const again = await Opened.open("/data", { ...options, fs: image.crashImage(kept, true) });
  const groups = again.recovered;
  await again.close();
  assert.equal(groups.length, 2);
  assert.deepEqual(
    groups.map((group) => [group.identity.group, group.entries.at(-1)?.index]),
    [
      ["a", 7],
      ["b", 14],
    ],
  );
  return { disk: image.crashImage(kept, true), groups };
}

export type Outcome = "whole" | "damaged" | "refused";

async function open(disk: FakeDisk): Promise<Opened | "refused"> {
  try {
    return await Opened.open("/data", { ...options, fs: disk });
  } catch (error) {
    assert.ok(error instanceof RaftError);
    assert.match(error.code, /^storage(Corrupt|Mismatch)$/);
    assert.match(error.message, /\/data/);
    return "refused";
  }
}

function isWhole(found: Recovered | undefined, expected: Recovered): boolean {
  return (
    found !== undefined &&
    JSON.stringify(found.hardState) === JSON.stringify(expected.hardState) &&
    JSON.stringify(found.snapshot) === JSON.stringify(expected.snapshot) &&
    JSON.stringify(textsOf(found.entries)) === JSON.stringify(textsOf(expected.entries)) &&
    found.entries.every((entry, at) => entry.term === expected.entries[at]!.term)
  );
}

/**
 * Opens and judges. `goOn`: writes on and opens again: what was damaged must not have become whole
 * by that, nor the reverse.
 */
async function judge(disk: FakeDisk, built: Built, where: string, goOn: boolean): Promise<Outcome> {
  const opened = await open(disk);
  if (opened === "refused") return "refused";
  let outcome: Outcome = "whole";
  const healthy: string[] = [];
  for (const expected of built.groups) {
    const { group } = expected.identity;
    const found: Recovered | undefined = opened.group(group);
    if (found !== undefined && found.damage !== null) {
      assert.match(found.damage, /^(?!group).*(wal-|snapshot-)/, where);
      outcome = "damaged";
      continue;
    }
    assert.ok(isWhole(found, expected), `${where}: group ${group} is silently wrong`);
    healthy.push(group);
    if (group === "a") {
      const pieces = await opened.storage.loadSnapshot("a");
      assert.ok(Buffer.concat(pieces).equals(snapshotData), `${where}: snapshot`);
    }
  }
  if (!goOn) {
    await opened.close();
    assert.equal(disk.openFiles, 0, where);
    return outcome;
  }
  for (const group of healthy) {
    const last = built.groups.find((one) => one.identity.group === group)!.entries.at(-1)!.index;
    await opened.stored(group, opened.store(group, entriesOf(last + 1, 3, 9)));
  }
  await opened.close();
  assert.equal(disk.openFiles, 0, where);
  const again = await open(disk);
  assert.ok(again !== "refused", `${where}: refused after having been opened`);
  for (const expected of built.groups) {
    const { group } = expected.identity;
    const found: Recovered = again.group(group)!;
    const text = `${where}: group ${group} after writing on`;
    assert.equal(found.damage === null, healthy.includes(group), `${text}: ${found.damage}`);
    if (found.damage !== null) continue;
    const last = expected.entries.at(-1)!.index;
    const texts = [...textsOf(expected.entries), ...textsOf(entriesOf(last + 1, 3, 9))];
    assert.deepEqual(textsOf(found.entries), texts, text);
  }
  await again.close();
  return outcome;
}

async function forEachByte(
  built: Built,
  change: (disk: FakeDisk, path: string, at: number) => void,
  stride: number,
): Promise<Map<Outcome, number>> {
  const counts = new Map<Outcome, number>();
  for (const path of built.disk.names()) {
    const bytes = built.disk.file(path);
    const usedBytes = bytes.findLastIndex((byte) => byte !== 0) + 1;
    // The offsets that were written to, and some of the preallocated room behind.
    for (let at = 0; at < bytes.length; at += at < usedBytes + 8 ? stride : 89) {
      const disk = built.disk.crashImage(kept, true);
      change(disk, path, at);
      const outcome = await judge(disk, built, `${path} at ${at}`, at % 4 === 0);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  }
  return counts;
}

function flip(disk: FakeDisk, path: string, at: number): void {
  const bytes = disk.file(path);
  bytes[at]! ^= 1 << (at % 8);
  disk.setFile(path, bytes);
}

function cut(disk: FakeDisk, path: string, at: number): void {
  disk.setFile(path, disk.file(path).subarray(0, at));
}

function blank(disk: FakeDisk, path: string, at: number): void {
  const bytes = disk.file(path);
  bytes.fill(0, Math.floor(at / 512) * 512, Math.floor(at / 512) * 512 + 512);
  disk.setFile(path, bytes);
}

const changes = Object.freeze({ flip, cut });

export type Job =
  | { readonly end: "closed" | "killed"; readonly change: keyof typeof changes }
  | { readonly end: "closed" | "killed"; readonly change: "blank" | "delete" };

async function run(job: Job): Promise<Map<Outcome, number>> {
  const built = await build(job.end);
  if (job.change === "flip" || job.change === "cut") {
    // A directory that was closed differs from one that was killed by a bit in the mark alone.
    return forEachByte(built, changes[job.change], job.end === "closed" ? 5 : 1);
  }
  const counts = new Map<Outcome, number>();
  for (const path of built.disk.names()) {
    const step = job.change === "blank" ? 512 : Infinity;
    for (let at = 0; at < built.disk.file(path).length; at += step) {
      const disk = built.disk.crashImage(kept, true);
      if (job.change === "blank") blank(disk, path, at);
      else disk.deleteFile(path);
      const outcome = await judge(disk, built, `${path} ${job.change} at ${at}`, true);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      if (job.change === "blank") continue;
      if (path.endsWith("mark")) assert.equal(outcome, "whole");
      else if (!path.includes("wal-")) assert.notEqual(outcome, "whole", path);
    }
  }
  return counts;
}

if (parentPort !== null) {
  const port = parentPort;
  run(workerData as Job).then(
    (counts) => port.postMessage({ counts }),
    (error: unknown) => port.postMessage({ error: (error as Error).stack }),
  );
}
