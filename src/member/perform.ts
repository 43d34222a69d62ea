/** The effects of a turn, carried out one by one in the order in which the replica named them. */
import { assert } from "../errors.js";
import type { ReplicaEffect } from "../replica.js";
import type { Outcome } from "../value/types.js";
import type { Entry, Membership, RefusalCode } from "../core/types.js";
import { clearDeadline, setDeadline } from "./deadlines.js";
import { hookCommand, hookElected, hookMembership, hookRestored } from "./hooks.js";
import { answerEnded, refusalText, replyError } from "./replies.js";
import { answerReads } from "./reads.js";
import { beginInstalling, beginTaking } from "./snapshots.js";
import { membersEvent, roleEvent } from "./status.js";
import type { MemberState, SetTimer } from "./state.js";
import { chunkGiven, snapshotOvertaken } from "./saved.js";
import { takeCommand, takeProposals, takeRegister, takeRequest, type Waiter } from "./waiting.js";

/** Returns true when a committed change took this member out of the group. */
export function performAll(state: MemberState, out: readonly ReplicaEffect[]): boolean {
  let leadershipLost = false;
  let removed = false;
  for (let i = 0; i < out.length; i++) {
    const effect = out[i]!;
    if (effect.type === "roleChanged")
      leadershipLost = roleChanged(state, effect) || leadershipLost;
    else if (effect.type === "removed") removed = true;
    else perform(state, effect);
  }
  // Last, so that whoever was refused or answered in this very turn has the exact answer.
  if (leadershipLost) answerLost(state);
  return removed;
}

type Told = Extract<ReplicaEffect, { readonly type: "roleChanged" | "removed" }>;

function perform(state: MemberState, effect: Exclude<ReplicaEffect, Told>): void {
  const { services, group } = state;
  switch (effect.type) {
    case "send":
      return services.send(effect.to, effect.message);
    case "store": {
      const { ticket, hardState, truncateFrom, entries } = effect;
      services.storage.append({ group, ticket, hardState, truncateFrom, entries });
      return services.storageTouched();
    }
    case "applied":
      return applied(state, effect.entries, effect.outcomes);
    case "answerReads":
      return answerReads(state, effect.requests, effect.leaseUntilMs);
    case "setTimer":
      return setTimer(state, effect);
    case "cancelTimer":
      if (clearDeadline(state.deadlines, effect.timer)) tellDeadline(state);
      return;
    case "commandAnswered":
      return commandAnswered(state, effect.request, effect.outcome);
    case "refused":
      return refused(state, effect.request, effect.code, effect.applied);
    case "accepted":
      return accepted(state, effect.request, effect.index);
    case "membershipChanged":
      return membershipChanged(state, effect);
    case "configChanged":
      return services.notify({ type: "config", config: effect.config });
    case "diverged":
      return diverged(state, effect);
    case "snapshotStarted":
    case "readSnapshotChunk":
    case "writeSnapshotChunk":
    case "installSnapshot":
    case "compactLog":
      return performSnapshot(state, effect);
    default:
      effect satisfies never;
  }
}

type SnapshotEffect = Extract<
  ReplicaEffect,
  {
    readonly type:
      | "snapshotStarted"
      | "readSnapshotChunk"
      | "writeSnapshotChunk"
      | "installSnapshot"
      | "compactLog";
  }
>;

function performSnapshot(state: MemberState, effect: SnapshotEffect): void {
  const { services, group } = state;
  const { storage } = services;
  services.storageTouched();
  switch (effect.type) {
    case "snapshotStarted":
      return beginTaking(state.snapshots, effect);
    case "readSnapshotChunk": {
      const { to, index, offset, maxBytes } = effect;
      return storage.readSnapshotChunk(group, to, index, offset, maxBytes);
    }
    case "writeSnapshotChunk":
      chunkGiven(state, effect);
      return storage.writeSnapshotChunk(group, effect.snapshot, effect.offset, effect.data);
    case "installSnapshot":
      snapshotOvertaken(state);
      return beginInstalling(state.snapshots, effect.snapshot);
    case "compactLog":
      return storage.compactLog(group, effect.firstIndex);
    default:
      effect satisfies never;
  }
}

export function setTimer(state: MemberState, effect: SetTimer): void {
  const { timer, minMs, maxMs } = effect;
  if (timer === "election") state.election = effect;
  const { clock, random } = state.services;
  const delayMs = minMs === maxMs ? minMs : minMs + random.next() * (maxMs - minMs);
  if (setDeadline(state.deadlines, timer, clock.nowMs(), delayMs)) tellDeadline(state);
}

function tellDeadline({ services, deadlines }: MemberState): void {
  services.deadlineSet(deadlines.earliestMs);
}

function applied(
  state: MemberState,
  entries: readonly Entry[],
  outcomes: readonly (Outcome | null)[],
): void {
  const { waiting, hooks } = state;
  const leads = state.role === "leader";
  for (let i = 0; i < entries.length; i++) {
    const outcome = outcomes[i]!;
    if (outcome === null) continue;
    const entry = entries[i]!;
    if (entry.kind === "register") {
      answer(takeRegister(waiting, entry.sequence), outcome, entry.index);
      continue;
    }
    answer(takeCommand(waiting, entry.session, entry.sequence), outcome, entry.index);
    if (leads && hooks.hooks.onCommandCommitted !== undefined) hookCommand(hooks, entry, outcome);
  }
}

function answer(first: Waiter | null, outcome: Outcome, index: number): void {
  for (let waiter = first; waiter !== null; waiter = waiter.next) {
    waiter.sink.reply(waiter.request, outcome.status, outcome.applied, index, outcome.body);
  }
}

function commandAnswered(state: MemberState, request: number, outcome: Outcome): void {
  answer(takeRequest(state.waiting, request), outcome, 0);
}

function refused(
  state: MemberState,
  request: number,
  code: RefusalCode,
  applied: "no" | "maybe",
): void {
  const waiter = takeRequest(state.waiting, request);
  if (waiter === null) return;
  replyError(waiter.sink, waiter.request, code, applied, refusalText(state, code));
}

function accepted(state: MemberState, request: number, index: number): void {
  const waiter = takeRequest(state.waiting, request);
  if (waiter === null) return;
  assert(waiter.render !== null, `request ${request} of kind ${waiter.kind} cannot be accepted`);
  waiter.sink.reply(waiter.request, "ok", "maybe", index, waiter.render(index));
}

type RoleChanged = Extract<ReplicaEffect, { readonly type: "roleChanged" }>;

/** Returns true when leadership was lost. */
function roleChanged(state: MemberState, effect: RoleChanged): boolean {
  const led = state.role === "leader";
  const leads = effect.role === "leader";
  const newTerm = effect.term !== state.term;
  state.role = effect.role;
  state.term = effect.term;
  state.leader = effect.leader;
  state.services.leaderChanged();
  state.services.notify(roleEvent(state));
  if (leads && (!led || newTerm)) {
    hookElected(state.hooks, effect.term);
    if (state.restored) hookRestored(state.hooks, state.replica.core.lastApplied);
    state.restored = false;
  }
  return led && !leads;
}

/** An entry that this member appended as leader may be committed by the next one (hazard 90). */
function answerLost(state: MemberState): void {
  const lost = takeProposals(state.waiting);
  if (lost.length === 0) return;
  answerEnded(lost, "notLeader", `${refusalText(state, "notLeader")} any more`);
}

type MembershipChanged = Extract<ReplicaEffect, { readonly type: "membershipChanged" }>;

function membershipChanged(state: MemberState, effect: MembershipChanged): void {
  if (effect.committed) {
    const before = state.committed;
    state.committed = effect.membership;
    if (before !== null) noteMoves(state, before, effect.membership);
    if (before !== null && state.role === "leader") {
      hookMembership(state.hooks, before, effect.membership);
    }
  }
  state.services.leaderChanged();
  state.services.notify(membersEvent(effect.membership));
}

function noteMoves({ self, services }: MemberState, before: Membership, now: Membership): void {
  for (const { id, address } of before.members) {
    const moved = now.members.find((one) => one.id === id && one.address !== address);
    if (moved !== undefined && id !== self.id) services.hasLeft(id, address);
  }
}

type Diverged = Extract<ReplicaEffect, { readonly type: "diverged" }>;

function diverged(state: MemberState, { what, index, leader }: Diverged): void {
  // Told once of each value: a second time, a leader's snapshot has taken the place of the first.
  state.divergedAt ??= index;
  const { group, self, definition, services } = state;
  const how =
    what === "reply"
      ? `at index ${index} the reply of ${self.id} differs from that of ${leader}`
      : `after index ${index} the value of ${self.id} differs from that of ${leader}, though no ` +
        `reply did`;
  services.logger.error(
    { group, member: self.id, index, leader, what },
    `divergence: ${how}; a handler of value "${definition.name}" is not deterministic, or members run ` +
      `versions of it that do not answer alike`,
  );
  services.notify({ type: "divergence", index });
}
