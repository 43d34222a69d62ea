/**
 * Changes of who belongs to the group: joint consensus with automatic leave (thesis 4.3) is the only
 * mechanism. Adding, removing, promoting and replacing a voter are special cases of
 *
 *     C_old  ->  C_old,new (joint, needs both majorities)  ->  C_new
 *
 * Learners count for nothing, so they come and go by one entry. So does a member's new address.
 *
 * - membershipChangeRequested -> onMembershipChangeRequested
 * - end of the turn           -> promoteLearners (thesis 4.2.1)
 * - removalForced             -> onRemovalForced
 */
import { changeMembership, hasCommittedInTerm } from "./commit.js";
import { lastIndex } from "./log.js";
import { appliedMembership, hostIdOf, isChangePending } from "./memberships.js";
import { findPeer, hasLiveQuorum, isResponsive } from "./progress.js";
import { isLearner, isMember, isVoter } from "./quorum.js";
import type { Core, LeaderRole, Out, Peer } from "./state.js";
import type {
  CoreEvent,
  Learner,
  MemberId,
  MemberInfo,
  Membership,
  MembershipChange,
  RefusalCode,
} from "./types.js";

type ChangeRequest = Extract<CoreEvent, { type: "membershipChangeRequested" }>;

export function onMembershipChangeRequested(core: Core, event: ChangeRequest, out: Out): void {
  const { request, change } = event;
  const refuse = (code: RefusalCode): void => {
    out.push({ type: "refused", request, code, applied: "no" });
  };
  const { role } = core;
  if (role.type !== "leader") return refuse("notLeader");
  const committed = appliedMembership(core);
  if (change.type !== "remove" && isDone(committed.membership, change)) {
    // A repeated request whose first answer was lost.
    out.push({ type: "accepted", request, index: committed.index });
    return;
  }
  const next = mayChange(core, role) ?? changed(core, role, change);
  if (typeof next === "string") return refuse(next);
  role.membershipRequest = request;
  changeMembership(core, role, next, out, event.timeMs);
}

function isDone(
  membership: Membership,
  { type, member }: Exclude<MembershipChange, { readonly type: "remove" }>,
): boolean {
  const known = membership.members.find(({ id }) => id === member.id);
  return known !== undefined && (type === "add" || known.address === member.address);
}

function changed(core: Core, role: LeaderRole, change: MembershipChange): Membership | RefusalCode {
  switch (change.type) {
    case "add":
      return withNewcomer(core, role, change.member, change.promote);
    case "move":
      return withAddress(core.membership, change.member);
    case "remove":
      return withoutMember(core, role, change.id);
    default:
      return change satisfies never;
  }
}

/** Nobody's vote changes, so one entry does (decision 38). Scenario: moved-member */
function withAddress(membership: Membership, moved: MemberInfo): Membership | RefusalCode {
  if (!isMember(membership, moved.id)) return "notMember";
  const { members } = membership;
  return { ...membership, members: members.map((one) => (one.id === moved.id ? moved : one)) };
}

/** Null: a change may begin now. */
function mayChange(core: Core, role: LeaderRole): RefusalCode | null {
  if (role.transfer !== null) return "pendingLeaderChange";
  if (isChangePending(core)) return "uncommittedMembershipChange";
  // The 2015 bug of single-server changes (hazard 60): a leader proves its term first.
  return hasCommittedInTerm(core, role) ? null : "unavailable";
}

/** A newcomer is a learner first (hazard 69); it may be the next life of a host that died. */
function withNewcomer(
  core: Core,
  role: LeaderRole,
  member: MemberInfo,
  promote: boolean,
): Membership | RefusalCode {
  const { membership } = core;
  const hostId = hostIdOf(member.id);
  const sameHost = membership.members.filter((other) => hostIdOf(other.id) === hostId);
  const alive = (id: MemberId): boolean => {
    const peer = findPeer(role, id);
    return id === core.self.id || (peer !== null && isResponsive(core, peer));
  };
  if (sameHost.some((other) => alive(other.id))) return "alreadyMember";
  const deadVoter = sameHost.find((other) => isVoter(membership, other.id)) ?? null;
  const deadLearners = sameHost.filter((other) => isLearner(membership, other.id));
  const gone = (id: MemberId) => deadLearners.some((dead) => dead.id === id);
  const learner: Learner = { id: member.id, promote, replaces: deadVoter?.id ?? null };
  return {
    voters: membership.voters,
    outgoing: [],
    // `concat` and not spread: these lists stay for good, and a spread list keeps room for 16 more.
    learners: membership.learners.filter((other) => !gone(other.id)).concat(learner),
    members: membership.members.filter((other) => !gone(other.id)).concat(member),
  };
}

function withoutMember(core: Core, role: LeaderRole, id: MemberId): Membership | RefusalCode {
  const { membership } = core;
  if (id === core.self.id) return "cannotRemoveLeader";
  if (!isMember(membership, id)) return "notMember";
  if (isLearner(membership, id)) {
    return {
      ...membership,
      learners: membership.learners.filter((learner) => learner.id !== id),
      members: membership.members.filter((member) => member.id !== id),
    };
  }
  const joint: Membership = {
    voters: membership.voters.filter((voter) => voter !== id),
    outgoing: membership.voters,
    learners: membership.learners.map((learner) =>
      learner.replaces === id ? { ...learner, replaces: null } : learner,
    ),
    members: membership.members,
  };
  return hasLiveQuorum(core, role, joint) ? joint : "willBreakQuorum";
}

/**
 * Follows the rounds of thesis 4.2.1: a learner that took in a whole round within an election
 * timeout is near enough to the end of the log to vote without holding anybody up.
 */
export function promoteLearners(core: Core, role: LeaderRole, out: Out): void {
  const { learners } = core.membership;
  if (learners.length === 0 || !learners.some((learner) => learner.promote)) return;
  for (const learner of learners) {
    const peer = findPeer(role, learner.id);
    if (peer !== null && learner.promote) followCatchUp(core, peer);
  }
  if (mayChange(core, role) !== null) return;
  for (const learner of learners) {
    const peer = findPeer(role, learner.id);
    if (!learner.promote || peer?.caughtUp !== true || !isResponsive(core, peer)) continue;
    // Its host may have given it up: a voter that is gone would count against everybody.
    // Scenario: learner-that-left-is-not-promoted
    if (!peer.heard) continue;
    if (seemsAlive(core, role, learner.replaces)) continue;
    const joint = promoted(core, learner);
    if (!hasLiveQuorum(core, role, joint)) continue;
    changeMembership(core, role, joint, out);
    return;
  }
}

function followCatchUp(core: Core, peer: Peer): void {
  if (peer.caughtUp) return;
  if (peer.catchUpTarget === 0) {
    peer.catchUpTarget = lastIndex(core.log);
    peer.catchUpSinceMs = core.nowMs;
  }
  if (peer.matchIndex < peer.catchUpTarget) return;
  const tookMs = core.nowMs - peer.catchUpSinceMs;
  peer.caughtUp = tookMs < core.config.electionTimeoutMs;
  peer.catchUpTarget = lastIndex(core.log);
  peer.catchUpSinceMs = core.nowMs;
}

/**
 * While the predecessor seems alive its successor waits: two incarnations of a host are never voters
 * together. A fresh leader has not heard from anybody yet, so it waits an election timeout as well.
 */
function seemsAlive(core: Core, role: LeaderRole, id: MemberId | null): boolean {
  const peer = id === null ? null : findPeer(role, id);
  // Scenario: successor-waits-for-its-leader
  return id === core.self.id || (peer !== null && isResponsive(core, peer));
}

/** The dead predecessor leaves in the same change (decision 4). */
function promoted(core: Core, learner: Learner): Membership {
  const { membership } = core;
  return {
    voters: membership.voters.filter((voter) => voter !== learner.replaces).concat(learner.id),
    outgoing: membership.voters,
    learners: membership.learners.filter((other) => other.id !== learner.id),
    members: membership.members,
  };
}
