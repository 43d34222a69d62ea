/** The ceiling's framing: u32 length, then the payload. No checksum, no versions, no types. */
import type { Socket } from "node:net";

/** Gathers what is sent during a turn and writes it once. */
export class BatchWriter {
  readonly #socket: Socket;
  #pieces: Uint8Array[] = [];
  #armed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(payload: Uint8Array): void {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, payload.length, true);
    this.#pieces.push(header, payload);
    if (this.#armed) return;
    this.#armed = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#armed = false;
    const pieces = this.#pieces;
    this.#pieces = [];
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(pieces));
  }
}

/** Calls back with each payload, a view into the chunk where it lies in one. */
export function readFrames(socket: Socket, onFrame: (payload: Buffer) => void): void {
  let rest: Buffer | null = null;
  socket.on("data", (chunk: Buffer) => {
    let bytes = rest === null ? chunk : Buffer.concat([rest, chunk]);
    rest = null;
    while (bytes.length >= 4) {
      const length = bytes.readUInt32LE(0);
      if (bytes.length < 4 + length) break;
      onFrame(bytes.subarray(4, 4 + length));
      bytes = bytes.subarray(4 + length);
    }
    if (bytes.length > 0) rest = bytes;
  });
}
