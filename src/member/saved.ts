/** What storage says of snapshots: taken by this member, or sent by the leader. */
import type { SnapshotMeta } from "../core/types.js";
import { replyError } from "./replies.js";
import { abortTaking, snapshotSaved } from "./snapshots.js";
import { type MemberState, post } from "./state.js";
import { takeRequest } from "./waiting.js";

export function snapshotWasSaved(state: MemberState, snapshot: SnapshotMeta, ok: boolean): void {
  const saved = snapshotSaved(state.snapshots, snapshot, ok);
  if (saved === null) return;
  if (saved.type === "installed") {
    if (saved.ok) loadInstalled(state, saved.snapshot);
    else post(state, { type: "snapshotLoaded", snapshot: saved.snapshot, pieces: null }, 0);
    return;
  }
  post(state, saved.event, 0);
  if (saved.request !== null) answerSnapshot(state, saved.request, ok ? snapshot : null);
}

function answerSnapshot(state: MemberState, request: number, snapshot: SnapshotMeta | null): void {
  const waiter = takeRequest(state.waiting, request);
  if (waiter === null) return;
  if (snapshot === null) {
    const why = `member ${state.self.id} could not save the snapshot; its log says why`;
    return replyError(waiter.sink, waiter.request, "storageFailed", "no", why);
  }
  const { index, sizeBytes } = snapshot;
  const body = state.services.codec.encode({ index, sizeBytes });
  waiter.sink.reply(waiter.request, "ok", "maybe", index, body);
}

/** The bytes are durable: read them back, so that the value is restored from what was checked. */
function loadInstalled(state: MemberState, snapshot: SnapshotMeta): void {
  const loaded = state.services.storage.loadSnapshot(state.group);
  loaded.then(
    (pieces) => post(state, { type: "snapshotLoaded", snapshot, pieces }, 0),
    (error: unknown) => {
      state.services.logger.error(
        { group: state.group, member: state.self.id, index: snapshot.index, err: error },
        `the installed snapshot at ${snapshot.index} could not be read back: ${String(error)}`,
      );
      post(state, { type: "snapshotLoaded", snapshot, pieces: null }, 0);
    },
  );
}

/** Gives up a snapshot that is being encoded; the core and who asked for it are told. */
export function snapshotAborted(state: MemberState): void {
  const taking = abortTaking(state.snapshots);
  if (taking === null) return;
  post(state, { type: "snapshotFailed", index: taking.index }, 0);
  if (taking.request !== null) answerSnapshot(state, taking.request, null);
}
