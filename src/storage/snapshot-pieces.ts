/** A snapshot's bytes as the pieces they came in, readable at any offset. */
import { crc32 } from "../codec/crc32.js";
import { emptyBytes } from "../codec/bytes.js";

export class SnapshotPieces {
  readonly #pieces: Uint8Array[] = [];
  /** Where each piece begins. */
  readonly #offsets: number[] = [];
  #sizeBytes = 0;
  #checksum = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Keeps a copy: `data` may be a view into a frame that would stay alive with it. */
  append(data: Uint8Array): void {
    if (data.length === 0) return;
    this.#pieces.push(new Uint8Array(data));
    this.#offsets.push(this.#sizeBytes);
    this.#sizeBytes += data.length;
    // Piece by piece, so that no long pause comes at the end.
    this.#checksum = crc32(data, this.#checksum);
  }

  matches(sizeBytes: number, checksum: number): boolean {
    return this.#sizeBytes === sizeBytes && this.#checksum === checksum;
  }

  all(): readonly Uint8Array[] {
    return [...this.#pieces];
  }

  /** At most `maxBytes` from `offset` on; fewer at the end. A view where one piece holds them all. */
  read(offset: number, maxBytes: number): Uint8Array {
    const size = Math.min(maxBytes, this.#sizeBytes - offset);
    if (size <= 0) return emptyBytes;
    let at = this.#pieceAt(offset);
    const from = offset - this.#offsets[at]!;
    const first = this.#pieces[at]!;
    if (from + size <= first.length) return first.subarray(from, from + size);
    const bytes = new Uint8Array(size);
    bytes.set(first.subarray(from));
    for (let filled = first.length - from; filled < size;) {
      const piece = this.#pieces[++at]!.subarray(0, size - filled);
      bytes.set(piece, filled);
      filled += piece.length;
    }
    return bytes;
  }

  /** The last piece that begins at or before `offset`. */
  #pieceAt(offset: number): number {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
