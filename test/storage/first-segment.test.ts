/** The oldest segment of a log whose first ones are gone: what its header says is known from its blocks too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectDirectory } from "../../src/storage/file/index.js";
import { FakeDisk, kept, settle } from "./fake-disk.js";
import { Opened, entriesOf, hardStateOf, identityOf, noise, textsOf } from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };
const headerBytes = 64;

async function built(): Promise<{ readonly disk: FakeDisk; readonly oldest: string }> {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...options, fs: disk });
  opened.storage.createGroup(identityOf("a"));
  opened.store("a", [], { hardState: hardStateOf(1, "foo#1") });
  for (let first = 1; first < 600; first += 10) {
    await opened.stored("a", opened.store("a", entriesOf(first, 10)));
  }
  await opened.snapshot("a", 500, 1, noise(10));
  opened.storage.compactLog("a", 450);
  await opened.stored("a", opened.store("a", []));
  await settle(disk);
  await opened.close();
  const oldest = disk.names().find((name) => name.includes("/wal-"))!;
  assert.notEqual(oldest, "/data/wal-00000001.log");
  return { disk, oldest };
}

function change(disk: FakeDisk, path: string, how: (bytes: Uint8Array) => void): FakeDisk {
  const image = disk.crashImage(kept, true);
  const bytes = image.file(path);
  how(bytes);
  image.setFile(path, bytes);
  return image;
}

test("whatever becomes of its header, nothing is lost, and the log goes on", async () => {
  const { disk, oldest } = await built();
  const changes: ((bytes: Uint8Array) => void)[] = [(bytes) => void bytes.fill(0, 0, headerBytes)];
  for (let at = 0; at < headerBytes; at++) changes.push((bytes) => void (bytes[at]! ^= 1));
  for (const [at, how] of changes.entries()) {
    const image = change(disk, oldest, how);
    const { health, findings } = await inspectDirectory("/data", { fs: image });
    assert.equal(health, "good", `change ${at}: ${JSON.stringify(findings)}`);
    assert.deepEqual(
      findings.map(({ type }) => type),
      ["oddity"],
    );
    const opened = await Opened.open("/data", { ...options, fs: image });
    assert.deepEqual(textsOf(opened.group("a")!.entries), textsOf(entriesOf(450, 151)));
    await opened.stored("a", opened.store("a", entriesOf(601, 10)));
    await opened.close();
    const again = await Opened.open("/data", { ...options, fs: image });
    assert.equal(again.group("a")!.damage, null);
    assert.equal(again.group("a")!.entries.at(-1)!.index, 610);
    await again.close();
  }
});

for (const [what, how] of [
  ["is unreadable too", (bytes: Uint8Array) => void (bytes[headerBytes + 16]! ^= 1)],
  ["is blank too", (bytes: Uint8Array) => void bytes.fill(0, 0, headerBytes + 40)],
  ["is gone with all behind it", (bytes: Uint8Array) => void bytes.fill(0)],
] as const) {
  test(`without its header, and where the block behind it ${what}, that is damage`, async () => {
    const { disk, oldest } = await built();
    const image = change(disk, oldest, (bytes) => {
      bytes[0]! ^= 1;
      how(bytes);
    });
    assert.equal((await inspectDirectory("/data", { fs: image })).health, "damaged");
  });
}

test("segments are read in the order of their numbers, however the disk lists them", async () => {
  const { disk } = await built();
  const list = disk.list.bind(disk);
  disk.list = async (path) => [...(await list(path))].reverse();
  const { health } = await inspectDirectory("/data", { fs: disk });
  assert.equal(health, "good");
});

test("its header says which blocks are missing where the first ones are unreadable", async () => {
  const { disk, oldest } = await built();
  const image = change(disk, oldest, (bytes) => void (bytes[headerBytes + 16]! ^= 1));
  const { findings } = await inspectDirectory("/data", { fs: image });
  const told = findings.map(({ message }) => message).join("\n");
  assert.match(told, /bytes that are no block\n.*: blocks (\d+) to \1 before it are missing/);
});
