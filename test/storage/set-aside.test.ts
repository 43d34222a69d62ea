/** A damaged group is set aside while its host runs: what is kept, what goes on, and what a crash leaves. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Entry } from "../../src/core/types.js";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { inspectDirectory } from "../../src/storage/file/index.js";
import { FakeDisk, flipBitAt, kept, lost, systemError } from "./fake-disk.js";
import { Opened, entriesOf, hardStateOf, identityOf, noise, textsOf } from "./support.js";

const options = { segmentBytes: 8192, firstSegmentBytes: 4096 };
const copyDir = "/data.set-aside-1";

const open = (disk: FakeDisk, sizes = options): Promise<Opened> =>
  Opened.open("/data", { ...sizes, fs: disk });

/** Lets something happen between two reads of the second segment. */
function betweenReads(disk: FakeDisk, meanwhile: () => Promise<void>): void {
  const openFile = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await openFile(path, mode);
    if (mode !== "read" || path !== "/data/wal-00000002.log") return file;
    return {
      ...file,
      read: async (position, sizeBytes) => {
        if (position > 0) await meanwhile();
        return file.read(position, sizeBytes);
      },
    };
  };
}

async function store(opened: Opened, group: string, first: number, count: number): Promise<void> {
  await opened.stored(group, opened.store(group, entriesOf(first, count, 1, `entry of ${group}`)));
}

/** Groups `good` and `bad`; of the second one entry does not read back. */
async function damagedDisk(sizes = options): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const opened = await open(disk, sizes);
  for (const name of ["good", "bad"]) {
    opened.storage.createGroup(identityOf(name));
    opened.store(name, [], { hardState: hardStateOf(1) });
    await store(opened, name, 1, 20);
  }
  await opened.snapshot("bad", 5, 1, noise(3000));
  await opened.close();
  flipBitAt(disk, "/data/wal-00000001.log", "entry of bad 12");
  return disk;
}

function filesOf(disk: FakeDisk, dir: string): Map<string, Buffer> {
  const files = disk.names().filter((name) => name.startsWith(`${dir}/`));
  return new Map(files.map((name) => [name.slice(dir.length + 1), Buffer.from(disk.file(name))]));
}

function refusal(code: RaftErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RaftError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** Why the group is damaged in `dir`; fails unless `good` is whole there, with so many entries. */
async function damageIn(disk: FakeDisk, dir: string, goodEntries: number): Promise<string | null> {
  const { groups, hostId } = await inspectDirectory(dir, { fs: disk });
  assert.equal(hostId, "foo");
  const [good, bad] = ["good", "bad"].map((name) => groups.find(({ group }) => group === name));
  assert.equal(good!.damage, null, dir);
  assert.ok(good!.lastIndex >= goodEntries, `${dir}: ${good!.lastIndex} of ${goodEntries}`);
  return bad === undefined ? null : bad.damage;
}

describe("a damaged group", () => {
  test("is kept beside the directory, byte for byte, and forgotten in it", async () => {
    const disk = await damagedDisk();
    const before = filesOf(disk, "/data");
    const opened = await open(disk);
    const damage = opened.group("bad")!.damage!;
    assert.equal(await opened.storage.setAside!("bad"), copyDir);
    const copy = filesOf(disk, copyDir);
    for (const name of ["identity", "wal-00000001.log"]) {
      assert.deepEqual(copy.get(name), before.get(name), name);
    }
    const snapshot = [...before.keys()].find((name) => name.endsWith(".snap"))!;
    assert.deepEqual(copy.get(snapshot), before.get(snapshot));
    assert.equal(await damageIn(disk, copyDir, 20), damage);
    // Its name is free at once, and what was its own is gone from the directory.
    opened.storage.createGroup({ ...identityOf("bad"), memberId: "foo#2" });
    await store(opened, "bad", 1, 3);
    await opened.close();
    assert.ok(!disk.names().includes(`/data/${snapshot}`));
    const again = await open(disk);
    assert.equal(again.group("bad")!.identity.memberId, "foo#2");
    assert.deepEqual(
      again.recovered.map((group) => [group.identity.group, group.damage, group.entries.length]),
      [
        ["good", null, 20],
        ["bad", null, 3],
      ],
    );
    await again.close();
  });

  test("is set aside while another one goes on: the copy is whole wherever that one stands", async () => {
    for (const storesBefore of [0, 1, 7]) {
      const disk = await damagedDisk();
      const opened = await open(disk);
      let next = 21;
      for (let at = 0; at < storesBefore; at++, next += 20) await store(opened, "good", next, 20);
      let over = false;
      const aside = opened.storage.setAside!("bad").finally(() => (over = true));
      while (!over) {
        await store(opened, "good", next, 20);
        next += 20;
      }
      const copy = await aside;
      assert.notEqual(await damageIn(disk, copy, 20 + 20 * storesBefore), null);
      const findings = (await inspectDirectory(copy, { fs: disk })).findings;
      assert.ok(findings.every(({ file }) => file === "wal-00000001.log"));
      await opened.close();
      const again = await open(disk);
      assert.equal(again.group("bad"), undefined);
      assert.deepEqual(
        textsOf(again.group("good")!.entries),
        textsOf(entriesOf(1, next - 1, 1, "entry of good")),
      );
      await again.close();
    }
  });

  test("is set aside while the log is written behind what was copied of it", async () => {
    const large = { segmentBytes: 8 << 20, firstSegmentBytes: 4 << 20 };
    const disk = await damagedDisk(large);
    const opened = await open(disk, large);
    const big = (index: number): readonly Entry[] => [
      { ...entriesOf(index, 1)[0]!, body: noise(900_000) },
    ];
    await opened.stored("good", opened.store("good", big(21)));
    let times = 0;
    betweenReads(disk, async () => {
      if (times++ > 0) return;
      // One block begins in what was read, and is not there; the next one is read whole.
      for (const index of [22, 23]) await opened.stored("good", opened.store("good", big(index)));
    });
    const copy = await opened.storage.setAside!("bad");
    assert.ok(times > 1);
    assert.notEqual(await damageIn(disk, copy, 21), null);
    await opened.close();
  });

  test("is set aside while segments are begun: the copy has what its mark vouches for", async () => {
    const disk = await damagedDisk();
    const opened = await open(disk);
    disk.onOpen = async (path, mode) => {
      if (mode !== "read" || !path.endsWith("/mark")) return;
      disk.onOpen = null;
      for (let first = 21; first < 400; first += 20) await store(opened, "good", first, 20);
    };
    const copy = await opened.storage.setAside!("bad");
    assert.notEqual(await damageIn(disk, copy, 400), null);
    await opened.close();
  });

  test("does not stop being refused when the copy finds no room, and takes none then", async () => {
    const disk = await damagedDisk();
    const opened = await open(disk);
    disk.before = ({ type, path }) => {
      if (type === "write" && path.includes("set-aside") && path.endsWith(".snap")) {
        throw systemError("ENOSPC");
      }
    };
    await assert.rejects(
      opened.storage.setAside!("bad"),
      refusal("diskFull", /^setting \/data aside: ENOSPC.*free some space/),
    );
    assert.deepEqual(
      disk.names().filter((name) => !name.startsWith("/data/")),
      [],
    );
    await store(opened, "good", 21, 5);
    disk.before = null;
    assert.equal(await opened.storage.setAside!("bad"), copyDir);
    await opened.close();
    const again = await open(disk);
    assert.deepEqual(
      again.recovered.map(({ identity }) => identity.group),
      ["good"],
    );
    await again.close();
  });

  test("is the only kind that is set aside", async () => {
    const disk = await damagedDisk();
    const opened = await open(disk);
    const { storage } = opened;
    const before = disk.names();
    await assert.rejects(
      storage.setAside!("good"),
      refusal("invalidArgument", /^group "good" is not damaged in \/data$/),
    );
    await assert.rejects(storage.setAside!("other"), refusal("invalidArgument", /is not there/));
    assert.deepEqual(disk.names(), before);
    await opened.close();
    await assert.rejects(storage.setAside!("bad"), refusal("closed", /\/data is not open/));
    const again = await open(disk);
    assert.notEqual(again.group("bad")!.damage, null);
    assert.equal(again.group("good")!.entries.length, 20);
    await again.close();
  });

  test("stays as it is when the storage is closed meanwhile", async () => {
    const disk = await damagedDisk();
    const opened = await open(disk);
    const aside = opened.storage.setAside!("bad");
    const closed = opened.close();
    await assert.rejects(aside, refusal("closed", /not open/));
    await closed;
    assert.equal(disk.openFiles, 0);
    const again = await open(disk);
    assert.notEqual(again.group("bad")!.damage, null);
    await again.close();
  });
});

test("the names of a copy's files are on the disk before it gets its own", async () => {
  const disk = await damagedDisk();
  const opened = await open(disk);
  const before = disk.operations.length;
  await opened.storage.setAside!("bad");
  const steps = disk.operations.slice(before).filter(({ path }) => path.startsWith("/data.set"));
  const { type, path } = steps.at(steps.findIndex((step) => step.type === "rename") - 1)!;
  assert.deepEqual([type, path], ["syncDirectory", "/data.set-aside-unfinished"]);
  await opened.close();
});

test("a crash at any operation leaves the group as damaged as it was, or set aside with a whole copy", async () => {
  const original = await damagedDisk();
  const log = original.file("/data/wal-00000001.log");
  const damage = await damageIn(original, "/data", 20);
  const outcomes = new Set<string>();
  let operations = Infinity;
  for (let stopAt = 0; stopAt <= operations; stopAt++) {
    const disk = original.killImage();
    const opened = await open(disk);
    disk.stopAt = disk.operations.length + stopAt;
    const done = opened.storage.setAside!("bad").then(() => {
      operations = stopAt;
    });
    await Promise.race([done, stopped(disk)]);
    for (const [fate, namesKept] of [
      [kept, true],
      [lost, true],
      [lost, false],
    ] as const) {
      outcomes.add(await judge(disk.crashImage(fate, namesKept), log, damage, stopAt));
    }
  }
  assert.deepEqual([...outcomes].sort(), ["damaged", "damaged, with a copy", "set aside"]);
});

/** Resolves once the power is gone. */
async function stopped(disk: FakeDisk): Promise<void> {
  while (!disk.stopped) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** As the next process finds it, and after that one has set it aside where it still has to. */
async function judge(
  image: FakeDisk,
  log: Uint8Array,
  damage: string | null,
  stopAt: number,
): Promise<string> {
  const where = `stopped at ${stopAt}`;
  const hasCopy = image.names().some((name) => name.startsWith(`${copyDir}/`));
  if (hasCopy) {
    assert.deepEqual(image.file(`${copyDir}/wal-00000001.log`), log, where);
    assert.equal(await damageIn(image, copyDir, 20), damage, where);
  }
  const opened = await open(image);
  assert.equal(opened.group("good")!.damage, null, where);
  assert.equal(opened.group("good")!.entries.length, 20, where);
  const found = opened.group("bad");
  if (found === undefined) assert.ok(hasCopy, `${where}: gone without a copy`);
  else {
    assert.equal(found.damage, damage, where);
    assert.equal(await opened.storage.setAside!("bad"), hasCopy ? "/data.set-aside-2" : copyDir);
    assert.deepEqual(
      image.names().filter((name) => name.includes("unfinished")),
      [],
    );
  }
  await opened.close();
  const again = await open(image);
  assert.equal(again.group("bad"), undefined, where);
  await again.close();
  if (found === undefined) return "set aside";
  return hasCopy ? "damaged, with a copy" : "damaged";
}
