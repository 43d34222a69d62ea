/** Reads a segment front to back in pieces, so that neither memory nor the event loop takes it whole. */
import {
  type BlockHeader,
  blockHeaderBytes,
  claimedHeaderBytes,
  decodeBlockHeader,
  mayBeHeader,
} from "./block.js";
import type { PlaceSeeds } from "./checksum.js";
import type { File } from "./fs.js";

const pieceBytes = 1024 * 1024;
const magicBytes = new Uint8Array([0x52, 0x56, 0x42, 0x31]);
const zeros = new Uint8Array(4096);

/** Position behind the last byte that is not zero, or 0. */
export function usedBytes(bytes: Uint8Array): number {
  let end = bytes.length;
  // Whole pages at a time, by the platform's memcmp.
  while (end >= zeros.length) {
    if (Buffer.compare(bytes.subarray(end - zeros.length, end), zeros) !== 0) break;
    end -= zeros.length;
  }
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

export class SegmentReader {
  readonly segment: number;
  readonly sizeBytes: number;
  readonly #file: File;
  readonly #seeds: PlaceSeeds;
  #window: Uint8Array = zeros.subarray(0, 0);
  #windowAt = 0;

  constructor(file: File, segment: number, sizeBytes: number, seeds: PlaceSeeds) {
    this.#file = file;
    this.segment = segment;
    this.sizeBytes = sizeBytes;
    this.#seeds = seeds;
  }

  /** A view of up to `sizeBytes`, fewer only at the end of the file. */
  async view(offset: number, sizeBytes: number): Promise<Uint8Array> {
    const from = offset - this.#windowAt;
    if (from >= 0 && from + sizeBytes <= this.#window.length) {
      return this.#window.subarray(from, from + sizeBytes);
    }
    const want = Math.min(Math.max(sizeBytes, pieceBytes), Math.max(this.sizeBytes - offset, 0));
    this.#window = await this.#file.read(offset, want);
    this.#windowAt = offset;
    return this.#window.subarray(0, sizeBytes);
  }

  /** The intact block header at `offset`, or null. */
  async header(offset: number): Promise<BlockHeader | null> {
    const fixed = await this.view(offset, blockHeaderBytes);
    const headerBytes = claimedHeaderBytes(fixed);
    if (headerBytes === 0) return null;
    return decodeBlockHeader(
      await this.view(offset, headerBytes),
      this.#seeds.at(this.segment, offset),
    );
  }

  /**
   * Looks from `offset` on for an intact header that `accept` takes. `usedEnd` is the position behind
   * the last byte before it (or before the end of the file) that is not zero, at least `offset`.
   */
  async find(
    offset: number,
    accept: (header: BlockHeader) => boolean,
  ): Promise<{ readonly found: number | null; readonly usedEnd: number }> {
    let usedEnd = offset;
    for (let at = offset; at < this.sizeBytes;) {
      const piece = await this.view(at, Math.min(pieceBytes, this.sizeBytes - at));
      if (piece.length === 0) break;
      const used = usedBytes(piece);
      if (used > 0) {
        const found = await this.#findIn(piece.subarray(0, used), at, accept);
        if (found !== null) return { found, usedEnd: Math.max(usedEnd, found) };
        usedEnd = at + used;
      }
      // A magic that straddles two pieces begins in the last three bytes of this one.
      at +=
        piece.length > magicBytes.length && at + piece.length < this.sizeBytes
          ? piece.length - magicBytes.length + 1
          : piece.length;
    }
    return { found: null, usedEnd };
  }

  async #findIn(
    piece: Uint8Array,
    at: number,
    accept: (header: BlockHeader) => boolean,
  ): Promise<number | null> {
    const buffer = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let from = buffer.indexOf(magicBytes); from >= 0;) {
      const header = mayBeHeader(piece, from) ? await this.header(at + from) : null;
      if (header !== null && accept(header)) return at + from;
      from = buffer.indexOf(magicBytes, from + 1);
    }
    return null;
  }
}
