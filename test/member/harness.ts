/** One member without a host: tests play its peers, its storage and its callers. */
import assert from "node:assert/strict";
import { SeededRandom, VirtualClock } from "../../src/clock/virtual.js";
import type { GroupEvent } from "../../src/client/types.js";
import { createCborCodec } from "../../src/codec/values.js";
import { bootstrapEntries, defaultGroupConfig } from "../../src/core/index.js";
import type {
  AppendEntries,
  Entry,
  GroupConfig,
  Message,
  Membership,
} from "../../src/core/types.js";
import type { RaftError } from "../../src/errors.js";
import type { Codec } from "../../src/ports.js";
import { Member } from "../../src/member/member.js";
import type { GroupHooks, MemberServices, ReplySink } from "../../src/member/types.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import { encodeCommandBody, encodeQueryBody } from "../../src/value/body.js";
import { defineValue } from "../../src/value/define.js";
import type { AnyDefinedValue } from "../../src/value/types.js";

export const codec = createCborCodec();

export const counter = defineValue({
  name: "counter",
  version: 1,
  initial: () => 0,
  commands: { inc: (n, by: number) => ({ reply: n + by, value: n + by }) },
  queries: { get: (n) => n },
});

export type Reply = {
  readonly request: number;
  readonly status: string;
  readonly applied: "no" | "maybe";
  readonly index: number;
  readonly value: unknown;
  /** The words of a refusal. */
  readonly text: string;
};

const voters = ["a#1", "b#1", "c#1"];
const trio: Membership = {
  voters,
  outgoing: [],
  learners: [],
  members: voters.map((id) => ({ id, address: `${id[0]}:1` })),
};

/** A session's entry at index 3, and so many increments by one behind it, all of term 2. */
export function longLog(definition: AnyDefinedValue, count: number): Entry[] {
  const body = encodeCommandBody(definition, codec, "inc", true, 1, null);
  const base = { term: 2, session: 3, lowestOutstanding: 1, timeMs: 2e12, payload: null };
  const entries: Entry[] = [
    { ...base, index: 3, kind: "register", session: 0, sequence: 1, body: new Uint8Array(0) },
  ];
  for (let sequence = 1; sequence <= count; sequence++) {
    entries.push({ ...base, index: 3 + sequence, kind: "command", sequence, body });
  }
  return entries;
}

/** Of the leader c#1 of term 2, behind the beginning of the group, unless it says otherwise. */
export function appendOf(fields: Partial<AppendEntries>): AppendEntries {
  return {
    ...{ type: "appendEntries", term: 2, prevLogIndex: 2, prevLogTerm: 1, commitIndex: 2 },
    ...{ round: 1, sentAtMs: 0, promiseMs: 1000, entries: [] },
    ...fields,
  };
}

type Sent = { readonly to: string; readonly message: Message };

export class Lab {
  readonly clock = new VirtualClock({ nowMs: 1000 });
  readonly storage: MemoryStorage = createMemoryStorage({ durable: true });
  readonly replies: Reply[] = [];
  readonly events: GroupEvent[] = [];
  readonly log: string[] = [];
  /** What the host was told of where members are. */
  readonly announced: string[] = [];
  sent: Sent[] = [];
  later = 0;
  ended: { readonly error: RaftError | null } | null = null;
  readonly definition: AnyDefinedValue;
  readonly sink: ReplySink = {
    reply: (request, status, applied, index, body) => {
      const value = status === "ok" && body.length > 0 ? codec.decode(body) : null;
      const text = status === "ok" ? "" : Buffer.from(body).toString();
      this.replies.push({ request, status, applied, index, value, text });
    },
  };
  member!: Member;
  #woken = false;
  #touched = false;
  #unfinished = false;

  readonly #valueCodec: Codec;

  constructor(definition: AnyDefinedValue, valueCodec: Codec = codec) {
    this.definition = definition;
    this.#valueCodec = valueCodec;
  }

  /** Member a#1 of three, restored with an empty log but for the group's beginning. */
  async restore(change: Partial<GroupConfig> = {}, hooks: GroupHooks = {}): Promise<void> {
    const config = { ...defaultGroupConfig, ...change };
    const { clock, storage } = this;
    const self = trio.members[0]!;
    await storage.open("a", {
      onStored: (_group, ticket) => this.member.storedTicket(ticket),
      onSnapshotChunkWritten: (_group, index, term, sizeBytes) =>
        this.member.snapshotChunkWritten(index, term, sizeBytes),
      onSnapshotSaved: (_group, snapshot, ok) => this.member.snapshotSaved(snapshot, ok),
      onSnapshotChunkRead: (_group, to, index, offset, data) =>
        this.member.snapshotChunkRead(to, index, offset, data),
      onFailed: (error) => this.member.storageFailed(error.message),
      onWarning: (message) => this.log.push(message),
    });
    const [first, second] = bootstrapEntries(self, config, clock.wallMs()) as [Entry, Entry];
    const entries = [first, { ...second, payload: trio }];
    const hardState = { currentTerm: 1, votedFor: null, forcedRemovals: [] };
    const identity = { group: "g", groupId: "id", memberId: self.id, address: self.address };
    storage.createGroup({ ...identity, valueName: this.definition.name });
    this.member = new Member({
      group: "g",
      groupId: "id",
      self,
      definition: this.definition,
      valueCodec: this.#valueCodec,
      hooks,
      services: this.#services(),
      start: { type: "restore", hardState, snapshot: null, entries, pieces: [] },
      freeze: true,
      maxInboxBytes: 1_000_000,
    });
    storage.append({ group: "g", ticket: 0, hardState, truncateFrom: 0, entries });
    storage.flush();
    this.settle();
  }

  #services(): MemberServices {
    const line = (_fields: object, message: string): void => void this.log.push(message);
    return {
      clock: this.clock,
      random: new SeededRandom(1),
      storage: this.storage,
      logger: { debug: line, info: line, warn: line, error: line },
      codec,
      send: (to, message) => void this.sent.push({ to, message }),
      wake: () => (this.#woken = true),
      finishLater: () => (this.#unfinished = true),
      wakeLater: () => (this.later += 1),
      storageTouched: () => (this.#touched = true),
      deadlineSet: () => undefined,
      takesBeats: () => false,
      leaderChanged: () => undefined,
      notify: (event) => void this.events.push(event),
      stopped: (error) => (this.ended = { error }),
      announcedAddress: () => null,
      hasLeft: () => undefined,
      announce: (id, address) => void this.announced.push(`${id} at ${address}`),
      loopDelayMs: () => 0,
    };
  }

  /** Turns until the member is quiet, as a host gives them. */
  settle(): void {
    while (this.#woken || this.#touched || this.#unfinished) {
      if (this.#woken) {
        this.#woken = false;
        this.member.turn();
      } else if (!this.#touched) {
        this.#unfinished = false;
        this.member.finishTurn();
      }
      if (!this.#touched) continue;
      this.#touched = false;
      this.storage.flush();
    }
  }

  /** A turn that nobody asked for, with its rest. */
  turn(): void {
    this.member.turn();
    this.settle();
  }

  /** Lets time pass up to the member's next deadline and acts on it. */
  fire(): void {
    this.clock.advanceTo(Math.max(this.clock.nowMs(), this.member.earliestMs));
    this.member.fireTimers(this.clock.nowMs(), 0);
    this.settle();
  }

  receive(from: string, message: Message): void {
    this.member.receive(from, message, 100);
    this.settle();
  }

  /** Takes out the newest message of that type to that member. */
  take<T extends Message["type"]>(to: string, type: T): Extract<Message, { type: T }> {
    const found = this.sent.findLast((one) => one.to === to && one.message.type === type);
    assert.ok(found !== undefined, `no ${type} to ${to}`);
    this.sent = this.sent.filter((one) => one !== found);
    return found.message as Extract<Message, { type: T }>;
  }

  /** Elects a#1 by the votes of b#1, which acknowledges its first entry. */
  lead({ acknowledged = true } = {}): void {
    for (let i = 0; i < 100 && this.member.role !== "preCandidate"; i++) this.fire();
    const asked = this.take("b#1", "preVote");
    const preVote = { term: asked.term - 1, requestTerm: asked.term, removed: false } as const;
    this.receive("b#1", { type: "preVoteReply", ...preVote, granted: true });
    const { term } = this.take("b#1", "requestVote");
    this.receive("b#1", { type: "requestVoteReply", term, granted: true });
    assert.equal(this.member.role, "leader");
    if (acknowledged) this.acknowledge();
  }

  /** It acknowledges the newest appendEntries that went there. */
  acknowledge(from = "b#1"): void {
    this.answer(from, true);
  }

  /** Turns that the member has asked for, each of which may ask for another one; what each applied. */
  laterTurns(): number[] {
    const { core } = this.member.replica;
    const slices: number[] = [];
    while (this.later > 0) {
      this.later = 0;
      const before = core.lastApplied;
      this.turn();
      slices.push(core.lastApplied - before);
    }
    return slices;
  }

  /** A follower whose log ends before what it was sent. */
  refuse(from: string): void {
    this.answer(from, false);
  }

  private answer(from: string, success: boolean): void {
    const { term, round, sentAtMs, prevLogIndex, entries } = this.take(from, "appendEntries");
    const matchIndex = success ? prevLogIndex + entries.length : prevLogIndex;
    this.receive(from, {
      ...{ type: "appendEntriesReply", term, success, matchIndex },
      ...{ hintIndex: 0, hintTerm: 0, round, sentAtMs },
    });
  }

  register(request = 1): number {
    this.member.request(this.sink, { type: "register", request, nonce: 1000 + request });
    this.settle();
    this.acknowledge();
    const reply = this.replies.find((each) => each.request === request);
    assert.equal(reply?.status, "ok");
    return reply!.index;
  }

  command(request: number, session: number, sequence: number, name: string, arg: unknown): void {
    const body = encodeCommandBody(this.definition, codec, name, true, arg, null);
    this.member.request(this.sink, {
      type: "command",
      request,
      session,
      sequence,
      lowestOutstanding: 1,
      body,
    });
  }

  query(request: number, name: string): void {
    const body = encodeQueryBody(this.definition, codec, name, false, undefined);
    this.member.request(this.sink, { type: "query", request, stale: false, body });
  }

  admin(request: number, verb: string, body: unknown): void {
    const bytes = codec.encode(body);
    this.member.request(this.sink, { type: "admin", request, verb, body: bytes });
  }

  repliesTo(request: number): Reply[] {
    return this.replies.filter((reply) => reply.request === request);
  }
}
