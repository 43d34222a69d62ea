/**
 * The ways from one role to another (paper Figure 4, with the pre-candidate of thesis 9.6 and the
 * learner of 4.2.1). Every transition is a function here and nowhere else.
 */
import { appendSpecial } from "./append.js";
import { adoptTerm } from "./disk.js";
import { lastIndex, bytesBetween, termAt } from "./log.js";
import { isSelfVoter, isSoleVoter } from "./memberships.js";
import { createPeer } from "./progress.js";
import { allMembers, allVoters, isQuorum } from "./quorum.js";
import type { Core, FollowerRole, LeaderRole, Out } from "./state.js";
import type { LogIndex, MemberId, RefusalCode, RequestId, Term } from "./types.js";

export function tellRole(core: Core, out: Out): void {
  const { role, currentTerm: term } = core;
  out.push({ type: "roleChanged", role: role.type, term, leader: role.leader });
}

export function createFollowerRole(core: Core, leader: MemberId | null): FollowerRole {
  return {
    type: isSelfVoter(core) ? "follower" : "learner",
    leader,
    matchedIndex: 0,
    ackedIndex: 0,
    round: 0,
    sentAtMs: 0,
    ackedRound: 0,
    replyWanted: false,
    echoWanted: false,
    refusal: null,
    snapshotReplyWanted: null,
  };
}

/** Follows `leader` (null: nobody yet) in `term`, which is not below the current one. */
export function becomeFollower(core: Core, term: Term, leader: MemberId | null, out: Out): void {
  const { role } = core;
  if (role.type === "removed") return;
  const sameTerm = term === core.currentTerm;
  const follows = role.type === "follower" || role.type === "learner";
  if (sameTerm && follows && role.leader === leader) return;
  adoptTerm(core, term);
  if (role.type === "leader") stopLeading(role, out);
  refuseAskedReads(core, out);
  core.role = createFollowerRole(core, leader);
  core.rearmElection = true;
  tellRole(core, out);
  settleTransfer(core, out);
}

/**
 * The log that a candidate may speak of: what it would still have after a crash. It asks before its
 * own term is stored, so it may crash, begin the same term anew with less of its log, and then count
 * grants that were given for more. Scenario: grant-of-an-earlier-life
 */
function lastDurable(core: Core): { lastLogIndex: LogIndex; lastLogTerm: Term } {
  const lastLogIndex = core.disk.durableIndex;
  return { lastLogIndex, lastLogTerm: termAt(core.log, lastLogIndex)! };
}

/** Asks whether an election could be won, without a new term (thesis 9.6). */
export function becomePreCandidate(core: Core, out: Out): void {
  refuseAskedReads(core, out);
  core.role = { type: "preCandidate", leader: null, grants: [core.self.id] };
  core.rearmElection = true;
  tellRole(core, out);
  const message = {
    type: "preVote",
    term: core.currentTerm + 1,
    ...lastDurable(core),
  } as const;
  for (const to of allVoters(core.membership)) {
    if (to !== core.self.id) out.push({ type: "send", to, message });
  }
}

/** Begins a term and asks for votes while its own is still being stored (thesis 10.2.1). */
export function becomeCandidate(core: Core, transfer: boolean, out: Out): void {
  refuseAskedReads(core, out);
  adoptTerm(core, core.currentTerm + 1);
  core.votedFor = core.self.id;
  core.disk.hardStateDirty = true;
  core.role = {
    type: "candidate",
    leader: null,
    grants: [core.self.id],
    selfVoteTicket: core.disk.nextTicket,
  };
  core.rearmElection = true;
  tellRole(core, out);
  const message = {
    type: "requestVote",
    term: core.currentTerm,
    ...lastDurable(core),
    transfer,
  } as const;
  for (const to of allVoters(core.membership)) {
    if (to !== core.self.id) out.push({ type: "send", to, message });
  }
}

/**
 * Leads once a quorum granted and its own vote is durable: a candidate that led a term it does not
 * remember after a crash could lead the same term twice.
 */
export function leadIfElected(core: Core, out: Out): void {
  const { role, disk } = core;
  if (role.type !== "candidate" || disk.storedTicket < role.selfVoteTicket) return;
  // A leader's log is never replaced: first the snapshot, then perhaps another election.
  if (core.incoming?.installing === true) return;
  if (isQuorum(core.membership, (id) => role.grants.includes(id))) becomeLeader(core, out);
}

function becomeLeader(core: Core, out: Out): void {
  const { log, nowMs } = core;
  const next = lastIndex(log) + 1;
  // A leader has every committed entry: what another one was sending is of no use any more.
  core.incoming = null;
  const role: LeaderRole = {
    type: "leader",
    leader: core.self.id,
    peers: [],
    termStartIndex: next,
    round: 0,
    rounds: [],
    pendingReads: [],
    pendingRemoteReads: [],
    leaseFloorMs: nowMs,
    leaseAllowed: true,
    leasePatienceMs: core.config.electionTimeoutMs,
    readableUntilMs: -Infinity,
    transfer: null,
    membershipRequest: null,
    configRequests: [],
    uncommittedBytes: bytesBetween(core.log, core.commitIndex, lastIndex(core.log)),
    commitNotifyIndex: 0,
    matchChanged: false,
    heartbeatDue: false,
  };
  core.role = role;
  for (const id of allMembers(core.membership)) {
    if (id !== core.self.id) role.peers.push(createPeer(id, next, nowMs));
  }
  tellRole(core, out);
  settleTransfer(core, out);
  core.rearmElection = false;
  out.push({ type: "cancelTimer", timer: "election" });
  setHeartbeat(core, out);
  // The no-op is what makes entries of older terms committable at once (hazard 36).
  appendSpecial(core, role, "noop", null, 0, out);
}

export function setHeartbeat(core: Core, out: Out): void {
  const { heartbeatMs } = core.config;
  out.push({ type: "setTimer", timer: "heartbeat", minMs: heartbeatMs, maxMs: heartbeatMs });
}

export function becomeRemoved(core: Core, out: Out): void {
  const { role } = core;
  if (role.type === "removed") return;
  if (role.type === "leader") stopLeading(role, out);
  refuseAllReads(core, "notLeader", out);
  core.role = { type: "removed", leader: null };
  core.rearmElection = false;
  out.push({ type: "cancelTimer", timer: "election" });
  tellRole(core, out);
  out.push({ type: "removed" });
}

/** Membership changed what this follower is: a learner became a voter, or the reverse. */
export function adjustFollowerType(core: Core, out: Out): void {
  const { role } = core;
  if (role.type === "preCandidate" || role.type === "candidate") {
    if (!isSelfVoter(core)) becomeFollower(core, core.currentTerm, null, out);
    return;
  }
  if (role.type !== "follower" && role.type !== "learner") return;
  const type = isSelfVoter(core) ? "follower" : "learner";
  if (role.type === type) return;
  role.type = type;
  core.rearmElection = true;
  tellRole(core, out);
}

function refuse(
  out: Out,
  requests: readonly RequestId[],
  code: RefusalCode,
  applied: "no" | "maybe",
): void {
  for (const request of requests) out.push({ type: "refused", request, code, applied });
}

/** Nothing that waits here may wait for ever (hazards 39, 90). */
function stopLeading(role: LeaderRole, out: Out): void {
  refuse(out, role.pendingReads, "notLeader", "no");
  for (const round of role.rounds) refuse(out, round.requests, "notLeader", "no");
  if (role.membershipRequest !== null) {
    refuse(out, [role.membershipRequest], "notLeader", "maybe");
  }
  for (const { request } of role.configRequests) refuse(out, [request], "notLeader", "maybe");
  out.push({ type: "cancelTimer", timer: "heartbeat" });
  out.push({ type: "cancelTimer", timer: "commitNotify" });
}

/** The leader that was asked for an index is not the one any more. */
export function refuseAskedReads(core: Core, out: Out): void {
  const { reads } = core;
  for (const batch of reads.asked) refuse(out, batch.requests, "notLeader", "no");
  reads.asked = [];
}

/** Nothing will be applied here any more, so nobody can be answered. */
export function refuseAllReads(core: Core, code: RefusalCode, out: Out): void {
  refuseAskedReads(core, out);
  const { reads } = core;
  refuse(out, reads.collecting, code, "no");
  for (const { requests } of reads.waiting) refuse(out, requests, code, "no");
  reads.collecting = [];
  reads.waiting = [];
}

/** A transfer that this member began has come to its end if the new leader is known: it may be us. */
export function settleTransfer(core: Core, out: Out): void {
  const { transferOutcome: outcome, role } = core;
  if (outcome === null || role.leader === null) return;
  core.transferOutcome = null;
  out.push({ type: "cancelTimer", timer: "transfer" });
  const { request } = outcome;
  if (role.leader === outcome.target)
    out.push({ type: "accepted", request, index: core.commitIndex });
  else refuse(out, [request], "unavailable", "maybe");
}

export function armElection(core: Core, out: Out): void {
  core.rearmElection = false;
  const { role } = core;
  if (role.type === "leader" || role.type === "removed") return;
  // Nothing to wait for: a leader will find it.
  if (role.leader === null && !isSelfVoter(core)) return;
  const { electionTimeoutMs } = core.config;
  // A sole voter waits for nobody, except a candidate that only waits for its own disk.
  const alone = isSoleVoter(core) && role.type === "follower";
  out.push({
    type: "setTimer",
    timer: "election",
    minMs: alone ? 0 : electionTimeoutMs,
    maxMs: alone ? 0 : 2 * electionTimeoutMs,
  });
}
