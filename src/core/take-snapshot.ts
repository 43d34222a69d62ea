/**
 * When to take a snapshot, and what may go afterwards (paper 7; thesis 5).
 *
 * - snapshotRequested  -> onSnapshotRequested, taken at the end of the turn
 * - a peer needs one   -> isFreshOneWorthwhile, taken at the end of the turn (send-snapshot.ts)
 * - entries applied    -> takeSnapshotIfGrown, right behind the entry with which the log has grown enough
 * - snapshotSaved      -> onSnapshotSaved: compaction, less a tail for slow followers (hazard 57)
 * - leaderSnapshotTold -> onLeaderSnapshotTold: counts from where the leader counts
 *
 * Each member takes its own, but which entry is the one depends on the log alone and not on how a
 * member's turns cut it up. So members that count from the same entry take them at the same ones, and
 * can compare them (decision 14).
 */
import { coverBySnapshot } from "./disk.js";
import { bytesBetween, compactTo, entryAt, firstIndex, tailStart, termAt } from "./log.js";
import { appliedMembership } from "./memberships.js";
import { isResponsive } from "./progress.js";
import type { Core, Out, Peer } from "./state.js";
import type { LogIndex, RequestId, SnapshotMeta } from "./types.js";

/** How many times the limit the log may grow while a follower is being sent the current snapshot. */
const patienceForSending = 4;
/**
 * Whoever is sent a snapshot applies the log behind it as well, at some 40 MB/s; a value is encoded and
 * read about four times as fast.
 */
const freshShare = 4;
/** Less log than this part of `minSnapshotLogBytes` is applied in milliseconds. */
const freshFloorShare = 8;

export function onSnapshotRequested(core: Core, request: RequestId, out: Out): void {
  const blocked = core.takingSnapshotAt !== 0 || core.snapshotRequest !== null;
  const installing = core.incoming?.installing === true;
  if (blocked || core.lastApplied === 0 || core.storageFailed || installing) {
    const code = core.storageFailed ? "unavailable" : "overloaded";
    out.push({ type: "refused", request, code, applied: "no" });
    return;
  }
  core.snapshotRequest = request;
}

/** Bytes of log that are worth a snapshot: a factor of what it would replace them by. */
function worthwhileBytes({ config }: Core, sizeBytes: number): number {
  const wanted = Math.min(sizeBytes * config.snapshotLogFactor, config.maxSnapshotLogBytes);
  return Math.max(wanted, config.minSnapshotLogBytes, 1);
}

/** The `appliedBytes` at which a snapshot is due; Infinity while none could be taken. */
export function snapshotDueBytes(core: Core): number {
  if (core.takingSnapshotAt !== 0 || core.incoming?.installing === true) return Infinity;
  if (core.storageFailed) return Infinity;
  const limit = worthwhileBytes(core, core.countedSizeBytes);
  return isSendingSnapshot(core) ? limit * patienceForSending : limit;
}

function isSendingSnapshot(core: Core): boolean {
  const { role } = core;
  if (role.type !== "leader") return false;
  return role.peers.some((peer) => peer.sending?.fresh === "settled" && isResponsive(core, peer));
}

/** The peer is sent nothing before a newer snapshot is taken. */
export function isAwaited({ sending }: Peer): boolean {
  return sending !== null && sending.fresh === "awaited";
}

/**
 * A peer is about to be sent our snapshot: whether the log behind it is long enough to take another one
 * first. Not while somebody is half through the one that we have.
 */
export function isFreshOneWorthwhile(core: Core): boolean {
  const { snapshot, config } = core;
  if (snapshot === null || isSendingSnapshot(core)) return false;
  const floor = config.minSnapshotLogBytes / freshFloorShare;
  const limit = Math.max(snapshot.sizeBytes / freshShare, floor, 1);
  return (
    bytesBehind(core, snapshot.index) >= Math.min(limit, worthwhileBytes(core, snapshot.sizeBytes))
  );
}

/** What was applied after our snapshot. */
function bytesBehind(core: Core, index: LogIndex): number {
  if (core.countedFrom === index) return core.appliedBytes;
  return bytesBetween(core.log, index, core.lastApplied);
}

export function takeSnapshotIfGrown(core: Core, out: Out): void {
  if (core.appliedBytes >= snapshotDueBytes(core)) takeSnapshot(core, out);
}

/** The end of a turn: somebody has asked for it, or is to be sent it. */
export function takeSnapshotIfWanted(core: Core, out: Out): void {
  const { role, snapshotRequest } = core;
  const wanted = snapshotRequest !== null || (role.type === "leader" && role.peers.some(isAwaited));
  if (wanted && Number.isFinite(snapshotDueBytes(core))) takeSnapshot(core, out);
}

function takeSnapshot(core: Core, out: Out): void {
  const request = core.snapshotRequest;
  core.snapshotRequest = null;
  const index = core.lastApplied;
  const { membership, index: membershipIndex } = appliedMembership(core);
  core.takingSnapshotAt = index;
  core.takingSnapshotBytes = core.appliedBytes;
  const same = core.snapshot?.index === index;
  out.push({
    type: "takeSnapshot",
    index,
    term: termAt(core.log, index)!,
    timeMs: same ? core.snapshot!.timeMs : entryAt(core.log, index).timeMs,
    membership,
    membershipIndex,
    config: core.config,
    request,
  });
}

export function onSnapshotSaved(core: Core, snapshot: SnapshotMeta, out: Out): void {
  if (core.takingSnapshotAt !== snapshot.index) return;
  core.takingSnapshotAt = 0;
  // A newer one came from the leader meanwhile.
  if (core.snapshot !== null && core.snapshot.index > snapshot.index) return;
  core.snapshot = snapshot;
  countFrom(core, snapshot.index, snapshot.sizeBytes);
  coverBySnapshot(core.disk, snapshot.index);
  const upTo = tailStart(core.log, snapshot.index, core.config.trailingLogBytes);
  if (upTo <= core.log.offset) return;
  compactTo(core.log, upTo);
  out.push({ type: "compactLog", firstIndex: firstIndex(core.log) });
}

export function onSnapshotFailed(core: Core, index: LogIndex): void {
  if (core.takingSnapshotAt !== index) return;
  core.takingSnapshotAt = 0;
  // Not at once again: the log has to grow by as much as before.
  countFrom(core, index, core.countedSizeBytes);
}

/** What was applied since the snapshot began counts towards the next one. */
function countFrom(core: Core, index: LogIndex, sizeBytes: number): void {
  core.appliedBytes = Math.max(0, core.appliedBytes - core.takingSnapshotBytes);
  core.countedFrom = index;
  core.countedSizeBytes = sizeBytes;
}

/**
 * The leader took its newest snapshot at another entry than we: from now on we count from there, and
 * are due where it is. That may come later than by our own count, so the log may grow to twice what
 * it would, and then counts on as it did; it never comes at once.
 *
 *     leader   ....S............S............S
 *     we       ......S......|...S............S        | told of the leader's first one
 */
export function onLeaderSnapshotTold(core: Core, index: LogIndex, sizeBytes: number): void {
  const { role, log } = core;
  if (role.type !== "follower" && role.type !== "learner") return;
  if (index === core.countedFrom || core.appliedBytes >= snapshotDueBytes(core)) return;
  const isHere = Number.isSafeInteger(index) && index >= log.offset && index <= core.lastApplied;
  if (!isHere || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return;
  if (core.takingSnapshotAt !== 0) return;
  const bytes = bytesBetween(log, index, core.lastApplied);
  const limit = worthwhileBytes(core, sizeBytes);
  if (bytes >= limit) return;
  // One that takes them early would put ours off again and again.
  if (log.sizeBytes - core.config.trailingLogBytes >= 2 * limit) return;
  core.appliedBytes = bytes;
  core.countedFrom = index;
  core.countedSizeBytes = sizeBytes;
}
