/**
 * When to take a snapshot, and what may go afterwards (paper 7; thesis 5).
 *
 * - snapshotRequested -> onSnapshotRequested
 * - end of the turn   -> takeSnapshotIfGrown, right behind `apply`
 * - snapshotSaved     -> onSnapshotSaved: compaction, less a tail for slow followers (hazard 57)
 */
import { coverBySnapshot } from "./disk.js";
import { compactTo, entryAt, firstIndex, sizeAt, termAt } from "./log.js";
import { appliedMembership } from "./memberships.js";
import { isResponsive } from "./progress.js";
import type { Core, Out } from "./state.js";
import type { LogIndex, RequestId, SnapshotMeta } from "./types.js";

/** How many times the limit the log may grow while a follower is being sent the current snapshot. */
const patienceForSending = 4;

export function onSnapshotRequested(core: Core, request: RequestId, out: Out): void {
  const blocked = core.takingSnapshotAt !== 0 || core.snapshotRequest !== null;
  const installing = core.incoming?.installing === true;
  if (blocked || core.lastApplied === 0 || core.storageFailed || installing) {
    out.push({ type: "refused", request, code: "overloaded", applied: "no" });
    return;
  }
  core.snapshotRequest = request;
}

/** The log is larger than a factor of what it would be replaced by. */
function hasGrown(core: Core): boolean {
  const { config, snapshot } = core;
  const wanted = Math.min(
    (snapshot?.sizeBytes ?? 0) * config.snapshotLogFactor,
    config.maxSnapshotLogBytes,
  );
  const limit = Math.max(wanted, config.minSnapshotLogBytes);
  if (core.appliedBytes < limit || core.appliedBytes === 0) return false;
  return core.appliedBytes >= limit * patienceForSending || !isSendingSnapshot(core);
}

function isSendingSnapshot(core: Core): boolean {
  const { role } = core;
  if (role.type !== "leader") return false;
  return role.peers.some((peer) => peer.sending !== null && isResponsive(core, peer));
}

export function takeSnapshotIfGrown(core: Core, out: Out): void {
  if (core.takingSnapshotAt !== 0 || core.incoming?.installing === true) return;
  if (core.storageFailed) return;
  const request = core.snapshotRequest;
  if (request === null && !hasGrown(core)) return;
  core.snapshotRequest = null;
  const index = core.lastApplied;
  const { membership, index: membershipIndex } = appliedMembership(core);
  core.takingSnapshotAt = index;
  core.takingSnapshotBytes = core.appliedBytes;
  const same = core.snapshot?.index === index;
  out.push({
    type: "takeSnapshot",
    request,
    index,
    term: termAt(core.log, index)!,
    timeMs: same ? core.snapshot!.timeMs : entryAt(core.log, index).timeMs,
    membership,
    membershipIndex,
    config: core.config,
  });
}

export function onSnapshotSaved(core: Core, snapshot: SnapshotMeta, out: Out): void {
  if (core.takingSnapshotAt !== snapshot.index) return;
  core.takingSnapshotAt = 0;
  // A newer one came from the leader meanwhile.
  if (core.snapshot !== null && core.snapshot.index > snapshot.index) return;
  core.snapshot = snapshot;
  core.appliedBytes = Math.max(0, core.appliedBytes - core.takingSnapshotBytes);
  coverBySnapshot(core.disk, snapshot.index);
  const upTo = tailStart(core, snapshot.index);
  if (upTo <= core.log.offset) return;
  compactTo(core.log, upTo);
  out.push({ type: "compactLog", firstIndex: firstIndex(core.log) });
}

/** The last index that may go, so that what stays up to `index` fits in trailingLogBytes. */
function tailStart(core: Core, index: LogIndex): LogIndex {
  let upTo = index;
  let bytes = 0;
  while (upTo > core.log.offset) {
    bytes += sizeAt(core.log, upTo);
    if (bytes > core.config.trailingLogBytes) break;
    upTo -= 1;
  }
  return upTo;
}

export function onSnapshotFailed(core: Core, index: LogIndex): void {
  if (core.takingSnapshotAt !== index) return;
  core.takingSnapshotAt = 0;
  // Not at once again: the log has to grow by as much as before.
  core.appliedBytes = Math.max(0, core.appliedBytes - core.takingSnapshotBytes);
}
