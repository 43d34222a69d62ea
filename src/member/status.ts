/** What a member tells about itself: `status()` and the first events of a subscription. */
import type { GroupEvent, GroupStatus, MemberStatus } from "../client/types.js";
import type { LeaderHint } from "../codec/types.js";
import { hostIdOf, readStatus } from "../core/index.js";
import type { Membership } from "../core/types.js";
import { addressOf, memberAddresses, type MemberState } from "./state.js";

export function groupStatus(state: MemberState): GroupStatus {
  const { core } = state.replica;
  const status = readStatus(core);
  const members = status.members.map((member): MemberStatus => {
    return {
      id: member.id,
      hostId: hostIdOf(member.id),
      address: addressOf(state, member.id) ?? member.address,
      state: member.state,
      matchIndex: member.matchIndex,
      lastContactMs: member.lastContactMs === null ? null : Math.round(member.lastContactMs),
      unresponsive: member.unresponsive,
    };
  });
  return {
    group: state.group,
    groupId: state.groupId ?? "",
    id: state.self.id,
    hostId: hostIdOf(state.self.id),
    role: status.role,
    leader: status.leader,
    term: status.term,
    members,
    commitIndex: status.commitIndex,
    lastApplied: status.lastApplied,
    lastLogIndex: status.lastIndex,
    firstLogIndex: status.firstIndex,
    snapshotIndex: status.snapshotIndex,
    logBytes: status.logBytes,
    sessions: state.replica.applier.sessions.byId.size,
    pendingMembershipChange: status.pendingMembershipChange,
    pendingTransfer: status.pendingTransfer,
    config: status.config,
    valueName: state.definition.name,
    valueVersion: state.definition.version,
    durable: state.services.storage.durable,
    loopDelayMs: Math.round(state.services.loopDelayMs()),
    divergedAt: state.divergedAt,
    storageFailure: state.storageFailure,
  };
}

export function roleEvent(state: MemberState): GroupEvent {
  return { type: "role", role: state.role, term: state.term, leader: state.leader };
}

export function membersEvent(membership: Membership): GroupEvent {
  const learners = membership.learners.map((learner) => learner.id);
  return { type: "members", voters: membership.voters, learners };
}

export function leaderHintOf(state: MemberState, channel: number): LeaderHint {
  const { term, leader } = state;
  return {
    type: "leaderHint",
    channel,
    term,
    leader,
    address: leader === null ? null : addressOf(state, leader),
    hosts: memberAddresses(state),
  };
}

/** What a new subscriber hears first. */
export function currentEvents(state: MemberState): readonly GroupEvent[] {
  const { core } = state.replica;
  const events: GroupEvent[] = [
    roleEvent(state),
    membersEvent(core.membership),
    { type: "config", config: core.config },
  ];
  const { divergedAt, storageFailure } = state;
  if (divergedAt !== null) events.push({ type: "divergence", index: divergedAt });
  if (storageFailure !== null) events.push({ type: "storage", message: storageFailure });
  return events;
}
