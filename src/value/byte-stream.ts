/** Integers and byte strings to pieces of bounded size and back, for the head of a snapshot. */

import type { ArrivingBytes } from "../ports.js";

const pieceBytes = 64 * 1024;
/** Longer byte strings become pieces of their own instead of being copied. */
const copyLimit = 4096;

export class ByteWriter {
  readonly pieces: Uint8Array[] = [];
  length = 0;
  #piece = new Uint8Array(pieceBytes);
  #used = 0;

  byte(value: number): void {
    if (this.#used === pieceBytes) this.#cut();
    this.#piece[this.#used++] = value;
    this.length += 1;
  }

  /** A safe integer >= 0, seven bits to a byte, lowest first. */
  integer(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  bytes(value: Uint8Array): void {
    this.integer(value.length);
    if (value.length > copyLimit) {
      this.#cut();
      this.pieces.push(value);
    } else {
      if (this.#used + value.length > pieceBytes) this.#cut();
      this.#piece.set(value, this.#used);
      this.#used += value.length;
    }
    this.length += value.length;
  }

  /** Everything written so far is in `pieces` afterwards. */
  finish(): readonly Uint8Array[] {
    this.#cut();
    return this.pieces;
  }

  #cut(): void {
    if (this.#used === 0) return;
    this.pieces.push(this.#piece.subarray(0, this.#used));
    this.#piece = new Uint8Array(pieceBytes);
    this.#used = 0;
  }
}

/** Reads what `ByteWriter` wrote; throws an ordinary Error where the bytes end too early. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new Error("the bytes end too early");
    this.#at += 1;
    return value;
  }

  integer(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const next = this.byte();
      value += (next & 0x7f) * factor;
      if (next < 0x80) return value;
      factor *= 0x80;
      if (factor > Number.MAX_SAFE_INTEGER) throw new Error("an integer is too long");
    }
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    return this.take(this.integer());
  }

  skip(length: number): void {
    if (length > this.remaining) throw new Error("the bytes end too early");
    this.#at += length;
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw new Error("the bytes end too early");
    const view = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return view;
  }
}

/** Nothing of them is waited for. */
export function allArrived(pieces: readonly Uint8Array[]): ArrivingBytes {
  const bytes = joinPieces(pieces);
  return { bytes, arrived: bytes.length, wanted: 0 };
}

/** One array of all pieces; the piece itself when there is only one. */
export function joinPieces(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
