/**
 * A follower's side of appendEntries (paper 5.3, Figure 2).
 *
 * - appendEntries   -> onAppendEntries: contact, consistency check, append, commit
 * - end of the turn -> sendFollowerReplies: one reply, held until what it says is durable
 */
import { forgetHanded, isHardStateStored } from "./disk.js";
import { appendEntry, findAgreement, lastIndex, termAt, truncateFrom } from "./log.js";
import { pushMembership, rollBackMemberships } from "./memberships.js";
import { adjustFollowerType, becomeFollower } from "./roles.js";
import type { Core, FollowerRole, Out } from "./state.js";
import type {
  AppendEntries,
  AppendEntriesReply,
  Entry,
  InstallSnapshot,
  LogIndex,
  MemberId,
  Millis,
} from "./types.js";

/** Longest promise that a leader may ask for, whatever a message says. */
const maxPromiseMs = 600_000;

/**
 * Accepts the sender as the leader of its term. Returns the role to go on with, or null if the
 * message is of an older term (the sender is told) or cannot be of a leader.
 */
export function acceptLeader(
  core: Core,
  from: MemberId,
  message: AppendEntries | InstallSnapshot,
  out: Out,
): FollowerRole | null {
  if (message.term < core.currentTerm) {
    replyOldTerm(core, from, message, out);
    return null;
  }
  const { role } = core;
  if (role.type === "removed") return null;
  // Two leaders of one term cannot be: whoever sent this is not one.
  if (message.term === core.currentTerm && role.leader !== null && role.leader !== from)
    return null;
  becomeFollower(core, message.term, from, out);
  const follower = core.role as FollowerRole;
  const untilMs = core.nowMs + inBounds(message.promiseMs);
  core.promisedUntilMs = Math.max(core.promisedUntilMs, untilMs);
  core.rearmElection = true;
  if (message.round > follower.round || message.sentAtMs > follower.sentAtMs) {
    follower.round = Math.max(follower.round, message.round);
    follower.sentAtMs = Math.max(follower.sentAtMs, message.sentAtMs);
  }
  return follower;
}

export function inBounds(promiseMs: Millis): Millis {
  return Math.min(Math.max(promiseMs, 0), maxPromiseMs);
}

function replyOldTerm(
  core: Core,
  to: MemberId,
  message: AppendEntries | InstallSnapshot,
  out: Out,
): void {
  if (!isHardStateStored(core.disk)) return;
  const reply: AppendEntriesReply = {
    type: "appendEntriesReply",
    term: core.currentTerm,
    success: false,
    matchIndex: 0,
    hintIndex: 0,
    hintTerm: 0,
    round: message.round,
    sentAtMs: message.sentAtMs,
  };
  out.push({ type: "send", to, message: reply });
}

export function onAppendEntries(
  core: Core,
  from: MemberId,
  message: AppendEntries,
  out: Out,
): void {
  const role = acceptLeader(core, from, message, out);
  if (role === null || core.storageFailed) return;
  role.replyWanted = true;
  if (message.entries.length === 0 || role.round > role.ackedRound) role.echoWanted = true;
  // While a snapshot replaces value and log, the old log is not touched any more (hazard 51).
  if (core.incoming?.installing === true || !isWellFormed(core, message)) return showContact(role);
  const { prevLogIndex, entries } = message;
  let skip = 0;
  if (prevLogIndex <= core.commitIndex) {
    // What is committed is the leader's (Leader Completeness), compacted or not (hazard 28).
    skip = Math.min(entries.length, core.commitIndex - prevLogIndex);
  } else if (termAt(core.log, prevLogIndex) !== message.prevLogTerm) {
    return refuseAppend(core, role, message);
  }
  appendNew(core, entries, skip, out);
  role.refusal = null;
  role.matchedIndex = Math.max(role.matchedIndex, prevLogIndex + entries.length);
  // Never past what is known to be the leader's (hazard 22).
  core.commitIndex = Math.max(core.commitIndex, Math.min(message.commitIndex, role.matchedIndex));
}

/**
 * Indices without gaps and terms that grow, also from what is committed here: whatever a message
 * holds, the log stays a log.
 */
function isWellFormed({ log, commitIndex }: Core, message: AppendEntries): boolean {
  const { prevLogIndex, entries } = message;
  let index = prevLogIndex;
  let term = message.prevLogTerm;
  for (const entry of entries) {
    if (entry.index !== index + 1 || entry.term < term || entry.term > message.term) return false;
    index = entry.index;
    term = entry.term;
  }
  // The first entry after what is committed, if it is among them. To ask an array for -1 would be slow.
  if (commitIndex < prevLogIndex || commitIndex >= prevLogIndex + entries.length) return true;
  return entries[commitIndex - prevLogIndex]!.term >= termAt(log, commitIndex)!;
}

/**
 * An answer that shows nothing but that this member is there: the leader must not take it for an
 * agreement where the logs were not compared. Refusing index 0 is never believed.
 */
function showContact(role: FollowerRole): void {
  role.refusal ??= { prevLogIndex: 0, hintIndex: 0, hintTerm: 0 };
}

/** Appends what the log lacks; cuts it only where an entry has another term (hazards 20, 21). */
function appendNew(core: Core, entries: readonly Entry[], skip: number, out: Out): void {
  const { log } = core;
  let at = skip;
  while (at < entries.length) {
    const held = termAt(log, entries[at]!.index);
    if (held === null) break;
    if (held !== entries[at]!.term) {
      cutFrom(core, entries[at]!.index, out);
      break;
    }
    at += 1;
  }
  for (; at < entries.length; at++) {
    const entry = entries[at]!;
    appendEntry(log, entry);
    if (entry.kind === "membership") {
      pushMembership(core, entry, out);
      adjustFollowerType(core, out);
    }
  }
}

/** Drops a divergent suffix, and with it whatever it had put in force (hazards 24, 61). */
function cutFrom(core: Core, index: LogIndex, out: Out): void {
  truncateFrom(core.log, index);
  forgetHanded(core.disk, index);
  rollBackMemberships(core, index, out);
  adjustFollowerType(core, out);
}

function refuseAppend(core: Core, role: FollowerRole, message: AppendEntries): void {
  const { log } = core;
  const { prevLogIndex, prevLogTerm } = message;
  const from = Math.min(prevLogIndex - 1, lastIndex(log));
  // Nothing below commitIndex can disagree.
  const hintIndex = Math.max(findAgreement(log, from, prevLogTerm), core.commitIndex);
  role.refusal = { prevLogIndex, hintIndex, hintTerm: termAt(log, hintIndex) ?? 0 };
}

/** At most one reply a turn: a refusal at once, an acknowledgement as far as it is durable. */
export function sendFollowerReplies(core: Core, out: Out): void {
  const { role, disk } = core;
  if ((role.type !== "follower" && role.type !== "learner") || role.leader === null) return;
  if (!role.replyWanted || core.storageFailed || !isHardStateStored(disk)) return;
  const { refusal } = role;
  if (refusal !== null) {
    role.refusal = null;
    role.echoWanted = false;
    // What matched before is told once it is durable.
    role.replyWanted = role.matchedIndex > role.ackedIndex;
    role.ackedRound = role.round;
    const { prevLogIndex, hintIndex, hintTerm } = refusal;
    return reply(core, role, role.leader, false, prevLogIndex, hintIndex, hintTerm, out);
  }
  const matchIndex = Math.min(role.matchedIndex, disk.durableIndex);
  if (matchIndex === role.matchedIndex) role.replyWanted = false;
  else if (!role.echoWanted && matchIndex <= role.ackedIndex) return;
  role.echoWanted = false;
  acknowledge(core, role, role.leader, matchIndex, out);
}

/** What it says is durable, and the term as well. */
export function acknowledge(
  core: Core,
  role: FollowerRole,
  to: MemberId,
  matchIndex: LogIndex,
  out: Out,
): void {
  role.ackedIndex = Math.max(role.ackedIndex, matchIndex);
  role.ackedRound = role.round;
  reply(core, role, to, true, matchIndex, 0, 0, out);
}

/** One literal, field by field: spread into another it took most of the time of an idle follower. */
function reply(
  core: Core,
  role: FollowerRole,
  to: MemberId,
  success: boolean,
  matchIndex: LogIndex,
  hintIndex: LogIndex,
  hintTerm: number,
  out: Out,
): void {
  const message: AppendEntriesReply = {
    type: "appendEntriesReply",
    term: core.currentTerm,
    success,
    matchIndex,
    hintIndex,
    hintTerm,
    round: role.round,
    sentAtMs: role.sentAtMs,
  };
  out.push({ type: "send", to, message });
}
