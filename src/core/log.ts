/**
 * The log's window in memory: the entries after `offset`, contiguous.
 *
 *     compacted        retained
 *     1 ... offset | offset+1 ... base | base+1 ... lastIndex
 *                    packed             entries
 *
 * Entries up to `offset` are committed and covered by a snapshot; a few retained ones may be covered
 * as well (the tail that is kept for slow followers). What was applied is read again only by a slow
 * follower, and what a restart finds is read once: both are packed in runs once there is enough of it.
 */
import { assert, broken } from "../errors.js";
import {
  firstBelow,
  packedBodyBytes,
  packedBytes,
  type PackedEntries,
  PackedList,
  packedRun,
  packedTerm,
  packEntries,
  runHolding,
  unpackEntry,
} from "../packed-entries.js";
import type { Entry, EntryList, LogIndex, SnapshotMeta, Term } from "./types.js";

export type Log = {
  /** Runs of `packedRun` entries, in order; the first may begin below `offset`. */
  packed: PackedEntries[];
  /** The entries after `base`. */
  entries: Entry[];
  /** Index of the last packed entry; `offset` while nothing is packed. */
  base: LogIndex;
  /** Index of the last entry that is no longer here; 0 when the log begins at 1. */
  offset: LogIndex;
  offsetTerm: Term;
  /** Sum of `entrySizeBytes` over all entries here. */
  sizeBytes: number;
  /** The newest slice handed out: several readers of one turn share one array. */
  shared: {
    readonly from: LogIndex;
    readonly to: LogIndex;
    readonly entries: readonly Entry[];
  } | null;
};

/** Bookkeeping that an entry costs beside its body; makes limits in bytes hold for tiny commands. */
const entryOverheadBytes = 64;

export function entrySizeBytes(entry: Entry): number {
  return entry.body.length + entryOverheadBytes;
}

/** With the entries behind `offset`. Of a long log, as a restart finds one, most stay packed. */
export function createLog(offset: LogIndex, offsetTerm: Term, entries: EntryList): Log {
  const log: Log = {
    packed: [],
    entries: [],
    base: -1,
    offset: -1,
    offsetTerm: -1,
    sizeBytes: -1,
    shared: null,
  };
  // Written twice: what V8 takes for constant until the first compaction costs it the code that relied on it.
  resetLog(log, offset, offsetTerm);
  if (entries instanceof PackedList) for (const run of entries.runs) adoptRun(log, run);
  for (const entry of entries instanceof PackedList ? entries.tail : entries) {
    if (entry.index <= offset) continue;
    appendEntry(log, entry);
    packApplied(log, entry.index);
  }
  return log;
}

function adoptRun(log: Log, run: PackedEntries): void {
  const last = run.first + run.count - 1;
  if (last <= log.offset) return;
  const from = Math.max(run.first, log.offset + 1);
  assert(from === log.base + 1, `log: a run from ${from} on does not follow ${log.base}`);
  const fallsAt = firstBelow(run, from, lastTerm(log));
  assert(fallsAt === null, `log: the term of entry ${fallsAt} is below its predecessor's`);
  log.packed.push(run);
  log.base = last;
  log.sizeBytes += packedSizeBytes(run, from, last);
}

/**
 * Entries of storage may begin before the snapshot (a tail for slow followers). Where they do not
 * agree with it, or do not reach it, the snapshot alone counts (hazard 48).
 */
export function restoreLog(snapshot: SnapshotMeta | null, entries: EntryList): Log {
  const first = entries.at(0);
  if (snapshot === null) {
    assert(
      first === undefined || first.index === 1,
      "storage: the log begins late, without a snapshot",
    );
    return createLog(0, 0, entries);
  }
  if (first === undefined) return createLog(snapshot.index, snapshot.term, []);
  if (first.index === snapshot.index + 1) {
    return createLog(snapshot.index, snapshot.term, entries);
  }
  assert(first.index <= snapshot.index, "storage: a gap between the snapshot and the log");
  // The term before the first entry is known only where nothing is before it.
  const log =
    first.index === 1 ? createLog(0, 0, entries) : createLog(first.index, first.term, entries);
  if (termAt(log, snapshot.index) !== snapshot.term) {
    resetLog(log, snapshot.index, snapshot.term);
  }
  return log;
}

/** A copy that shares what never changes. */
export function cloneLog(log: Log): Log {
  return { ...log, packed: log.packed.slice(), entries: log.entries.slice(), shared: null };
}

export function firstIndex(log: Log): LogIndex {
  return log.offset + 1;
}

export function lastIndex(log: Log): LogIndex {
  return log.base + log.entries.length;
}

export function lastTerm(log: Log): Term {
  const { entries } = log;
  return entries.length === 0 ? termAt(log, log.base)! : entries[entries.length - 1]!.term;
}

/** The run that holds `index`, which is above `offset` and not above `base`. */
function runOf(log: Log, index: LogIndex): PackedEntries {
  return runHolding(log.packed, index)!;
}

function isPacked(log: Log, index: LogIndex): boolean {
  return index > log.offset && index <= log.base;
}

/** The term of the entry at `index`, or null where the log does not reach. */
export function termAt(log: Log, index: LogIndex): Term | null {
  if (index === log.offset) return log.offsetTerm;
  if (isPacked(log, index)) return packedTerm(runOf(log, index), index);
  return log.entries[index - log.base - 1]?.term ?? null;
}

export function entryAt(log: Log, index: LogIndex): Entry {
  if (isPacked(log, index)) return unpackEntry(runOf(log, index), index);
  const entry = log.entries[index - log.base - 1];
  if (entry === undefined) broken(`log: no entry ${index} in (${log.offset}, ${lastIndex(log)}]`);
  return entry;
}

/** What the entry at `index` counts for in limits. */
export function sizeAt(log: Log, index: LogIndex): number {
  if (isPacked(log, index)) return packedBodyBytes(runOf(log, index), index) + entryOverheadBytes;
  return entrySizeBytes(entryAt(log, index));
}

/** Sum of `sizeAt` over the entries `from`..`to`, both included, of one run. */
function packedSizeBytes(run: PackedEntries, from: LogIndex, to: LogIndex): number {
  const bodies = packedBytes(run, from - run.first, to + 1 - run.first);
  return bodies + (to + 1 - from) * entryOverheadBytes;
}

/** Sum of `sizeAt` over the entries (`after`, `to`], run by run: there may be a million. */
export function bytesBetween(log: Log, after: LogIndex, to: LogIndex): number {
  let bytes = 0;
  let from = after + 1;
  const lastPacked = Math.min(to, log.base);
  while (from <= lastPacked) {
    const run = runOf(log, from);
    const end = Math.min(lastPacked, run.first + run.count - 1);
    bytes += packedSizeBytes(run, from, end);
    from = end + 1;
  }
  for (; from <= to; from++) bytes += sizeAt(log, from);
  return bytes;
}

/** The least index, not below `offset`, behind which the entries up to `to` have `maxBytes` at most. */
export function tailStart(log: Log, to: LogIndex, maxBytes: number): LogIndex {
  let upTo = to;
  let room = maxBytes;
  // A run at a time, and where one does not fit an entry at a time.
  for (let byRun = true; upTo > log.offset;) {
    const before =
      byRun && isPacked(log, upTo) ? Math.max(runOf(log, upTo).first - 1, log.offset) : upTo - 1;
    const one = before === upTo - 1;
    const bytes = one ? sizeAt(log, upTo) : bytesBetween(log, before, upTo);
    if (bytes <= room) {
      room -= bytes;
      upTo = before;
    } else if (one) break;
    else byRun = false;
  }
  return upTo;
}

export function appendEntry(log: Log, entry: Entry): void {
  const { index, term } = entry;
  if (index !== lastIndex(log) + 1) broken(`log: entry ${index} does not follow ${lastIndex(log)}`);
  if (term < lastTerm(log)) {
    broken(`log: term ${term} of entry ${index} is below its predecessor's ${lastTerm(log)}`);
  }
  log.entries.push(entry);
  log.sizeBytes += entrySizeBytes(entry);
}

/**
 * Packs a run of entries up to `applied` once there are two of them: the newest that were applied
 * are often asked for, and in the explorer's short logs nothing is ever packed.
 */
export function packApplied(log: Log, applied: LogIndex): void {
  // More than any turn brings; less than would be a stall when a long log was read from disk.
  const most = 16 * packedRun;
  const count = Math.min(applied - log.base - packedRun, most);
  if (count < packedRun) return;
  let done = 0;
  for (; done + packedRun <= count; done += packedRun) {
    log.packed.push(packEntries(log.entries, done, packedRun));
  }
  log.entries.splice(0, done);
  log.base += done;
}

/** There is a run for `packApplied`. */
export function isPackingDue(log: Log, applied: LogIndex): boolean {
  return applied - log.base >= 2 * packedRun;
}

/** Drops the entries at and after `index`. */
export function truncateFrom(log: Log, index: LogIndex): void {
  assert(index > log.offset, `log: cannot truncate from ${index}, compacted up to ${log.offset}`);
  while (log.base >= index) unpackLast(log);
  const keep = index - log.base - 1;
  for (let at = keep; at < log.entries.length; at++) {
    log.sizeBytes -= entrySizeBytes(log.entries[at]!);
  }
  log.entries.length = Math.min(log.entries.length, keep);
  log.shared = null;
}

/** What a restart has packed was not known to be committed, and may have to be cut. */
function unpackLast(log: Log): void {
  const before = Math.max(log.packed.at(-1)!.first - 1, log.offset);
  log.entries = unpackRange(log, before + 1, log.base).concat(log.entries);
  log.packed.pop();
  log.base = before;
}

/** Drops the entries up to and including `index`. */
export function compactTo(log: Log, index: LogIndex): void {
  if (index <= log.offset) return;
  const term = termAt(log, index);
  assert(term !== null, `log: cannot compact to ${index}, the last entry is ${lastIndex(log)}`);
  log.sizeBytes -= bytesBetween(log, log.offset, index);
  const { packed } = log;
  const passed = packed.findIndex(({ first, count }) => first + count > index + 1);
  packed.splice(0, passed < 0 ? packed.length : passed);
  if (index > log.base) {
    log.entries.splice(0, index - log.base);
    log.base = index;
  }
  log.offset = index;
  log.offsetTerm = term;
  log.shared = null;
}

/** Forgets everything: the log now begins after a snapshot. */
export function resetLog(log: Log, offset: LogIndex, offsetTerm: Term): void {
  log.packed = [];
  log.entries = [];
  log.base = offset;
  log.offset = offset;
  log.offsetTerm = offsetTerm;
  log.sizeBytes = 0;
  log.shared = null;
}

/** Entries `from`..`to`, both included; the same array for the same question within a turn. */
export function sliceEntries(log: Log, from: LogIndex, to: LogIndex): readonly Entry[] {
  const { shared, base } = log;
  if (shared !== null && shared.from === from && shared.to === to) return shared.entries;
  const unpacked = log.entries.slice(Math.max(0, from - base - 1), Math.max(0, to - base));
  const entries =
    from > base ? unpacked : unpackRange(log, from, Math.min(to, base)).concat(unpacked);
  log.shared = { from, to, entries };
  return entries;
}

function unpackRange(log: Log, from: LogIndex, to: LogIndex): Entry[] {
  const entries: Entry[] = [];
  for (let at = from; at <= to;) {
    const run = runOf(log, at);
    const end = Math.min(to, run.first + run.count - 1);
    for (; at <= end; at++) entries.push(unpackEntry(run, at));
  }
  return entries;
}

/** All entries here, for checks and displays. */
export function allEntries(log: Log): readonly Entry[] {
  return log.packed.length === 0
    ? log.entries
    : unpackRange(log, firstIndex(log), log.base).concat(log.entries);
}

/** The memberships and configurations among them, which keep their form where others are packed. */
export function specialEntries(log: Log): readonly Entry[] {
  const special: Entry[] = [];
  const consider = (entry: Entry): void => {
    if (entry.payload !== null && entry.index > log.offset) special.push(entry);
  };
  for (const { whole } of log.packed) whole?.forEach(consider);
  log.entries.forEach(consider);
  return special;
}

/**
 * The last index of a packet that begins at `from`: it stops at the first entry that does not fit
 * and never skips one (hazard 29), but always carries one.
 */
export function fitEntries(
  log: Log,
  from: LogIndex,
  maxBytes: number,
): { to: LogIndex; bytes: number } {
  const last = lastIndex(log);
  let to = from - 1;
  let bytes = 0;
  while (to < last) {
    const size = sizeAt(log, to + 1);
    if (to >= from && bytes + size > maxBytes) break;
    bytes += size;
    to += 1;
  }
  return { to, bytes };
}

/** Whether a log that ends at (`index`, `term`) is at least as complete as ours (paper 5.4.1). */
export function isUpToDate(log: Log, index: LogIndex, term: Term): boolean {
  return term > lastTerm(log) || (term === lastTerm(log) && index >= lastIndex(log));
}

/**
 * The highest index not above `index` whose term is not above `term`: where two logs may begin to
 * agree again. Skips a whole term per round trip instead of an entry (paper 5.3, end).
 */
export function findAgreement(log: Log, index: LogIndex, term: Term): LogIndex {
  let at = Math.min(index, lastIndex(log));
  while (at > log.offset && termAt(log, at)! > term) at -= 1;
  return at;
}
