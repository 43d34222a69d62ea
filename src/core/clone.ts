/** Copies for the explorer: what is readonly is shared, what changes in place is copied. */
import { cloneLog } from "./log.js";
import type { Core, Disk, FollowerReads, LeaderRole, Peer, Role } from "./state.js";

function cloneDisk(disk: Disk): Disk {
  return {
    ...disk,
    inFlight: disk.inFlight.map((one) => ({ ...one })),
    heldVotes: disk.heldVotes.slice(),
  };
}

function clonePeer(peer: Peer): Peer {
  return {
    ...peer,
    inFlight: peer.inFlight.slice(),
    sending: peer.sending === null ? null : { ...peer.sending },
  };
}

function cloneLeader(role: LeaderRole): LeaderRole {
  return {
    ...role,
    peers: role.peers.map(clonePeer),
    rounds: role.rounds.slice(),
    pendingReads: role.pendingReads.slice(),
    pendingRemoteReads: role.pendingRemoteReads.slice(),
    transfer: role.transfer === null ? null : { ...role.transfer },
    configRequests: role.configRequests.slice(),
  };
}

function cloneRole(role: Role): Role {
  if (role.type === "leader") return cloneLeader(role);
  if (role.type === "candidate" || role.type === "preCandidate") {
    return { ...role, grants: role.grants.slice() };
  }
  return { ...role };
}

function cloneReads(reads: FollowerReads): FollowerReads {
  return {
    nextBatch: reads.nextBatch,
    collecting: reads.collecting.slice(),
    asked: reads.asked.slice(),
    waiting: reads.waiting.slice(),
  };
}

export function cloneCore(core: Core): Core {
  return {
    ...core,
    log: cloneLog(core.log),
    role: cloneRole(core.role),
    disk: cloneDisk(core.disk),
    memberships: core.memberships.slice(),
    forcedRemovals: core.forcedRemovals.slice(),
    activeRemovals: core.activeRemovals.slice(),
    incoming: core.incoming === null ? null : { ...core.incoming },
    reads: cloneReads(core.reads),
    transferOutcome: core.transferOutcome,
    awaitingStore: core.awaitingStore.slice(),
    rest: null,
  };
}
