/**
 * The leader's side of replication (paper 5.3; thesis 10.2).
 *
 * - commandProposed       -> onCommandProposed
 * - heartbeat timer       -> onHeartbeatTimer: CheckQuorum (thesis 6.2), a disk that hangs, beats, lost
 *                            probes again
 * - appendEntriesReply    -> onAppendEntriesReply: nextIndex, matchIndex, modes
 * - peerDisconnected      -> onPeerDisconnected
 * - end of the turn       -> replicate: what each follower lacks, within its window
 */
import { appendOwn, lastTimeMs } from "./append.js";
import { isDiskHung } from "./disk.js";
import { findAgreement, fitEntries, lastIndex, sliceEntries, termAt } from "./log.js";
import {
  becomeProbe,
  becomeReplicate,
  findPeer,
  freeInFlight,
  hasHealthierQuorum,
  hasLiveQuorum,
  isResponsive,
} from "./progress.js";
import { becomeFollower, setHeartbeat } from "./roles.js";
import { beginSending, resendStalled, sendAgain } from "./send-snapshot.js";
import type { Core, LeaderRole, Out, Peer } from "./state.js";
import { handOver } from "./transfer.js";
import type {
  AppendEntriesReply,
  CoreEvent,
  LogIndex,
  MemberId,
  Millis,
  RefusalCode,
} from "./types.js";

type Proposal = Extract<CoreEvent, { type: "commandProposed" }>;

export function onCommandProposed(core: Core, event: Proposal, out: Out): void {
  const code = whyNot(core, event.body.length);
  if (code !== null) {
    out.push({ type: "refused", request: event.request, code, applied: "no" });
    return;
  }
  appendOwn(core, core.role as LeaderRole, {
    index: lastIndex(core.log) + 1,
    term: core.currentTerm,
    kind: event.kind,
    session: event.session,
    sequence: event.sequence,
    lowestOutstanding: event.lowestOutstanding,
    timeMs: Math.max(event.timeMs, lastTimeMs(core)),
    body: event.body,
    payload: null,
  });
}

/** Why nobody's entry with a body of that size can be appended here and now, or null. */
export function whyNot(core: Core, bodyBytes: number): RefusalCode | null {
  const { role, config } = core;
  if (role.type !== "leader") return "notLeader";
  if (role.transfer !== null) return "pendingLeaderChange";
  if (bodyBytes > config.maxCommandBytes) return "commandTooLarge";
  const full =
    role.uncommittedBytes > 0 && role.uncommittedBytes + bodyBytes > config.maxUncommittedBytes;
  return full ? "overloaded" : null;
}

export function onHeartbeatTimer(core: Core, out: Out): void {
  const { role } = core;
  if (role.type !== "leader") return;
  if (!hasLiveQuorum(core, role)) {
    // Whoever waits here must be able to look elsewhere (hazards 13, 17).
    return becomeFollower(core, core.currentTerm, null, out);
  }
  if (isDiskHung(core) && hasHealthierQuorum(core, role)) {
    // Beats would keep the others from electing somebody who can store what comes (hazard 83).
    handOver(core, role, out);
    return becomeFollower(core, core.currentTerm, null, out);
  }
  setHeartbeat(core, out);
  dropDeparted(core, role);
  for (const peer of role.peers) {
    peer.beatWanted = true;
    peer.probeSent = false;
    resendStalled(core, peer);
  }
}

/** A member that left stays a peer until it was told, or is silent. */
function dropDeparted(core: Core, role: LeaderRole): void {
  // Hardly ever: a new list at every beat is much for an idle group.
  if (role.peers.every((peer) => peer.departsAt === null)) return;
  role.peers = role.peers.filter((peer) => {
    if (peer.departsAt === null) return true;
    const told = peer.matchIndex >= peer.departsAt && peer.commitSent >= peer.departsAt;
    return !told && isResponsive(core, peer);
  });
}

export function onCommitNotifyTimer(core: Core): void {
  const { role } = core;
  if (role.type !== "leader") return;
  const due = role.commitNotifyIndex;
  role.commitNotifyIndex = 0;
  // Under load every packet brings it, and what was committed since waits for the next timer.
  for (const peer of role.peers) if (isUntold(peer, due)) peer.beatWanted = true;
}

/** A beat would tell it more of what is committed: not beyond what was sent, which may be all that there is room for. */
function isUntold(peer: Peer, commitIndex: LogIndex): boolean {
  return peer.commitSent < Math.min(commitIndex, peer.nextIndex - 1);
}

export function onPeerDisconnected(core: Core, id: MemberId): void {
  const { role } = core;
  const peer = role.type === "leader" ? findPeer(role, id) : null;
  if (peer === null) return;
  peer.heard = false;
  if (peer.sending !== null) sendAgain(core, peer.sending);
  // Where a probe has got to is not lost with it.
  else becomeProbe(peer, peer.mode === "probe" ? peer.nextIndex : peer.matchIndex + 1);
}

/** Returns the leader's view of the sender, after what every reply of this term tells. */
export function noteContact(
  core: Core,
  from: MemberId,
  reply: { readonly term: number; readonly round: number; readonly sentAtMs: number },
  out: Out,
): Peer | null {
  if (reply.term > core.currentTerm) {
    becomeFollower(core, reply.term, null, out);
    return null;
  }
  // Of an older term: it acknowledged another leader's entries (hazard 23).
  if (core.role.type !== "leader" || reply.term < core.currentTerm) return null;
  const peer = findPeer(core.role, from);
  if (peer === null) return null;
  peer.ackedRound = Math.max(peer.ackedRound, Math.min(reply.round, core.role.round));
  noteHeard(core, peer, reply.sentAtMs);
  return peer;
}

/** `sentAtMs`: when we sent what it answers. */
export function noteHeard({ nowMs }: Core, peer: Peer, sentAtMs: Millis): void {
  peer.lastContactMs = nowMs;
  peer.heard = true;
  // A clock that says more than ours was never ours: it must not lengthen a lease.
  if (sentAtMs <= nowMs) peer.ackedSentAtMs = Math.max(peer.ackedSentAtMs, sentAtMs);
}

export function onAppendEntriesReply(
  core: Core,
  from: MemberId,
  message: AppendEntriesReply,
  out: Out,
): void {
  const peer = noteContact(core, from, message, out);
  if (peer === null) return;
  if (message.success) onSuccess(core, peer, message.matchIndex);
  else onRefusal(core, peer, message);
}

function onSuccess(core: Core, peer: Peer, matchIndex: LogIndex): void {
  // Nobody can hold more than we have: such a reply is not about our log.
  if (matchIndex > lastIndex(core.log)) return;
  const role = core.role as LeaderRole;
  if (matchIndex > peer.matchIndex) {
    peer.matchIndex = matchIndex;
    // What is committed already cannot be committed by it.
    if (matchIndex > core.commitIndex) role.matchChanged = true;
    peer.nextIndex = Math.max(peer.nextIndex, matchIndex + 1);
  }
  freeInFlight(peer, matchIndex);
  if (peer.mode === "probe") becomeReplicate(peer);
  else if (peer.mode === "snapshot" && matchIndex >= peer.sending!.meta.index)
    becomeReplicate(peer);
}

/** Goes back to where the logs may agree; skips a whole term of ours or theirs at a time. */
function onRefusal(core: Core, peer: Peer, message: AppendEntriesReply): void {
  const refused = message.matchIndex;
  if (peer.mode === "snapshot") return;
  // Older than what we know by now (hazard 26).
  if (refused <= peer.matchIndex || refused >= peer.nextIndex) return;
  if (peer.mode === "probe" && refused !== peer.nextIndex - 1) return;
  const { log } = core;
  const hint = Math.min(message.hintIndex, refused - 1);
  const agreed = hint >= log.offset ? findAgreement(log, hint, message.hintTerm) : hint;
  becomeProbe(peer, Math.min(agreed, refused - 1) + 1);
}

/** Sends what each peer lacks: all new entries in one packet, more packets only when one is full. */
export function replicate(core: Core, role: LeaderRole, out: Out): void {
  for (const peer of role.peers) sendAppends(core, role, peer, out);
}

function sendAppends(core: Core, role: LeaderRole, peer: Peer, out: Out): void {
  const { log, config } = core;
  if (peer.mode !== "snapshot" && peer.nextIndex <= log.offset) beginSending(core, peer);
  const last = lastIndex(log);
  if (peer.mode === "replicate") {
    while (
      peer.nextIndex <= last &&
      peer.inFlight.length < config.maxInflightMessages &&
      peer.inFlightBytes < config.maxInflightBytes
    ) {
      const { to, bytes } = fitEntries(log, peer.nextIndex, config.maxAppendBytes);
      send(core, role, peer, peer.nextIndex - 1, to, out);
      peer.inFlight.push({ to, bytes });
      peer.inFlightBytes += bytes;
      peer.nextIndex = to + 1;
    }
  } else if (
    peer.mode === "probe" &&
    !peer.probeSent &&
    (peer.beatWanted || peer.nextIndex <= last)
  ) {
    const { to, bytes } = fitEntries(log, peer.nextIndex, config.maxAppendBytes);
    peer.probeSent = true;
    peer.inFlight = to < peer.nextIndex ? [] : [{ to, bytes }];
    peer.inFlightBytes = to < peer.nextIndex ? 0 : bytes;
    send(core, role, peer, peer.nextIndex - 1, to, out);
  }
  // To one that gets a snapshot, a beat with the oldest prevLogIndex that we know the term of.
  if (peer.beatWanted) {
    sendBeat(core, role, peer, peer.mode === "snapshot" ? log.offset : peer.nextIndex - 1, out);
  }
}

export function sendBeat(core: Core, role: LeaderRole, peer: Peer, prev: LogIndex, out: Out): void {
  send(core, role, peer, prev, prev, out);
}

/** Entries (`prev`, `to`]. */
function send(
  core: Core,
  role: LeaderRole,
  peer: Peer,
  prev: LogIndex,
  to: LogIndex,
  out: Out,
): void {
  peer.beatWanted = false;
  peer.commitSent = Math.min(core.commitIndex, to);
  const promiseMs = core.config.electionTimeoutMs;
  role.leasePatienceMs = Math.min(role.leasePatienceMs, promiseMs);
  out.push({
    type: "send",
    to: peer.id,
    message: {
      type: "appendEntries",
      term: core.currentTerm,
      prevLogIndex: prev,
      prevLogTerm: termAt(core.log, prev)!,
      commitIndex: core.commitIndex,
      round: role.round,
      sentAtMs: core.nowMs,
      promiseMs,
      entries: to > prev ? sliceEntries(core.log, prev + 1, to) : [],
    },
  });
}

/** Followers that heard nothing since commitIndex rose are told soon, not at the next heartbeat. */
export function scheduleCommitNotify(core: Core, role: LeaderRole, out: Out): void {
  if (role.commitNotifyIndex > 0) return;
  for (const peer of role.peers) {
    if (peer.mode !== "replicate" || !isUntold(peer, core.commitIndex)) continue;
    role.commitNotifyIndex = core.commitIndex;
    const delay = Math.min(commitNotifyMs, core.config.heartbeatMs);
    out.push({ type: "setTimer", timer: "commitNotify", minMs: delay, maxMs: delay });
    return;
  }
}

/** Long enough that under load the next appendEntries carries it, short for a human. */
const commitNotifyMs = 5;
