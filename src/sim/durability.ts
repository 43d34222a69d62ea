/**
 * Persist before send: what leaves a machine as a vote or an acknowledgement is covered by what its
 * disk would show after a power cut at this very moment (hazards 1, 2, 28 to 32).
 */
import { decodeFrame, frameCodes } from "../codec/wire.js";
import type { HardState, LogIndex, Message, MemberId } from "../core/types.js";
import type { Connection, StoreBatch } from "../ports.js";
import type { SimDisk } from "./disk.js";
import type { Violate } from "./oracles.js";
import type { SimProcess } from "./process.js";

const { openPeer, peerMessage, peerStanding, peerRepeats } = frameCodes;
const codesThatMatter: ReadonlySet<number | undefined> = new Set([
  ...[openPeer, peerMessage, peerStanding, peerRepeats],
]);
/** Messages that promise nothing are many and large. */
const largestPromiseBytes = 256;

/** What is durable of one group, kept up to date as it becomes so. */
export class DurableMark {
  hardState: HardState | null = null;
  lastIndex: LogIndex = 0;
  #snapshotIndex: LogIndex = 0;

  store(batch: StoreBatch): void {
    if (batch.hardState !== null) this.hardState = batch.hardState;
    if (batch.truncateFrom > 0) {
      const kept = Math.min(this.lastIndex, batch.truncateFrom - 1);
      this.lastIndex = Math.max(kept, this.#snapshotIndex);
    }
    const last = batch.entries.at(-1);
    if (last !== undefined) this.lastIndex = last.index;
  }

  /** A snapshot of one's own or of a leader stands for the entries up to there. */
  snapshot(index: LogIndex): void {
    this.#snapshotIndex = Math.max(this.#snapshotIndex, index);
    this.lastIndex = Math.max(this.lastIndex, index);
  }
}

type Channel = { readonly group: string; readonly from: MemberId; readonly to: MemberId };
/** What one connection has opened, and what stands on it. */
type Opened = {
  readonly channels: Map<number, Channel>;
  readonly standing: Map<number, { readonly channel: Channel; readonly message: Message }>;
};

export class DurabilityOracle {
  readonly #diskOf: (machine: string) => SimDisk | null;
  readonly #violate: Violate;
  readonly #opened = new WeakMap<Connection, Opened>();

  constructor(diskOf: (machine: string) => SimDisk | null, violate: Violate) {
    this.#diskOf = diskOf;
    this.#violate = violate;
  }

  /** A payload is handed to the network. */
  sent(process: SimProcess, connection: Connection, payload: Uint8Array): void {
    const code = payload[0];
    if (!codesThatMatter.has(code)) return;
    if (payload.length > largestPromiseBytes && code === peerMessage) return;
    const disk = this.#diskOf(process.machine);
    if (disk === null) return;
    const opened = this.#openedOn(connection);
    const frame = decodeFrame(payload);
    if (frame.type === "openPeer") opened.channels.set(frame.channel, frame);
    else if (frame.type === "peerMessage") {
      const channel = opened.channels.get(frame.channel);
      if (channel !== undefined) this.#check(disk, channel, frame.message);
    } else if (frame.type === "peerStanding") {
      const channel = opened.channels.get(frame.channel);
      if (channel !== undefined)
        opened.standing.set(frame.slot, { channel, message: frame.message });
    } else if (frame.type === "peerRepeats") {
      for (const slot of frame.slots) {
        const said = opened.standing.get(slot);
        if (said === undefined) this.#violate(`slot ${slot} is repeated, and nothing stands there`);
        else this.#check(disk, said.channel, said.message);
      }
    }
  }

  #openedOn(connection: Connection): Opened {
    let opened = this.#opened.get(connection);
    if (opened === undefined) {
      opened = { channels: new Map(), standing: new Map() };
      this.#opened.set(connection, opened);
    }
    return opened;
  }

  #check(disk: SimDisk, { group, from, to }: Channel, message: Message): void {
    const mark = disk.marks.get(group);
    const term = mark?.hardState?.currentTerm ?? 0;
    if (message.type === "requestVoteReply" && message.granted) {
      const votedFor = mark?.hardState?.votedFor ?? null;
      if (term === message.term && votedFor === to) return;
      this.#violate(
        `group ${group}: ${from} granted ${to} a vote in term ${message.term}, but its disk has ` +
          `term ${term} and a vote for ${votedFor ?? "nobody"}`,
      );
    }
    if (message.type === "appendEntriesReply" && message.success) {
      const last = mark?.lastIndex ?? 0;
      if (term >= message.term && last >= message.matchIndex) return;
      this.#violate(
        `group ${group}: ${from} acknowledged index ${message.matchIndex} in term ${message.term}, ` +
          `but its disk has term ${term} and entries up to ${last}`,
      );
    }
  }
}
