/**
 * Which membership is in force: the newest in the log, committed or not (thesis 4.1), less the
 * members that were forced out here.
 */
import { specialEntries } from "./log.js";
import { isLearner, isMember, isVoter } from "./quorum.js";
import { emptyMembership, type Core, type Out } from "./state.js";
import type { Entry, LogIndex, MemberId, Membership } from "./types.js";

/** `foo#k3x` -> `foo`. */
export function hostIdOf(id: MemberId): string {
  const at = id.indexOf("#");
  return at < 0 ? id : id.slice(0, at);
}

export function withoutMembers(membership: Membership, gone: readonly MemberId[]): Membership {
  if (gone.length === 0 || !gone.some((id) => isMember(membership, id))) return membership;
  const stays = (id: MemberId) => !gone.includes(id);
  return {
    voters: membership.voters.filter(stays),
    outgoing: membership.outgoing.filter(stays),
    learners: membership.learners.filter((learner) => stays(learner.id)),
    members: membership.members.filter((member) => stays(member.id)),
  };
}

/** Recomputes what is in force after the list, or the forced removals, changed. */
export function enforceNewest(core: Core): void {
  const newest = core.memberships[core.memberships.length - 1]!;
  core.membership = withoutMembers(newest.membership, core.activeRemovals);
  core.membershipIndex = newest.index;
}

/** A membership entry was appended. */
export function pushMembership(core: Core, entry: Entry, out: Out): void {
  core.memberships.push({ index: entry.index, membership: entry.payload as Membership });
  enforceNewest(core);
  tellMembership(core, false, out);
}

/** Entries at and after `index` were cut: an older membership is in force again (hazard 61). */
export function rollBackMemberships(core: Core, index: LogIndex, out: Out): void {
  const { memberships } = core;
  const before = memberships.length;
  while (memberships.length > 1 && memberships[memberships.length - 1]!.index >= index) {
    memberships.pop();
  }
  if (memberships.length === before) return;
  enforceNewest(core);
  tellMembership(core, false, out);
}

export function tellMembership(core: Core, committed: boolean, out: Out): void {
  const { membership, membershipIndex: index } = core;
  out.push({ type: "membershipChanged", membership, index, committed });
}

/** Everything up to `index` is applied: older memberships can no longer come back. */
export function forgetOldMemberships(core: Core, index: LogIndex): void {
  const { memberships } = core;
  let keepFrom = memberships.length - 1;
  while (keepFrom > 0 && memberships[keepFrom]!.index > index) keepFrom -= 1;
  if (keepFrom > 0) memberships.splice(0, keepFrom);
}

/** The membership at an applied index: what a snapshot there carries (hazard 53). */
export function appliedMembership(core: Core): { index: LogIndex; membership: Membership } {
  let newest = core.memberships[0]!;
  for (const candidate of core.memberships) {
    if (candidate.index <= core.lastApplied) newest = candidate;
  }
  return newest;
}

/** Starts anew: the one of a snapshot, then those in the log after it. */
export function resetMemberships(
  core: Core,
  base: { index: LogIndex; membership: Membership } | null,
): void {
  core.memberships = [base ?? { index: 0, membership: emptyMembership }];
  if (base !== null && isMember(base.membership, core.self.id)) core.wasMember = true;
  for (const entry of specialEntries(core.log)) {
    if (entry.kind === "membership" && entry.index > core.memberships[0]!.index) {
      core.memberships.push({ index: entry.index, membership: entry.payload as Membership });
    }
  }
  enforceNewest(core);
}

/**
 * Newest membership not committed, or joint: no other change may begin (thesis 4.1; hazard 63). Nor before
 * it is applied, because whoever asked for it is answered then.
 */
export function isChangePending(core: Core): boolean {
  return core.membershipIndex > core.lastApplied || core.membership.outgoing.length > 0;
}

/**
 * Whether this member may campaign. One that a membership leaves out goes on until that is known to
 * be committed: it may be the only one that can bring it about (thesis 4.2.2, Figure 4.6). Scenario:
 * left-out-but-needed
 */
export function isSelfVoter(core: Core): boolean {
  const { memberships, self } = core;
  if (isVoter(core.membership, self.id)) return true;
  for (let i = memberships.length - 2; i >= 0; i--) {
    if (memberships[i + 1]!.index <= core.commitIndex) return false;
    if (isVoter(memberships[i]!.membership, self.id)) return true;
  }
  return false;
}

export function isSelfLearner(core: Core): boolean {
  return isLearner(core.membership, core.self.id);
}

/** This member alone decides everything. */
export function isSoleVoter(core: Core): boolean {
  const { voters, outgoing } = core.membership;
  return voters.length === 1 && voters[0] === core.self.id && outgoing.length === 0;
}
