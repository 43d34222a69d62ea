/** Payloads of a turn as the fewest buffers: small ones copied together, large ones left alone. */
import type { Checksum } from "../codec/crc32.js";
import { frameHeaderBytes, writeFrameHeader } from "../codec/frame.js";

/** Above it, an extra buffer in the write costs less than a copy. */
export const copyUpToBytes = 16 * 1024;

/** `set` costs more than the loop for a handful of bytes. */
const loopUpToBytes = 24;

/**
 * `payloads` as frames, behind `preamble` if there is one. All headers and small payloads share one
 * allocation, which is cut where a large payload stands between them.
 */
export function packFrames(
  payloads: readonly Uint8Array[],
  preamble: Uint8Array | null,
  checksum: Checksum,
): Buffer[] {
  let size = preamble?.length ?? 0;
  for (const payload of payloads) {
    size += frameHeaderBytes + (payload.length > copyUpToBytes ? 0 : payload.length);
  }
  const slab = Buffer.allocUnsafe(size);
  const view = new DataView(slab.buffer, slab.byteOffset, size);
  const buffers: Buffer[] = [];
  let cut = 0;
  let at = 0;
  if (preamble !== null) {
    slab.set(preamble);
    at = preamble.length;
  }
  for (const payload of payloads) {
    writeFrameHeader(view, at, payload, checksum);
    at += frameHeaderBytes;
    const { length } = payload;
    if (length > copyUpToBytes) {
      buffers.push(slab.subarray(cut, at), asBuffer(payload));
      cut = at;
    } else {
      if (length > loopUpToBytes) slab.set(payload, at);
      else for (let i = 0; i < length; i++) slab[at + i] = payload[i]!;
      at += length;
    }
  }
  if (cut < at) buffers.push(cut === 0 ? slab : slab.subarray(cut, at));
  return buffers;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
