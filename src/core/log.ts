/**
 * The log's window in memory: the entries after `offset`, contiguous.
 *
 *     compacted        retained
 *     1 ... offset | offset+1 ... lastIndex
 *
 * Entries up to `offset` are committed and covered by a snapshot; a few retained ones may be covered
 * as well (the tail that is kept for slow followers).
 */
import { assert } from "../errors.js";
import type { Entry, LogIndex, Term } from "./types.js";

export type Log = {
  entries: Entry[];
  /** Index of the last entry that is no longer here; 0 when the log begins at 1. */
  offset: LogIndex;
  offsetTerm: Term;
  /** Sum of `entrySizeBytes` over `entries`. */
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

export function createLog(offset: LogIndex, offsetTerm: Term, entries: readonly Entry[]): Log {
  const log: Log = { entries: [], offset, offsetTerm, sizeBytes: 0, shared: null };
  for (const entry of entries) appendEntry(log, entry);
  return log;
}

export function firstIndex(log: Log): LogIndex {
  return log.offset + 1;
}

export function lastIndex(log: Log): LogIndex {
  return log.offset + log.entries.length;
}

export function lastTerm(log: Log): Term {
  const { entries } = log;
  return entries.length === 0 ? log.offsetTerm : entries[entries.length - 1]!.term;
}

/** The term of the entry at `index`, or null where the log does not reach. */
export function termAt(log: Log, index: LogIndex): Term | null {
  if (index === log.offset) return log.offsetTerm;
  return log.entries[index - log.offset - 1]?.term ?? null;
}

export function entryAt(log: Log, index: LogIndex): Entry {
  const entry = log.entries[index - log.offset - 1];
  assert(entry !== undefined, `log: no entry ${index} in (${log.offset}, ${lastIndex(log)}]`);
  return entry;
}

export function appendEntry(log: Log, entry: Entry): void {
  assert(
    entry.index === lastIndex(log) + 1,
    `log: entry ${entry.index} does not follow ${lastIndex(log)}`,
  );
  assert(
    entry.term >= lastTerm(log),
    `log: term ${entry.term} of entry ${entry.index} is below its predecessor's ${lastTerm(log)}`,
  );
  log.entries.push(entry);
  log.sizeBytes += entrySizeBytes(entry);
}

/** Drops the entries at and after `index`. */
export function truncateFrom(log: Log, index: LogIndex): void {
  assert(index > log.offset, `log: cannot truncate from ${index}, compacted up to ${log.offset}`);
  const keep = index - log.offset - 1;
  for (let at = keep; at < log.entries.length; at++) {
    log.sizeBytes -= entrySizeBytes(log.entries[at]!);
  }
  log.entries.length = Math.min(log.entries.length, keep);
  log.shared = null;
}

/** Drops the entries up to and including `index`. */
export function compactTo(log: Log, index: LogIndex): void {
  if (index <= log.offset) return;
  const term = termAt(log, index);
  assert(term !== null, `log: cannot compact to ${index}, the last entry is ${lastIndex(log)}`);
  const dropped = log.entries.splice(0, index - log.offset);
  for (const entry of dropped) log.sizeBytes -= entrySizeBytes(entry);
  log.offset = index;
  log.offsetTerm = term;
  log.shared = null;
}

/** Forgets everything: the log now begins after a snapshot. */
export function resetLog(log: Log, offset: LogIndex, offsetTerm: Term): void {
  log.entries = [];
  log.offset = offset;
  log.offsetTerm = offsetTerm;
  log.sizeBytes = 0;
  log.shared = null;
}

/** Entries `from`..`to`, both included; the same array for the same question within a turn. */
export function sliceEntries(log: Log, from: LogIndex, to: LogIndex): readonly Entry[] {
  const { shared } = log;
  if (shared !== null && shared.from === from && shared.to === to) return shared.entries;
  const entries = log.entries.slice(from - log.offset - 1, to - log.offset);
  log.shared = { from, to, entries };
  return entries;
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
    const size = entrySizeBytes(entryAt(log, to + 1));
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
