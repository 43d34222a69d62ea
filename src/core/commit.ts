/**
 * From "on a majority" to "applied" (paper 5.3, 5.4.2), and what committed special entries bring.
 */
import { appendSpecial } from "./append.js";
import { bytesBetween, entrySizeBytes, lastIndex, sliceEntries } from "./log.js";
import { enforceNewest, forgetOldMemberships, withoutMembers } from "./memberships.js";
import { createPeer, findPeer } from "./progress.js";
import { isMember, isVoter, quorumValue } from "./quorum.js";
import { becomeFollower, becomeRemoved } from "./roles.js";
import { snapshotDueBytes, takeSnapshotIfGrown } from "./take-snapshot.js";
import type { Core, LeaderRole, Out, Peer } from "./state.js";
import type { Entry, GroupConfig, LogIndex, Membership } from "./types.js";

/**
 * Raises commitIndex to the highest index that a quorum stores durably. Counts entries of this term
 * only (thesis 3.6.2, paper Figure 8; hazard 19): an older one on a majority can still be
 * overwritten. Scenarios: commit-older-term, older-term-alone-does-not-commit.
 */
export function advanceCommitIndex(core: Core, role: LeaderRole): void {
  role.matchChanged = false;
  const reached = storedByQuorum(core, role);
  if (reached <= core.commitIndex || reached < role.termStartIndex) return;
  role.uncommittedBytes -= bytesBetween(core.log, core.commitIndex, reached);
  core.commitIndex = reached;
}

/** The highest index that a quorum stores durably, by what the leader knows of each. */
export function storedByQuorum(
  core: Core,
  role: LeaderRole,
  matchOf: (peer: Peer) => LogIndex = (peer) => peer.matchIndex,
): LogIndex {
  const { disk, self } = core;
  return quorumValue(core.membership, (id) => {
    if (id === self.id) return disk.durableIndex;
    const peer = findPeer(role, id);
    return peer === null ? 0 : matchOf(peer);
  });
}

export function hasCommittedInTerm(core: Core, role: LeaderRole): boolean {
  return core.commitIndex >= role.termStartIndex;
}

/** More is committed than the last turn has applied: another turn is due, without any event. */
export function hasBacklog({ log, commitIndex, lastApplied, incoming }: Core): boolean {
  return lastApplied < Math.min(commitIndex, lastIndex(log)) && incoming?.installing !== true;
}

/**
 * Applies what is committed, of a long backlog the beginning (after a restart that may be the whole
 * log). A snapshot that becomes due on the way is taken there, between two `apply`. What has to be told
 * after them goes to `after`.
 */
export function applyCommitted(core: Core, applied: Out, after: Out): void {
  const most = core.lastApplied + core.maxAppliedPerTurn;
  const to = Math.min(core.commitIndex, lastIndex(core.log), most);
  while (core.lastApplied < to) {
    applied.push({ type: "apply", entries: takeCommitted(core, to, after) });
    takeSnapshotIfGrown(core, applied);
  }
}

/**
 * Takes the entries up to `to`, or to the one with which a snapshot is due. What they mean for this core
 * is done at once.
 */
function takeCommitted(core: Core, to: LogIndex, after: Out): readonly Entry[] {
  const entries = sliceEntries(core.log, core.lastApplied + 1, to);
  let dueBytes = snapshotDueBytes(core);
  let special = false;
  let count = 0;
  while (count < entries.length && (count === 0 || core.appliedBytes < dueBytes)) {
    const entry = entries[count]!;
    count += 1;
    core.lastApplied = entry.index;
    core.appliedBytes += entrySizeBytes(entry);
    if (entry.kind === "config") {
      applyConfig(core, entry, after);
      // On every member it counts from the next entry on.
      dueBytes = snapshotDueBytes(core);
    } else if (entry.kind === "membership") {
      applyMembership(core, entry, after);
      special = true;
    }
  }
  if (special) forgetOldMemberships(core, core.lastApplied);
  return count < entries.length ? entries.slice(0, count) : entries;
}

function applyConfig(core: Core, entry: Entry, after: Out): void {
  core.config = entry.payload as GroupConfig;
  core.configIndex = entry.index;
  after.push({ type: "configChanged", config: core.config, index: entry.index });
  const { role } = core;
  if (role.type !== "leader") return;
  role.configRequests = role.configRequests.filter(({ request, index }) => {
    if (index === entry.index) after.push({ type: "accepted", request, index });
    return index !== entry.index;
  });
}

function applyMembership(core: Core, entry: Entry, after: Out): void {
  const membership = entry.payload as Membership;
  after.push({ type: "membershipChanged", membership, index: entry.index, committed: true });
  // An older one may name fewer members than are in the group now.
  if (entry.index === core.membershipIndex) dropForcedRemovals(core, membership);
  const { role, self } = core;
  if (isMember(membership, self.id)) core.wasMember = true;
  if (role.type === "leader" && entry.index === core.membershipIndex) {
    onOwnMembershipCommitted(core, role, membership, after);
  }
  if (core.wasMember && !isMember(membership, self.id) && entry.index === core.membershipIndex) {
    becomeRemoved(core, after);
  }
}

function onOwnMembershipCommitted(
  core: Core,
  role: LeaderRole,
  membership: Membership,
  after: Out,
): void {
  if (membership.outgoing.length > 0) return;
  const { membershipRequest: request } = role;
  if (request !== null) {
    role.membershipRequest = null;
    after.push({ type: "accepted", request, index: core.membershipIndex });
  }
  // Taken out while it leads (a change by a leader of before): others must elect (hazard 64).
  if (!isVoter(membership, core.self.id)) becomeFollower(core, core.currentTerm, null, after);
}

/**
 * C_old,new is committed: C_new follows by itself (thesis 4.3). A leader may inherit one that it had
 * applied long before it was elected. Scenario: new-leader-leaves-an-applied-joint
 */
export function leaveJoint(core: Core, role: LeaderRole, out: Out): void {
  const { membership } = core;
  if (membership.outgoing.length === 0 || core.membershipIndex > core.commitIndex) return;
  if (hasCommittedInTerm(core, role)) becomeNew(core, role, membership, out);
}

function becomeNew(core: Core, role: LeaderRole, membership: Membership, out: Out): void {
  const stays = (id: string) =>
    membership.voters.includes(id) || membership.learners.some((learner) => learner.id === id);
  changeMembership(
    core,
    role,
    {
      voters: membership.voters,
      outgoing: [],
      learners: membership.learners,
      members: membership.members.filter((member) => stays(member.id)),
    },
    out,
  );
}

/** Appends a membership, which is in force at once, and adapts the peers to it. */
export function changeMembership(
  core: Core,
  role: LeaderRole,
  membership: Membership,
  out: Out,
  timeMs = 0,
): LogIndex {
  const index = appendSpecial(core, role, "membership", membership, timeMs, out);
  adaptPeers(core, role);
  role.matchChanged = true;
  return index;
}

/** New members get a peer, those that left one are still told (`departsAt`). */
export function adaptPeers(core: Core, role: LeaderRole): void {
  const { membership, self } = core;
  for (const { id } of membership.members) {
    const known = findPeer(role, id);
    if (known !== null) stay(known);
    else if (id !== self.id) {
      role.peers.push(createPeer(id, lastIndex(core.log) + 1, core.nowMs));
    }
  }
  for (const peer of role.peers) {
    if (!isMember(membership, peer.id)) peer.departsAt ??= core.membershipIndex;
  }
}

/** One that was on its way out is a newcomer again. Scenario: added-again-while-it-leaves */
function stay(peer: Peer): void {
  if (peer.departsAt === null) return;
  peer.departsAt = null;
  peer.caughtUp = false;
  peer.catchUpTarget = 0;
}

/** The newest membership is committed: forced removals that it took over are done. */
export function dropForcedRemovals(core: Core, membership: Membership): void {
  if (core.forcedRemovals.length === 0) return;
  const named = core.forcedRemovals.filter((id) => isMember(membership, id));
  if (named.length === core.forcedRemovals.length) return;
  core.forcedRemovals = named;
  core.activeRemovals = core.activeRemovals.filter((id) => named.includes(id));
  core.disk.hardStateDirty = true;
  enforceNewest(core);
}

/** A leader whose log still names members that were forced out here writes the log clean. */
export function cleanForcedRemovals(core: Core, role: LeaderRole, out: Out): void {
  if (core.activeRemovals.length === 0 || !hasCommittedInTerm(core, role)) return;
  const newest = core.memberships[core.memberships.length - 1]!;
  if (newest.index > core.commitIndex) return;
  const cleaned = withoutMembers(newest.membership, core.activeRemovals);
  if (cleaned !== newest.membership) changeMembership(core, role, cleaned, out);
}
