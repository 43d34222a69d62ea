/**
 * Persist before send: what leaves a machine as a vote or an acknowledgement is covered by what its
 * disk would show after a power cut at this very moment (hazards 1, 2, 28 to 32).
 */
import type { HardState, LogIndex, Message } from "../core/types.js";
import type { StoreBatch } from "../ports.js";
import type { SimDisk } from "./disk.js";
import type { Violate } from "./oracles.js";
import type { Channel } from "./sent-messages.js";

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

export class DurabilityOracle {
  readonly #diskOf: (machine: string) => SimDisk | null;
  readonly #violate: Violate;

  constructor(diskOf: (machine: string) => SimDisk | null, violate: Violate) {
    this.#diskOf = diskOf;
    this.#violate = violate;
  }

  /** A message is handed to the network. */
  sent(machine: string, channel: Channel, message: Message): void {
    const disk = this.#diskOf(machine);
    if (disk !== null) this.#check(disk, channel, message);
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
