/**
 * Moving leadership on purpose (thesis 3.10). It belongs to one term, has a deadline of one election
 * timeout, can be taken back, and never leaves a leader that refuses commands for ever.
 *
 * - transferRequested -> onTransferRequested
 * - end of the turn   -> sendTimeoutNow, when the target holds our last entry (hazard 71)
 * - transfer timer    -> onTransferTimer
 * - storageFailed     -> handOver, see storage-failed.ts
 */
import { lastIndex } from "./log.js";
import { isChangePending } from "./memberships.js";
import { findPeer, isResponsive } from "./progress.js";
import { isMember } from "./quorum.js";
import type { Core, LeaderRole, Out, Peer } from "./state.js";
import type { CoreEvent, MemberId, RefusalCode, RequestId } from "./types.js";

type TransferRequest = Extract<CoreEvent, { type: "transferRequested" }>;

export function onTransferRequested(core: Core, event: TransferRequest, out: Out): void {
  const { request, target } = event;
  const { role } = core;
  if (role.type !== "leader") return refuse(out, request, "notLeader", "no");
  if (target === null) {
    // Index 0: there was nothing to take back.
    const index = role.transfer === null ? 0 : core.commitIndex;
    endTransfer(core, role, "pendingLeaderChange", out);
    out.push({ type: "accepted", request, index });
    return;
  }
  const code = whyNot(core, role, target);
  if (code !== null) return refuse(out, request, code, "no");
  // Another target takes the place of the one before.
  endTransfer(core, role, "pendingLeaderChange", out);
  role.transfer = { target, sent: false };
  core.transferOutcome = { request, target };
  const { electionTimeoutMs } = core.config;
  out.push({
    type: "setTimer",
    timer: "transfer",
    minMs: electionTimeoutMs,
    maxMs: electionTimeoutMs,
  });
}

function whyNot(core: Core, role: LeaderRole, target: MemberId): RefusalCode | null {
  if (target === core.self.id) return "alreadyLeader";
  if (!isMember(core.membership, target)) return "notMember";
  if (!core.membership.voters.includes(target)) return "notVoter";
  // The target might be on its way out, or might not know that it may campaign (hazard 75).
  if (isChangePending(core)) return "uncommittedMembershipChange";
  const peer = findPeer(role, target);
  return peer !== null && isResponsive(core, peer) ? null : "newLeaderUnresponsive";
}

function refuse(out: Out, request: RequestId, code: RefusalCode, applied: "no" | "maybe"): void {
  out.push({ type: "refused", request, code, applied });
}

function endTransfer(core: Core, role: LeaderRole, code: RefusalCode, out: Out): void {
  if (role.transfer === null) return;
  const applied = role.transfer.sent ? "maybe" : "no";
  role.transfer = null;
  out.push({ type: "cancelTimer", timer: "transfer" });
  const { transferOutcome: outcome } = core;
  core.transferOutcome = null;
  if (outcome !== null) refuse(out, outcome.request, code, applied);
}

/** Lost, refused, or too slow: this leader goes on (hazard 72), or tells that it cannot know. */
export function onTransferTimer(core: Core, out: Out): void {
  const { role, transferOutcome: outcome } = core;
  if (role.type === "leader") return endTransfer(core, role, "newLeaderUnresponsive", out);
  core.transferOutcome = null;
  if (outcome !== null) refuse(out, outcome.request, "newLeaderUnresponsive", "maybe");
}

export function sendTimeoutNow(core: Core, role: LeaderRole, out: Out): void {
  const { transfer } = role;
  if (transfer === null || transfer.sent) return;
  const peer = findPeer(role, transfer.target);
  if (peer === null || peer.matchIndex !== lastIndex(core.log)) return;
  transfer.sent = true;
  tellToCampaign(core, role, peer, out);
}

function tellToCampaign(core: Core, role: LeaderRole, peer: Peer, out: Out): void {
  // The target's voters will not wait out our lease (hazard 45).
  role.leaseAllowed = false;
  out.push({ type: "send", to: peer.id, message: { type: "timeoutNow", term: core.currentTerm } });
}

/** Whoever has most of the log may take over at once: this member leads no more. */
export function handOver(core: Core, role: LeaderRole, out: Out): void {
  let best: Peer | null = null;
  for (const peer of role.peers) {
    if (!core.membership.voters.includes(peer.id) || !isResponsive(core, peer)) continue;
    if (best === null || peer.matchIndex > best.matchIndex) best = peer;
  }
  if (best !== null) tellToCampaign(core, role, best, out);
}
