/**
 * Sending a snapshot: one chunk on its way at a time, from storage, to be resumed where the receiver
 * says that it stands.
 */
import { becomeProbe } from "./progress.js";
import type { Core, LeaderRole, Out, Peer } from "./state.js";
import type { CoreEvent, InstallSnapshotReply } from "./types.js";

/** What the peer lacks next is compacted away. */
export function beginSending(core: Core, peer: Peer): void {
  const meta = core.snapshot!;
  peer.mode = "snapshot";
  peer.inFlight = [];
  peer.inFlightBytes = 0;
  peer.probeSent = false;
  peer.sending = { meta, offset: 0, busy: false, busySinceMs: core.nowMs };
}

/** A chunk whose reply never came is asked for again after an election timeout. */
export function resendStalled(core: Core, peer: Peer): void {
  const { sending } = peer;
  if (sending === null || !sending.busy) return;
  if (core.nowMs - sending.busySinceMs >= core.config.electionTimeoutMs) sending.busy = false;
}

export function requestChunks(core: Core, role: LeaderRole, out: Out): void {
  for (const peer of role.peers) {
    const { sending } = peer;
    if (sending === null || sending.busy) continue;
    sending.busy = true;
    sending.busySinceMs = core.nowMs;
    out.push({
      type: "readSnapshotChunk",
      to: peer.id,
      index: sending.meta.index,
      offset: sending.offset,
      maxBytes: core.config.snapshotChunkBytes,
    });
  }
}

export function onSnapshotChunkRead(
  core: Core,
  event: Extract<CoreEvent, { type: "snapshotChunkRead" }>,
  out: Out,
): void {
  const { role } = core;
  if (role.type !== "leader") return;
  const peer = role.peers.find((one) => one.id === event.to);
  const sending = peer?.sending ?? null;
  if (peer === undefined || sending === null) return;
  if (sending.meta.index !== event.index || sending.offset !== event.offset) return;
  if (event.data === null) {
    // A newer snapshot took its place: begin with that one. Else it is damaged here: the beat asks again after
    // an election timeout, because storage says so at once, and at once again.
    if (core.snapshot !== sending.meta) beginSending(core, peer);
    return;
  }
  out.push({
    type: "send",
    to: peer.id,
    message: {
      type: "installSnapshot",
      term: core.currentTerm,
      snapshot: sending.meta,
      offset: event.offset,
      data: event.data,
      round: role.round,
      sentAtMs: core.nowMs,
      promiseMs: core.config.electionTimeoutMs,
    },
  });
}

/** `peer` is the sender, alive and of this term. */
export function onInstallSnapshotReply(
  core: Core,
  peer: Peer,
  message: InstallSnapshotReply,
): void {
  const { sending } = peer;
  if (sending === null) return;
  const { meta } = sending;
  if (meta.index !== message.snapshotIndex || meta.term !== message.snapshotTerm) return;
  if (message.installed) {
    if (meta.index > peer.matchIndex) {
      peer.matchIndex = meta.index;
      (core.role as LeaderRole).matchChanged = true;
    }
    becomeProbe(peer, peer.matchIndex + 1);
    return;
  }
  sending.offset = Math.min(message.offset, meta.sizeBytes);
  // All is there and being installed: the reply will come, or the next beat asks again.
  sending.busy = sending.offset === meta.sizeBytes;
  sending.busySinceMs = core.nowMs;
}
