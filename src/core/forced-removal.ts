/**
 * Recovery from the loss of a majority: members are taken out here, without anybody's consent. It is
 * stored before it counts. Unsafe by nature: committed entries may be lost, and if those that were
 * forced out live on among themselves there are two groups.
 */
import { enforceNewest, tellMembership, withoutMembers } from "./memberships.js";
import { isMember } from "./quorum.js";
import { adjustFollowerType } from "./roles.js";
import type { Core, Out } from "./state.js";
import type { CoreEvent, MemberId } from "./types.js";

export function onRemovalForced(
  core: Core,
  event: Extract<CoreEvent, { type: "removalForced" }>,
  out: Out,
): void {
  const { request, id } = event;
  if (id === core.self.id || !isMember(core.membership, id)) {
    const code = id === core.self.id ? "cannotRemoveLeader" : "notMember";
    out.push({ type: "refused", request, code, applied: "no" });
    return;
  }
  if (core.storageFailed) {
    out.push({ type: "refused", request, code: "unavailable", applied: "no" });
    return;
  }
  if (!leavesVoter(core, id)) {
    out.push({ type: "refused", request, code: "willBreakQuorum", applied: "no" });
    return;
  }
  if (!core.forcedRemovals.includes(id)) core.forcedRemovals.push(id);
  core.disk.hardStateDirty = true;
  core.awaitingStore.push({ ticket: core.disk.nextTicket, request, id });
}

/** Without incoming voters nobody is ever elected, and nothing takes a stored removal back. */
function leavesVoter({ memberships, forcedRemovals }: Core, id: MemberId): boolean {
  const { membership } = memberships[memberships.length - 1]!;
  return withoutMembers(membership, [...forcedRemovals, id]).voters.length > 0;
}

/** Durable now: in force. */
export function activateRemovals(core: Core, out: Out): void {
  const { awaitingStore, disk } = core;
  const done = awaitingStore.filter((one) => one.ticket <= disk.storedTicket);
  if (done.length === 0) return;
  core.awaitingStore = awaitingStore.filter((one) => one.ticket > disk.storedTicket);
  const { activeRemovals } = core;
  const isActive = (id: MemberId): boolean =>
    activeRemovals.includes(id) || done.some((one) => one.id === id);
  core.activeRemovals = core.forcedRemovals.filter(isActive);
  enforceNewest(core);
  adjustFollowerType(core, out);
  core.rearmElection = true;
  const { role } = core;
  if (role.type === "leader") {
    role.peers = role.peers.filter((peer) => !core.activeRemovals.includes(peer.id));
    role.matchChanged = true;
  }
  tellMembership(core, false, out);
  for (const { request } of done) {
    out.push({ type: "accepted", request, index: core.membershipIndex });
  }
}
