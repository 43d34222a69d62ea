/** What an operator may know of one core. */
import { isChangePending } from "./memberships.js";
import { findPeer, isResponsive } from "./progress.js";
import { firstIndex, lastIndex } from "./log.js";
import type { Core } from "./state.js";
import type { GroupConfig, LogIndex, MemberId, RoleName, Term } from "./types.js";

export type CoreMemberStatus = {
  readonly id: MemberId;
  readonly address: string;
  /** "outgoing": leaves with the membership change under way. */
  readonly state: "voter" | "learner" | "outgoing";
  /** Known to the leader only; null elsewhere. */
  readonly matchIndex: LogIndex | null;
  /** Milliseconds since it was last heard from; known to the leader only. */
  readonly lastContactMs: number | null;
  readonly unresponsive: boolean | null;
};

export type CoreStatus = {
  readonly role: RoleName;
  readonly leader: MemberId | null;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly lastApplied: LogIndex;
  readonly lastIndex: LogIndex;
  readonly firstIndex: LogIndex;
  readonly snapshotIndex: LogIndex;
  readonly logBytes: number;
  readonly members: readonly CoreMemberStatus[];
  readonly pendingMembershipChange: boolean;
  readonly pendingTransfer: MemberId | null;
  readonly config: GroupConfig;
};

function memberStatus(core: Core, id: MemberId, address: string): CoreMemberStatus {
  const { membership, role, self, disk } = core;
  const state = membership.voters.includes(id)
    ? "voter"
    : membership.outgoing.includes(id)
      ? "outgoing"
      : "learner";
  if (role.type !== "leader") {
    return { id, address, state, matchIndex: null, lastContactMs: null, unresponsive: null };
  }
  if (id === self.id) {
    const matchIndex = disk.durableIndex;
    return { id, address, state, matchIndex, lastContactMs: 0, unresponsive: false };
  }
  const peer = findPeer(role, id);
  return {
    id,
    address,
    state,
    matchIndex: peer?.matchIndex ?? 0,
    lastContactMs: peer === null ? null : core.nowMs - peer.lastContactMs,
    unresponsive: peer === null || !isResponsive(core, peer),
  };
}

export function readStatus(core: Core): CoreStatus {
  const { role, log, membership } = core;
  return {
    role: role.type,
    leader: role.leader,
    term: core.currentTerm,
    commitIndex: core.commitIndex,
    lastApplied: core.lastApplied,
    lastIndex: lastIndex(log),
    firstIndex: firstIndex(log),
    snapshotIndex: core.snapshot?.index ?? 0,
    logBytes: log.sizeBytes,
    members: membership.members.map((member) => memberStatus(core, member.id, member.address)),
    pendingMembershipChange: isChangePending(core),
    pendingTransfer: role.type === "leader" ? (role.transfer?.target ?? null) : null,
    config: core.config,
  };
}
