/** What one member consists of; the functions of this folder work on it. */
import type { Membership, RoleName, Term, MemberId, MemberInfo } from "../core/types.js";
import { expectTurn } from "../core/index.js";
import type { Replica, ReplicaEffect, ReplicaEvent } from "../replica.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { Deadlines } from "./deadlines.js";
import type { HookCalls } from "./hooks.js";
import type { Snapshots } from "./snapshots.js";
import type { MemberServices, ReplySink } from "./types.js";
import { addWaiter, type Waiter, type Waiting } from "./waiting.js";

export type SetTimer = Extract<ReplicaEffect, { readonly type: "setTimer" }>;

export type MemberState = {
  readonly group: string;
  readonly self: MemberInfo;
  readonly definition: AnyDefinedValue;
  readonly services: MemberServices;
  readonly replica: Replica;
  readonly waiting: Waiting;
  readonly deadlines: Deadlines;
  readonly snapshots: Snapshots;
  readonly hooks: HookCalls;
  readonly maxInboxBytes: number;
  /** null: a newcomer that has not heard yet which group it belongs to. */
  groupId: string | null;
  /** Events since the last turn, and an estimate of what they hold. */
  inbox: ReplicaEvent[];
  inboxBytes: number;
  /** Effects of the turn under way. */
  out: ReplicaEffect[];
  nextRequest: number;
  /** What the wall clock showed to the first proposal since the last turn; null: there is none yet. */
  proposedAtMs: number | null;
  role: RoleName;
  term: Term;
  leader: MemberId | null;
  /** The newest membership known to be committed, or null. */
  committed: Membership | null;
  /** Restored from storage, and has not led since. */
  restored: boolean;
  divergedAt: number | null;
  /** How the election timer was last set. */
  election: SetTimer | null;
  /** When a peer's message last came in; at first, when the member began. */
  lastHeardMs: number;
  /** Why storage will answer nothing any more, or null. */
  storageFailure: string | null;
  stopped: boolean;
};

/** Bookkeeping of an event beside its body. */
const eventOverheadBytes = 128;

/** True: the limit is reached, and nothing was taken in. */
export function isInboxFull(state: MemberState, bodyBytes: number): boolean {
  return state.inboxBytes + bodyBytes + eventOverheadBytes > state.maxInboxBytes;
}

/** The time that goes into the log with what is proposed now: one for all of a turn, the clock is slow to ask. */
export function proposalTimeMs(state: MemberState): number {
  return (state.proposedAtMs ??= state.services.clock.wallMs());
}

/** Puts an event into the inbox and asks for a turn. */
export function post(state: MemberState, event: ReplicaEvent, bodyBytes: number): void {
  if (state.stopped) return;
  state.inboxBytes += bodyBytes + eventOverheadBytes;
  state.inbox.push(event);
  expectTurn(state.replica.core);
  state.services.wake();
}

/** Adds a caller to the table; returns the number by which the core knows it. */
export function wait(
  state: MemberState,
  sink: ReplySink,
  request: number,
  kind: Waiter["kind"],
  session = 0,
  sequence = 0,
  body: Uint8Array | null = null,
  render: Waiter["render"] = null,
): number {
  const requestId = state.nextRequest++;
  addWaiter(state.waiting, {
    requestId,
    kind,
    session,
    sequence,
    sink,
    request,
    body,
    render,
    next: null,
  });
  return requestId;
}

/** Where a member listens: as it said itself, otherwise as the membership has it. */
export function addressOf(state: MemberState, id: MemberId): string | null {
  const announced = state.services.announcedAddress(id);
  if (announced !== null) return announced;
  const { members } = state.replica.core.membership;
  return members.find((member) => member.id === id)?.address ?? null;
}

/** Addresses of everybody in the membership in force. */
export function memberAddresses(state: MemberState): string[] {
  const { members } = state.replica.core.membership;
  return members.map((member) => addressOf(state, member.id) ?? member.address);
}
