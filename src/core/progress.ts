/** What the leader knows of each other member, and the ways from one mode to another. */
import type { Core, LeaderRole, Peer } from "./state.js";
import { lastIndex } from "./log.js";
import { isQuorum } from "./quorum.js";
import type { LogIndex, MemberId, Millis } from "./types.js";

export function createPeer(id: MemberId, nextIndex: LogIndex, nowMs: Millis): Peer {
  return {
    id,
    mode: "probe",
    nextIndex,
    matchIndex: 0,
    probeSent: false,
    inFlight: [],
    inFlightBytes: 0,
    sending: null,
    ackedRound: 0,
    ackedSentAtMs: -Infinity,
    lastContactMs: nowMs,
    heard: true,
    commitSent: 0,
    beatWanted: true,
    catchUpTarget: 0,
    catchUpSinceMs: nowMs,
    caughtUp: false,
    departsAt: null,
  };
}

export function findPeer(role: LeaderRole, id: MemberId): Peer | null {
  const { peers } = role;
  for (let i = 0; i < peers.length; i++) if (peers[i]!.id === id) return peers[i]!;
  return null;
}

export function becomeProbe(peer: Peer, nextIndex: LogIndex): void {
  peer.mode = "probe";
  peer.nextIndex = Math.max(nextIndex, peer.matchIndex + 1);
  peer.probeSent = false;
  peer.sending = null;
  clearInFlight(peer);
}

/** Where the logs agree is known; what the probe carried is on its way and is not sent again. */
export function becomeReplicate(peer: Peer): void {
  const probed = peer.inFlight[peer.inFlight.length - 1]?.to ?? 0;
  peer.mode = "replicate";
  peer.nextIndex = Math.max(peer.matchIndex, probed) + 1;
  peer.probeSent = false;
  peer.sending = null;
}

function clearInFlight(peer: Peer): void {
  peer.inFlight = [];
  peer.inFlightBytes = 0;
}

/** Everything up to `match` arrived: the window opens again. */
export function freeInFlight(peer: Peer, match: LogIndex): void {
  let done = 0;
  while (done < peer.inFlight.length && peer.inFlight[done]!.to <= match) {
    peer.inFlightBytes -= peer.inFlight[done]!.bytes;
    done += 1;
  }
  if (done > 0) peer.inFlight.splice(0, done);
}

/** Heard from within an election timeout. */
export function isResponsive(core: Core, peer: Peer): boolean {
  return core.nowMs - peer.lastContactMs < core.config.electionTimeoutMs;
}

/** Whether those heard from lately, and we, are a quorum of `membership`. */
export function hasLiveQuorum(core: Core, role: LeaderRole, membership = core.membership): boolean {
  return isQuorum(membership, (id) => {
    if (id === core.self.id) return true;
    const peer = findPeer(role, id);
    return peer !== null && isResponsive(core, peer);
  });
}

/**
 * Whether the others are a quorum without us, were heard from lately, and have stored what our own disk
 * has not: leadership has somewhere better to go. Where all disks stand still, it had better stay.
 */
export function hasHealthierQuorum(core: Core, role: LeaderRole): boolean {
  const stored = core.disk.durableIndex;
  const least = Math.min(stored + 1, lastIndex(core.log));
  return isQuorum(core.membership, (id) => {
    const peer = id === core.self.id ? null : findPeer(role, id);
    return peer !== null && isResponsive(core, peer) && peer.matchIndex >= least;
  });
}
