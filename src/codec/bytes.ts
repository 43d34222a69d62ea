/** Writing and reading of bytes with every bound checked; the floor under all wire formats. */
import { RaftError } from "../errors.js";

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

/** True for the integers that the narrow layouts carry. */
export function isU32(value: number): boolean {
  return value >>> 0 === value;
}

/**
 * An append-only buffer. With the right size announced it allocates once and `finish` hands that
 * buffer out; otherwise it doubles.
 */
export class ByteWriter {
  bytes: Uint8Array;
  view: DataView;
  offset = 0;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `sizeBytes` more; after it, `view` may be written at `offset` directly. */
  ensure(sizeBytes: number): void {
    const needed = this.offset + sizeBytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.offset));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
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
    this.ensure(bytes.length);
    this.bytes.set(bytes, this.offset);
    this.offset += bytes.length;
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
    return this.offset === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.offset);
  }
}

/** A cursor over received bytes. Every read names its field, for the message of a refusal. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly end: number;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
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
    const value = this.view.getFloat64(this.offset, true);
    this.offset += 8;
    if (!Number.isSafeInteger(value) || value < 0) {
      refuseBytes(`${field} is not an integer from 0 to 2^53 - 1`);
    }
    return value === 0 ? 0 : value;
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
    if (sizeBytes === 0) return emptyBytes;
    const from = this.offset;
    this.offset = from + sizeBytes;
    return this.bytes.subarray(from, this.offset);
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
