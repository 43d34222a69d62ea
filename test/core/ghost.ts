/**
 * What an onlooker who sees every member at once remembers: committed entries, leaders, votes, what
 * was asked for and what became of it. Nothing here is known to the cores.
 */
import { allEntries, termAt } from "../../src/core/log.js";
import type { Core } from "../../src/core/state.js";
import type {
  CoreEffect,
  Entry,
  LogIndex,
  MemberId,
  Membership,
  Message,
} from "../../src/core/types.js";
import { checksumOf, type HarnessDisk } from "./harness-disk.js";

export type RequestKind = "command" | "read" | "membership" | "config" | "transfer" | "snapshot";

export type Request = {
  readonly id: number;
  readonly kind: RequestKind;
  readonly at: MemberId;
  /** Of a command: what its entry bears. Otherwise 0. */
  readonly sequence: number;
  /** The highest index committed anywhere when it was made. */
  readonly committed: LogIndex;
};

/** Applied state of one member, as small as can be: where it stands, and a hash of all before. */
export type Value = { index: LogIndex; digest: number };

type Known = { readonly term: number; readonly key: string; readonly digest: number };
type Seen = { term: number; commitIndex: LogIndex; lastApplied: LogIndex };

function keyOf(entry: Entry): string {
  const payload = entry.payload === null ? "" : JSON.stringify(entry.payload);
  return `${entry.kind} ${checksumOf(entry.body)} ${payload}`;
}

export class Ghost {
  readonly #committed: Known[] = [{ term: 0, key: "", digest: 1 }];
  readonly #leaders = new Map<number, MemberId>();
  readonly #votes = new Map<string, MemberId>();
  readonly #seen = new Map<Core, Seen>();
  readonly #appliedAt = new Map<string, LogIndex>();
  /** Named by a committed membership once: such an id is never added again (hazard 66). */
  readonly everMembers = new Set<MemberId>();
  readonly open = new Map<number, Request>();
  readonly violations: string[] = [];

  readonly violate = (what: string): void => {
    this.violations.push(what);
  };

  get committedIndex(): LogIndex {
    return this.#committed.length - 1;
  }

  /** After a turn: what is committed here was never anything else, and nothing went back. */
  observe(core: Core): void {
    const { id } = core.self;
    const { commitIndex, lastApplied, currentTerm: term } = core;
    const before = this.#seen.get(core) ?? { term: 0, commitIndex: 0, lastApplied: 0 };
    if (term < before.term) this.violate(`${id}: term fell from ${before.term} to ${term}`);
    if (commitIndex < before.commitIndex) this.violate(`${id}: commitIndex fell to ${commitIndex}`);
    if (lastApplied < before.lastApplied) this.violate(`${id}: lastApplied fell to ${lastApplied}`);
    for (const entry of allEntries(core.log)) {
      if (entry.index > before.commitIndex && entry.index <= commitIndex) this.#commit(id, entry);
    }
    this.#seen.set(core, { term, commitIndex, lastApplied });
    if (core.role.type === "leader") this.#lead(id, term);
  }

  #commit(id: MemberId, entry: Entry): void {
    const known = this.#committed[entry.index];
    const key = keyOf(entry);
    if (known !== undefined) {
      if (known.term === entry.term && known.key === key) return;
      this.violate(`${id} committed ${entry.index}@${entry.term}, before it was @${known.term}`);
      return;
    }
    const previous = this.#committed[entry.index - 1];
    if (previous === undefined) return this.violate(`${id}: a gap below committed ${entry.index}`);
    const digest = nextDigest(previous.digest, entry);
    this.#committed.push({ term: entry.term, key, digest });
    if (entry.kind !== "membership") return;
    for (const member of (entry.payload as Membership).members) this.everMembers.add(member.id);
  }

  #lead(id: MemberId, term: number): void {
    const other = this.#leaders.get(term);
    if (other === undefined) this.#leaders.set(term, id);
    else if (other !== id) this.violate(`term ${term} is led by ${other} and by ${id}`);
  }

  /** An entry reaches a member's value. */
  apply(id: MemberId, value: Value, entry: Entry): void {
    if (entry.index !== value.index + 1) {
      this.violate(`${id} applied ${entry.index} after ${value.index}`);
    }
    value.index = entry.index;
    value.digest = nextDigest(value.digest, entry);
    this.compare(id, value);
    if (entry.kind !== "command") return;
    for (const request of this.open.values()) {
      const answered = request.at === id && request.sequence === entry.sequence;
      if (answered) this.open.delete(request.id);
    }
    const key = keyOf(entry);
    const at = this.#appliedAt.get(key) ?? entry.index;
    if (at !== entry.index) this.violate(`one command was applied at ${at} and at ${entry.index}`);
    this.#appliedAt.set(key, entry.index);
  }

  compare(id: MemberId, value: Value): void {
    const known = this.#committed[value.index];
    if (known === undefined) this.violate(`${id} applied ${value.index}, which is not committed`);
    else if (known.digest !== value.digest) this.violate(`${id} differs at ${value.index}`);
  }

  /** Persist before send: at this very moment the disk must show what the message promises. */
  send(core: Core, disk: HarnessDisk, to: MemberId, message: Message): void {
    const { id } = core.self;
    const { hardState } = disk;
    const durableTerm = hardState?.currentTerm ?? 0;
    const broken = (what: string) => this.violate(`${id}->${to} ${message.type}: ${what}`);
    if (message.type === "requestVoteReply" && message.granted) {
      this.#vote(id, message.term, to);
      const stored = durableTerm === message.term && hardState?.votedFor === to;
      if (!stored) broken("the vote is not durable");
    }
    const isReply =
      message.type === "appendEntriesReply" || message.type === "installSnapshotReply";
    if ((isReply || message.type === "requestVoteReply") && durableTerm < message.term) {
      broken(`term ${message.term} is not durable`);
    }
    if (message.type === "appendEntriesReply" && message.success) {
      const { matchIndex } = message;
      const held = termAt(core.log, matchIndex);
      if (!disk.covers(matchIndex, held)) broken(`${matchIndex} is not durable`);
    }
    if (message.type === "installSnapshotReply" && message.installed) {
      const { snapshotIndex, snapshotTerm } = message;
      if (!disk.covers(snapshotIndex, snapshotTerm)) broken("the snapshot is not durable");
    }
    if (message.type === "appendEntries") {
      const leads = durableTerm === message.term && hardState?.votedFor === id;
      if (!leads) broken("it leads without a durable vote of its own");
    }
  }

  #vote(voter: MemberId, term: number, candidate: MemberId): void {
    const key = `${voter} ${term}`;
    const other = this.#votes.get(key) ?? candidate;
    this.#votes.set(key, other);
    if (other !== candidate)
      this.violate(`${voter} voted for ${other} and ${candidate} in ${term}`);
  }

  ask(request: Request): void {
    this.open.set(request.id, request);
  }

  close(id: number): Request | null {
    const request = this.open.get(id) ?? null;
    this.open.delete(id);
    return request;
  }

  /** Whoever waited at this member (for a command only, if `kind` says so) is told "maybe". */
  closeAll(at: MemberId, kind: RequestKind | null): void {
    for (const request of this.open.values()) {
      if (request.at === at && (kind ?? request.kind) === request.kind) {
        this.open.delete(request.id);
      }
    }
  }

  answerReads(
    core: Core,
    value: Value,
    nowMs: number,
    effect: Extract<CoreEffect, { type: "answerReads" }>,
  ): void {
    const { readIndex, leaseUntilMs } = effect;
    const { id } = core.self;
    if (value.index < readIndex) this.violate(`${id} answers at ${readIndex}, has ${value.index}`);
    if (leaseUntilMs !== null && nowMs >= leaseUntilMs) this.violate(`${id}: its lease is over`);
    for (const number of effect.requests) {
      const request = this.close(number);
      if (request === null) this.violate(`${id} answers #${number}, which is settled already`);
      else if (readIndex < request.committed) {
        const by = leaseUntilMs === null ? "" : " by lease";
        this.violate(`${id} answers a read${by} at ${readIndex}, committed: ${request.committed}`);
      }
    }
  }
}

function nextDigest(before: number, entry: Entry): number {
  const mixed = Math.imul(before ^ entry.term, 2654435761) ^ checksumOf(entry.body);
  return Math.imul(mixed ^ (mixed >>> 15) ^ entry.index, 2246822519) >>> 0;
}
