/** The ceiling's framing: u32 length, then the payload. No checksum, no versions, no types. */
import type { Socket } from "node:net";
import { receiveChunks } from "../../src/transport/incoming.js";

/** Calls back with each payload: a view into the chunk where it lies in one, else put together once. */
export function readFrames(socket: Socket, onFrame: (payload: Buffer) => void): void {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let neededBytes = 4;
  receiveChunks(socket, (chunk) => {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < neededBytes) return;
    let bytes = held.length === 1 ? chunk : Buffer.concat(held);
    neededBytes = 4;
    while (bytes.length >= 4) {
      const end = 4 + bytes.readUInt32LE(0);
      if (bytes.length < end) {
        neededBytes = end;
        break;
      }
      onFrame(bytes.subarray(4, end));
      bytes = bytes.subarray(end);
    }
    held = bytes.length === 0 ? [] : [bytes];
    heldBytes = bytes.length;
  });
}

/** A frame of that many bytes of payload, which begins at 4. */
export function newFrame(payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(4 + payloadBytes);
  frame.writeUInt32LE(payloadBytes, 0);
  return frame;
}

/** Small bodies are cheaper byte by byte than by a call out of JavaScript. */
export function copyBytes(from: Buffer, at: number, bytes: number, to: Buffer, into: number): void {
  if (bytes > 48) {
    from.copy(to, into, at, at + bytes);
    return;
  }
  for (let i = 0; i < bytes; i++) to[into + i] = from[at + i]!;
}
