/** What passes by itself is not taken for damage: what a host changes meanwhile, and what the system refuses for now. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { doctorDirectory, inspectDirectory } from "../../src/storage/file/index.js";
import { FakeDisk, flipBitAt, systemError } from "./fake-disk.js";
import { Opened, entriesOf, errorsOf, noise, withQueue } from "./support.js";

const options = { segmentBytes: 16_384, firstSegmentBytes: 8192 };

/** A disk with a snapshot, and a log behind it. */
async function closedWithSnapshot(): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const before = await withQueue(disk);
  await before.snapshot("queue", 2, 1, noise(300));
  await before.close();
  return disk;
}

/** Has `meanwhile` happen before a file that `is` meant is opened for reading for the first time. */
function beforeOpening(disk: FakeDisk, is: RegExp, meanwhile: () => Promise<unknown>): void {
  disk.onOpen = (path, mode) => {
    if (mode !== "read" || !is.test(path)) return;
    disk.onOpen = null;
    return meanwhile();
  };
}

describe("inspect of a directory that is in use", () => {
  test("does not take a snapshot that was replaced meanwhile for a lost one", async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    await opened.snapshot("queue", 2, 1, noise(300));
    beforeOpening(disk, /\.snap$/, () => opened.snapshot("queue", 3, 1, noise(300)));
    const inspection = await inspectDirectory("/data", { fs: disk });
    assert.equal(inspection.health, "good");
    assert.equal(inspection.groups[0]!.snapshot!.index, 3);
    await opened.close();
  });

  test("does not take a segment that was begun meanwhile for a lost one", async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    beforeOpening(disk, /\/mark$/, async () => {
      for (let first = 4; first < 400; first += 20) {
        await opened.stored("queue", opened.store("queue", entriesOf(first, 20)));
      }
    });
    const inspection = await inspectDirectory("/data", { fs: disk });
    assert.equal(inspection.health, "good");
    assert.ok(inspection.segments.length > 2);
    await opened.close();
  });

  test("says damaged when it is", async () => {
    const disk = new FakeDisk();
    const opened = await withQueue(disk);
    flipBitAt(disk, "/data/wal-00000001.log", "entry 2");
    await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
    assert.equal((await inspectDirectory("/data", { fs: disk })).health, "damaged");
    await opened.close();
  });
});

for (const code of ["EMFILE", "EACCES"]) {
  test(`a snapshot that cannot be opened for now (${code}) is no damage, then or later`, async () => {
    const disk = await closedWithSnapshot();
    beforeOpening(disk, /\.snap$/, () => Promise.reject(systemError(code)));
    const again = (): Promise<Opened> => Opened.open("/data", { ...options, fs: disk });
    await assert.rejects(again(), { code: "storageFailed" });
    assert.equal(disk.openFiles, 0);
    const opened = await again();
    assert.equal(opened.group("queue")!.damage, null);
    await opened.close();
  });
}

for (const code of ["EMFILE", "ENFILE", "EACCES"]) {
  test(`a snapshot that cannot be opened to be sent (${code}) is read later, and the storage lives on`, async () => {
    const disk = await closedWithSnapshot();
    const opened = await Opened.open("/data", { ...options, fs: disk });
    const { openFiles } = disk;
    const read = async (index = 2): Promise<unknown> => {
      const from = opened.answers.length;
      opened.storage.readSnapshotChunk("queue", "bar", index, 0, 100);
      const answer = await opened.until(
        (one) =>
          opened.answers.indexOf(one) >= from && (one.type === "read" || one.type === "failed"),
      );
      return answer.type === "read" && answer.data instanceof Uint8Array
        ? answer.data.length
        : answer;
    };
    const later = { type: "read", to: "bar", data: "later", offset: 0 };
    disk.onOpen = (_path, mode) => {
      if (mode === "read") throw systemError(code);
    };
    assert.deepEqual(await read(), later);
    assert.deepEqual(await read(), later);
    const [warning, ...more] = opened.warnings();
    assert.match(warning!, new RegExp(`group "queue": .*snapshot at 2.*${code}`));
    assert.deepEqual(more, [], "said once, and not with each try");
    disk.onOpen = null;
    assert.equal(await read(), 100);
    assert.equal(disk.openFiles, openFiles + 1);
    // Another one, and trouble again.
    await opened.snapshot("queue", 3, 1, noise(200));
    disk.onOpen = () => Promise.reject(systemError(code));
    assert.deepEqual(await read(3), later);
    assert.equal(opened.warnings().length, 2);
    disk.onOpen = null;
    await opened.stored("queue", opened.store("queue", entriesOf(4, 1)));
    assert.deepEqual(errorsOf(opened), []);
    await opened.close();
  });
}

for (const [what, file] of [
  ["a snapshot", /^\/data\/snapshot-1-.*\.snap$/],
  ["a segment", /^\/data\/wal-00000001\.log$/],
] as const) {
  test(`${what} that the disk does not read (EIO) is no damage: nobody can say what its bytes are`, async () => {
    const disk = await closedWithSnapshot();
    disk.onRead = (path) => {
      if (file.test(path)) throw systemError("EIO");
    };
    const isFailure = (error: unknown): boolean =>
      error instanceof RaftError &&
      error.code === "storageFailed" &&
      /reading \/data\/\S+(snap|log): EIO.*check it/.test(error.message);
    await assert.rejects(Opened.open("/data", { ...options, fs: disk }), isFailure);
    await assert.rejects(inspectDirectory("/data", { fs: disk }), isFailure);
    await assert.rejects(doctorDirectory("/data", { fs: disk, repair: true }), isFailure);
    assert.equal(disk.openFiles, 0);
    disk.onRead = null;
    const opened = await Opened.open("/data", { ...options, fs: disk });
    assert.equal(opened.group("queue")!.damage, null);
    assert.equal(opened.group("queue")!.entries.length, 3);
    await opened.close();
  });
}

test("a snapshot that the disk does not read (EIO) while it is sent ends the storage, and is no damage later", async () => {
  const disk = await closedWithSnapshot();
  const opened = await Opened.open("/data", { ...options, fs: disk });
  disk.onRead = () => {
    throw systemError("EIO");
  };
  opened.storage.readSnapshotChunk("queue", "bar", 2, 0, 100);
  await opened.until((answer) => answer.type === "failed");
  assert.equal(errorsOf(opened)[0]!.code, "storageFailed");
  await opened.close();
  disk.onRead = null;
  const again = await Opened.open("/data", { ...options, fs: disk });
  assert.equal(again.group("queue")!.damage, null);
  await again.close();
});
