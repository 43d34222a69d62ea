/**
 * Detecting a value that drifts apart although every reply is the same (hazard 92): members compare
 * hashes of the value's bytes, of snapshots that they took at the same index, each by itself.
 *
 *     leader     .....S10.........S20.....      tells (20, hash) until it has a newer one
 *     follower   .....S10..........S20....      compares when it has both, whichever comes first
 */
import type { LogIndex, MemberId, SnapshotMark } from "../core/types.js";

export type SnapshotMarks = {
  /** Of the newest snapshots that we took ourselves, oldest first. */
  own: SnapshotMark[];
  /** What `toldBy` told of its newest ones, oldest first. */
  told: SnapshotMark[];
  toldBy: MemberId | null;
  /** There is something that was not compared yet. */
  changed: boolean;
};

/** Members take them at about the same time; a slow one may be some behind. */
const keptMarks = 4;

export function createMarks(): SnapshotMarks {
  return { own: [], told: [], toldBy: null, changed: false };
}

export function cloneMarks(marks: SnapshotMarks): SnapshotMarks {
  return { ...marks, own: marks.own.slice(), told: marks.told.slice() };
}

/** The value was replaced: what was found of the one before says nothing of it. */
export function forgetOwn(marks: SnapshotMarks): void {
  marks.own = [];
}

export function noteOwn(marks: SnapshotMarks, mark: SnapshotMark): void {
  marks.own.push(mark);
  if (marks.own.length > keptMarks) marks.own.shift();
  marks.changed = true;
}

export function newestOwn({ own }: SnapshotMarks): SnapshotMark | null {
  return own[own.length - 1] ?? null;
}

export function noteTold(marks: SnapshotMarks, leader: MemberId, mark: SnapshotMark): void {
  if (marks.toldBy !== leader) marks.told = [];
  marks.toldBy = leader;
  const newest = marks.told[marks.told.length - 1];
  if (newest?.index === mark.index) return;
  marks.told.push(mark);
  if (marks.told.length > keptMarks) marks.told.shift();
  marks.changed = true;
}

/** The first index at which our value and that of `toldBy` differ; null if none is known. */
export function findDrift(marks: SnapshotMarks): LogIndex | null {
  marks.changed = false;
  for (const { index, valueHash, valueVersion } of marks.told) {
    const own = marks.own.find((mark) => mark.index === index);
    if (own === undefined || own.valueVersion !== valueVersion) continue;
    if (own.valueHash !== valueHash) return index;
  }
  return null;
}
