/**
 * A run of entries in columns: applied ones that the core keeps, and what storage has read of a long
 * log. An entry as an object with a view of its body costs over 200 bytes, and the collector moves and
 * marks every one of them for as long as it is kept; here it costs 45 and its body, and the collector
 * sees a handful of arrays for all of them.
 *
 * Never changed once it is made, so copies of a log share it.
 */
import type { Entry, EntryKind, EntryList, LogIndex, Term } from "./core/types.js";
import { assert } from "./errors.js";

export type PackedEntries = {
  /** Index of the first one. */
  readonly first: LogIndex;
  readonly count: number;
  /** `fieldsPerEntry` numbers each: term, session, sequence, lowestOutstanding, timeMs. */
  readonly numbers: Float64Array;
  readonly kinds: Uint8Array;
  /** Where each body ends in `bodies`; it begins where the one before ends. */
  readonly ends: Uint32Array;
  readonly bodies: Uint8Array;
  /** By position: those that are not worth copying or carry a payload, as they came. */
  readonly whole: ReadonlyMap<number, Entry> | null;
};

/** Entries in a run, everywhere: few enough that packing one is no stall. */
export const packedRun = 256;

const fieldsPerEntry = 5;
/** Above it, a body is kept where it is: its bytes weigh more than its view. */
const largestCopiedBytes = 1024;

/** A kind's code is its place: also on the wire and on disk (codec/entries.ts), so the order stays. */
export const entryKinds: readonly EntryKind[] = Object.freeze([
  "noop",
  "command",
  "register",
  "membership",
  "config",
] as const);

function staysWhole({ payload, body }: Entry): boolean {
  return payload !== null || body.length > largestCopiedBytes;
}

/** Packs `count` entries from `from` on; they are contiguous. */
export function packEntries(entries: readonly Entry[], from: number, count: number): PackedEntries {
  let bytes = 0;
  for (let at = from; at < from + count; at++) {
    const entry = entries[at]!;
    if (!staysWhole(entry)) bytes += entry.body.length;
  }
  const numbers = new Float64Array(count * fieldsPerEntry);
  const kindCodes = new Uint8Array(count);
  const ends = new Uint32Array(count);
  const bodies = new Uint8Array(bytes);
  let whole: Map<number, Entry> | null = null;
  let end = 0;
  for (let position = 0; position < count; position++) {
    const entry = entries[from + position]!;
    const at = position * fieldsPerEntry;
    numbers[at] = entry.term;
    numbers[at + 1] = entry.session;
    numbers[at + 2] = entry.sequence;
    numbers[at + 3] = entry.lowestOutstanding;
    numbers[at + 4] = entry.timeMs;
    kindCodes[position] = entryKinds.indexOf(entry.kind);
    if (staysWhole(entry)) (whole ??= new Map()).set(position, entry);
    else end = copyBody(bodies, end, entry.body);
    ends[position] = end;
  }
  const first = entries[from]!.index;
  return { first, count, numbers, kinds: kindCodes, ends, bodies, whole };
}

/** Returns where it ends. A loop is faster than `set` for the few bytes that most bodies have. */
export function copyBody(target: Uint8Array, end: number, body: Uint8Array): number {
  const { length } = body;
  if (length > 48) target.set(body, end);
  else for (let i = 0; i < length; i++) target[end + i] = body[i]!;
  return end + length;
}

/** Whether `index` is one of these. */
export function holdsIndex({ first, count }: PackedEntries, index: LogIndex): boolean {
  return index >= first && index < first + count;
}

export function packedTerm({ first, numbers }: PackedEntries, index: LogIndex): Term {
  return numbers[(index - first) * fieldsPerEntry]!;
}

export function packedBodyBytes(packed: PackedEntries, index: LogIndex): number {
  const position = index - packed.first;
  const whole = packed.whole?.get(position);
  if (whole !== undefined) return whole.body.length;
  return packed.ends[position]! - (position === 0 ? 0 : packed.ends[position - 1]!);
}

/** The run that holds `index`, of runs one behind the other; undefined if none does. */
export function runHolding(
  runs: readonly PackedEntries[],
  index: LogIndex,
): PackedEntries | undefined {
  return runs.length === 0 ? undefined : runs[Math.floor((index - runs[0]!.first) / packedRun)];
}

/** The entry as it was; its body is a view. */
export function unpackEntry(packed: PackedEntries, index: LogIndex): Entry {
  assert(holdsIndex(packed, index), `log: entry ${index} is not in this run`);
  const position = index - packed.first;
  const whole = packed.whole?.get(position);
  if (whole !== undefined) return whole;
  const { numbers, ends, bodies } = packed;
  const at = position * fieldsPerEntry;
  return {
    index,
    term: numbers[at]!,
    kind: entryKinds[packed.kinds[position]!]!,
    session: numbers[at + 1]!,
    sequence: numbers[at + 2]!,
    lowestOutstanding: numbers[at + 3]!,
    timeMs: numbers[at + 4]!,
    body: bodies.subarray(position === 0 ? 0 : ends[position - 1]!, ends[position]!),
    payload: null,
  };
}

/** What storage has read of a long log: runs of `packedRun` entries, then the newest as they are. */
export class PackedList implements EntryList {
  readonly length: number;
  /** In order; the first may begin before the list. */
  readonly runs: readonly PackedEntries[];
  readonly tail: readonly Entry[];
  readonly #first: LogIndex;

  constructor(first: LogIndex, runs: readonly PackedEntries[], tail: readonly Entry[]) {
    this.#first = first;
    this.runs = runs;
    this.tail = tail;
    const last = runs.at(-1);
    this.length = (last === undefined ? 0 : last.first + last.count - first) + tail.length;
  }

  at(position: number): Entry | undefined {
    const place = position < 0 ? this.length + position : position;
    if (place < 0 || place >= this.length) return undefined;
    const inTail = place - (this.length - this.tail.length);
    if (inTail >= 0) return this.tail[inTail];
    const index = this.#first + place;
    return unpackEntry(runHolding(this.runs, index)!, index);
  }

  *[Symbol.iterator](): Generator<Entry> {
    for (let place = 0; place < this.length; place++) yield this.at(place)!;
  }
}
