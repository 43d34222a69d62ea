/** What storage says of snapshots: taken by this member, or sent by the leader. */
import { messageOf, type RaftErrorCode } from "../errors.js";
import type { SnapshotMeta } from "../core/types.js";
import { allArrived } from "../value/byte-stream.js";
import { checkReadable } from "../value/snapshot.js";
import { beginArriving, type Chunk, isSameSnapshot, takeChunk } from "./arriving.js";
import { replyError } from "./replies.js";
import { readSnapshot } from "../replica.js";
import {
  abortTaking,
  beginLoading,
  continueLoading,
  continueTaking,
  forgetTaking,
  hasSnapshotWork,
  mayPull,
  type Pulled,
  readArrived,
  snapshotSaved,
  type Started,
  takeArrived,
} from "./snapshots.js";
import { type MemberState, post } from "./state.js";
import { takeRequest } from "./waiting.js";

export function snapshotWasSaved(state: MemberState, snapshot: SnapshotMeta, ok: boolean): void {
  const saved = snapshotSaved(state.snapshots, snapshot, ok);
  if (saved === null) return;
  if (saved.type === "installed") {
    if (saved.ok) snapshotInstalled(state, saved.snapshot);
    else post(state, { type: "snapshotLoaded", snapshot: saved.snapshot, decoded: null }, 0);
    return;
  }
  post(state, saved.event, 0);
  const { request } = saved;
  if (request === null) return;
  if (ok) answerSnapshot(state, request, snapshot);
  else refuseSnapshot(state, request, "storageFailed", savingFailed(state));
}

function answerSnapshot(state: MemberState, request: number, snapshot: SnapshotMeta): void {
  const waiter = takeRequest(state.waiting, request);
  if (waiter === null) return;
  const { index, sizeBytes } = snapshot;
  const body = state.services.codec.encode({ index, sizeBytes });
  waiter.sink.reply(waiter.request, "ok", "maybe", index, body);
}

/**
 * A chunk of a leader's snapshot goes to storage: it is read as well, if the codec can. Throws where this version of the
 * value cannot read it: installed, it would take the place of what this version has, and could be opened by it no more.
 */
export function chunkGiven({ replica, snapshots }: MemberState, chunk: Chunk): void {
  checkReadable(replica.applier.definition, chunk.snapshot);
  if (replica.applier.codec.decodeArriving === undefined) return;
  const { snapshot } = chunk;
  snapshots.arriving = takeChunk(snapshots.arriving, chunk, () =>
    beginArriving(snapshot, replica.core.currentTerm, (arriving) =>
      readSnapshot(replica, snapshot, arriving),
    ),
  );
}

/** The bytes are durable, and what they hold is mostly read. */
function snapshotInstalled(state: MemberState, snapshot: SnapshotMeta): void {
  const slices = takeArrived(state.snapshots, snapshot);
  if (slices === null) return loadInstalled(state, snapshot);
  beginLoading(state.snapshots, snapshot, slices);
  state.services.wake();
}

/** Reads them back, so that the value is restored from what was checked. */
function loadInstalled(state: MemberState, snapshot: SnapshotMeta): void {
  const loaded = state.services.storage.loadSnapshot(state.group);
  loaded.then(
    (pieces) => {
      if (state.stopped) return;
      const slices = readSnapshot(state.replica, snapshot, allArrived(pieces));
      beginLoading(state.snapshots, snapshot, slices);
      state.services.wake();
    },
    (error: unknown) => {
      state.services.logger.error(
        { group: state.group, member: state.self.id, index: snapshot.index, err: error },
        `the installed snapshot at ${snapshot.index} could not be read back: ${messageOf(error)}`,
      );
      post(state, { type: "snapshotLoaded", snapshot, decoded: null }, 0);
    },
  );
}

/**
 * Goes on with what the member's snapshots need, at the end of a turn: with the one that it takes, and with the one that
 * it is sent. Throws what the latter is refused for.
 */
export function snapshotsGoOn(state: MemberState): void {
  const { snapshots } = state;
  if (mayPull(snapshots)) {
    piecesPulled(
      state,
      continueTaking(snapshots, () => state.services.wake()),
    );
  }
  if (snapshots.loading !== null) {
    const event = continueLoading(snapshots);
    if (event !== null) post(state, event, 0);
  }
  readArrived(snapshots);
  if (hasSnapshotWork(snapshots)) state.services.wakeLater();
}

/**
 * Nothing is kept of a leader's snapshot that is of no use any more, that storage will never have, or whose leader
 * is another one now.
 */
export function letGoArrived({ snapshots, replica }: MemberState): void {
  const { arriving } = snapshots;
  if (arriving === null) return;
  const { incoming, currentTerm, commitIndex, storageFailed } = replica.core;
  const { snapshot, term } = arriving;
  const isAwaited = !storageFailed && incoming !== null && isSameSnapshot(incoming.meta, snapshot);
  if (isAwaited && term === currentTerm && commitIndex < snapshot.index) return;
  snapshots.arriving = null;
}

/** Gives up a snapshot that is being encoded for the leader's; the core and who asked for it are told. */
export function snapshotOvertaken(state: MemberState): void {
  const why = `member ${state.self.id} is taking over its leader's snapshot instead; retry later`;
  tellEnded(state, abortTaking(state.snapshots), "unavailable", why);
}

/** Gives up also one that storage has: it has failed, and will not say what became of it. */
export function snapshotLost(state: MemberState): void {
  tellEnded(state, forgetTaking(state.snapshots), "storageFailed", savingFailed(state));
}

/**
 * What pulling pieces came to. A value that has no encoding costs the snapshot and not the member: the
 * log stays, commands go on, and one of them may mend the value.
 */
function piecesPulled(state: MemberState, pulled: Pulled): void {
  const { services, group, self } = state;
  if (pulled.type === "paused") return;
  if (pulled.type === "handedOver") return services.storageTouched();
  const { error } = pulled;
  const index = state.replica.core.takingSnapshotAt;
  const why =
    `member ${self.id} of group "${group}": the value at index ${index} has no encoding, so no ` +
    `snapshot can be taken of it: ${messageOf(error)}`;
  services.logger.error({ group, member: self.id, index, err: error }, why);
  tellEnded(state, abortTaking(state.snapshots), "encodeFailed", why);
}

function tellEnded(
  state: MemberState,
  taking: Started | null,
  code: RaftErrorCode,
  why: string,
): void {
  if (taking === null) return;
  post(state, { type: "snapshotFailed", index: taking.index }, 0);
  if (taking.request !== null) refuseSnapshot(state, taking.request, code, why);
}

function savingFailed(state: MemberState): string {
  return `member ${state.self.id} could not save the snapshot; its log says why`;
}

function refuseSnapshot(
  state: MemberState,
  request: number,
  code: RaftErrorCode,
  why: string,
): void {
  const waiter = takeRequest(state.waiting, request);
  if (waiter !== null) replyError(waiter.sink, waiter.request, code, "no", why);
}
