/** What a snapshot's file is held to although each of its checksums is right. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { SnapshotMeta } from "../../src/core/types.js";
import { checksum } from "../../src/storage/file/checksum.js";
import { nodeFileSystem } from "../../src/storage/file/fs.js";
import {
  encodeSnapshotEnd,
  encodeSnapshotHeader,
  frameDataBytes,
  frameHeaderBytes,
  snapshotEndBytes,
  snapshotHeaderBytes,
} from "../../src/storage/file/snapshot-file.js";
import { openSnapshot, SnapshotReader } from "../../src/storage/file/snapshot-reader.js";
import { FakeDisk } from "./fake-disk.js";
import { inDirectory, metaOf, noise } from "./support.js";

const path = "/data/snapshot";
const corrupt = { code: "storageCorrupt" };
const header = encodeSnapshotHeader({ directoryId: new Uint8Array(16), group: 1 });

function framed(data: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let crc = 0;
  for (let at = 0; at < data.length; at += frameDataBytes) {
    const piece = data.subarray(at, at + frameDataBytes);
    const head = new DataView(new ArrayBuffer(frameHeaderBytes));
    head.setUint32(0, piece.length, true);
    head.setUint32(4, crc, true);
    crc = checksum(piece, crc);
    head.setUint32(8, crc, true);
    frames.push(Buffer.concat([new Uint8Array(head.buffer), piece]));
  }
  return frames;
}

/** Opens a file of these parts, in which nothing is bad by itself. */
function opened(parts: readonly Uint8Array[], meta: SnapshotMeta): Promise<SnapshotReader> {
  const disk = new FakeDisk();
  disk.setFile(path, Buffer.concat([header, ...parts, encodeSnapshotEnd(meta)]));
  return openSnapshot(disk, path, meta);
}

async function readAll(reader: SnapshotReader): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of reader.pieces()) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("data that is another snapshot's from its first byte to its last is refused, read whole or by its end", async () => {
  const [data, other] = [noise(100_000, 1), noise(100_000, 2)];
  assert.ok((await readAll(await opened(framed(data), metaOf(5, 1, data)))).equals(data));
  const reader = await opened(framed(other), metaOf(5, 1, data));
  await assert.rejects(readAll(reader), corrupt);
  await assert.rejects(reader.read(99_999, 1), corrupt);
});

test("data that begins as another snapshot's does is refused, however much is read at once", async () => {
  const [data, other] = [noise(20 * frameDataBytes, 1), noise(20 * frameDataBytes, 2)];
  for (const count of [1, 15, 16, 17]) {
    const frames = [...framed(other).slice(0, count), ...framed(data).slice(count)];
    await assert.rejects(readAll(await opened(frames, metaOf(5, 1, data))), corrupt, `${count}`);
  }
});

test("data that does not begin with its first byte is refused", async () => {
  const data = noise(2 * frameDataBytes);
  const later = framed(data)[1]!;
  const reader = await opened([later, later], metaOf(5, 1, data));
  await assert.rejects(reader.read(0, 10), corrupt);
});

test("an empty snapshot is refused if its checksum is that of some data", async () => {
  const meta = metaOf(5, 1, new Uint8Array(0));
  assert.equal((await readAll(await opened([], meta))).length, 0);
  await assert.rejects(readAll(await opened([], { ...meta, checksum: 1 })), corrupt);
});

test("a file that is longer or shorter than its meta says is refused when it is opened", async () => {
  const data = noise(100_000);
  const meta = metaOf(5, 1, data);
  const frames = framed(data);
  await assert.rejects(opened([...frames, new Uint8Array(1)], meta), corrupt);
  await assert.rejects(opened([...frames, ...frames], meta), corrupt);
  await assert.rejects(opened(frames.slice(0, 1), meta), corrupt);
});

test("a file that is cut while it is read is refused where it ends, between two frames as well", async () => {
  const data = noise(3 * frameDataBytes);
  const disk = new FakeDisk();
  for (const frames of [0, 1]) {
    const left = snapshotHeaderBytes + frames * (frameHeaderBytes + frameDataBytes);
    disk.setFile(path, Buffer.concat([header, ...framed(data)]).subarray(0, left));
    const reader = new SnapshotReader(path, await disk.open(path, "read"), metaOf(5, 1, data));
    await assert.rejects(reader.read(0, 2 * frameDataBytes), {
      ...corrupt,
      message: `${path} at offset ${left}: the file ends too early`,
    });
  }
});

test("an end that names a longer meta than there are bytes is damage, and nothing is read for it", () =>
  inDirectory(async (dir) => {
    const file = join(dir, "snapshot");
    const end = new DataView(new ArrayBuffer(snapshotEndBytes));
    end.setUint32(0, 0x444e5352, true);
    end.setUint32(4, 0xffff_ffff, true);
    end.setUint32(12, checksum(new Uint8Array(end.buffer, 0, 12)), true);
    writeFileSync(file, Buffer.concat([header, new Uint8Array(end.buffer)]));
    await assert.rejects(openSnapshot(nodeFileSystem, file, null), {
      ...corrupt,
      message: `${file} at offset 0: its meta is not intact`,
    });
  }));
