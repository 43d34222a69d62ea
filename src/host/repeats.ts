/**
 * What a host says again and again. The beats of idle groups, and the echoes of them, differ from the ones
 * before in nothing but the time, so between two hosts they travel as a list of numbers:
 *
 *     dialler                                      listener
 *     peerMessage   channel, message               receive
 *     then, if the next is the same but for the time:
 *     peerStanding  slot, channel, message         remembers it, and delivers nothing
 *     peerRepeats   sentAtMs, slots                receive for each: its message, with that time
 *
 * No member can tell the difference: everybody sends and receives whole messages. It rests on nothing but
 * the order of the frames on one connection; with the connection everything is forgotten.
 */
import { isRepeatable } from "../codec/messages.js";
import type { Repeatable } from "../codec/types.js";
import { encodeFrame } from "../codec/wire.js";
import { hearPulse, type Pulse } from "../core/index.js";
import type { MemberId, Message } from "../core/types.js";
import type { Connection } from "../ports.js";
import type { HostedGroup } from "./hosted-group.js";
import type { PeerChannel } from "./peer-links.js";
import type { TurnFlusher } from "./turns.js";

/** What one channel has said, as far as it can be said again. */
export type Saying = {
  last: Repeatable | null;
  /** The listener knows it under `slot`. */
  standing: Repeatable | null;
  /** -1: none yet of `owner`'s. */
  slot: number;
  owner: Repeats | null;
  /** `Repeats.#flushes` when it was last repeated. */
  repeatedIn: number;
};

export function createSaying(): Saying {
  return { last: null, standing: null, slot: -1, owner: null, repeatedIn: -1 };
}

type Schedule = { afterEnd(output: TurnFlusher): void };

/** The dialler's side of one connection. */
export class Repeats implements TurnFlusher {
  readonly #connection: Connection;
  readonly #turns: Schedule;
  /** Slots below `#used` are taken, except these. */
  readonly #free: number[] = [];
  #used = 0;
  #sentAtMs = 0;
  /** The first `#repeated` of these; kept, so that it need not grow each time. */
  readonly #slots: number[] = [];
  #repeated = 0;
  #flushes = 0;

  constructor(connection: Connection, turns: Schedule) {
    this.#connection = connection;
    this.#turns = turns;
  }

  /** True: the message leaves with the others of this turn. False: it has to be sent as it is. */
  takes(channel: number, saying: Saying, message: Message): boolean {
    if (!isRepeatable(message)) return false;
    const { last } = saying;
    saying.last = message;
    if (saying.standing === null || !isSame(saying.standing, message)) {
      if (last === null || !isSame(last, message)) return false;
      this.#stand(channel, saying, message);
    }
    this.repeat(saying, message.sentAtMs);
    return true;
  }

  #stand(channel: number, saying: Saying, message: Repeatable): void {
    this.keepOrder(saying);
    if (saying.slot < 0) saying.slot = this.#free.pop() ?? this.#used++;
    saying.standing = message;
    const { slot } = saying;
    this.#connection.send(encodeFrame({ type: "peerStanding", slot, channel, message }));
  }

  /** What stands for this channel, at that time. */
  repeat(saying: Saying, sentAtMs: number): void {
    this.keepOrder(saying);
    if (this.#repeated > 0 && sentAtMs !== this.#sentAtMs) this.flushTurn();
    if (this.#repeated === 0) {
      this.#sentAtMs = sentAtMs;
      this.#turns.afterEnd(this);
    }
    this.#slots[this.#repeated++] = saying.slot;
    saying.repeatedIn = this.#flushes;
  }

  /** What stands was said in this turn: it is the last thing that was said. */
  isRepeating(saying: Saying): boolean {
    return saying.owner === this && saying.standing !== null && saying.repeatedIn === this.#flushes;
  }

  /** Another frame of this channel leaves: what was said before it has to arrive before it. */
  keepOrder(saying: Saying): void {
    if (saying.repeatedIn === this.#flushes) this.flushTurn();
  }

  /** The channel was opened anew: on another connection, or after the listener refused it. */
  reopened(saying: Saying): void {
    saying.last = null;
    saying.standing = null;
    if (saying.owner === this) return;
    saying.owner = this;
    saying.slot = -1;
    saying.repeatedIn = -1;
  }

  release(saying: Saying): void {
    if (saying.slot < 0 || saying.owner !== this) return;
    // Its slot may be another channel's in a moment.
    this.keepOrder(saying);
    this.#free.push(saying.slot);
    saying.slot = -1;
    saying.standing = null;
  }

  flushTurn(): void {
    if (this.#repeated === 0) return;
    const slots = this.#slots.slice(0, this.#repeated);
    this.#repeated = 0;
    this.#flushes += 1;
    this.#connection.send(encodeFrame({ type: "peerRepeats", sentAtMs: this.#sentAtMs, slots }));
  }
}

/** Where a channel of a peer leads to. */
export type PeerSource = { readonly group: HostedGroup; readonly from: MemberId };

/** What the listener remembers of one slot. */
export class Standing {
  readonly source: PeerSource;
  readonly #message: Repeatable;
  #pulse: Pulse | null = null;
  /** Of a beat: where its echo stands. */
  #echo: PeerChannel | null = null;

  constructor(source: PeerSource, message: Repeatable) {
    this.source = source;
    this.#message = message;
  }

  /** The message again: the short way if there is one, otherwise as a whole. */
  receive(sentAtMs: number, nowMs: number): void {
    const { group, from } = this.source;
    if (this.#pulse !== null && this.#hear(this.#pulse, sentAtMs, nowMs)) return;
    const message = againAt(this.#message, sentAtMs);
    this.#pulse = group.member.receiveRepeat(from, message, repeatBytes);
    if (this.#pulse === null || message.type === "appendEntriesReply") return;
    this.#echo = group.repeatingTo(from);
    // Where it is not what was just said again, it has to be said as a whole.
    if (this.#echo === null) this.#pulse = null;
  }

  #hear(pulse: Pulse, sentAtMs: number, nowMs: number): boolean {
    const echo = this.#echo;
    if (echo === null) return hearPulse(pulse, sentAtMs, nowMs);
    if (!echo.link.canRepeat(echo) || !hearPulse(pulse, sentAtMs, nowMs)) return false;
    echo.link.repeat(echo, sentAtMs, nowMs);
    this.source.group.member.beatHeard(nowMs);
    return true;
  }
}

/** What a repeat counts for in an inbox: about what the whole message would. */
const repeatBytes = 64;

function isSame(one: Repeatable, other: Repeatable): boolean {
  if (one.term !== other.term || one.round !== other.round) return false;
  if (one.type === "appendEntries") {
    return (
      other.type === "appendEntries" &&
      one.prevLogIndex === other.prevLogIndex &&
      one.prevLogTerm === other.prevLogTerm &&
      one.commitIndex === other.commitIndex &&
      one.promiseMs === other.promiseMs
    );
  }
  return other.type === "appendEntriesReply" && one.matchIndex === other.matchIndex;
}

/** The same message at another time. Field by field: to spread it into another costs ten times as much. */
function againAt(message: Repeatable, sentAtMs: number): Repeatable {
  if (message.type === "appendEntriesReply") {
    return {
      type: "appendEntriesReply",
      term: message.term,
      success: message.success,
      matchIndex: message.matchIndex,
      hintIndex: message.hintIndex,
      hintTerm: message.hintTerm,
      round: message.round,
      sentAtMs,
    };
  }
  return {
    type: "appendEntries",
    term: message.term,
    prevLogIndex: message.prevLogIndex,
    prevLogTerm: message.prevLogTerm,
    commitIndex: message.commitIndex,
    round: message.round,
    sentAtMs,
    promiseMs: message.promiseMs,
    entries: message.entries,
  };
}
