/**
 * Snapshots of one member: pieces are pulled from the value's encoding within a budget per turn, so
 * that a large value does not silence the member; what a leader sends is written, checked and loaded.
 */
import { crc32 } from "../codec/crc32.js";
import type { RequestId, SnapshotMeta } from "../core/types.js";
import { assert } from "../errors.js";
import type { ReplicaEffect, ReplicaEvent } from "../replica.js";
import type { Clock, SnapshotSink, Storage } from "../ports.js";
import {
  allHasArrived,
  type Arriving,
  isReadable,
  isSameSnapshot,
  readOn,
  type Slices,
} from "./arriving.js";

/** A turn spends no longer than this on encoding or on decoding, and then lets the sockets speak. */
const budgetMs = 4;

export type Started = Extract<ReplicaEffect, { type: "snapshotStarted" }>;

type Taking = {
  readonly effect: Started;
  readonly sink: SnapshotSink;
  sizeBytes: number;
  checksum: number;
  /** Not null: all pieces are written and storage is making it durable. */
  meta: SnapshotMeta | null;
  /** Storage has enough for now, and says when it may go on. */
  waiting: boolean;
};

export type Snapshots = {
  readonly group: string;
  readonly storage: Storage;
  readonly clock: Clock;
  taking: Taking | null;
  /** Sent by the leader, and read meanwhile; null also for one that is not worth it, or could not be. */
  arriving: Arriving | null;
  installing: SnapshotMeta | null;
  /** Installed, and being read. */
  loading: { readonly snapshot: SnapshotMeta; readonly slices: Slices } | null;
};

export function createSnapshots(group: string, storage: Storage, clock: Clock): Snapshots {
  return { group, storage, clock, taking: null, arriving: null, installing: null, loading: null };
}

/** How far pulling came: pieces are left for later turns, storage has all, or there are none. */
export type Pulled =
  | { readonly type: "paused" }
  | { readonly type: "handedOver" }
  /** The value has no encoding: `abortTaking` is next. */
  | { readonly type: "failed"; readonly error: unknown };

/** The pieces are pulled at the end of turns. */
export function beginTaking(snapshots: Snapshots, effect: Started): void {
  snapshots.taking?.sink.abort();
  snapshots.taking = {
    effect,
    sink: snapshots.storage.beginSnapshot(snapshots.group),
    sizeBytes: 0,
    checksum: 0,
    meta: null,
    waiting: false,
  };
}

/** Something is left for `finishTurn`, which can go on with it now. */
export function hasSnapshotWork(snapshots: Snapshots): boolean {
  const { arriving, loading } = snapshots;
  return mayPull(snapshots) || loading !== null || (arriving !== null && isReadable(arriving));
}

/** True while pieces wait to be pulled. */
function isPulling(snapshots: Snapshots): boolean {
  return snapshots.taking !== null && snapshots.taking.meta === null;
}

/** `isPulling`, and storage takes them. */
export function mayPull(snapshots: Snapshots): boolean {
  return isPulling(snapshots) && !snapshots.taking!.waiting;
}

/**
 * Pulls pieces until the budget is spent, or storage has enough for now: a disk that is slower than the encoding, or
 * hangs, would have whole values wait in memory. It calls `wake` then. Only while `mayPull`.
 */
export function continueTaking(snapshots: Snapshots, wake: () => void): Pulled {
  const { taking, clock } = snapshots;
  assert(taking !== null && taking.meta === null, "no snapshot is being encoded");
  const { effect, sink } = taking;
  const untilMs = effect.immediate ? Infinity : clock.nowMs() + budgetMs;
  for (;;) {
    if (!effect.immediate && !takesMore(snapshots, taking, wake)) return { type: "paused" };
    let piece: IteratorResult<Uint8Array>;
    try {
      piece = effect.pieces.next();
    } catch (error) {
      return { type: "failed", error };
    }
    if (piece.done === true) break;
    sink.write(piece.value);
    taking.sizeBytes += piece.value.length;
    taking.checksum = crc32(piece.value, taking.checksum);
    if (clock.nowMs() >= untilMs) return { type: "paused" };
  }
  taking.meta = effect.finish(taking.sizeBytes, taking.checksum);
  sink.commit(taking.meta);
  return { type: "handedOver" };
}

function takesMore(snapshots: Snapshots, taking: Taking, wake: () => void): boolean {
  const { sink } = taking;
  if (sink.takesMore === undefined) return true;
  taking.waiting = true;
  const may = sink.takesMore(() => {
    taking.waiting = false;
    if (snapshots.taking === taking) wake();
  });
  if (may) taking.waiting = false;
  return may;
}

export type Saved =
  | { readonly type: "taken"; readonly event: ReplicaEvent; readonly request: RequestId | null }
  | { readonly type: "installed"; readonly snapshot: SnapshotMeta; readonly ok: boolean };

/** Storage finished a snapshot: our own, or the one that the leader sent. */
export function snapshotSaved(
  snapshots: Snapshots,
  snapshot: SnapshotMeta,
  ok: boolean,
): Saved | null {
  const { taking, installing } = snapshots;
  if (taking !== null && taking.meta !== null && isSameSnapshot(taking.meta, snapshot)) {
    snapshots.taking = null;
    const event: ReplicaEvent = ok
      ? { type: "snapshotSaved", snapshot }
      : { type: "snapshotFailed", index: snapshot.index };
    return { type: "taken", event, request: taking.effect.request };
  }
  if (installing !== null && isSameSnapshot(installing, snapshot)) {
    snapshots.installing = null;
    return { type: "installed", snapshot, ok };
  }
  return null;
}

/** Reads of what has arrived until the budget is spent. */
export function readArrived(snapshots: Snapshots): void {
  const { arriving, clock } = snapshots;
  if (arriving === null || readOn(arriving, clock, clock.nowMs() + budgetMs)) return;
  snapshots.arriving = null;
}

/** The rest of a snapshot that storage has installed and that was read while it came; null: it was not. */
export function takeArrived(snapshots: Snapshots, snapshot: SnapshotMeta): Slices | null {
  const { arriving } = snapshots;
  snapshots.arriving = null;
  return arriving === null ? null : allHasArrived(arriving, snapshot);
}

/** The caller has ended what was being taken (`abortTaking`). */
export function beginInstalling(snapshots: Snapshots, snapshot: SnapshotMeta): void {
  snapshots.installing = snapshot;
  snapshots.loading = null;
  snapshots.storage.installSnapshot(snapshots.group, snapshot);
}

export function beginLoading(snapshots: Snapshots, snapshot: SnapshotMeta, slices: Slices): void {
  snapshots.loading = { snapshot, slices };
}

/**
 * Reads until the budget is spent. The event that it comes to in the end; null: it goes on in a later turn. Throws
 * what `decodeSnapshot` refuses. Only while something is being loaded.
 */
export function continueLoading(snapshots: Snapshots): ReplicaEvent | null {
  const { loading, clock } = snapshots;
  assert(loading !== null, "no snapshot is being read");
  const untilMs = clock.nowMs() + budgetMs;
  do {
    const slice = loading.slices.next();
    if (slice.done !== true) continue;
    snapshots.loading = null;
    return { type: "snapshotLoaded", snapshot: loading.snapshot, decoded: slice.value };
  } while (clock.nowMs() < untilMs);
  return null;
}

/** Ends a snapshot that is not handed to storage yet, and returns what it was. */
export function abortTaking(snapshots: Snapshots): Started | null {
  return isPulling(snapshots) ? forgetTaking(snapshots) : null;
}

/** As `abortTaking`, also of one that was handed over: storage will never say what became of it. */
export function forgetTaking(snapshots: Snapshots): Started | null {
  const { taking } = snapshots;
  if (taking === null) return null;
  if (taking.meta === null) taking.sink.abort();
  snapshots.taking = null;
  return taking.effect;
}
