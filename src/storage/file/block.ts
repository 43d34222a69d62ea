/**
 * A block: what one flush writes, in one write and with one sync.
 *
 *     0  u32  magic "RVB1"              24  u32  check of the block before (0: none)
 *     4  u32  bytes of header + table   28  u32  number that the next new group gets
 *     8  u32  bytes of the bodies       32  u32  0
 *    12  u32  count of sections         36  u32  check: CRC-32 of [0, 36) and the table, from the place's seed
 *    16  f64  sequence, from 1          40  table: per section u32 group, u32 type, u32 bytes, u32 CRC-32
 *                                       then the bodies, one behind the other
 *
 * The table's own check tells which group a damaged body belongs to. Little-endian throughout.
 */
import { checksum } from "./checksum.js";

export const blockMagic = 0x31425652;
export const blockHeaderBytes = 40;
export const sectionBytes = 16;
/** A header that claims more sections is no header. */
const maxSections = 1 << 20;

export type Section = {
  /** Number of the group, 0 for the log itself. */
  readonly group: number;
  readonly type: number;
  readonly bytes: number;
  readonly crc: number;
};

export type BlockHeader = {
  readonly sequence: number;
  readonly previousCheck: number;
  readonly nextGroup: number;
  readonly check: number;
  readonly headerBytes: number;
  readonly bodyBytes: number;
  readonly sections: readonly Section[];
};

export type BlockLinks = {
  readonly sequence: number;
  readonly previousCheck: number;
  readonly nextGroup: number;
};

export function headerBytesFor(sectionCount: number): number {
  return blockHeaderBytes + sectionBytes * sectionCount;
}

function checkOf(header: Uint8Array, seed: number): number {
  const fixed = checksum(header.subarray(0, 36), seed);
  return checksum(header.subarray(blockHeaderBytes), fixed);
}

/** The header and table of a block whose bodies are `sections`; `seed` is that of its place. */
export function encodeBlockHeader(
  links: BlockLinks,
  sections: readonly Section[],
  seed: number,
): { readonly bytes: Uint8Array; readonly check: number } {
  const bytes = new Uint8Array(headerBytesFor(sections.length));
  const view = new DataView(bytes.buffer);
  let bodyBytes = 0;
  let at = blockHeaderBytes;
  for (const section of sections) {
    view.setUint32(at, section.group, true);
    view.setUint32(at + 4, section.type, true);
    view.setUint32(at + 8, section.bytes, true);
    view.setUint32(at + 12, section.crc, true);
    at += sectionBytes;
    bodyBytes += section.bytes;
  }
  view.setUint32(0, blockMagic, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, bodyBytes, true);
  view.setUint32(12, sections.length, true);
  view.setFloat64(16, links.sequence, true);
  view.setUint32(24, links.previousCheck, true);
  view.setUint32(28, links.nextGroup, true);
  const check = checkOf(bytes, seed);
  view.setUint32(36, check, true);
  return { bytes, check };
}

/** The length of header and table that the fixed part claims, or 0 if it cannot be one. */
export function claimedHeaderBytes(fixed: Uint8Array): number {
  if (fixed.length < blockHeaderBytes) return 0;
  const view = new DataView(fixed.buffer, fixed.byteOffset, fixed.byteLength);
  if (view.getUint32(0, true) !== blockMagic) return 0;
  const count = view.getUint32(12, true);
  const headerBytes = view.getUint32(4, true);
  return count <= maxSections && headerBytes === headerBytesFor(count) ? headerBytes : 0;
}

/** Sections have smaller types; what passes for a large header within a table has not. */
const maxType = 255;

/**
 * False if what is at `at` cannot be a header, by as much of its table as is in `bytes`. A command's body may be full of
 * what begins like large ones: each would be read and summed for itself.
 */
export function mayBeHeader(bytes: Uint8Array, at: number): boolean {
  if (bytes.length - at < blockHeaderBytes) return true;
  const headerBytes = claimedHeaderBytes(bytes.subarray(at, at + blockHeaderBytes));
  if (headerBytes === 0) return false;
  const here = Math.min(headerBytes, bytes.length - at);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, here);
  let leftBytes = view.getUint32(8, true);
  for (let entry = blockHeaderBytes; entry + sectionBytes <= here; entry += sectionBytes) {
    const type = view.getUint32(entry + 4, true);
    leftBytes -= view.getUint32(entry + 8, true);
    if (type < 1 || type > maxType || leftBytes < 0) return false;
  }
  return true;
}

/** The header in `bytes` (header and table, as long as it claims), or null if it is not intact. */
export function decodeBlockHeader(bytes: Uint8Array, seed: number): BlockHeader | null {
  if (claimedHeaderBytes(bytes) !== bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const check = view.getUint32(36, true);
  if (view.getUint32(32, true) !== 0 || checkOf(bytes, seed) !== check) return null;
  const sections: Section[] = [];
  let bodyBytes = 0;
  for (let at = blockHeaderBytes; at < bytes.length; at += sectionBytes) {
    const section: Section = {
      group: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      bytes: view.getUint32(at + 8, true),
      crc: view.getUint32(at + 12, true),
    };
    bodyBytes += section.bytes;
    sections.push(section);
  }
  if (bodyBytes !== view.getUint32(8, true)) return null;
  return {
    sequence: view.getFloat64(16, true),
    previousCheck: view.getUint32(24, true),
    nextGroup: view.getUint32(28, true),
    check,
    headerBytes: bytes.length,
    bodyBytes,
    sections,
  };
}
