/** Payloads of a turn as the fewest buffers: small ones copied together, large ones left alone. */
import type { Checksum } from "../codec/crc32.js";
import { frameHeaderBytes, writeFrameHeader } from "../codec/frame.js";

/** A whole payload, or the parts that it lies in. */
export type Payload = Uint8Array | readonly Uint8Array[];

/** Above it, an extra buffer in the write costs less than a copy. */
export const copyUpToBytes = 16 * 1024;

/** `set` costs more than the loop for a handful of bytes. */
const loopUpToBytes = 24;

function isWhole(payload: Payload): payload is Uint8Array {
  return !Array.isArray(payload);
}

export function payloadBytes(payload: Payload): number {
  if (isWhole(payload)) return payload.length;
  let size = 0;
  for (const part of payload) size += part.length;
  return size;
}

function copiedBytes(part: Uint8Array): number {
  return part.length > copyUpToBytes ? 0 : part.length;
}

/** Headers and small parts one behind the other, in one allocation that is cut where a large part stands. */
class Packing {
  readonly buffers: Buffer[] = [];
  readonly #slab: Buffer;
  readonly #view: DataView;
  #cut = 0;
  #at = 0;

  constructor(sizeBytes: number) {
    this.#slab = Buffer.allocUnsafe(sizeBytes);
    this.#view = new DataView(this.#slab.buffer, this.#slab.byteOffset, sizeBytes);
  }

  header(length: number, sum: number): void {
    writeFrameHeader(this.#view, this.#at, length, sum);
    this.#at += frameHeaderBytes;
  }

  add(part: Uint8Array): void {
    const { length } = part;
    if (length > copyUpToBytes) {
      this.#finishSlab();
      this.buffers.push(Buffer.from(part.buffer, part.byteOffset, length));
      return;
    }
    const slab = this.#slab;
    const at = this.#at;
    if (length > loopUpToBytes) slab.set(part, at);
    else for (let i = 0; i < length; i++) slab[at + i] = part[i]!;
    this.#at = at + length;
  }

  finish(): Buffer[] {
    this.#finishSlab();
    return this.buffers;
  }

  #finishSlab(): void {
    if (this.#cut === this.#at) return;
    const whole = this.#cut === 0 && this.#at === this.#slab.length;
    this.buffers.push(whole ? this.#slab : this.#slab.subarray(this.#cut, this.#at));
    this.#cut = this.#at;
  }
}

/** `payloads` as frames, behind `preamble` if there is one. */
export function packFrames(
  payloads: readonly Payload[],
  preamble: Uint8Array | null,
  checksum: Checksum,
): Buffer[] {
  let size = preamble?.length ?? 0;
  for (const payload of payloads) {
    size += frameHeaderBytes;
    if (isWhole(payload)) size += copiedBytes(payload);
    else for (const part of payload) size += copiedBytes(part);
  }
  const packing = new Packing(size);
  if (preamble !== null) packing.add(preamble);
  for (const payload of payloads) {
    if (isWhole(payload)) {
      packing.header(payload.length, checksum(payload));
      packing.add(payload);
      continue;
    }
    let length = 0;
    let sum = 0;
    for (const part of payload) {
      length += part.length;
      sum = checksum(part, sum);
    }
    packing.header(length, sum);
    for (const part of payload) packing.add(part);
  }
  return packing.finish();
}
