/**
 * The leader of the ceiling. Every command is handled by itself, as by any server: read from the
 * client's frame, queued with its connection and request number, put into the turn's batch, answered
 * by number. A batch is done when one follower and the leader's own disk have it.
 */
import { connect, type Socket } from "node:net";
import type { Disk } from "./group-commit.js";
import { copyBytes, newFrame, readFrames } from "./stream.js";
import type { Turn } from "./turn.js";

/** A client's connection: replies are u32 request, u32 result; one write for those of a turn. */
class Client {
  readonly #socket: Socket;
  readonly #turn: Turn;
  #replies: number[] = [];

  constructor(socket: Socket, turn: Turn) {
    this.#socket = socket;
    this.#turn = turn;
    turn.atEnd(() => this.#flush());
  }

  reply(request: number, result: number): void {
    this.#replies.push(request, result);
    this.#turn.ask();
  }

  #flush(): void {
    const replies = this.#replies;
    if (replies.length === 0 || this.#socket.destroyed) return;
    this.#replies = [];
    const frame = newFrame(replies.length * 4);
    for (let i = 0; i < replies.length; i++) frame.writeUInt32LE(replies[i]!, 4 + i * 4);
    this.#socket.write(frame);
  }
}

type Batch = { acks: number; readonly commands: readonly Command[] };

type Command = {
  readonly client: Client;
  readonly request: number;
  /** The body is `length` bytes of `frame` from `at` on. */
  readonly frame: Buffer;
  readonly at: number;
  readonly length: number;
};

/** Frames of clients are (u32 request, u32 length, body) each. */
export function lead(addresses: readonly string[], disk: Disk, turn: Turn) {
  const batches = new Map<number, Batch>();
  let next = 0;
  let applied = 0;
  let queue: Command[] = [];
  let queuedBytes = 0;

  const acknowledge = (number: number): void => {
    const batch = batches.get(number);
    if (batch === undefined || (batch.acks += 1) < 2) return;
    batches.delete(number);
    for (const { client, request } of batch.commands) client.reply(request, ++applied >>> 0);
  };
  const followers = addresses.map((address) => {
    const [host, port] = address.split(":");
    const socket = connect({ host: host!, port: Number(port), noDelay: true });
    readFrames(socket, (ack) => acknowledge(ack.readUInt32LE(0)));
    return socket;
  });
  turn.atEnd(() => {
    if (queue.length === 0) return;
    const number = next;
    next = (number + 1) >>> 0;
    const frame = newBatch(number, queue, queuedBytes);
    batches.set(number, { acks: 0, commands: queue });
    queue = [];
    queuedBytes = 0;
    for (const follower of followers) follower.write(frame);
    disk.append(frame, () => acknowledge(number));
  });
  return (socket: Socket): void => {
    const client = new Client(socket, turn);
    readFrames(socket, (frame) => {
      for (let at = 0; at < frame.length;) {
        const length = frame.readUInt32LE(at + 4);
        queue.push({ client, request: frame.readUInt32LE(at), frame, at: at + 8, length });
        queuedBytes += 4 + length;
        at += 8 + length;
      }
      turn.ask();
    });
  };
}

/** For both followers and the disk: u32 number, then u32 length and body of each command. */
function newBatch(number: number, commands: readonly Command[], bytes: number): Buffer {
  const batch = newFrame(4 + bytes);
  batch.writeUInt32LE(number, 4);
  let into = 8;
  for (const { frame, at, length } of commands) {
    batch.writeUInt32LE(length, into);
    copyBytes(frame, at, length, batch, into + 4);
    into += 4 + length;
  }
  return batch;
}
