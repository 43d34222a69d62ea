import assert from "node:assert/strict";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { crc32 } from "../../src/codec/crc32.js";
import { RaftError } from "../../src/errors.js";
import type { Entry } from "../../src/core/types.js";
import { doctorDirectory, inspectDirectory } from "../../src/storage/file/index.js";
import { setGroupAside } from "../../src/storage/file/tools.js";
import { FakeDisk, flipBitAt, kept } from "./fake-disk.js";
import {
  Opened,
  emptyMembership,
  entriesOf,
  hardStateOf,
  identityOf,
  imageOf,
  noise,
  removeDirectory,
  temporaryDirectory,
} from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 8192 };

async function built(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const opened = await Opened.open("/data", { ...options, fs: disk });
  opened.storage.createGroup(identityOf("queue"));
  const membership: Entry = {
    ...entriesOf(11, 1, 4)[0]!,
    kind: "membership",
    body: new Uint8Array(0),
    payload: { ...emptyMembership, voters: ["foo#1"] },
  };
  opened.store("queue", entriesOf(1, 10, 3), { hardState: hardStateOf(4, "foo#1") });
  await opened.stored("queue", opened.store("queue", [membership, ...entriesOf(12, 2, 4)]));
  await opened.snapshot("queue", 5, 3, noise(300));
  opened.storage.compactLog("queue", 4);
  await opened.stored("queue", opened.store("queue", []));
  await opened.close();
  return disk;
}

/** A directory whose one group is damaged where it was synced. */
async function buildDamaged(dir: string): Promise<void> {
  const opened = await Opened.open(dir);
  opened.storage.createGroup(identityOf("queue"));
  await opened.stored("queue", opened.store("queue", entriesOf(1, 3)));
  await opened.stored("queue", opened.store("queue", entriesOf(4, 3)));
  await opened.close();
  const path = join(dir, "wal-00000001.log");
  const bytes = readFileSync(path);
  bytes[bytes.indexOf("entry 2")]! ^= 1;
  writeFileSync(path, bytes);
}

/** The last block loses its tail, and the mark does not know of it: as after a loss of power. */
function tear(disk: FakeDisk): void {
  const path = "/data/wal-00000001.log";
  const bytes = disk.file(path);
  const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
  bytes.fill(0, used - 3, used);
  disk.setFile(path, bytes);
  disk.setFile("/data/mark", new Uint8Array(1024));
}

function contents(disk: FakeDisk, dir: string): [string, string][] {
  return disk
    .names()
    .filter((name) => dirname(name) === dir)
    .map((name) => [name.slice(dir.length), Buffer.from(disk.file(name)).toString("hex")]);
}

test("inspect tells groups, terms, indices, snapshot, membership and segments, and writes nothing", async () => {
  const disk = await built();
  disk.before = ({ type, path }) => assert.fail(`${type} of ${path}`);
  const inspection = await inspectDirectory("/data", { fs: disk });
  assert.equal(inspection.health, "good");
  assert.equal(inspection.hostId, "foo");
  assert.equal(inspection.format, 1);
  assert.equal(inspection.heldBy, null);
  assert.equal(inspection.closedInOrder, true);
  assert.deepEqual(inspection.findings, []);
  assert.deepEqual(inspection.leftovers, []);
  assert.deepEqual(
    inspection.segments.map(({ file, used }) => [file, used]),
    [["wal-00000001.log", true]],
  );
  assert.equal(inspection.groups.length, 1);
  const { snapshot, membership, ...rest } = inspection.groups[0]!;
  assert.deepEqual(rest, {
    ...identityOf("queue"),
    ...hardStateOf(4, "foo#1"),
    firstIndex: 4,
    lastIndex: 13,
    lastTerm: 4,
    damage: null,
  });
  assert.deepEqual(membership?.voters, ["foo#1"]);
  assert.equal(snapshot?.index, 5);
  assert.equal(snapshot?.sizeBytes, 300);
  assert.ok(disk.names().includes(`/data/${snapshot!.file}`));
});

test("inspect works on a directory that is in use, and says by whom", async () => {
  const dir = temporaryDirectory();
  try {
    const opened = await Opened.open(dir);
    opened.storage.createGroup(identityOf("queue"));
    await opened.stored("queue", opened.store("queue", entriesOf(1, 3)));
    const image = (): Map<string, Buffer> => {
      const files = imageOf(dir);
      // The host itself writes it, some time after its acknowledgement.
      files.delete("mark");
      return files;
    };
    const before = image();
    const inspection = await inspectDirectory(dir);
    assert.match(inspection.heldBy!, /^host "foo" \(process \d+\)$/);
    assert.equal(inspection.groups[0]!.lastIndex, 3);
    assert.deepEqual(image(), before);
    await assert.rejects(
      doctorDirectory(dir),
      (error) => error instanceof RaftError && error.code === "storageLocked",
    );
    await opened.close();
    assert.equal((await inspectDirectory(dir)).heldBy, null);
  } finally {
    removeDirectory(dir);
  }
});

test("what is no data directory is refused by inspect and doctor, and not touched", async () => {
  const dir = temporaryDirectory();
  try {
    writeFileSync(join(dir, "file"), "text");
    mkdirSync(join(dir, "empty"));
    mkdirSync(join(dir, "foreign"));
    writeFileSync(join(dir, "foreign", "package.json"), "{}");
    for (const name of ["file", "empty", "foreign", "missing"]) {
      for (const tool of [inspectDirectory, doctorDirectory]) {
        await assert.rejects(tool(join(dir, name)), (error) => {
          assert.ok(error instanceof RaftError);
          assert.equal(error.code, "storageMismatch");
          assert.match(error.message, /name a data directory/);
          return true;
        });
      }
    }
    for (const tool of [inspectDirectory, doctorDirectory]) {
      await assert.rejects(tool(join(dir, "x".repeat(300))), (error) => {
        return error instanceof RaftError && error.code === "storageFailed";
      });
    }
    assert.deepEqual(readdirSync(dir).sort(), ["empty", "file", "foreign"]);
    assert.deepEqual(readdirSync(join(dir, "empty")), []);
  } finally {
    removeDirectory(dir);
  }
});

test("a directory of a newer format is refused by inspect and doctor, and not touched", async () => {
  const disk = await built();
  const [json] = Buffer.from(disk.file("/data/identity")).toString().split("\n");
  const newer = json!.replace('"format":1', '"format":2');
  const check = crc32(Buffer.from(newer)).toString(16).padStart(8, "0");
  disk.setFile("/data/identity", Buffer.from(`${newer}\n${check}\n`));
  disk.setFile("/data/snapshot-1-9.tmp", new Uint8Array(10));
  const before = contents(disk, "/data");
  const isRefusal = (error: unknown): boolean =>
    error instanceof RaftError &&
    error.code === "storageMismatch" &&
    /format 2, this version reads 1: upgrade/.test(error.message);
  await assert.rejects(inspectDirectory("/data", { fs: disk }), isRefusal);
  await assert.rejects(doctorDirectory("/data", { fs: disk, repair: true }), isRefusal);
  assert.deepEqual(contents(disk, "/data"), before);
});

test("doctor finds nothing wrong with a good directory and changes nothing, asked to repair or not", async () => {
  const disk = await built();
  const before = contents(disk, "/data");
  for (const repair of [false, true]) {
    const diagnosis = await doctorDirectory("/data", { fs: disk, repair });
    assert.deepEqual(diagnosis.problems, []);
    assert.equal(diagnosis.repaired, false);
    assert.equal(diagnosis.copy, null);
  }
  assert.deepEqual(contents(disk, "/data"), before);
});

test("doctor looks behind where a log was closed in order as well: that mark may be an old one", async () => {
  const disk = await built();
  const mark = disk.file("/data/mark");
  const opened = await Opened.open("/data", { ...options, fs: disk });
  await opened.stored("queue", opened.store("queue", entriesOf(14, 1, 4)));
  await opened.close();
  disk.setFile("/data/mark", mark);
  // The header of its block: of an intact one every reader sees that the log goes on.
  const bytes = disk.file("/data/wal-00000001.log");
  bytes[Buffer.from(bytes).lastIndexOf("RVB1")]! ^= 1;
  disk.setFile("/data/wal-00000001.log", bytes);
  const { inspection, problems } = await doctorDirectory("/data", { fs: disk });
  assert.deepEqual([inspection.health, problems.length], ["torn", 1]);
});

test("a torn tail and leftovers are explained, and mended only when asked, after a copy", async () => {
  const disk = await built();
  tear(disk);
  disk.setFile("/data/snapshot-1-7.tmp", noise(10));
  const before = contents(disk, "/data");
  assert.equal((await inspectDirectory("/data", { fs: disk })).health, "torn");
  const first = await doctorDirectory("/data", { fs: disk });
  assert.deepEqual(
    first.problems.map(({ file, repairable }) => [file, repairable]),
    [
      ["wal-00000001.log", true],
      ["snapshot-1-7.tmp", true],
    ],
  );
  assert.deepEqual(contents(disk, "/data"), before);
  const second = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.ok(second.repaired);
  assert.equal(second.copy, "/data.before-repair-1");
  assert.deepEqual(contents(disk, second.copy), before);
  assert.equal(second.inspection.health, "good");
  assert.equal(second.inspection.closedInOrder, true);
  assert.deepEqual((await doctorDirectory("/data", { fs: disk, repair: true })).problems, []);
  const opened = await Opened.open("/data", { ...options, fs: disk });
  assert.equal(opened.group("queue")!.entries.at(-1)!.index, 13);
  await opened.close();
  assert.equal(disk.openFiles, 0);
});

test("an identity that is gone is written again when segments and members agree on it", async () => {
  const disk = await built();
  const identity = disk.file("/data/identity");
  disk.deleteFile("/data/identity");
  const [problem] = (await doctorDirectory("/data", { fs: disk })).problems;
  assert.equal(problem!.file, "identity");
  assert.match(problem!.advice, /"foo"/);
  const diagnosis = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.equal(diagnosis.inspection.health, "good");
  assert.deepEqual(disk.file("/data/identity"), identity);
  await (await Opened.open("/data", { ...options, fs: disk })).close();
});

test("damage is named with file, offset and group, and never repaired away", async () => {
  const disk = await built();
  flipBitAt(disk, "/data/wal-00000001.log", "entry 7");
  const before = contents(disk, "/data");
  const diagnosis = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.equal(diagnosis.repaired, false);
  assert.equal(diagnosis.inspection.health, "damaged");
  assert.deepEqual(contents(disk, "/data"), before);
  const lines = diagnosis.problems.map(({ message }) => message);
  assert.ok(lines.some((line) => /group "queue": wal-00000001\.log at offset \d+/.test(line)));
  assert.ok(diagnosis.problems.every(({ repairable }) => !repairable));
  assert.ok(diagnosis.problems.some(({ advice }) => advice.includes("rejoin")));
});

test("an identity that is gone is written again beside a damaged log, of which nothing is touched", async () => {
  const disk = await built();
  flipBitAt(disk, "/data/wal-00000001.log", "entry 7");
  disk.setFile("/data/snapshot-1-9.tmp", new Uint8Array(10));
  const before = contents(disk, "/data");
  disk.deleteFile("/data/identity");
  const diagnosis = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.equal(diagnosis.repaired, true);
  assert.equal(diagnosis.inspection.health, "damaged");
  assert.deepEqual(contents(disk, "/data"), before);
});

test("a bad slot of the mark is written again", async () => {
  const disk = await built();
  const bytes = disk.file("/data/mark");
  bytes[20]! ^= 1;
  disk.setFile("/data/mark", bytes);
  const diagnosis = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.ok(diagnosis.problems.some(({ file }) => file === "mark"));
  assert.deepEqual((await doctorDirectory("/data", { fs: disk })).problems, []);
  assert.equal((await inspectDirectory("/data", { fs: disk })).closedInOrder, true);
  await (await Opened.open("/data", { ...options, fs: disk.crashImage(kept, true) })).close();
});

test("where both slots of the mark are bad, both are written again", async () => {
  const disk = await built();
  disk.setFile("/data/mark", disk.file("/data/mark").fill(7));
  const [problem] = (await doctorDirectory("/data", { fs: disk })).problems;
  assert.equal(problem!.file, "mark");
  const repaired = await doctorDirectory("/data", { fs: disk, repair: true });
  assert.equal(repaired.inspection.closedInOrder, true);
  assert.deepEqual((await doctorDirectory("/data", { fs: disk })).problems, []);
});

test("a copy of the directory that one stands in is made beside it, not within", async () => {
  const root = temporaryDirectory();
  const dir = join(root, "foo");
  try {
    await buildDamaged(dir);
    const { kept } = await setGroupAside(`${dir}/.`, "queue");
    assert.equal(kept, `${dir}.set-aside-1`);
    assert.deepEqual(readdirSync(dir), []);
    assert.deepEqual(readdirSync(kept).sort(), ["identity", "mark", "wal-00000001.log"]);
  } finally {
    removeDirectory(root);
  }
});

test("a directory behind a symbolic link is set aside where it lies, and the link stays", async () => {
  const root = temporaryDirectory();
  try {
    const [dir, link] = [join(root, "disk", "foo"), join(root, "foo")];
    mkdirSync(dir, { recursive: true });
    symlinkSync(dir, link);
    await buildDamaged(link);
    const { kept } = await setGroupAside(link, "queue");
    assert.equal(kept, `${dir}.set-aside-1`);
    assert.equal(readlinkSync(link), dir);
    assert.deepEqual(readdirSync(dir), []);
  } finally {
    removeDirectory(root);
  }
});
