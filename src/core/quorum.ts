/**
 * Majorities, simple and joint (thesis 4.3). The only place that counts.
 */
import type { MemberId, Membership } from "./types.js";

export function majoritySize(voters: readonly MemberId[]): number {
  return Math.floor(voters.length / 2) + 1;
}

function hasMajority(voters: readonly MemberId[], agrees: (id: MemberId) => boolean): boolean {
  let count = 0;
  for (const id of voters) if (agrees(id)) count += 1;
  return count >= majoritySize(voters);
}

/** Whether `agrees` holds for a majority of the voters; of both halves while joint. No voters: never. */
export function isQuorum(membership: Membership, agrees: (id: MemberId) => boolean): boolean {
  if (membership.voters.length === 0) return false;
  if (!hasMajority(membership.voters, agrees)) return false;
  return membership.outgoing.length === 0 || hasMajority(membership.outgoing, agrees);
}

/** The greatest number that a majority of these voters has reached. */
function majorityValue(voters: readonly MemberId[], valueOf: (id: MemberId) => number): number {
  const values: number[] = [];
  for (const id of voters) {
    const value = valueOf(id);
    let at = values.length;
    values.push(value);
    // Insertion sort, descending: a handful of voters, and no comparator call.
    while (at > 0 && values[at - 1]! < value) {
      values[at] = values[at - 1]!;
      at -= 1;
    }
    values[at] = value;
  }
  return values[majoritySize(voters) - 1]!;
}

/** The greatest number that a quorum has reached: match index, round, time of contact. */
export function quorumValue(membership: Membership, valueOf: (id: MemberId) => number): number {
  if (membership.voters.length === 0) return 0;
  const incoming = majorityValue(membership.voters, valueOf);
  if (membership.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityValue(membership.outgoing, valueOf));
}

export function isJoint(membership: Membership): boolean {
  return membership.outgoing.length > 0;
}

export function isVoter(membership: Membership, id: MemberId): boolean {
  return membership.voters.includes(id) || membership.outgoing.includes(id);
}

export function isLearner(membership: Membership, id: MemberId): boolean {
  return membership.learners.some((learner) => learner.id === id);
}

export function isMember(membership: Membership, id: MemberId): boolean {
  return isVoter(membership, id) || isLearner(membership, id);
}

/** Voters of either half, once each. */
export function allVoters(membership: Membership): readonly MemberId[] {
  if (membership.outgoing.length === 0) return membership.voters;
  return [
    ...membership.voters,
    ...membership.outgoing.filter((id) => !membership.voters.includes(id)),
  ];
}

export function allMembers(membership: Membership): readonly MemberId[] {
  return [...allVoters(membership), ...membership.learners.map((learner) => learner.id)];
}
