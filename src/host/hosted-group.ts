/** One group on this host: its member, who listens to it, and the way to its peers. */
import type { GroupEvent } from "../client/types.js";
import type { Rest } from "../core/index.js";
import type { AppendEntries, MemberId, MemberInfo, Message } from "../core/types.js";
import type { RaftError } from "../errors.js";
import type { MemberOptions } from "../member/create.js";
import { Member } from "../member/member.js";
import type { GroupHooks, MemberServices } from "../member/types.js";
import type { Clock, Codec, Logger, Random, Storage } from "../ports.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { ClientChannel } from "./client-channel.js";
import type { HostContext } from "./context.js";
import { Forgetful } from "./forgetful.js";
import type { PeerChannel } from "./peer-links.js";
import type { TurnFlusher, TurnTaker } from "./turns.js";
import { Vigil } from "./vigil.js";

export type HostedGroupOptions = {
  readonly name: string;
  readonly groupId: string | null;
  readonly self: MemberInfo;
  readonly definition: AnyDefinedValue;
  readonly hooks: GroupHooks;
  readonly start: MemberOptions["start"];
  readonly joinedThrough: readonly string[];
};

export class HostedGroup implements MemberServices, TurnTaker, TurnFlusher {
  readonly name: string;
  readonly self: MemberInfo;
  readonly definition: AnyDefinedValue;
  readonly member: Member;
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly logger: Logger;
  readonly codec: Codec;
  readonly channels = new Set<ClientChannel>();
  /** One for each member that it has sent to; few enough to be looked through. */
  readonly peers: PeerChannel[] = [];
  /** Called after every change of role, leader or membership, and when the member ends. */
  readonly watchers = new Set<() => void>();
  /** Addresses that the member was told to join through, if any. */
  readonly joinedThrough: readonly string[];
  /** It is asking to be taken in, or about its group (`OutOfTouch`). */
  asking = false;
  /** Where it asks about the others, at this time; null: it asks the leader, at any address. */
  readonly asked = new Set<string | null>();
  /** When it was last seen to have a leader, or was begun. */
  leaderSeenMs: number;
  /** It asks not before that time, and pauses for so long after that. */
  askAgainMs = 0;
  askPauseMs = 0;
  woken = false;
  unfinished = false;
  place = -1;
  /** Set once the member has ended: why, or null for an orderly end. */
  ended: { readonly error: RaftError | null } | null = null;
  /** It is about to be stopped: the attempt to leave its leadership to somebody else. */
  handingOver: Promise<void> | null = null;
  readonly #context: HostContext;
  readonly #onEnded: (group: HostedGroup, error: RaftError | null) => void;
  /** Not the host's: a quiet core's time lags behind, and then a busy one's answers look new to it. */
  readonly #vigil: Vigil;
  readonly #forgetful = new Forgetful();
  #hintWanted = false;
  /** Of the last message to a follower. */
  #round = 0;

  constructor(
    context: HostContext,
    options: HostedGroupOptions,
    onEnded: (group: HostedGroup, error: RaftError | null) => void,
  ) {
    this.#context = context;
    this.#onEnded = onEnded;
    this.name = options.name;
    this.self = options.self;
    this.definition = options.definition;
    this.joinedThrough = options.joinedThrough;
    this.clock = context.clock;
    this.leaderSeenMs = context.clock.nowMs();
    this.random = context.random;
    this.storage = context.storage;
    this.logger = context.logger;
    this.codec = context.codec;
    this.#vigil = new Vigil(context.clock, context.limits.maxAwakeUs);
    this.member = new Member({
      group: options.name,
      groupId: options.groupId,
      self: options.self,
      definition: options.definition,
      valueCodec: options.definition.codec ?? context.codec,
      hooks: options.hooks,
      services: this,
      start: options.start,
      freeze: context.freeze,
      maxAppliedPerTurn: context.maxAppliedPerTurn,
      maxInboxBytes: context.limits.maxInboxBytes,
    });
    context.turns.add(this);
  }

  channelTo(to: MemberId): PeerChannel | null {
    for (const channel of this.peers) if (channel.to === to) return channel;
    return null;
  }

  /** The channel to that member, if the last thing said on it was just said again. */
  repeatingTo(to: MemberId): PeerChannel | null {
    const channel = this.channelTo(to);
    return channel?.link.isRepeating(channel) === true ? channel : null;
  }

  /** From a peer. */
  receive(from: MemberId, message: Message, sizeBytes: number): void {
    if (message.type === "appendEntriesReply") {
      this.#vigil.answered(message.sentAtMs);
      this.#forgetful.note(this.#context, this, from, message);
    }
    this.member.receive(from, message, sizeBytes);
  }

  // Turns

  get earliestMs(): number {
    return this.member.earliestMs;
  }
  get stallMs(): number {
    return this.member.stallMs;
  }
  turn(): void {
    this.member.turn();
  }
  finishTurn(): void {
    this.member.finishTurn();
  }
  fireTimers(nowMs: number, lateMs: number): void {
    this.member.fireTimers(nowMs, lateMs);
  }

  // MemberServices

  send(to: MemberId, message: Message): void {
    if (message.type === "appendEntries") this.#appends(message);
    this.#context.links.send(this, to, message);
  }

  /** Somebody waits for the answer to entries, and to a round that confirms reads. */
  #appends({ entries, round, sentAtMs }: AppendEntries): void {
    if (entries.length > 0 || round !== this.#round) this.#vigil.begin(sentAtMs);
    this.#round = round;
  }
  wake(): void {
    this.#context.turns.wake(this);
  }
  wakeLater(): void {
    this.#context.turns.wakeLater(this);
  }
  finishLater(): void {
    this.#context.turns.finishLater(this);
  }
  storageTouched(): void {
    this.#context.turns.storageTouched();
  }
  deadlineSet(deadlineMs: number): void {
    this.#context.turns.deadlineSet(this, deadlineMs);
  }
  takesBeats(rest: Rest, heartbeatMs: number, dueMs: number): boolean {
    return this.#context.resting.takes(this, rest, heartbeatMs, dueMs);
  }
  leaderChanged(): void {
    if (this.#hintWanted) return;
    this.#hintWanted = true;
    this.#context.turns.atEnd(this);
  }
  notify(event: GroupEvent): void {
    for (const channel of this.channels) channel.notify(event);
  }
  announcedAddress(id: MemberId): string | null {
    return this.#context.announced.get(id);
  }
  announce(id: MemberId, address: string): void {
    if (this.#context.announced.set(id, address)) this.leaderChanged();
  }
  hasLeft(id: MemberId, address: string): void {
    this.#context.announced.hasLeft(id, address);
  }
  loopDelayMs(): number {
    return this.#context.turns.loopDelayMs;
  }
  stopped(error: RaftError | null): void {
    this.ended = { error };
    this.#context.turns.remove(this);
    this.notify({ type: "closed" });
    this.#onEnded(this, error);
    this.leaderChanged();
  }

  /** Hints and watchers once per turn, however often things changed within it. */
  flushTurn(): void {
    this.#hintWanted = false;
    // The membership may have another address by now for one that has not said its own.
    for (const channel of this.peers) channel.addressVersion = -1;
    if (this.ended === null) for (const channel of this.channels) channel.sendHint();
    for (const watcher of [...this.watchers]) watcher();
  }
}
