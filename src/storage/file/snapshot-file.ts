/**
 * The file of one snapshot.
 *
 *     0  8 bytes "RAFTSNAP"    8  u32 format version   12  u32 bytes of data per frame
 *    16  16 bytes directory id 32  u32 group number    36  zeros   60  u32 CRC-32 of [0, 60)
 *    64  frames: u32 length, u32 CRC-32 of all data before this frame, u32 CRC-32 with this frame, data
 *        every frame is full but the last; the last one's second CRC is the snapshot's checksum
 *   end  meta, u32 magic "RSND", u32 bytes of meta, u32 CRC-32 of meta, u32 CRC-32 of these 12 bytes
 *
 * Without its end a snapshot is not whole.
 */
import { crc32 } from "../../codec/crc32.js";
import { decodeSnapshotMeta, encodeSnapshotMeta } from "../../codec/payloads.js";
import type { SnapshotMeta } from "../../core/types.js";
import { checksum } from "./checksum.js";
import { formatVersion } from "./names.js";

export const snapshotHeaderBytes = 64;
export const frameDataBytes = 65_536;
export const frameHeaderBytes = 12;
export const snapshotEndBytes = 16;
const headerMagic = new Uint8Array([0x52, 0x41, 0x46, 0x54, 0x53, 0x4e, 0x41, 0x50]);
const endMagic = 0x444e5352;

export type SnapshotHeader = { readonly directoryId: Uint8Array; readonly group: number };

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function encodeSnapshotHeader({ directoryId, group }: SnapshotHeader): Uint8Array {
  const bytes = new Uint8Array(snapshotHeaderBytes);
  const view = viewOf(bytes);
  bytes.set(headerMagic);
  view.setUint32(8, formatVersion, true);
  view.setUint32(12, frameDataBytes, true);
  bytes.set(directoryId, 16);
  view.setUint32(32, group, true);
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

export function decodeSnapshotHeader(bytes: Uint8Array): SnapshotHeader | null {
  if (bytes.length < snapshotHeaderBytes) return null;
  if (headerMagic.some((byte, at) => bytes[at] !== byte)) return null;
  const view = viewOf(bytes);
  if (view.getUint32(60, true) !== crc32(bytes.subarray(0, 60))) return null;
  if (view.getUint32(8, true) !== formatVersion) return null;
  if (view.getUint32(12, true) !== frameDataBytes) return null;
  return { directoryId: bytes.slice(16, 32), group: view.getUint32(32, true) };
}

/** Null if the bytes are not those that `crc` was taken of. */
export function decodeMeta(bytes: Uint8Array, crc: number): SnapshotMeta | null {
  if (crc32(bytes) !== crc) return null;
  try {
    return decodeSnapshotMeta(bytes);
  } catch {
    return null;
  }
}

export function encodeSnapshotEnd(meta: SnapshotMeta): Uint8Array {
  const json = encodeSnapshotMeta(meta);
  const bytes = new Uint8Array(json.length + snapshotEndBytes);
  bytes.set(json);
  const view = viewOf(bytes.subarray(json.length));
  view.setUint32(0, endMagic, true);
  view.setUint32(4, json.length, true);
  view.setUint32(8, crc32(json), true);
  view.setUint32(12, crc32(bytes.subarray(json.length, json.length + 12)), true);
  return bytes;
}

export function decodeSnapshotEnd(
  bytes: Uint8Array,
): { readonly metaBytes: number; readonly metaCrc: number } | null {
  if (bytes.length !== snapshotEndBytes) return null;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== endMagic) return null;
  if (view.getUint32(12, true) !== crc32(bytes.subarray(0, 12))) return null;
  return { metaBytes: view.getUint32(4, true), metaCrc: view.getUint32(8, true) };
}

/** Bytes that `sizeBytes` of data take with the headers of their frames. */
export function framedBytes(sizeBytes: number): number {
  return sizeBytes + frameHeaderBytes * Math.ceil(sizeBytes / frameDataBytes);
}

export type Unframed =
  | { readonly type: "intact"; readonly pieces: Uint8Array[]; readonly crc: number }
  | { readonly type: "bad"; readonly offset: number };

export function isSameSnapshot(a: SnapshotMeta, b: SnapshotMeta): boolean {
  return (
    a.index === b.index &&
    a.term === b.term &&
    a.checksum === b.checksum &&
    a.sizeBytes === b.sizeBytes
  );
}

/**
 * Takes whole frames apart. `before` is the CRC of the data before them, or null if it is taken from the
 * first frame. `lastBytes` is the data in the last of them; the others are full.
 */
export function unframe(bytes: Uint8Array, before: number | null, lastBytes: number): Unframed {
  const view = viewOf(bytes);
  const pieces: Uint8Array[] = [];
  let crc = before;
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < frameHeaderBytes) return { type: "bad", offset: at };
    const length = view.getUint32(at, true);
    const from = at + frameHeaderBytes;
    const isLast = from + length >= bytes.length;
    crc ??= view.getUint32(at + 4, true);
    const data = bytes.subarray(from, from + length);
    const fits = data.length === length && length === (isLast ? lastBytes : frameDataBytes);
    if (!fits || view.getUint32(at + 4, true) !== crc) return { type: "bad", offset: at };
    crc = checksum(data, crc);
    if (view.getUint32(at + 8, true) !== crc) return { type: "bad", offset: at };
    pieces.push(data);
    at = from + length;
  }
  return { type: "intact", pieces, crc: crc ?? 0 };
}
