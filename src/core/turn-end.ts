/** The end of a turn: first what others wait for (`flush`), then the rest (`finish`). */
import {
  adaptPeers,
  advanceCommitIndex,
  applyCommitted,
  cleanForcedRemovals,
  hasBacklog,
  leaveJoint,
} from "./commit.js";
import { emitStore } from "./disk.js";
import { sendHeldVotes } from "./elections.js";
import { sendFollowerReplies } from "./follower.js";
import { replicate, scheduleCommitNotify } from "./leader.js";
import { isPackingDue, packApplied } from "./log.js";
import { promoteLearners } from "./membership.js";
import { isSoleVoter } from "./memberships.js";
import { answerWaiting, finishReads, serveFollowerReads, startReads } from "./reads.js";
import { sendSnapshotReply } from "./receive-snapshot.js";
import { armElection } from "./roles.js";
import { endWaiting, requestChunks } from "./send-snapshot.js";
import type { Core, LeaderRole, Out } from "./state.js";
import { takeSnapshotIfWanted } from "./take-snapshot.js";
import { sendTimeoutNow } from "./transfer.js";

/**
 * What others wait for. At most one store, one appendEntries a peer, a follower's one
 * reply, and what a leader has applied.
 */
export function flush(core: Core, out: Out): void {
  const after: Out = [];
  const applied: Out = [];
  const { role } = core;
  if (role.type === "leader") {
    flushLeader(core, role, out, applied, after);
  } else {
    sendFollowerReplies(core, out);
    sendSnapshotReply(core, out);
    serveFollowerReads(core, out);
  }
  conclude(core, out, applied, after);
  takeSnapshotIfWanted(core, out);
  if (core.rearmElection) armElection(core, out);
}

/** Something is left of the turn for `finish`. */
export function isUnfinished(core: Core): boolean {
  return hasBacklog(core) || isPackingDue(core.log, core.lastApplied);
}

/**
 * The rest of a turn, which nobody else waits for: a follower applies what is committed, and what was
 * applied is packed. Made after the frames of the turn have left, it is made while others go on with them.
 */
export function finish(core: Core, out: Out): void {
  if (core.role.type !== "leader" && hasBacklog(core)) {
    const after: Out = [];
    const applied: Out = [];
    applyCommitted(core, applied, after);
    conclude(core, out, applied, after);
    if (core.rearmElection) armElection(core, out);
  }
  packApplied(core.log, core.lastApplied);
}

/** Both at once, for a shell in which nobody waits. */
export function endTurn(core: Core, out: Out): void {
  flush(core, out);
  finish(core, out);
}

function conclude(core: Core, out: Out, applied: Out, after: Out): void {
  answerWaiting(core, after);
  emitStore(core, out);
  // A vote that was stored before, or that storage will acknowledge in a moment.
  sendHeldVotes(core, out);
  for (const effect of applied) out.push(effect);
  for (const effect of after) out.push(effect);
  core.quiet = null;
  if (core.role.type === "leader") core.role.readableUntilMs = -Infinity;
}

function flushLeader(core: Core, role: LeaderRole, out: Out, applied: Out, after: Out): void {
  if (role.matchChanged) advanceCommitIndex(core, role);
  // Before anything is applied, with which the next snapshot may be due.
  endWaiting(core, role);
  applyCommitted(core, applied, after);
  // What was committed may have ended this leadership.
  if (core.role !== role) return;
  leaveJoint(core, role, out);
  cleanForcedRemovals(core, role, out);
  promoteLearners(core, role, out);
  adaptPeers(core, role);
  finishReads(core, role, out, after);
  startReads(core, role, after);
  if (role.rounds.length > 0 && isSoleVoter(core)) finishReads(core, role, out, after);
  replicate(core, role, out);
  requestChunks(core, role, out);
  sendTimeoutNow(core, role, out);
  scheduleCommitNotify(core, role, out);
}
