import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "../../src/codec/crc32.js";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { createBackup, openBackup } from "../../src/storage/file/backup-file.js";
import { encodeSnapshotEnd } from "../../src/storage/file/snapshot-file.js";
import { FakeDisk, lost, systemError } from "./fake-disk.js";
import { metaOf, noise, removeDirectory, temporaryDirectory } from "./support.js";

const path = "/data/queue.backup";
const description = {
  group: "queue",
  groupId: "id-of-queue",
  memberId: "foo#1",
  valueName: "queue",
  takenAtMs: 1234,
};

async function diskWith(data: Uint8Array): Promise<FakeDisk> {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  const writer = await createBackup(path, description, disk);
  for (let at = 0; at < data.length; at += 50_000) {
    await writer.append(data.subarray(at, at + 50_000));
  }
  await writer.finish(metaOf(7, 3, data));
  return disk;
}

async function readAll(disk: FakeDisk): Promise<Uint8Array> {
  const reader = await openBackup(path, disk);
  try {
    const pieces: Uint8Array[] = [];
    for await (const piece of reader.pieces()) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  } finally {
    await reader.close();
  }
}

function isRefusal(...codes: readonly RaftErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RaftError, String(error));
    assert.ok(codes.includes(error.code), error.message);
    assert.match(error.message, /queue\.backup/);
    return true;
  };
}

test("a backup gives back its description, its meta and every byte", async () => {
  for (const sizeBytes of [1, 65_536, 200_000, 1_500_000]) {
    const data = noise(sizeBytes);
    const disk = await diskWith(data);
    assert.deepEqual(disk.names(), [path], "no temporary file stays");
    const reader = await openBackup(path, disk);
    assert.deepEqual(reader.description, description);
    assert.deepEqual(reader.meta, metaOf(7, 3, data));
    await reader.close();
    assert.deepEqual(Buffer.compare(await readAll(disk), data), 0);
    assert.equal(disk.openFiles, 0);
  }
});

test("a backup that is cut anywhere is refused", async () => {
  const disk = await diskWith(noise(300));
  const whole = disk.file(path);
  for (let length = 0; length < whole.length; length++) {
    disk.setFile(path, whole.slice(0, length));
    await assert.rejects(readAll(disk), isRefusal("storageCorrupt", "storageMismatch"));
  }
  assert.equal(disk.openFiles, 0);
});

test("a backup in which any one byte is another is refused", async () => {
  const disk = await diskWith(noise(300));
  const whole = disk.file(path);
  for (let at = 0; at < whole.length; at++) {
    const bytes = whole.slice();
    bytes[at]! ^= 1;
    disk.setFile(path, bytes);
    await assert.rejects(readAll(disk), isRefusal("storageCorrupt", "storageMismatch"));
  }
  assert.equal(disk.openFiles, 0);
});

test("a backup whose bytes are another snapshot's than its meta says is refused", async () => {
  const data = noise(100_000);
  const disk = await diskWith(data);
  const bytes = disk.file(path);
  const meta = metaOf(7, 3, data);
  const end = encodeSnapshotEnd(meta);
  const frames = bytes.subarray(0, bytes.length - end.length);
  // The second one is what its first frame holds, so that nothing of what would be read is wrong.
  for (const other of [
    { ...meta, checksum: meta.checksum ^ 1 },
    metaOf(7, 3, data.subarray(0, 65_536)),
  ]) {
    disk.setFile(path, new Uint8Array(Buffer.concat([frames, encodeSnapshotEnd(other)])));
    await assert.rejects(readAll(disk), isRefusal("storageCorrupt"));
  }
  disk.setFile(path, new Uint8Array(Buffer.concat([frames, end])));
  assert.deepEqual(Buffer.compare(await readAll(disk), data), 0);
});

test("what is no backup, or one of a newer format, is refused as such", async () => {
  const disk = await diskWith(noise(10));
  disk.setFile(path, Buffer.from("a text of somebody else, which is long enough"));
  await assert.rejects(readAll(disk), isRefusal("storageMismatch"));
  const head = new Uint8Array(await diskWith(noise(10)).then((other) => other.file(path)));
  const view = new DataView(head.buffer);
  view.setUint32(8, 2, true);
  view.setUint32(20, crc32(head.subarray(0, 20)), true);
  disk.setFile(path, head);
  await assert.rejects(readAll(disk), (error) => {
    assert.ok(isRefusal("storageMismatch")(error));
    assert.match(String(error), /format 2.*upgrade/);
    return true;
  });
  await assert.rejects(openBackup("/data/queue.backup.missing", disk), isRefusal("storageFailed"));
});

test("a file that exists is never overwritten, and one that was begun and given up leaves nothing", async () => {
  const disk = await diskWith(noise(10));
  const before = disk.file(path);
  await assert.rejects(createBackup(path, description, disk), isRefusal("invalidArgument"));
  assert.deepEqual(disk.file(path), before);
  const meta = metaOf(7, 3, noise(10));
  for (const another of [
    metaOf(7, 3, noise(11)),
    { ...meta, sizeBytes: 11 },
    { ...meta, checksum: meta.checksum ^ 1 },
  ]) {
    const other = await createBackup("/data/other-queue.backup", description, disk);
    await other.append(noise(10));
    await assert.rejects(
      other.finish(another),
      (error) => error instanceof RaftError && error.code === "storageCorrupt",
    );
    await other.abort();
    assert.deepEqual(disk.names(), [path]);
    assert.equal(disk.openFiles, 0);
  }
});

test("a backup that cannot even be begun leaves nothing", async () => {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  disk.before = ({ type }) => {
    if (type === "write") throw systemError("ENOSPC");
  };
  await assert.rejects(createBackup(path, description, disk), isRefusal("diskFull"));
  assert.deepEqual(disk.names(), []);
  assert.equal(disk.openFiles, 0);
});

test("a backup that has its name, and fails after all, stays, and the error says that it is there and whole", async () => {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  const writer = await createBackup(path, description, disk);
  await writer.append(noise(10));
  disk.before = ({ type }) => {
    if (type === "syncDirectory") throw systemError("EIO");
  };
  await assert.rejects(writer.finish(metaOf(7, 3, noise(10))), (error) => {
    assert.ok(isRefusal("storageFailed")(error));
    assert.match(String(error), /queue\.backup is there and whole, but .* loss of power: EIO/);
    return true;
  });
  disk.before = null;
  await writer.abort();
  assert.equal(Buffer.compare(await readAll(disk), noise(10)), 0, "what bears the name is whole");
  assert.equal(disk.openFiles, 0);
});

for (const links of ["with", "without"] as const) {
  test(`one that was finished meanwhile is not overwritten, on a file system ${links} links`, async () => {
    const disk = new FakeDisk();
    await disk.makeDirectory("/data");
    disk.before = ({ type }) => {
      if (type === "link" && links === "without") throw systemError("EPERM");
    };
    const data = noise(100_000);
    const first = await createBackup(path, description, disk);
    const second = await createBackup(path, { ...description, takenAtMs: 5678 }, disk);
    await second.append(data);
    await second.finish(metaOf(9, 3, data));
    const before = disk.file(path);
    await first.append(data);
    await assert.rejects(first.finish(metaOf(7, 3, data)), isRefusal("invalidArgument"));
    await first.abort();
    assert.deepEqual(disk.file(path), before);
    assert.deepEqual(disk.names(), [path]);
    assert.ok(disk.crashImage(lost, false).names().includes(path), "its name is durable");
  });
}

test("what a killed backup has left is in nobody's way, whatever its process id", async () => {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  await (await createBackup(path, description, disk)).append(noise(10));
  const left = disk.killImage();
  const next = await createBackup(path, description, left);
  await next.append(noise(10));
  await next.finish(metaOf(7, 3, noise(10)));
  assert.equal((await readAll(left)).length, 10);
});

test("on a real disk a backup has one name, and is not overwritten", async () => {
  const dir = temporaryDirectory();
  try {
    const file = join(dir, "queue.backup");
    const [first, second] = [
      await createBackup(file, description),
      await createBackup(file, description),
    ];
    for (const writer of [first, second]) await writer.append(noise(10));
    await first.finish(metaOf(7, 3, noise(10)));
    await assert.rejects(second.finish(metaOf(7, 3, noise(10))), isRefusal("invalidArgument"));
    await second.abort();
    assert.deepEqual(readdirSync(dir), ["queue.backup"]);
    assert.equal(statSync(file).nlink, 1);
  } finally {
    removeDirectory(dir);
  }
});

test("a full disk ends a backup with diskFull, and its name is not taken", async () => {
  const disk = new FakeDisk();
  await disk.makeDirectory("/data");
  const writer = await createBackup(path, description, disk);
  disk.before = ({ type }) => {
    if (type === "write") throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  };
  const data = noise(2_000_000);
  await assert.rejects(
    (async () => {
      await writer.append(data);
      await writer.finish(metaOf(7, 3, data));
    })(),
    isRefusal("diskFull"),
  );
  disk.before = null;
  await writer.abort();
  assert.deepEqual(disk.names(), []);
});
