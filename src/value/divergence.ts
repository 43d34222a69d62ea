/**
 * Detecting a handler that is not deterministic: members compare hashes of their outcomes, and of their
 * values where they have snapshots at the same index (hazard 92).
 *
 * - end of a turn, leader   -> tellHashes: once a heartbeat or after many entries, if any were applied
 * - compareHashes, follower -> compared once those entries are applied here; a difference is narrowed
 *   down by asking back, then reported with the first index that differs
 * - compareHashes, leader   -> a follower asks back: our hashes within the gap
 */
import type { Core } from "../core/index.js";
import type { CompareHashes, CoreEffect, LogIndex, MemberId, SnapshotMark } from "../core/types.js";
import type { Applier } from "./applier.js";
import { type Difference, findDifference, narrower, sampleHashes } from "./hash-comparison.js";
import { hashAt } from "./reply-hashes.js";
import {
  cloneMarks,
  createMarks,
  findDrift,
  forgetOwn,
  newestOwn,
  noteOwn,
  noteTold,
  type SnapshotMarks,
} from "./snapshot-marks.js";

export type DivergenceEffect =
  | Extract<CoreEffect, { readonly type: "send" }>
  /**
   * A handler is not deterministic. `reply`: this member's outcome at `index` differs from the leader's.
   * `value`: after `index` its value does, although no reply was seen to.
   */
  | {
      readonly type: "diverged";
      readonly what: "reply" | "value";
      readonly index: LogIndex;
      readonly leader: MemberId;
    };

type Out = { push(effect: DivergenceEffect): unknown };

export type Comparison = {
  /** Leader: the others were told the hashes up to here. */
  toldUpTo: LogIndex;
  /** Leader: a heartbeat is leaving in this turn. */
  due: boolean;
  /** What a leader told before these entries were applied here. */
  pending: { readonly from: MemberId; readonly message: CompareHashes } | null;
  /** The leader whose hashes differ from ours, and the gap in which the first difference lies. */
  against: MemberId | null;
  gap: Difference;
  /** Reported: there is nothing more to find. */
  diverged: boolean;
  readonly marks: SnapshotMarks;
  /** Leader: index of the newest snapshot that the others were told of. */
  toldSnapshot: LogIndex;
  /** Leader: when the last turn ended, there was nothing of which the others have not been told. */
  toldAll: boolean;
};

/** Applied entries after which the others are told without waiting for a heartbeat. */
const tellAfterEntries = 1024;

export function createComparison(): Comparison {
  return {
    toldUpTo: 0,
    due: false,
    pending: null,
    against: null,
    gap: { equalAt: null, differsAt: 0 },
    diverged: false,
    marks: createMarks(),
    toldSnapshot: 0,
    toldAll: false,
  };
}

export function cloneComparison(comparison: Comparison): Comparison {
  return { ...comparison, marks: cloneMarks(comparison.marks) };
}

/** The value was replaced by the leader's: whatever was found is no longer true. */
export function forgetComparison(comparison: Comparison): void {
  comparison.against = null;
  comparison.diverged = false;
  forgetOwn(comparison.marks);
}

/** A snapshot that we took ourselves: the others are told of it with the first heartbeat after it was saved. */
export function noteOwnSnapshot(comparison: Comparison, mark: SnapshotMark): void {
  noteOwn(comparison.marks, mark);
}

export function tellHashes(
  comparison: Comparison,
  { role, currentTerm, membership, self }: Core,
  { lastApplied, hashes }: Applier,
  out: Out,
): void {
  if (role.type !== "leader" || membership.members.length < 2) return;
  const ahead = lastApplied - comparison.toldUpTo;
  const due = comparison.due || ahead >= tellAfterEntries;
  comparison.due = false;
  const snapshot = newestOwn(comparison.marks);
  const isNew = snapshot !== null && snapshot.index > comparison.toldSnapshot;
  comparison.toldAll = ahead <= 0 && !isNew;
  if (!due || comparison.toldAll) return;
  const sampled = sampleHashes(hashes, currentTerm, comparison.toldUpTo, lastApplied);
  comparison.toldUpTo = lastApplied;
  comparison.toldSnapshot = snapshot?.index ?? 0;
  if (sampled === null) return;
  // Every time, for whoever has not heard it or was not a member yet.
  const message = { ...sampled, snapshot };
  for (const { id } of membership.members) {
    if (id !== self.id) out.push({ type: "send", to: id, message });
  }
}

export function onCompareHashes(
  comparison: Comparison,
  core: Core,
  applier: Applier,
  from: MemberId,
  message: CompareHashes,
  out: Out,
): void {
  const { role, currentTerm } = core;
  if (message.term !== currentTerm) return;
  if (role.type === "leader") return answerWithin(core, applier, from, message, out);
  if (role.leader !== from || comparison.diverged) return;
  if (message.snapshot !== null) noteTold(comparison.marks, from, message.snapshot);
  if (newestIndex(message) <= applier.lastApplied) {
    return compare(comparison, core, applier, from, message, out);
  }
  // The older one first: a member that is always a little behind would otherwise compare nothing.
  comparison.pending ??= { from, message };
}

/** After entries were applied: what had to wait for them. */
export function comparePending(
  comparison: Comparison,
  core: Core,
  applier: Applier,
  out: Out,
): void {
  const { pending } = comparison;
  if (pending !== null && newestIndex(pending.message) <= applier.lastApplied) {
    comparison.pending = null;
    if (comparison.diverged || core.role.type === "leader") return;
    compare(comparison, core, applier, pending.from, pending.message, out);
  }
  if (comparison.marks.changed) compareValues(comparison, core, out);
}

/** Replies come first: they tell the very entry. */
function compareValues(comparison: Comparison, { role }: Core, out: Out): void {
  const { marks, diverged, against, pending } = comparison;
  if (diverged || against !== null || pending !== null) return;
  if (role.leader === null || role.leader !== marks.toldBy || role.type === "leader") return;
  const index = findDrift(marks);
  if (index === null) return;
  comparison.diverged = true;
  out.push({ type: "diverged", what: "value", index, leader: marks.toldBy });
}

function newestIndex(message: CompareHashes): LogIndex {
  return message.indices.at(-1) ?? 0;
}

/** A follower has found a difference to us: our hashes within the gap that is left. */
function answerWithin(
  core: Core,
  { hashes }: Applier,
  from: MemberId,
  message: CompareHashes,
  out: Out,
): void {
  const found = findDifference(hashes, message);
  if (found === null) return;
  const reply = sampleHashes(hashes, core.currentTerm, found.equalAt ?? 0, found.differsAt);
  if (reply !== null) out.push({ type: "send", to: from, message: reply });
}

function compare(
  comparison: Comparison,
  core: Core,
  { hashes }: Applier,
  leader: MemberId,
  message: CompareHashes,
  out: Out,
): void {
  const found = findDifference(hashes, message);
  if (found === null) return;
  const asked = comparison.against === leader;
  comparison.gap = asked ? narrower(comparison.gap, found) : found;
  comparison.against = leader;
  const { equalAt, differsAt } = comparison.gap;
  // Nothing older is known to both: it may have begun before. Who tells of its newest entry alone is asked first.
  const isOldest =
    equalAt === null && differsAt === newestIndex(message) && (asked || differsAt === 1);
  // The answers were lost, or came late in a busy group: there is nothing left to search in.
  const isForgotten = hashAt(hashes, differsAt) === null;
  if (equalAt === differsAt - 1 || isOldest || isForgotten) {
    comparison.diverged = true;
    out.push({ type: "diverged", what: "reply", index: differsAt, leader });
    return;
  }
  const own = sampleHashes(hashes, core.currentTerm, equalAt ?? 0, differsAt);
  if (own !== null) out.push({ type: "send", to: leader, message: own });
}
