/**
 * What an idle group's members say to each other all the time is that they are there: the leader's beats,
 * and the echoes of them. A host with a thousand idle groups says and hears it ten thousand times a second,
 * so it is worth to know it at a glance. A busy leader hears much of the kind as well: whoever acknowledges
 * after the quorum changes nothing.
 *
 * Each function here does what a turn of its own would do (`step`, then `flush`), or nothing at all and
 * returns false: then the turn is due. After one that returns true none is. The random walk of the tests
 * holds them against a turn, state and effects.
 *
 * - heartbeat timer, leader     -> beatAgain; the very same again and again -> restAgain
 * - appendEntries, follower     -> hearSignOfLife; the very same again and again -> hearPulse
 * - appendEntriesReply, leader  -> hearSignOfLife; the very same again and again -> hearPulse
 */
import { hasBacklog, storedByQuorum } from "./commit.js";
import { isHardStateStored } from "./disk.js";
import { acceptLeader, acknowledge, inBounds } from "./follower.js";
import { noteHeard, onAppendEntriesReply, sendBeat } from "./leader.js";
import { lastIndex } from "./log.js";
import { findPeer, hasLiveQuorum, isResponsive } from "./progress.js";
import { armElection, setHeartbeat } from "./roles.js";
import type { Core, FollowerRole, LeaderRole, Out, Peer, Role } from "./state.js";
import type {
  AppendEntries,
  AppendEntriesReply,
  LogIndex,
  MemberId,
  Message,
  Millis,
} from "./types.js";

/** A message that says nothing new is taken in. */
export function hearSignOfLife(
  core: Core,
  from: MemberId,
  message: Message,
  nowMs: Millis,
  out: Out,
): boolean {
  if (message.type === "appendEntriesReply") return hearEcho(core, from, message, nowMs, out);
  if (message.type === "appendEntries") return hearBeat(core, from, message, nowMs, out);
  return false;
}

/**
 * An acknowledgement with which no more is committed than before and nothing waits to be sent, while no
 * read waits for an echo and no learner for its promotion.
 */
function hearEcho(
  core: Core,
  from: MemberId,
  message: AppendEntriesReply,
  nowMs: Millis,
  out: Out,
): boolean {
  const { role } = core;
  // A change of membership may have made more committed than the last turn knew.
  if (role.type !== "leader" || role.matchChanged) return false;
  if (!message.success || message.term !== core.currentTerm) return false;
  const peer = findPeer(role, from);
  if (peer === null || peer.mode !== "replicate") return false;
  if (message.matchIndex > peer.matchIndex && isNews(core, role, peer, message.matchIndex)) {
    return false;
  }
  if (isAwaited(role) || core.membership.learners.length > 0) return false;
  core.nowMs = Math.max(core.nowMs, nowMs);
  onAppendEntriesReply(core, from, message, out);
  // Nothing is committed by it: that was looked into already.
  role.matchChanged = false;
  return true;
}

/** Whether something follows from it that this peer has stored up to `matchIndex`, more than it had. */
function isNews(core: Core, role: LeaderRole, peer: Peer, matchIndex: LogIndex): boolean {
  // It makes room for more, or is to lead once it has everything.
  if (peer.nextIndex <= lastIndex(core.log) || role.transfer !== null) return true;
  const reached = storedByQuorum(core, role, (one) => (one === peer ? matchIndex : one.matchIndex));
  return reached > core.commitIndex;
}

/** A read waits for echoes, or for the first entry of this term. */
function isAwaited({ rounds, pendingReads, pendingRemoteReads }: LeaderRole): boolean {
  return rounds.length + pendingReads.length + pendingRemoteReads.length > 0;
}

/** A beat of the leader that we follow, about what is committed here as well. */
function hearBeat(
  core: Core,
  from: MemberId,
  message: AppendEntries,
  nowMs: Millis,
  out: Out,
): boolean {
  const { role } = core;
  if (role.leader !== from || message.term !== core.currentTerm || role.type === "leader") {
    return false;
  }
  if (message.entries.length > 0 || message.commitIndex > core.commitIndex) return false;
  const follower = role as FollowerRole;
  // Committed: the leader has it, whatever the message says of its term.
  if (message.prevLogIndex > Math.min(follower.matchedIndex, core.commitIndex)) return false;
  if (!isQuiet(core)) return false;
  core.nowMs = Math.max(core.nowMs, nowMs);
  acceptLeader(core, from, message, out);
  acknowledge(core, follower, from, follower.matchedIndex, out);
  armElection(core, out);
  return true;
}

/** The heartbeat timer of a leader whose followers all know everything, and were heard from lately. */
export function beatAgain(core: Core, nowMs: Millis, out: Out): boolean {
  const { role } = core;
  if (role.type !== "leader" || !isQuiet(core)) return false;
  const { peers } = role;
  core.nowMs = Math.max(core.nowMs, nowMs);
  if (!peers.every((peer) => isResponsive(core, peer)) && !hasLiveQuorum(core, role)) return false;
  setHeartbeat(core, out);
  const last = lastIndex(core.log);
  for (let i = 0; i < peers.length; i++) sendBeat(core, role, peers[i]!, last, out);
  return true;
}

/**
 * A leader that has nothing to say but what its last beats said, so that its shell may say it for it. Of a
 * thousand idle groups nothing is in the processor's cache: what is needed for a beat lies together here.
 */
export type Rest = { readonly core: Core; readonly peers: readonly Peer[] };

/** Right after `beatAgain` returned true. */
export function takeRest(core: Core): Rest {
  const rest = { core, peers: (core.role as LeaderRole).peers.slice() };
  core.rest = rest;
  return rest;
}

/**
 * Instead of `beatAgain`: true if it would do nothing but send each peer what it sent before, at this time,
 * and set its timer again. False: nothing was done, and `rest` is of no use any more.
 */
export function restAgain(rest: Rest, nowMs: Millis): boolean {
  const { core, peers } = rest;
  if (core.rest !== rest) return false;
  core.nowMs = Math.max(core.nowMs, nowMs);
  for (let i = 0; i < peers.length; i++) if (!isResponsive(core, peers[i]!)) return false;
  return true;
}

/**
 * The last turn left nothing to do and nothing to wait for but time, and since then came nothing but signs
 * of life. Looked into once after a turn, if anybody asks.
 */
function isQuiet(core: Core): boolean {
  core.quiet ??= isAtRest(core);
  return core.quiet;
}

function isAtRest(core: Core): boolean {
  const { role, disk, reads, incoming, storageFailed } = core;
  if (hasBacklog(core) || incoming !== null || storageFailed) return false;
  if (disk.inFlight.length > 0 || !isHardStateStored(disk)) return false;
  if (reads.asked.length > 0) return false;
  if (role.type === "leader") return isLeaderAtRest(core, role);
  return (role.type === "follower" || role.type === "learner") && isFollowerAtRest(core, role);
}

function isLeaderAtRest({ log, membership }: Core, role: LeaderRole): boolean {
  if (role.matchChanged || isAwaited(role) || role.transfer !== null) return false;
  const last = lastIndex(log);
  return (
    membership.learners.length === 0 &&
    role.peers.every(
      ({ mode, nextIndex, departsAt }) =>
        mode === "replicate" && nextIndex > last && departsAt === null,
    )
  );
}

/** It has told its leader everything that it has. */
function isFollowerAtRest({ disk }: Core, role: FollowerRole): boolean {
  if (role.replyWanted || role.refusal !== null || role.snapshotReplyWanted !== null) return false;
  return role.matchedIndex <= disk.durableIndex;
}

/**
 * What a message was about when it was last heard, so that nothing has to be looked up while the same is heard
 * again and again: of a thousand idle groups nothing is in the processor's cache.
 */
export type Pulse = {
  readonly core: Core;
  readonly role: Role;
  /** The leader's list of peers, and who sent the echo; null: it is a beat. */
  readonly peers: readonly Peer[] | null;
  readonly peer: Peer | null;
  readonly promiseMs: Millis;
};

/** Right after `hearSignOfLife` returned true for the message. */
export function takePulse(core: Core, from: MemberId, message: Message): Pulse | null {
  const { role } = core;
  if (role.type === "leader") {
    const peer = findPeer(role, from);
    if (peer === null || !isQuiet(core)) return null;
    return { core, role, peers: role.peers, peer, promiseMs: 0 };
  }
  if (message.type !== "appendEntries") return null;
  const { promiseMs } = message;
  const pulse = { core, role, peers: null, peer: null, promiseMs: inBounds(promiseMs) };
  core.rest = pulse;
  return pulse;
}

/**
 * As `hearSignOfLife`, for the same message with another `sentAtMs`. After a beat the shell sends the echo
 * that it sent before, with that time, and sets the election timer again.
 */
export function hearPulse(pulse: Pulse, sentAtMs: Millis, nowMs: Millis): boolean {
  const { core, role, peers, peer } = pulse;
  if (peer === null) return hearBeatAgain(pulse, role as FollowerRole, sentAtMs, nowMs);
  // Another list of peers: it may have left, and come back as another.
  if (core.role !== role || !isQuiet(core) || (role as LeaderRole).peers !== peers) return false;
  core.nowMs = Math.max(core.nowMs, nowMs);
  noteHeard(core, peer, sentAtMs);
  return true;
}

function hearBeatAgain(pulse: Pulse, role: FollowerRole, sentAtMs: Millis, nowMs: Millis): boolean {
  const { core, promiseMs } = pulse;
  // One that was overtaken is answered with the newest time.
  if (core.rest !== pulse || sentAtMs < role.sentAtMs) return false;
  core.nowMs = Math.max(core.nowMs, nowMs);
  core.promisedUntilMs = Math.max(core.promisedUntilMs, core.nowMs + promiseMs);
  role.sentAtMs = sentAtMs;
  return true;
}
