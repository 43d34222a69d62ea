/**
 * The first 64 bytes of a segment. Everything in it is known from elsewhere too (file name, identity
 * file, first block), so that its loss costs no data; it is there for whoever finds the file alone.
 *
 *     0  8 bytes "RAFTWAL\n"    8  u32 format version    12  u32 0
 *    16  16 bytes directory id  32 f64 segment number    40  f64 size of the file
 *    48  f64 sequence of its first block                 56  u32 0    60  u32 CRC-32 of [0, 60)
 */
import { checksum } from "./checksum.js";
import { formatVersion } from "./names.js";

export const segmentHeaderBytes = 64;
const magic = new Uint8Array([0x52, 0x41, 0x46, 0x54, 0x57, 0x41, 0x4c, 0x0a]);

export type SegmentHeader = {
  readonly version: number;
  readonly directoryId: Uint8Array;
  readonly segment: number;
  readonly sizeBytes: number;
  readonly firstSequence: number;
};

export function encodeSegmentHeader(header: Omit<SegmentHeader, "version">): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint32(8, formatVersion, true);
  bytes.set(header.directoryId, 16);
  view.setFloat64(32, header.segment, true);
  view.setFloat64(40, header.sizeBytes, true);
  view.setFloat64(48, header.firstSequence, true);
  view.setUint32(60, checksum(bytes.subarray(0, 60)), true);
  return bytes;
}

/** Null if it is not intact. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | null {
  if (bytes.length !== segmentHeaderBytes) return null;
  if (magic.some((byte, at) => bytes[at] !== byte)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(60, true) !== checksum(bytes.subarray(0, 60))) return null;
  return {
    version: view.getUint32(8, true),
    directoryId: bytes.slice(16, 32),
    segment: view.getFloat64(32, true),
    sizeBytes: view.getFloat64(40, true),
    firstSequence: view.getFloat64(48, true),
  };
}
