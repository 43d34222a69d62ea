/**
 * Framing of a byte stream. Each direction begins with 8 bytes, "RAFTVAL" and the version of the
 * framing; then frames of u32 length, u32 CRC-32 of the payload (both little-endian) and payload.
 */
import { RaftError } from "../errors.js";
import type { Checksum } from "./crc32.js";

export const framingVersion = 1;
export const preambleBytes = 8;
export const frameHeaderBytes = 8;
/** A frame above the largest command, append or snapshot chunk that a configuration allows. */
export const defaultMaxFrameBytes = 40 * 1024 * 1024;

const magic = "RAFTVAL";
/** Up to here a spanning payload is assembled in one allocation; beyond, as its bytes arrive. */
const trustedBytes = 1024 * 1024;

/** What each side sends before its first frame. */
export function makePreamble(): Uint8Array {
  const bytes = new Uint8Array(preambleBytes);
  for (let i = 0; i < magic.length; i++) bytes[i] = magic.charCodeAt(i);
  bytes[magic.length] = framingVersion;
  return bytes;
}

/** Writes a frame's header; the payload belongs right behind it. */
export function writeFrameHeader(
  view: DataView,
  offset: number,
  payload: Uint8Array,
  checksum: Checksum,
): void {
  view.setUint32(offset, payload.length, true);
  view.setUint32(offset + 4, checksum(payload), true);
}

/** Payloads as one buffer of frames, without a preamble. */
export function encodeFrames(payloads: readonly Uint8Array[], checksum: Checksum): Uint8Array {
  let size = 0;
  for (const payload of payloads) size += frameHeaderBytes + payload.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const payload of payloads) {
    writeFrameHeader(view, at, payload, checksum);
    bytes.set(payload, at + frameHeaderBytes);
    at += frameHeaderBytes + payload.length;
  }
  return bytes;
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
  readonly #headerView = new DataView(this.#header.buffer);
  #headerFilled = 0;
  /** The payload of a frame that spans chunks, and how much of it is there. */
  #body: Uint8Array | null = null;
  #bodyFilled = 0;
  #length = 0;
  #sum = 0;
  #stopped = false;
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
        at = this.#body === null ? this.#readFrame(chunk, at) : this.#readBody(chunk, at);
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
        const seen = new Uint8Array(this.#preambleSeen + chunk.length);
        seen.set(this.#expected.subarray(0, this.#preambleSeen));
        seen.set(chunk, this.#preambleSeen);
        throw mismatch(
          `the other side is no rafted-value port or client of this version: ${describe(seen)}`,
        );
      }
      at += 1;
      this.#preambleSeen += 1;
    }
    return at;
  }

  #readFrame(chunk: Uint8Array, at: number): number {
    const left = chunk.length - at;
    if (this.#headerFilled > 0 || left < frameHeaderBytes) {
      const taken = Math.min(left, frameHeaderBytes - this.#headerFilled);
      this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled);
      this.#headerFilled += taken;
      if (this.#headerFilled < frameHeaderBytes) return at + taken;
      this.#headerFilled = 0;
      this.#beginFrame(this.#headerView, 0);
      at += taken;
    } else {
      this.#beginFrame(new DataView(chunk.buffer, chunk.byteOffset + at, frameHeaderBytes), 0);
      at += frameHeaderBytes;
    }
    const end = at + this.#length;
    if (end <= chunk.length) {
      this.#deliver(chunk.subarray(at, end));
      return end;
    }
    this.#body = new Uint8Array(Math.min(this.#length, trustedBytes));
    this.#bodyFilled = 0;
    return at;
  }

  #beginFrame(view: DataView, at: number): void {
    this.#length = view.getUint32(at, true);
    this.#sum = view.getUint32(at + 4, true);
    if (this.#length > this.#maxFrameBytes) {
      throw mismatch(
        `a frame of ${this.#length} bytes is declared, at most ${this.#maxFrameBytes} are allowed`,
      );
    }
  }

  #readBody(chunk: Uint8Array, at: number): number {
    let body = this.#body!;
    const taken = Math.min(chunk.length - at, this.#length - this.#bodyFilled);
    const filled = this.#bodyFilled + taken;
    if (filled > body.length) {
      // A declared length alone must not make us allocate: grow with what has really arrived.
      const grown = new Uint8Array(Math.min(this.#length, Math.max(filled, body.length * 4)));
      grown.set(body.subarray(0, this.#bodyFilled));
      this.#body = body = grown;
    }
    body.set(chunk.subarray(at, at + taken), this.#bodyFilled);
    this.#bodyFilled = filled;
    if (filled === this.#length) {
      this.#body = null;
      this.#deliver(body);
    }
    return at + taken;
  }

  #deliver(payload: Uint8Array): void {
    const sum = this.#checksum(payload);
    if (sum !== this.#sum) {
      throw mismatch(
        `a frame of ${payload.length} bytes has checksum ${sum.toString(16)}, ` +
          `${this.#sum.toString(16)} is declared: damaged on the way`,
      );
    }
    this.#frames += 1;
    this.#onPayload(payload);
  }
}
