/**
 * Sending a snapshot: one chunk on its way at a time (of how many bytes: chunk-size.ts), from storage, to be resumed
 * where the receiver says that it stands.
 */
import { chunkLost, chunkTook, createChunkSize, holdToConfig } from "./chunk-size.js";
import { becomeProbe, isResponsive } from "./progress.js";
import type { Core, LeaderRole, Out, Peer, SendingSnapshot } from "./state.js";
import { isAwaited, isFreshOneWorthwhile } from "./take-snapshot.js";
import type { CoreEvent, InstallSnapshotReply } from "./types.js";

/** Longer than a slow link takes for the first chunk, which must not cost a snapshot each time. */
const awayTimeouts = 10;

/** What the peer lacks next is compacted away. */
export function beginSending(core: Core, peer: Peer): void {
  peer.mode = "snapshot";
  peer.inFlight = [];
  peer.inFlightBytes = 0;
  peer.probeSent = false;
  peer.sending = createSending(core, "unasked");
}

function createSending(core: Core, fresh: SendingSnapshot["fresh"]): SendingSnapshot {
  const size = createChunkSize(core.config);
  return { meta: core.snapshot!, fresh, offset: 0, busy: false, busySinceMs: core.nowMs, ...size };
}

/** The one that was awaited is there, or is not to be had. */
export function endWaiting(core: Core, role: LeaderRole): void {
  if (core.takingSnapshotAt !== 0) return;
  for (const peer of role.peers) {
    if (isAwaited(peer) || isReplaced(core, peer)) peer.sending = createSending(core, "settled");
  }
}

/** It could not be read because storage had another one already, which it has told by now. */
function isReplaced(core: Core, { sending }: Peer): boolean {
  return sending !== null && sending.fresh === "damaged" && sending.meta !== core.snapshot;
}

/** At each beat. A chunk whose reply never came is asked for again after an election timeout. */
export function resendStalled(core: Core, peer: Peer): void {
  const { sending } = peer;
  if (sending === null) return;
  // It has nothing yet, and much may be written before it comes back: then it is decided anew.
  const silentMs = core.nowMs - peer.lastContactMs;
  const isAway = silentMs >= awayTimeouts * core.config.electionTimeoutMs;
  if (isAway && sending.offset === 0 && sending.fresh === "settled") sending.fresh = "unasked";
  if (!sending.busy) return;
  if (core.nowMs - sending.busySinceMs >= core.config.electionTimeoutMs) sendAgain(core, sending);
}

/** The chunk that is on its way, if one is, has no answer. */
export function sendAgain(core: Core, sending: SendingSnapshot): void {
  if (sending.busy) chunkLost(sending, core.config);
  sending.busy = false;
}

export function requestChunks(core: Core, role: LeaderRole, out: Out): void {
  for (const peer of role.peers) {
    const { sending } = peer;
    if (sending === null || sending.busy || !isReady(core, peer, sending)) continue;
    sending.busy = true;
    sending.busySinceMs = core.nowMs;
    holdToConfig(sending, core.config);
    out.push({
      type: "readSnapshotChunk",
      to: peer.id,
      index: sending.meta.index,
      offset: sending.offset,
      maxBytes: sending.chunkBytes,
    });
  }
}

/** False: the peer has to be heard from first (an answer to a beat will do), or a newer one to be taken. */
function isReady(core: Core, peer: Peer, sending: SendingSnapshot): boolean {
  // After a stall of ours everybody counts as responsive, also one whose connection is gone.
  if (!peer.heard || !isResponsive(core, peer)) return false;
  if (sending.fresh === "unasked") {
    // It may have been silent since another one was the newest.
    if (sending.offset === 0) sending.meta = core.snapshot!;
    sending.fresh = isFreshOneWorthwhile(core) ? "awaited" : "settled";
  } else if (sending.fresh === "damaged") sending.fresh = "awaited";
  return sending.fresh === "settled";
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
  // Taken anew at the same entry, its bytes may be others: they go with their own meta, from the beginning.
  const isTakenAnew = core.snapshot !== sending.meta && core.snapshot!.index === event.index;
  if (event.data === null || isTakenAnew) {
    // A newer snapshot took its place: begin with that one. Else it is damaged here, and the value is not. After an
    // election timeout, because storage says so at once, and would of another one as well.
    if (core.snapshot !== sending.meta) beginSending(core, peer);
    else sending.fresh = "damaged";
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
  const before = sending.offset;
  const offset = Math.min(message.offset, meta.sizeBytes);
  // To a chunk that came twice, and the one behind it is on its way: asked for again it came twice as well, and so on to
  // the end, and what comes twice tells nothing of how long it takes (hazard 96).
  if (sending.busy && offset === before && offset < meta.sizeBytes) return;
  sending.offset = offset;
  const tookMs = core.nowMs - sending.busySinceMs;
  if (sending.busy) chunkTook(sending, core.config, offset - before, tookMs);
  // All is there and being installed: the reply will come, or the next beat asks again.
  sending.busy = sending.offset === meta.sizeBytes;
  sending.busySinceMs = core.nowMs;
}
