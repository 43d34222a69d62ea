/**
 * Linearizable reads without a log entry (thesis 6.4).
 *
 * - readRequested          -> onReadRequested, at any member
 * - readIndex (a follower) -> onReadIndex, at the leader
 * - readIndexReply         -> onReadIndexReply
 * - end of the turn        -> startReads, finishReads at the leader (lease, or a round for all that
 *                             gathered); askLeader elsewhere; answerWaiting everywhere
 */
import { hasCommittedInTerm } from "./commit.js";
import { specialEntries } from "./log.js";
import { findPeer } from "./progress.js";
import { quorumValue } from "./quorum.js";
import { isSoleVoter } from "./memberships.js";
import type { Core, LeaderRole, Out } from "./state.js";
import type {
  CoreEvent,
  GroupConfig,
  LogIndex,
  MemberId,
  Millis,
  ReadIndex,
  ReadIndexReply,
  RequestId,
} from "./types.js";

/** Rounds on their way at once; reads that come meanwhile gather for the next one (hazard 96). */
const maxRounds = 8;

export function onReadRequested(
  core: Core,
  event: Extract<CoreEvent, { type: "readRequested" }>,
  out: Out,
): void {
  const { role, reads, config } = core;
  const waiting = role.type === "leader" ? role.pendingReads : reads.collecting;
  const blocked = role.type === "removed" || core.storageFailed;
  const code = blocked || role.leader === null ? "notLeader" : "overloaded";
  if (code === "notLeader" || waiting.length >= config.maxPendingReads) {
    out.push({ type: "refused", request: event.request, code, applied: "no" });
    return;
  }
  waiting.push(event.request);
}

export function onReadIndex(core: Core, from: MemberId, message: ReadIndex, out: Out): void {
  const { role, config } = core;
  const takes =
    role.type === "leader" &&
    message.term <= core.currentTerm &&
    role.pendingRemoteReads.length < config.maxPendingReads;
  if (takes) role.pendingRemoteReads.push({ from, batch: message.batch });
  else sendReadIndex(core, from, message.batch, 0, out);
}

function sendReadIndex(
  core: Core,
  to: MemberId,
  batch: number,
  readIndex: LogIndex,
  out: Out,
): void {
  const message = { type: "readIndexReply", term: core.currentTerm, batch, readIndex } as const;
  out.push({ type: "send", to, message });
}

export function onReadIndexReply(core: Core, message: ReadIndexReply, out: Out): void {
  const { reads } = core;
  const at = reads.asked.findIndex((one) => one.batch === message.batch);
  if (at < 0) return;
  const { requests } = reads.asked.splice(at, 1)[0]!;
  if (message.readIndex > 0) {
    reads.waiting.push({ readIndex: message.readIndex, requests, leaseUntilMs: null });
    return;
  }
  for (const request of requests) {
    out.push({ type: "refused", request, code: "notLeader", applied: "no" });
  }
}

/**
 * Until when no other leader can have been elected: a quorum promised patience from the moment at
 * which we sent what it acknowledged (hazard 43), less the drift margin (thesis 6.4.1).
 */
export function leaseUntilMs(core: Core, role: LeaderRole): Millis {
  const { config, membership, self } = core;
  if (!role.leaseAllowed || config.clockDriftMarginMs >= config.electionTimeoutMs) return -Infinity;
  // On its way out it may lead on, but a voter left alone need not wait for anybody.
  if (!membership.voters.includes(self.id)) return -Infinity;
  const sentAtMs = quorumValue(membership, (id) => {
    if (id === self.id) return Infinity;
    const peer = findPeer(role, id);
    const counts = peer !== null && peer.ackedSentAtMs >= role.leaseFloorMs;
    // After a restart it knows its promise from the configuration in its log alone (hazard 46).
    return counts && peer.matchIndex >= core.configIndex ? peer.ackedSentAtMs : -Infinity;
  });
  const patienceMs = Math.min(role.leasePatienceMs, shortestPatienceMs(core));
  return sentAtMs + patienceMs - config.clockDriftMarginMs;
}

/**
 * A follower that restarts may know of nothing but a configuration that is committed and that we have not
 * applied yet (hazard 46). Scenario: lease-behind-a-backlog
 */
function shortestPatienceMs({ config, log, lastApplied, commitIndex }: Core): Millis {
  let shortest = config.electionTimeoutMs;
  if (lastApplied === commitIndex) return shortest;
  for (const { kind, index, payload } of specialEntries(log)) {
    if (kind !== "config" || index <= lastApplied) continue;
    shortest = Math.min(shortest, (payload as GroupConfig).electionTimeoutMs);
  }
  return shortest;
}

/**
 * Until when a query may be answered by the lease from what is applied now, without a turn. -Infinity: it has to wait
 * for one. Kept until the next, or until it is over: signs of life only prolong a lease.
 */
export function readableUntilMs(core: Core): Millis {
  const { role } = core;
  // What waits to be stepped may be what ends it.
  if (role.type !== "leader" || core.quiet === false) return -Infinity;
  if (role.readableUntilMs <= core.nowMs) role.readableUntilMs = findReadableUntilMs(core, role);
  // Over all the same: nobody shall make an answer in vain.
  return role.readableUntilMs > core.nowMs ? role.readableUntilMs : -Infinity;
}

function findReadableUntilMs(core: Core, role: LeaderRole): Millis {
  const waits = core.lastApplied < core.commitIndex || !hasCommittedInTerm(core, role);
  return waits ? -Infinity : leaseUntilMs(core, role);
}

/** Before the sends of a turn: new rounds beat everybody. */
export function startReads(core: Core, role: LeaderRole, after: Out): void {
  const gathered = role.pendingReads.length + role.pendingRemoteReads.length;
  // A leader does not know commitIndex before an entry of its term is committed (hazard 38).
  if (gathered === 0 || !hasCommittedInTerm(core, role)) return;
  const untilMs = leaseUntilMs(core, role);
  if (role.pendingReads.length > 0 && core.nowMs < untilMs && Number.isFinite(untilMs)) {
    answerOnceApplied(core, role.pendingReads, core.commitIndex, untilMs, after);
    role.pendingReads = [];
    if (role.pendingRemoteReads.length === 0) return;
  }
  if (role.rounds.length >= maxRounds) return;
  role.round += 1;
  role.rounds.push({
    round: role.round,
    readIndex: core.commitIndex,
    requests: role.pendingReads,
    remote: role.pendingRemoteReads,
  });
  role.pendingReads = [];
  role.pendingRemoteReads = [];
  if (!isSoleVoter(core)) for (const peer of role.peers) peer.beatWanted = true;
}

/** Rounds that a quorum has echoed prove that we led after they began (hazards 39, 40). */
export function finishReads(core: Core, role: LeaderRole, out: Out, after: Out): void {
  if (role.rounds.length > 0) finishRounds(core, role, out, after);
}

function finishRounds(core: Core, role: LeaderRole, out: Out, after: Out): void {
  const confirmed = quorumValue(core.membership, (id) =>
    id === core.self.id ? role.round : (findPeer(role, id)?.ackedRound ?? 0),
  );
  let done = 0;
  for (const round of role.rounds) {
    if (round.round > confirmed) break;
    done += 1;
    const { requests, readIndex } = round;
    if (requests.length > 0) answerOnceApplied(core, requests, readIndex, null, after);
    for (const { from, batch } of round.remote) {
      sendReadIndex(core, from, batch, round.readIndex, out);
      // The follower waits until it has applied that far: tell it what is committed.
      const peer = findPeer(role, from);
      if (peer !== null && peer.commitSent < core.commitIndex) peer.beatWanted = true;
    }
  }
  if (done > 0) role.rounds.splice(0, done);
}

/** What is committed is usually applied in the same turn, a long backlog in later ones. */
function answerOnceApplied(
  core: Core,
  requests: RequestId[],
  readIndex: LogIndex,
  leaseUntilMs: Millis | null,
  after: Out,
): void {
  if (readIndex <= core.lastApplied) answer(requests, readIndex, leaseUntilMs, after);
  else core.reads.waiting.push({ readIndex, requests, leaseUntilMs });
}

function answer(
  requests: readonly RequestId[],
  readIndex: LogIndex,
  untilMs: Millis | null,
  after: Out,
): void {
  after.push({ type: "answerReads", requests, readIndex, leaseUntilMs: untilMs });
}

/** A member that does not lead: asks the leader once a turn, and not for ever. */
export function serveFollowerReads(core: Core, out: Out): void {
  const { reads } = core;
  if (reads.collecting.length > 0) askLeader(core, out);
  // All at once: an idle member has a turn a heartbeat, and was perhaps asked in a hundred.
  while (reads.asked.length > 0 && isOverdue(core, reads.asked[0]!.sinceMs)) {
    for (const request of reads.asked.shift()!.requests) {
      out.push({ type: "refused", request, code: "unavailable", applied: "no" });
    }
  }
}

function isOverdue({ nowMs, config }: Core, sinceMs: Millis): boolean {
  return nowMs - sinceMs >= config.electionTimeoutMs;
}

/** Reads whose index is known wait until it is applied, also if this member leads meanwhile. */
export function answerWaiting(core: Core, after: Out): void {
  const { reads } = core;
  if (reads.waiting.length === 0) return;
  reads.waiting = reads.waiting.filter((one) => {
    const fresh = one.readIndex <= core.lastApplied;
    if (fresh) answer(one.requests, one.readIndex, one.leaseUntilMs, after);
    return !fresh;
  });
}

function askLeader(core: Core, out: Out): void {
  const { reads, role } = core;
  const requests = reads.collecting;
  reads.collecting = [];
  if (role.leader === null || role.leader === core.self.id) {
    for (const request of requests) {
      out.push({ type: "refused", request, code: "notLeader", applied: "no" });
    }
    return;
  }
  const batch = reads.nextBatch;
  reads.nextBatch += 1;
  reads.asked.push({ batch, requests, sinceMs: core.nowMs });
  out.push({
    type: "send",
    to: role.leader,
    message: { type: "readIndex", term: core.currentTerm, batch },
  });
}
