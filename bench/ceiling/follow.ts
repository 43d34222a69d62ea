/** A follower of the ceiling: takes in each item of a batch, stores the batch, acknowledges it. */
import type { Socket } from "node:net";
import type { Disk } from "./group-commit.js";
import { newFrame, readFrames } from "./stream.js";
import type { Turn } from "./turn.js";

/** An item is u32 length and body; `at` is where the body begins. */
type Item = { readonly batch: Buffer; readonly at: number; readonly length: number };

/** Batches are u32 number, then items. */
export function follow(disk: Disk, turn: Turn) {
  return (socket: Socket): void => {
    /** Of the newest batch: a server would apply them. */
    let items: readonly Item[] = [];
    let acks: Buffer[] = [];
    readFrames(socket, (batch) => {
      items = itemsOf(batch);
      const ack = newFrame(8);
      ack.writeUInt32LE(batch.readUInt32LE(0), 4);
      ack.writeUInt32LE(items.length, 8);
      disk.append(batch, () => {
        acks.push(ack);
        turn.ask();
      });
      turn.ask();
    });
    turn.atEnd(() => {
      if (acks.length === 0 || socket.destroyed) return;
      socket.write(acks.length === 1 ? acks[0]! : Buffer.concat(acks));
      acks = [];
    });
  };
}

function itemsOf(batch: Buffer): Item[] {
  const items: Item[] = [];
  for (let at = 4; at < batch.length;) {
    const length = batch.readUInt32LE(at);
    items.push({ batch, at: at + 4, length });
    at += 4 + length;
  }
  return items;
}
