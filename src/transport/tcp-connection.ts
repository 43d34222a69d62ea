/**
 * One end of a TCP (or TLS) connection.
 *
 *     connecting --open--> open --close()--> closing --all sent, both ended--> ended
 *          \________________\_________________\____ destroy, error, deadline __/
 *
 * `ended` is set at once when the end is decided; `onClose` follows with the socket's own `close`
 * event, never within a call of the user.
 */
import type { Socket } from "node:net";
import type { Checksum } from "../codec/crc32.js";
import { FrameReader, heldBytes, makeFarewell, makePreamble } from "../codec/frame.js";
import { messageOf, RaftError } from "../errors.js";
import type { Connection, ConnectionHandlers, Logger } from "../ports.js";
import type { HeapLimit } from "./heap-limit.js";
import { receiveChunks } from "./incoming.js";
import { packFrames, type Payload, payloadBytes } from "./pack.js";
import type { SharedSums } from "./shared-sums.js";
import { reasonOf } from "./tcp-errors.js";
import type { TcpLimits } from "./tcp-limits.js";

/** What all connections of one transport share. */
export type TcpShared = {
  readonly limits: TcpLimits;
  readonly checksum: Checksum;
  readonly sums: SharedSums;
  readonly logger: Logger | null;
  readonly secure: boolean;
  readonly heapLimit: HeapLimit;
  nowMs(): number;
  /** The connection has a deadline from here on, until `forget`. */
  watch(connection: TcpConnection): void;
  forget(connection: TcpConnection): void;
  /** Calls `flushNow` at the end of this turn, or with the transport's `flush`. */
  flushLater(connection: TcpConnection): void;
};

export type Side = "dialled" | "accepted";

/** One write takes no more payloads once it has this many bytes; the rest follows behind it. */
const writeBytes = 1024 * 1024;

export class TcpConnection implements Connection {
  readonly remote: string;
  readonly #side: Side;
  readonly #shared: TcpShared;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  #handlers: ConnectionHandlers | null = null;

  #state: "connecting" | "open" | "closing" | "ended" = "connecting";
  /** The socket is connected; `closing` may still wait for it. */
  #connected = false;
  #error: Error | null = null;

  #queue: Payload[] = [];
  #queuedBytes = 0;
  #flushScheduled = false;
  #preamble: Uint8Array | null = makePreamble();
  /** Payload bytes of the write under way; -1 without one. */
  #writingBytes = -1;
  #full = false;

  /** Infinity: none. */
  #deadlineMs: number;
  #stallDeadlineMs = Infinity;

  constructor(shared: TcpShared, socket: Socket, remote: string, side: Side) {
    const { limits } = shared;
    this.remote = remote;
    this.#side = side;
    this.#shared = shared;
    this.#socket = socket;
    this.#deadlineMs = shared.nowMs() + limits.connectTimeoutMs;
    this.#reader = new FrameReader({
      checksum: shared.checksum,
      maxFrameBytes: limits.maxFrameBytes,
      onPayload: (payload) => this.#handlers?.onPayload(payload),
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, limits.keepAliveMs);
    receiveChunks(socket, (chunk) => this.#receive(chunk));
    socket.on("end", () => this.#otherSideEnded());
    socket.on("error", (error) => this.#end(this.#explain(error)));
    socket.on("close", () => this.#socketClosed());
    shared.watch(this);
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get queuedPayloads(): number {
    return this.#queue.length;
  }

  setHandlers(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
  }

  send(payload: Uint8Array): void {
    this.#enqueue(payload, payload.length);
  }

  sendParts(parts: readonly Uint8Array[]): void {
    this.#enqueue(parts, payloadBytes(parts));
  }

  #enqueue(payload: Payload, bytes: number): void {
    if (this.#state !== "connecting" && this.#state !== "open") return;
    const { maxFrameBytes, highWaterBytes, maxQueuedBytes } = this.#shared.limits;
    if (bytes > maxFrameBytes) {
      return this.#break(
        "invalidArgument",
        `a payload of ${bytes} bytes was sent, maxFrameBytes is ${maxFrameBytes}`,
      );
    }
    this.#queue.push(payload);
    this.#queuedBytes += bytes;
    if (this.#queuedBytes > highWaterBytes) this.#full = true;
    const held = heldBytes(this.#queuedBytes, this.#queue.length);
    if (held > maxQueuedBytes) {
      return this.#break(
        "overloaded",
        `${held} bytes wait to be sent, maxQueuedBytes is ${maxQueuedBytes}`,
      );
    }
    this.#scheduleFlush();
  }

  close(): void {
    if (this.#state !== "connecting" && this.#state !== "open") return;
    this.#state = "closing";
    this.#reader.stop();
    if (!this.#connected) {
      // Nothing is owed to the other side: there is nobody to be polite to.
      if (this.#queue.length === 0) this.#end(null);
      return;
    }
    this.#deadlineMs = this.#shared.nowMs() + this.#shared.limits.closeTimeoutMs;
    this.#scheduleFlush();
  }

  destroy(reason: string): void {
    this.#break("closed", reason);
  }

  /** The socket is connected, and its TLS handshake done. */
  opened(): void {
    if (this.#state === "ended") return;
    this.#connected = true;
    const { limits } = this.#shared;
    if (this.#state === "closing") {
      this.#deadlineMs = this.#shared.nowMs() + limits.closeTimeoutMs;
    } else {
      this.#state = "open";
      this.#deadlineMs = this.#shared.nowMs() + limits.handshakeTimeoutMs;
      this.#guard("onOpen", () => this.#handlers?.onOpen());
    }
    // Also without a payload: the other side waits for the preamble.
    this.#scheduleFlush();
  }

  /** Called now and then, after the sockets were read: our own late loop is nobody's silence. */
  checkDeadlines(nowMs: number): void {
    if (this.#state === "ended") return;
    const { limits } = this.#shared;
    if (nowMs >= this.#stallDeadlineMs) {
      this.#break("closed", `the other side takes nothing; stallTimeoutMs is over`);
    } else if (nowMs >= this.#deadlineMs) {
      if (!this.#connected) {
        this.#break("connectFailed", `not connected within ${limits.connectTimeoutMs} ms`);
      } else if (this.#state === "closing") {
        this.#end(this.#unsent());
      } else if (this.#side === "dialled") {
        const waitedMs = limits.handshakeTimeoutMs;
        this.#break("connectFailed", `connected, but nobody answered within ${waitedMs} ms`);
      } else {
        const waitedMs = limits.handshakeTimeoutMs;
        this.#break("protocolMismatch", `no whole frame arrived within ${waitedMs} ms`);
      }
    }
  }

  // -------------------------------------------------------------------------------------------
  // Writing: everything that one turn of the user sends leaves in one write at the turn's end. One
  // write at a time is under way; what comes meanwhile leaves together behind it.

  #scheduleFlush(): void {
    if (this.#flushScheduled || !this.#connected || this.#writingBytes >= 0) return;
    this.#flushScheduled = true;
    this.#shared.sums.expect();
    this.#shared.flushLater(this);
  }

  /** @internal */
  flushNow(): void {
    this.#flushScheduled = false;
    try {
      const buffers = this.#shared.sums.pack(this.#packed);
      if (buffers.length > 0) this.#write(buffers);
      else if (this.#state === "closing" && this.#writingBytes < 0) {
        this.#socket.end(makeFarewell());
      }
    } catch (error) {
      // As when there is no memory for a large frame. The others of this turn are to leave.
      this.#end(this.#thrown(error, "a write"));
    }
  }

  /** What the next write takes; empty: nothing is to be written now. */
  readonly #packed = (checksum: Checksum): Buffer[] => {
    if (this.#state === "ended" || this.#writingBytes >= 0) return [];
    if (this.#queue.length === 0 && this.#preamble === null) return [];
    const payloads = this.#takePayloads();
    const buffers = packFrames(payloads, this.#preamble, checksum);
    this.#preamble = null;
    const { nowMs, limits } = this.#shared;
    const mebibytes = Math.ceil((this.#writingBytes + 1) / writeBytes);
    this.#stallDeadlineMs = nowMs() + limits.stallTimeoutMs * mebibytes;
    return buffers;
  };

  /** Takes a write's worth off the queue, but always one payload, and counts it as under way. */
  #takePayloads(): Payload[] {
    const queue = this.#queue;
    let count = 0;
    let size = 0;
    while (count < queue.length && size < writeBytes) size += payloadBytes(queue[count++]!);
    this.#writingBytes = size;
    this.#shared.heapLimit.carried(size);
    if (count < queue.length) return queue.splice(0, count);
    this.#queue = [];
    return queue;
  }

  #write(buffers: readonly Buffer[]): void {
    const socket = this.#socket;
    const last = buffers.length - 1;
    if (last > 0) socket.cork();
    for (let i = 0; i < last; i++) socket.write(buffers[i]!);
    socket.write(buffers[last]!, this.#written);
    if (last > 0) socket.uncork();
  }

  readonly #written = (): void => {
    if (this.#state === "ended") return;
    this.#queuedBytes -= this.#writingBytes;
    this.#writingBytes = -1;
    this.#stallDeadlineMs = Infinity;
    if (this.#full && this.#queuedBytes <= this.#shared.limits.lowWaterBytes) {
      this.#full = false;
      if (this.#state === "open") this.#guard("onDrain", () => this.#handlers?.onDrain());
    }
    if (this.#queue.length > 0 || this.#state === "closing") this.#scheduleFlush();
  };

  // -------------------------------------------------------------------------------------------
  // Reading

  #receive(chunk: Buffer): void {
    this.#shared.heapLimit.carried(chunk.length);
    if (this.#state !== "open") return;
    try {
      // A plain view: `slice` of a Buffer would not copy, which receivers rely on.
      this.#reader.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    } catch (error) {
      this.#end(this.#thrown(error, "onPayload"));
      return;
    }
    if (this.#reader.dismissed) this.#end(null);
    else if (this.#deadlineMs !== Infinity && this.#state === "open" && this.#shookHands()) {
      this.#deadlineMs = Infinity;
    }
  }

  /** Who listens may have nothing to say; who dials has. */
  #shookHands(): boolean {
    return this.#side === "dialled" ? this.#reader.greeted : this.#reader.established;
  }

  #otherSideEnded(): void {
    if (this.#state === "ended") return;
    if (this.#state === "closing") {
      this.#end(this.#unsent());
    } else if (this.#side === "dialled" && !this.#reader.greeted) {
      const either = this.#shared.secure
        ? "that does not accept this side's certificate"
        : "that speaks TLS and was dialled without";
      this.#break(
        "connectFailed",
        `the other side hung up without a word: no rafted-value port, one ${either}, or one that is full`,
      );
    } else {
      const where = this.#reader.midFrame ? "in the middle of a frame" : "without a farewell";
      this.#break("closed", `the stream ended ${where}: the other side broke it off or was killed`);
    }
  }

  // -------------------------------------------------------------------------------------------
  // The end

  #unsent(): Error | null {
    return this.#queuedBytes === 0
      ? null
      : new RaftError("closed", `${this.remote}: closed with ${this.#queuedBytes} bytes unsent`);
  }

  #break(
    code: "closed" | "connectFailed" | "protocolMismatch" | "overloaded" | "invalidArgument",
    why: string,
  ): void {
    this.#end(new RaftError(code, `${this.remote}: ${why}`));
  }

  #end(error: Error | null): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#error = error;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#reader.stop();
    this.#socket.destroy();
  }

  #socketClosed(): void {
    this.#state = "ended";
    this.#queuedBytes = 0;
    this.#shared.forget(this);
    try {
      this.#handlers?.onClose(this.#error);
    } catch (error) {
      this.#shared.logger?.error({ remote: this.remote, error }, "the onClose handler threw");
    }
  }

  /** A handler that throws ends this connection and nothing else. */
  #guard(name: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#end(this.#thrown(error, name));
    }
  }

  #thrown(error: unknown, name: string): Error {
    if (error instanceof RaftError) {
      return new RaftError(error.code, `${this.remote}: ${error.message}`, { cause: error });
    }
    const why = messageOf(error);
    return new RaftError("internal", `${this.remote}: ${name} threw: ${why}`, { cause: error });
  }

  #explain(error: Error): Error | null {
    // Both sides closed at once, and one was faster: nobody misses anything.
    if (this.#state === "closing" && this.#connected && this.#queuedBytes === 0) return null;
    const reached = this.#side === "accepted" || this.#reader.greeted;
    const why = reasonOf(error);
    return reached
      ? new RaftError("closed", `${this.remote}: the connection broke: ${why}`, { cause: error })
      : new RaftError("connectFailed", `${this.remote} could not be reached: ${why}`, {
          cause: error,
        });
  }
}
