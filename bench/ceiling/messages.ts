/**
 * The simplest server without consensus: a command is a message of its own on every hop, relayed as it
 * is read, acknowledged by each follower and counted by itself. Only what a turn writes to a socket is
 * put together.
 *
 * Clients send u32 request, u32 length, body; followers get u32 number, u32 length, body.
 */
import { connect, type Socket } from "node:net";
import type { Disk } from "./group-commit.js";
import { newFrame, readFrames } from "./stream.js";
import type { Turn } from "./turn.js";

/** One write for the messages of a turn. */
class Outbox {
  readonly #socket: Socket;
  readonly #turn: Turn;
  #frames: Buffer[] = [];

  constructor(socket: Socket, turn: Turn) {
    this.#socket = socket;
    this.#turn = turn;
    turn.atEnd(() => this.#flush());
  }

  send(frame: Buffer): void {
    this.#frames.push(frame);
    this.#turn.ask();
  }

  #flush(): void {
    const frames = this.#frames;
    if (frames.length === 0 || this.#socket.destroyed) return;
    this.#frames = [];
    this.#socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }
}

function pair(first: number, second: number): Buffer {
  const frame = newFrame(8);
  frame.writeUInt32LE(first, 4);
  frame.writeUInt32LE(second, 8);
  return frame;
}

export function followMessages(disk: Disk, turn: Turn) {
  return (socket: Socket): void => {
    const outbox = new Outbox(socket, turn);
    readFrames(socket, (message) => {
      const number = message.readUInt32LE(0);
      disk.append(message, () => outbox.send(pair(number, message.length)));
      turn.ask();
    });
  };
}

type Pending = { acks: number; readonly outbox: Outbox; readonly request: number };

export function leadMessages(addresses: readonly string[], disk: Disk, turn: Turn) {
  const pending = new Map<number, Pending>();
  let next = 0;
  const acknowledge = (number: number): void => {
    const command = pending.get(number);
    if (command === undefined || (command.acks += 1) < 2) return;
    pending.delete(number);
    command.outbox.send(pair(command.request, number));
  };
  const followers = addresses.map((address) => {
    const [host, port] = address.split(":");
    const socket = connect({ host: host!, port: Number(port), noDelay: true });
    readFrames(socket, (ack) => acknowledge(ack.readUInt32LE(0)));
    return new Outbox(socket, turn);
  });
  return (socket: Socket): void => {
    const outbox = new Outbox(socket, turn);
    readFrames(socket, (payload) => {
      for (let at = 0; at < payload.length;) {
        const end = at + 8 + payload.readUInt32LE(at + 4);
        const number = next;
        next = (number + 1) >>> 0;
        pending.set(number, { acks: 0, outbox, request: payload.readUInt32LE(at) });
        const message = newFrame(end - at);
        message.writeUInt32LE(number, 4);
        payload.copy(message, 8, at + 4, end);
        for (const follower of followers) follower.send(message);
        disk.append(message, () => acknowledge(number));
        at = end;
      }
      turn.ask();
    });
  };
}
