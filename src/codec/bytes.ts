/** Writing and reading of bytes with every bound checked; the floor under all wire formats. */
import { assert, RaftError } from "../errors.js";
import { compact } from "../numbers.js";
import { copyBody } from "../packed-entries.js";

/** Shared by everything that has no body: never written to, being of length 0. */
export const emptyBytes: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Refuses the bytes at hand: `what` names the field and the fault. */
export function refuseBytes(what: string): never {
  throw new RaftError("protocolMismatch", `malformed bytes: ${what}`);
}

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Strict: malformed UTF-8 is refused and not replaced. */
export function textOf(bytes: Uint8Array, field: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return refuseBytes(`${field} is not UTF-8`);
  }
}

/** One buffer of all; the only one of them as it is. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** True for the integers that the narrow layouts carry. */
export function isU32(value: number): boolean {
  return value >>> 0 === value;
}

/**
 * Where somebody's small frames or bodies are written one behind the other: a buffer for each costs more than what
 * is written into it. What was handed out is never written to again. One for each connection, or codec: whoever does
 * not read what it is sent keeps the slabs of its frames alive, and must not keep those of others.
 */
export class Slab {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  readonly #slabBytes: number;
  readonly #mostBytes: number;
  #used = 0;

  /** For more than `mostBytes`, a buffer of its own costs less than what it would keep alive. */
  constructor(slabBytes = 4096, mostBytes = 512) {
    this.#slabBytes = slabBytes;
    this.#mostBytes = mostBytes;
  }

  /** Where `sizeBytes` of `bytes` are free, and now taken; -1 if they are too many for it. */
  take(sizeBytes: number): number {
    if (sizeBytes > this.#mostBytes) return -1;
    if (this.#used + sizeBytes > this.bytes.length) {
      this.bytes = new Uint8Array(this.#slabBytes);
      this.view = new DataView(this.bytes.buffer);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used = from + sizeBytes;
    return from;
  }
}

/** A writer that makes parts hands bytes of this many or more on where they lie. */
const splicedFromBytes = 4096;

/** What `length` bytes take in the buffer of a writer that makes parts. */
export function roomBesideParts(length: number): number {
  return length < splicedFromBytes ? length : 0;
}

/**
 * An append-only buffer. With the right size announced it allocates once, or not at all from a slab, and
 * `finish` hands that buffer out; otherwise it doubles.
 */
export class ByteWriter {
  bytes: Uint8Array;
  view: DataView;
  offset: number;
  #from: number;
  #limit: number;
  /** What goes before the bytes at `#from`; null: everything is copied into one buffer. */
  #parts: Uint8Array[] | null = null;

  constructor(sizeBytes: number, slab: Slab | null = null) {
    const from = slab?.take(sizeBytes) ?? -1;
    if (slab !== null && from >= 0) {
      this.bytes = slab.bytes;
      this.view = slab.view;
    } else {
      this.bytes = new Uint8Array(sizeBytes);
      this.view = new DataView(this.bytes.buffer);
    }
    this.#from = Math.max(0, from);
    this.#limit = this.#from + sizeBytes;
    this.offset = this.#from;
  }

  /** From here on large bytes are not copied; ask for `finishParts` in the end. */
  makeParts(): void {
    this.#parts ??= [];
  }

  /** Makes room for `sizeBytes` more; after it, `view` may be written at `offset` directly. */
  ensure(sizeBytes: number): void {
    const needed = this.offset + sizeBytes;
    if (needed <= this.#limit) return;
    const written = this.bytes.subarray(this.#from, this.offset);
    const room = this.#limit - this.#from;
    const grown = new Uint8Array(Math.max(written.length + sizeBytes, room * 2));
    grown.set(written);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
    this.offset = written.length;
    this.#from = 0;
    this.#limit = grown.length;
  }

  u8(value: number): void {
    this.ensure(1);
    this.bytes[this.offset++] = value;
  }

  u32(value: number): void {
    this.ensure(4);
    this.view.setUint32(this.offset, value, true);
    this.offset += 4;
  }

  f64(value: number): void {
    this.ensure(8);
    this.view.setFloat64(this.offset, value, true);
    this.offset += 8;
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  raw(bytes: Uint8Array): void {
    if (this.#parts !== null && bytes.length >= splicedFromBytes) {
      this.#cut(this.#parts);
      this.#parts.push(bytes);
      return;
    }
    this.ensure(bytes.length);
    this.offset = copyBody(this.bytes, this.offset, bytes);
  }

  #cut(parts: Uint8Array[]): void {
    if (this.offset > this.#from) parts.push(this.bytes.subarray(this.#from, this.offset));
    this.#from = this.offset;
  }

  /** u32 length, then the bytes. */
  sized(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  text(value: string): void {
    this.sized(encoder.encode(value));
  }

  /** The bytes written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    assert(this.#parts === null, "a writer that makes parts has no single buffer");
    const { bytes, offset } = this;
    const whole = this.#from === 0 && offset === bytes.length;
    return whole ? bytes : bytes.subarray(this.#from, offset);
  }

  /** What `finish` would return, in one or more parts, none of them empty unless it is the only one. */
  finishParts(): readonly Uint8Array[] {
    const parts = this.#parts;
    if (parts === null || parts.length === 0) {
      this.#parts = null;
      return [this.finish()];
    }
    this.#cut(parts);
    return parts;
  }
}

/** An integer from 0 to 2^53 - 1, of 8 bytes that are there. */
export function integerAt(view: DataView, at: number, field: string): number {
  const value = view.getFloat64(at, true);
  if (!Number.isSafeInteger(value) || value < 0) {
    refuseBytes(`${field} is not an integer from 0 to 2^53 - 1`);
  }
  return compact(value);
}

/** A cursor over received bytes. Every read names its field, for the message of a refusal. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly end: number;
  offset = 0;
  readonly #buffer: ArrayBufferLike;
  readonly #base: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#buffer = bytes.buffer;
    this.#base = bytes.byteOffset;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
  }

  /** Refuses unless `sizeBytes` more are there. */
  need(sizeBytes: number, field: string): void {
    if (sizeBytes > this.end - this.offset) {
      refuseBytes(`${field} needs ${sizeBytes} bytes, ${this.end - this.offset} are left`);
    }
  }

  u8(field: string): number {
    this.need(1, field);
    return this.bytes[this.offset++]!;
  }

  u32(field: string): number {
    this.need(4, field);
    const value = this.view.getUint32(this.offset, true);
    this.offset += 4;
    return value;
  }

  /** Any finite number: a time or a duration. */
  finite(field: string): number {
    this.need(8, field);
    const value = this.view.getFloat64(this.offset, true);
    this.offset += 8;
    if (!Number.isFinite(value)) refuseBytes(`${field} is not a finite number`);
    return value;
  }

  /** An integer from 0 to 2^53 - 1: a term, an index, a number. */
  integer(field: string): number {
    this.need(8, field);
    this.offset += 8;
    return integerAt(this.view, this.offset - 8, field);
  }

  bool(field: string): boolean {
    const value = this.u8(field);
    if (value > 1) refuseBytes(`${field} is neither 0 nor 1`);
    return value === 1;
  }

  /** A count of things of at least `leastBytes` each, refused if they cannot all be there. */
  count(leastBytes: number, field: string): number {
    const count = this.u32(field);
    if (count * leastBytes > this.end - this.offset) {
      refuseBytes(`${field} declares ${count}, more than ${this.end - this.offset} bytes can hold`);
    }
    return count;
  }

  /** A view, never a copy. */
  take(sizeBytes: number, field: string): Uint8Array {
    this.need(sizeBytes, field);
    const from = this.offset;
    this.offset = from + sizeBytes;
    return this.viewOf(from, sizeBytes);
  }

  /** The `sizeBytes` from `from` on, which are there. Half the price of `subarray`. */
  viewOf(from: number, sizeBytes: number): Uint8Array {
    if (sizeBytes === 0) return emptyBytes;
    return new Uint8Array(this.#buffer, this.#base + from, sizeBytes);
  }

  sized(field: string): Uint8Array {
    return this.take(this.u32(field), field);
  }

  text(field: string): string {
    return textOf(this.sized(field), field);
  }

  /** Refuses bytes behind the last field. */
  finish(what: string): void {
    if (this.offset !== this.end) {
      refuseBytes(`${this.end - this.offset} bytes behind the end of ${what}`);
    }
  }
}
