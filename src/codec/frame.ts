/**
 * Framing of a byte stream. Each direction begins with 8 bytes, "RAFTVAL" and the version of the
 * framing; then frames of u32 length, u32 CRC-32 of the payload (both little-endian) and payload.
 * Eight bytes 0xff instead of a frame are the farewell: who closes in good order says it last, so that
 * a stream which ends without it was cut, or its process was killed.
 */
import { RaftError } from "../errors.js";
import { doubleZero } from "../numbers.js";
import type { Checksum } from "./crc32.js";

export const framingVersion = 1;
export const preambleBytes = 8;
export const frameHeaderBytes = 8;
/** A frame above the largest command, append or snapshot chunk that a configuration allows. */
export const defaultMaxFrameBytes = 40 * 1024 * 1024;

const magic = "RAFTVAL";
/** No length: larger than any frame may be. */
const farewellMark = 0xffff_ffff;
/**
 * Up to here a payload that spans chunks is assembled in one allocation; beyond, as its bytes arrive:
 * a length that somebody declares must cost us nothing. Who has sent a valid frame is trusted further.
 */
const trustedBytes = 1024 * 1024;
const strangerBytes = 64 * 1024;

/** What each side sends before its first frame. */
export function makePreamble(): Uint8Array {
  const bytes = new Uint8Array(preambleBytes);
  for (let i = 0; i < magic.length; i++) bytes[i] = magic.charCodeAt(i);
  bytes[magic.length] = framingVersion;
  return bytes;
}

/** What a side sends last before it closes in good order. */
export function makeFarewell(): Uint8Array {
  return new Uint8Array(frameHeaderBytes).fill(0xff);
}

/** Writes a frame's header; the payload belongs right behind it. */
export function writeFrameHeader(
  view: DataView,
  offset: number,
  payloadLength: number,
  payloadSum: number,
): void {
  view.setUint32(offset, payloadLength, true);
  view.setUint32(offset + 4, payloadSum, true);
}

/** Payloads as one buffer of frames, without a preamble. */
export function encodeFrames(payloads: readonly Uint8Array[], checksum: Checksum): Uint8Array {
  let size = 0;
  for (const payload of payloads) size += frameHeaderBytes + payload.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const payload of payloads) {
    writeFrameHeader(view, at, payload.length, checksum(payload));
    bytes.set(payload, at + frameHeaderBytes);
    at += frameHeaderBytes + payload.length;
  }
  return bytes;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

function mismatch(message: string): RaftError {
  return new RaftError("protocolMismatch", message);
}

/** What the first bytes of something else look like, in words for an operator. */
function describe(seen: Uint8Array): string {
  const head = seen.subarray(0, 24);
  const text = String.fromCharCode(...head);
  if (/^(GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|CONNECT|PRI) /.test(text)) {
    return "looks like an HTTP client";
  }
  if (text.startsWith("HTTP/")) return "looks like an HTTP server";
  if (seen[0] === 0x16 && seen[1] === 0x03) return "looks like a TLS client; this port has no TLS";
  if (seen[0] === 0x15 && seen[1] === 0x03) return "looks like a TLS server; dial it with TLS";
  if (text.startsWith("SSH-")) return "looks like SSH";
  if (text.startsWith(magic) && seen.length > magic.length) {
    return `it speaks framing version ${seen[magic.length]}, this side speaks ${framingVersion}`;
  }
  return `it began with ${JSON.stringify(text.replace(/[^\x20-\x7e]/g, "."))}`;
}

export type FrameReaderOptions = {
  readonly checksum: Checksum;
  /** Default 40 MiB. */
  readonly maxFrameBytes?: number;
  /** One whole payload: a view into the chunk that held it, or a buffer of its own. */
  readonly onPayload: (payload: Uint8Array) => void;
};

/** Cuts a stream of chunks, split and merged as the network pleases, into payloads. */
export class FrameReader {
  readonly #checksum: Checksum;
  readonly #maxFrameBytes: number;
  readonly #onPayload: (payload: Uint8Array) => void;
  readonly #expected = makePreamble();
  #preambleSeen = 0;
  /** The header of a frame that spans chunks. */
  readonly #header = new Uint8Array(frameHeaderBytes);
  #headerFilled = 0;
  /** The payload of a frame that spans chunks, and how much of it is there. */
  #body: Uint8Array | null = null;
  #bodyFilled = 0;
  #length = 0;
  #sum = doubleZero;
  #stopped = false;
  #dismissed = false;
  #frames = 0;

  constructor(options: FrameReaderOptions) {
    this.#checksum = options.checksum;
    this.#maxFrameBytes = options.maxFrameBytes ?? defaultMaxFrameBytes;
    this.#onPayload = options.onPayload;
  }

  /** The other side has proven to speak this protocol: preamble and one valid frame. */
  get established(): boolean {
    return this.#frames > 0;
  }

  /** The other side's preamble was right. */
  get greeted(): boolean {
    return this.#preambleSeen === preambleBytes;
  }

  /** The other side said farewell; nothing can follow. */
  get dismissed(): boolean {
    return this.#dismissed;
  }

  /** The bytes so far end within a preamble or a frame. */
  get midFrame(): boolean {
    const begun = this.#preambleSeen > 0 && !this.greeted;
    return begun || this.#headerFilled > 0 || this.#body !== null;
  }

  /** Hands out nothing more; also what stands behind the current payload in the same chunk. */
  stop(): void {
    this.#stopped = true;
    this.#body = null;
  }

  /** Throws RaftError `protocolMismatch`; the reader has then stopped for good. */
  push(chunk: Uint8Array): void {
    try {
      let at = this.greeted ? 0 : this.#readPreamble(chunk);
      while (at < chunk.length && !this.#stopped) {
        if (this.#body !== null) at = this.#readBody(chunk, at);
        else if (this.#headerFilled > 0) at = this.#readHeader(chunk, at);
        else at = this.#readWholeFrames(chunk, at);
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  #readPreamble(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#preambleSeen < preambleBytes) {
      if (chunk[at] !== this.#expected[this.#preambleSeen]) {
        const before = this.#expected.subarray(0, this.#preambleSeen - at);
        const seen = new Uint8Array(before.length + chunk.length);
        seen.set(before);
        seen.set(chunk, before.length);
        throw mismatch(
          `the other side is no rafted-value port or client of this version: ${describe(seen)}`,
        );
      }
      at += 1;
      this.#preambleSeen += 1;
    }
    return at;
  }

  /** The hot loop: frames that lie in one chunk, without a copy. Then begins the one that does not. */
  #readWholeFrames(chunk: Uint8Array, from: number): number {
    const { buffer, byteOffset, length: end } = chunk;
    let at = from;
    while (end - at >= frameHeaderBytes) {
      const length = readU32(chunk, at);
      const sum = readU32(chunk, at + 4);
      const bodyAt = at + frameHeaderBytes;
      if (length > end - bodyAt) {
        this.#beginBody(length, sum);
        return bodyAt;
      }
      this.#checkLength(length);
      // Half the price of `subarray`, for small frames the dearest step beside the checksum.
      this.#deliver(new Uint8Array(buffer, byteOffset + bodyAt, length), sum);
      at = bodyAt + length;
      if (this.#stopped) return end;
    }
    if (at < end) {
      this.#header.set(chunk.subarray(at));
      this.#headerFilled = end - at;
    }
    return end;
  }

  #readHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(chunk.length - at, frameHeaderBytes - this.#headerFilled);
    this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === frameHeaderBytes) {
      this.#headerFilled = 0;
      this.#beginBody(readU32(this.#header, 0), readU32(this.#header, 4));
    }
    return at + taken;
  }

  #beginBody(length: number, sum: number): void {
    if (length === farewellMark && sum === farewellMark) {
      this.#dismissed = true;
      this.stop();
      return;
    }
    this.#checkLength(length);
    if (length === 0) return this.#deliver(new Uint8Array(0), sum);
    this.#length = length;
    this.#sum = sum;
    this.#body = new Uint8Array(Math.min(length, this.established ? trustedBytes : strangerBytes));
    this.#bodyFilled = 0;
  }

  #checkLength(length: number): void {
    if (length <= this.#maxFrameBytes) return;
    throw mismatch(
      `a frame of ${length} bytes is declared, at most ${this.#maxFrameBytes} are allowed`,
    );
  }

  #readBody(chunk: Uint8Array, at: number): number {
    let body = this.#body!;
    const taken = Math.min(chunk.length - at, this.#length - this.#bodyFilled);
    const filled = this.#bodyFilled + taken;
    if (filled > body.length) {
      const grown = new Uint8Array(Math.min(this.#length, Math.max(filled, body.length * 4)));
      grown.set(body.subarray(0, this.#bodyFilled));
      this.#body = body = grown;
    }
    body.set(chunk.subarray(at, at + taken), this.#bodyFilled);
    this.#bodyFilled = filled;
    if (filled === this.#length) {
      this.#body = null;
      this.#deliver(body, this.#sum);
    }
    return at + taken;
  }

  #deliver(payload: Uint8Array, declared: number): void {
    const sum = this.#checksum(payload);
    if (sum !== declared) {
      throw mismatch(
        `a frame of ${payload.length} bytes has checksum ${sum.toString(16)}, ` +
          `${declared.toString(16)} is declared: damaged on the way`,
      );
    }
    this.#frames += 1;
    this.#onPayload(payload);
  }
}

/** What a payload that waits to be sent takes at least: a short one takes far more than its bytes. */
const leastPayloadBytes = 512;

/** The memory that payloads which wait to be sent take, about. */
export function heldBytes(payloadBytes: number, payloads: number): number {
  return Math.max(payloadBytes, leastPayloadBytes * payloads);
}
