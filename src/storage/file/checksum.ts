/** CRC-32, by the platform where it has one, and bound to the place where the bytes belong. */
import * as zlib from "node:zlib";
import { crc32 } from "../../codec/crc32.js";

type Native = (bytes: Uint8Array, before?: number) => number;

// Node has it since 20.15; before that the import has no such name.
const native: Native | null = (zlib as { readonly crc32?: Native }).crc32 ?? null;

/** Calling into the platform costs as much as summing this many bytes here. */
const smallBytes = 192;

/** As `crc32` of the codec, faster where there is much to sum. */
export function checksum(bytes: Uint8Array, before = 0): number {
  return native === null || bytes.length < smallBytes
    ? crc32(bytes, before)
    : native(bytes, before);
}

/**
 * What checksums of a place in a segment begin with. A block that is right in itself but belongs to
 * another directory, segment or offset (copied, or left over in a recycled region) does not match.
 */
export class PlaceSeeds {
  readonly #directorySeed: number;
  readonly #bytes = new Uint8Array(16);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(directoryId: Uint8Array) {
    this.#directorySeed = crc32(directoryId);
  }

  /** CRC-32 of directory id, segment and offset (float64 each). */
  at(segment: number, offset: number): number {
    this.#view.setFloat64(0, segment, true);
    this.#view.setFloat64(8, offset, true);
    return crc32(this.#bytes, this.#directorySeed);
  }
}
