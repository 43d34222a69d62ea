/**
 * Elections: PreVote (thesis 9.6), votes (paper 5.2, 5.4.1), stickiness (thesis 4.2.3, 6.4).
 *
 * - election timer            -> onElectionTimer
 * - preVote / preVoteReply    -> onPreVote, onPreVoteReply
 * - requestVote / its reply   -> onRequestVote, onRequestVoteReply
 * - timeoutNow                -> onTimeoutNow
 */
import { hardStateTicket, isDiskHung, isHardStateStored } from "./disk.js";
import { isUpToDate, termAt } from "./log.js";
import { isSelfVoter, isSoleVoter } from "./memberships.js";
import { hasLiveQuorum } from "./progress.js";
import { isMember, isQuorum } from "./quorum.js";
import {
  becomeCandidate,
  becomeFollower,
  becomePreCandidate,
  becomeRemoved,
  leadIfElected,
  refuseAllReads,
} from "./roles.js";
import type { Core, Out } from "./state.js";
import type {
  MemberId,
  PreVote,
  PreVoteReply,
  RequestVote,
  RequestVoteReply,
  TimeoutNow,
} from "./types.js";

export function onElectionTimer(core: Core, out: Out): void {
  const { role } = core;
  if (role.type === "leader" || role.type === "removed" || core.storageFailed) return;
  if (!isSelfVoter(core)) return forgetLeader(core, out);
  if (core.incoming?.installing === true) {
    // The log is about to be replaced: nobody should be promised this one.
    core.rearmElection = true;
    return;
  }
  // Our own vote is bound by the promise that we gave (thesis 6.4.1): the leader's lease counts on it.
  if (core.nowMs < core.promisedUntilMs && !isSoleVoter(core)) {
    core.rearmElection = true;
    return;
  }
  if (isSoleVoter(core)) {
    // Its vote is on its way to the disk already: nothing to begin anew.
    if (role.type !== "candidate") becomeCandidate(core, false, out);
    else core.rearmElection = true;
  } else if (isDiskHung(core)) {
    // Elected it could store nothing of its term; a disk that comes back finds it waiting.
    forgetLeader(core, out);
    core.rearmElection = true;
  } else becomePreCandidate(core, out);
}

/** It campaigns for nothing, but nobody shall wait here for a leader that has gone. */
function forgetLeader(core: Core, out: Out): void {
  refuseAllReads(core, "unavailable", out);
  becomeFollower(core, core.currentTerm, null, out);
}

/** A leader that a quorum answers, or a promise to one, forbids helping anybody else (thesis 4.2.3). */
function isLoyal(core: Core): boolean {
  if (core.role.type === "leader") return hasLiveQuorum(core, core.role);
  return core.nowMs < core.promisedUntilMs;
}

export function onPreVote(core: Core, from: MemberId, message: PreVote, out: Out): void {
  const granted =
    message.term > core.currentTerm &&
    !core.storageFailed &&
    !isDiskHung(core) &&
    core.role.type !== "removed" &&
    !isLoyal(core) &&
    isUpToDate(core.log, message.lastLogIndex, message.lastLogTerm);
  out.push({
    type: "send",
    to: from,
    message: {
      type: "preVoteReply",
      term: core.currentTerm,
      requestTerm: message.term,
      granted,
      removed: !granted && isKnownRemoved(core, from, message),
    },
  });
}

/**
 * A committed membership does not name the asker: it was taken out and never heard of it (hazard 12).
 * An asker that has something else behind our commitIndex may have been added there, by an entry that
 * we lack; but nothing of a term before that of our last committed entry can still come to be:
 *
 *     ours     ... 4@2  5@3:membership  6@3:membership      committed up to 6
 *     asker    ... 4@2  5@2  6@2  7@2  8@2                   will all be cut
 */
function isKnownRemoved(core: Core, from: MemberId, message: PreVote): boolean {
  if (isMember(core.membership, from)) return false;
  const { log, commitIndex } = core;
  const committed = core.memberships.filter((one) => one.index <= commitIndex).at(-1);
  if (committed === undefined || committed.index === 0 || isMember(committed.membership, from)) {
    return false;
  }
  const { lastLogIndex, lastLogTerm } = message;
  const committedTerm = termAt(log, commitIndex) ?? 0;
  if (lastLogIndex <= commitIndex || lastLogTerm < committedTerm) return true;
  return termAt(log, lastLogIndex) === lastLogTerm;
}

export function onPreVoteReply(core: Core, from: MemberId, message: PreVoteReply, out: Out): void {
  const { role } = core;
  const asked = role.type === "preCandidate" && message.requestTerm === core.currentTerm + 1;
  // It may have been added again since it asked in an older term. Scenario: removal-of-a-term-ago
  if (asked && message.removed) return becomeRemoved(core, out);
  if (message.term > core.currentTerm) {
    return becomeFollower(core, message.term, null, out);
  }
  if (!asked || !message.granted || core.storageFailed) return;
  if (!role.grants.includes(from)) role.grants.push(from);
  if (isQuorum(core.membership, (id) => role.grants.includes(id))) {
    becomeCandidate(core, false, out);
  }
}

export function onRequestVote(core: Core, from: MemberId, message: RequestVote, out: Out): void {
  if (core.storageFailed || core.role.type === "removed") return;
  if (message.term < core.currentTerm) return denyVote(core, from, out);
  // Within the promise not even the term is taken over, or a lease would end by a stranger's wish.
  if (message.term > core.currentTerm && !message.transfer && isLoyal(core)) return;
  if (message.term > core.currentTerm) becomeFollower(core, message.term, null, out);
  const free = core.votedFor === null || core.votedFor === from;
  const promised = core.nowMs < core.promisedUntilMs && !message.transfer;
  const mayVote = free && !promised && core.role.type !== "leader" && core.role.leader === null;
  if (!mayVote || !isUpToDate(core.log, message.lastLogIndex, message.lastLogTerm)) {
    return denyVote(core, from, out);
  }
  if (core.votedFor === null) {
    core.votedFor = from;
    core.disk.hardStateDirty = true;
  }
  core.rearmElection = true;
  const { disk, currentTerm: term } = core;
  // Asked again before the disk answered: one grant will do (hazard 7).
  if (disk.heldVotes.some((vote) => vote.term === term && vote.to === from)) return;
  disk.heldVotes.push({ ticket: hardStateTicket(disk), to: from, term });
}

function denyVote(core: Core, to: MemberId, out: Out): void {
  if (!isHardStateStored(core.disk)) return;
  out.push({
    type: "send",
    to,
    message: { type: "requestVoteReply", term: core.currentTerm, granted: false },
  });
}

/** Votes leave when they are durable, and only while they are still true (hazards 1, 2). */
export function sendHeldVotes(core: Core, out: Out): void {
  const { disk } = core;
  if (disk.heldVotes.length === 0) return;
  const waiting = disk.heldVotes;
  disk.heldVotes = [];
  for (const vote of waiting) {
    if (vote.term !== core.currentTerm || core.votedFor !== vote.to) continue;
    if (vote.ticket > disk.storedTicket) {
      disk.heldVotes.push(vote);
      continue;
    }
    out.push({
      type: "send",
      to: vote.to,
      message: { type: "requestVoteReply", term: vote.term, granted: true },
    });
  }
}

export function onRequestVoteReply(
  core: Core,
  from: MemberId,
  message: RequestVoteReply,
  out: Out,
): void {
  if (message.term > core.currentTerm) return becomeFollower(core, message.term, null, out);
  const { role } = core;
  // A vote of another term is not for us (hazard 5); a voter counts once (hazard 6).
  if (message.term < core.currentTerm || role.type !== "candidate" || !message.granted) return;
  if (!role.grants.includes(from)) role.grants.push(from);
  leadIfElected(core, out);
}

/** The leader itself asks us to take over (thesis 3.10): no pre-vote, no waiting (hazard 73). */
export function onTimeoutNow(core: Core, from: MemberId, message: TimeoutNow, out: Out): void {
  const { role } = core;
  const fresh = message.term === core.currentTerm && role.leader === from;
  if (!fresh || role.type !== "follower" || core.storageFailed) return;
  if (core.incoming?.installing === true || isDiskHung(core)) return;
  core.promisedUntilMs = Math.min(core.promisedUntilMs, core.nowMs);
  becomeCandidate(core, true, out);
}
