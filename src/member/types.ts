/** What a member needs of the host that runs it, and what a user may hang on a group. */
import type { Rest } from "../core/index.js";
import type { GroupEvent } from "../client/types.js";
import type { MemberId, Message } from "../core/types.js";
import type { RaftError } from "../errors.js";
import type { Clock, Codec, Logger, Random, Storage } from "../ports.js";
import type { AppliedInfo } from "../value/types.js";

/**
 * Called on the leader only, after the fact, never awaited. Around a change of leader a call may be
 * repeated or missing, so hooks are for observing and not for bookkeeping. A throw or a rejected
 * promise is reported through the logger and is not fatal.
 *
 * @example
 * ```ts
 * const hooks: GroupHooks = {
 *   onCommandCommitted: ({ name, reply }) => console.log(name, reply),
 *   onElected: ({ term }) => console.log(`leader since term ${term}`),
 * };
 * ```
 */
export type GroupHooks = {
  /** A command was applied and has not failed; `arg` and `reply` are decoded copies of one's own. */
  readonly onCommandCommitted?:
    | ((call: {
        readonly name: string;
        readonly arg: unknown;
        readonly reply: unknown;
        readonly applied: AppliedInfo;
      }) => unknown)
    | undefined;
  /** A linearizable query was answered by this leader. */
  readonly onQueryAnswered?:
    | ((call: {
        readonly name: string;
        readonly arg: unknown;
        readonly answer: unknown;
      }) => unknown)
    | undefined;
  /** A committed change has named a new member (a learner first). */
  readonly onFollowerAdded?: ((member: { readonly id: string }) => unknown) | undefined;
  readonly onFollowerRemoved?: ((member: { readonly id: string }) => unknown) | undefined;
  readonly onElected?: ((election: { readonly term: number }) => unknown) | undefined;
  /** This member was restored from its storage and leads now. */
  readonly onRestored?: ((restored: { readonly lastApplied: number }) => unknown) | undefined;
};

/** Where the answer to one caller goes: a client's channel, or a promise of the host itself. */
export interface ReplySink {
  /** `status` is "ok" or a code of errors.ts; `body` an encoded reply or a UTF-8 message. */
  reply(
    request: number,
    status: string,
    applied: "no" | "maybe",
    index: number,
    body: Uint8Array,
  ): void;
}

/** The host's side of one member. Everything is called within a turn, unless it says otherwise. */
export interface MemberServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly logger: Logger;
  /** Encodes administrative replies and events; values may have a codec of their own. */
  readonly codec: Codec;
  send(to: MemberId, message: Message): void;
  /** The member's inbox is not empty: give it a turn. Called at any time. */
  wake(): void;
  /** The member has work left for a later turn, after the sockets have spoken. */
  wakeLater(): void;
  /** `finishTurn` is due, in this turn, after its messages have left. */
  finishLater(): void;
  /** Something was handed to storage: flush it at the end of this round. */
  storageTouched(): void;
  /** The member's earliest deadline is another one now; Infinity: it has none. */
  deadlineSet(deadlineMs: number): void;
  /**
   * The member has just sent the beats of `rest`, and would send nothing else at `dueMs`. True: the host does
   * it from now on, as long as `restAgain` allows, and says `beatDue` when it does not.
   */
  takesBeats(rest: Rest, heartbeatMs: number, dueMs: number): boolean;
  /** Role, leader or membership changed: clients want a new hint. */
  leaderChanged(): void;
  notify(event: GroupEvent): void;
  /** The end: null after `stop`, otherwise why. */
  stopped(error: RaftError | null): void;
  /** Where a member is known to listen now, if it said so itself. */
  announcedAddress(id: MemberId): string | null;
  /** It has just said so. */
  announce(id: MemberId, address: string): void;
  /** The group has it elsewhere now. */
  hasLeft(id: MemberId, address: string): void;
  loopDelayMs(): number;
}
