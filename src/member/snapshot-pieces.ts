/** A member's own snapshot, read piece by piece by a client: what a backup is made of. */
import type { ReadSnapshot, SnapshotPiece } from "../codec/types.js";
import type { LogIndex } from "../core/types.js";
import { answerEnded, replyError } from "./replies.js";
import { type MemberState, wait } from "./state.js";
import type { ReplySink } from "./types.js";
import { takeKind, takeRequest } from "./waiting.js";

/** The largest piece: what a reply may hold the event loop up for. */
const maxPieceBytes = 1024 * 1024;
/** No member's id begins so. */
const prefix = "#client-";

export function snapshotPieceRequested(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  { index, offset, maxBytes }: ReadSnapshot,
): void {
  if (state.groupId === null) {
    const why = `member ${state.self.id} has no storage of the group yet`;
    return replyError(sink, callerRequest, "unavailable", "no", why);
  }
  if (state.storageFailure !== null) {
    return replyError(sink, callerRequest, "storageFailed", "no", readingFailed(state));
  }
  const request = wait(state, sink, callerRequest, "piece");
  const { storage } = state.services;
  const bytes = Math.min(maxBytes, maxPieceBytes);
  storage.readSnapshotChunk(state.group, `${prefix}${request}`, index, offset, bytes);
}

/** Storage has failed, and answers nothing that it was asked. */
export function snapshotPiecesFailed(state: MemberState): void {
  answerEnded(takeKind(state.waiting, "piece"), "storageFailed", readingFailed(state));
}

function readingFailed({ self }: MemberState): string {
  return `member ${self.id} could not read its snapshot: its storage has failed, its log says why`;
}

/** False: the piece is for a peer, and the core's business. */
export function snapshotPieceRead(
  state: MemberState,
  to: string,
  index: LogIndex,
  data: Uint8Array | "later" | null,
): boolean {
  if (!to.startsWith(prefix)) return false;
  const waiter = takeRequest(state.waiting, Number(to.slice(prefix.length)));
  // Who asked may be gone, and the member as well.
  if (waiter === null) return true;
  if (data === "later") {
    const why = `member ${state.self.id} cannot open its snapshot right now; its log says why`;
    replyError(waiter.sink, waiter.request, "unavailable", "no", why);
    return true;
  }
  const { snapshot } = state.replica.core;
  const piece: SnapshotPiece = { snapshot: snapshot?.index === index ? snapshot : null, data };
  waiter.sink.reply(waiter.request, "ok", "no", index, state.services.codec.encode(piece));
  return true;
}
