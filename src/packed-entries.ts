/**
 * A run of entries in columns: applied ones that the core keeps, and what storage has read of a long
 * log. An entry as an object with a view of its body costs over 200 bytes, and the collector moves and
 * marks every one of them for as long as it is kept; here it costs 45 and its body, and the collector
 * sees a handful of arrays for all of them.
 *
 * Never changed once it is made, so copies of a log share it.
 */
import type { Entry, EntryKind, EntryList, LogIndex, Term } from "./core/types.js";
import { broken } from "./errors.js";
import { compact } from "./numbers.js";

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

export const fieldsPerEntry = 5;
/**
 * Above it, a body is kept where it is, and its entry with it. With 1 KiB, commands of 1 KiB made 0.7 MB grow old with
 * each small collection, and all of the heap was collected three times a second.
 */
export const largestCopiedBytes = 4096;

/** On the wire and on disk as well (codec/entries.ts): append only, without a gap. */
export const kindCodes = Object.freeze({
  noop: 0,
  command: 1,
  register: 2,
  membership: 3,
  config: 4,
} as const satisfies Record<EntryKind, number>);

/** Commands first: a look-up by a name that varies takes longer than all else of a small entry's head. */
export function kindCode(kind: EntryKind): number {
  return kind === "command" ? kindCodes.command : kindCodes[kind];
}

/** By code. */
export const entryKinds: readonly EntryKind[] = Object.freeze(
  Object.keys(kindCodes) as EntryKind[],
);

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
  const kinds = new Uint8Array(count);
  const ends = new Uint32Array(count);
  const bodies = new Uint8Array(bytes);
  let whole: Map<number, Entry> | null = null;
  let end = 0;
  for (let position = 0; position < count; position++) {
    const entry = entries[from + position]!;
    const at = position * fieldsPerEntry;
    packNumbers(numbers, at, entry);
    kinds[position] = kindCode(entry.kind);
    if (staysWhole(entry)) (whole ??= new Map()).set(position, entry);
    else end = copyBody(bodies, end, entry.body);
    ends[position] = end;
  }
  const first = entries[from]!.index;
  return { first, count, numbers, kinds, ends, bodies, whole };
}

export function packNumbers(numbers: Float64Array, at: number, entry: Entry): void {
  numbers[at] = entry.term;
  numbers[at + 1] = entry.session;
  numbers[at + 2] = entry.sequence;
  numbers[at + 3] = entry.lowestOutstanding;
  numbers[at + 4] = entry.timeMs;
}

/** Above it, `set` is faster than a loop. Most bodies have fewer bytes. */
const loopedBytes = 48;

/** Returns where it ends. */
export function copyBody(target: Uint8Array, end: number, body: Uint8Array): number {
  return copyBytes(target, end, body, 0, body.length);
}

/** `source` from `from` up to before `to`, to `end` of `target`; returns where it ends there. */
export function copyBytes(
  target: Uint8Array,
  end: number,
  source: Uint8Array,
  from: number,
  to: number,
): number {
  const length = to - from;
  if (length > loopedBytes) {
    target.set(length === source.length ? source : source.subarray(from, to), end);
  } else for (let i = 0; i < length; i++) target[end + i] = source[from + i]!;
  return end + length;
}

/** Makes one run after another of what is appended, without an object for each entry. */
export class RunBuilder {
  #first: LogIndex = 0;
  #count = 0;
  #numbers = new Float64Array(packedRun * fieldsPerEntry);
  #kinds = new Uint8Array(packedRun);
  #ends = new Uint32Array(packedRun);
  #bodies = new Uint8Array(packedRun * 16);
  #whole: Map<number, Entry> | null = null;

  /** Entries that are here; `packedRun` at most. */
  get count(): number {
    return this.#count;
  }

  /** The term of the entry at `position`, which is here. */
  termAt(position: number): Term {
    return compact(this.#numbers[position * fieldsPerEntry]!);
  }

  /** Appends those from `position` on, as many as there is room for; returns how many. */
  append(packed: PackedEntries, position: number): number {
    const at = this.#count;
    const taken = Math.min(packed.count - position, packedRun - at);
    if (at === 0) this.#first = packed.first + position;
    const numbers = packed.numbers.subarray(
      position * fieldsPerEntry,
      (position + taken) * fieldsPerEntry,
    );
    this.#numbers.set(numbers, at * fieldsPerEntry);
    this.#kinds.set(packed.kinds.subarray(position, position + taken), at);
    const from = bodyStart(packed, position);
    const moved = this.#bodiesEnd() - from;
    for (let i = 0; i < taken; i++) this.#ends[at + i] = packed.ends[position + i]! + moved;
    this.#copyBodies(packed.bodies.subarray(from, packed.ends[position + taken - 1]), from + moved);
    packed.whole?.forEach((entry, place) => {
      if (place < position || place >= position + taken) return;
      (this.#whole ??= new Map()).set(at + place - position, entry);
    });
    this.#count += taken;
    return taken;
  }

  #bodiesEnd(): number {
    return this.#count === 0 ? 0 : this.#ends[this.#count - 1]!;
  }

  #copyBodies(bodies: Uint8Array, at: number): void {
    const needed = at + bodies.length;
    if (needed > this.#bodies.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bodies.length * 2));
      larger.set(this.#bodies.subarray(0, at));
      this.#bodies = larger;
    }
    this.#bodies.set(bodies, at);
  }

  /** What is here, as a run of its own; afterwards nothing is. */
  take(): PackedEntries {
    const count = this.#count;
    const packed = {
      first: this.#first,
      count,
      numbers: this.#numbers.slice(0, count * fieldsPerEntry),
      kinds: this.#kinds.slice(0, count),
      ends: this.#ends.slice(0, count),
      bodies: this.#bodies.slice(0, this.#bodiesEnd()),
      whole: this.#whole,
    };
    this.#count = 0;
    this.#whole = null;
    return packed;
  }
}

function bodyStart({ ends }: PackedEntries, position: number): number {
  return position === 0 ? 0 : ends[position - 1]!;
}

/** Bytes of the bodies from position `from` up to before `to`, at least one. */
export function packedBytes(packed: PackedEntries, from: number, to: number): number {
  let bytes = packed.ends[to - 1]! - bodyStart(packed, from);
  packed.whole?.forEach(({ body }, place) => {
    if (place >= from && place < to) bytes += body.length;
  });
  return bytes;
}

/** Whether `index` is one of these. */
export function holdsIndex({ first, count }: PackedEntries, index: LogIndex): boolean {
  return index >= first && index < first + count;
}

export function packedTerm({ first, numbers }: PackedEntries, index: LogIndex): Term {
  return compact(numbers[(index - first) * fieldsPerEntry]!);
}

/** From `index` on, the first entry whose term is below its predecessor's; `term` is that of the first one's. */
export function firstBelow(packed: PackedEntries, index: LogIndex, term: Term): LogIndex | null {
  const { first, count, numbers } = packed;
  let before = term;
  for (let position = index - first; position < count; position++) {
    const own = numbers[position * fieldsPerEntry]!;
    if (own < before) return first + position;
    before = own;
  }
  return null;
}

export function packedBodyBytes(packed: PackedEntries, index: LogIndex): number {
  const position = index - packed.first;
  const whole = packed.whole?.get(position);
  if (whole !== undefined) return whole.body.length;
  return packed.ends[position]! - bodyStart(packed, position);
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
  if (!holdsIndex(packed, index)) broken(`log: entry ${index} is not in this run`);
  const position = index - packed.first;
  const whole = packed.whole?.get(position);
  if (whole !== undefined) return whole;
  return new UnpackedEntry(packed, position);
}

/** A class for the reason that value/outcomes.ts gives: a turn of a restart takes out many at once. */
class UnpackedEntry implements Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly session: number;
  readonly sequence: number;
  readonly lowestOutstanding: number;
  readonly timeMs: number;
  readonly body: Uint8Array;
  readonly payload = null;

  constructor(packed: PackedEntries, position: number) {
    const { numbers } = packed;
    const at = position * fieldsPerEntry;
    this.index = packed.first + position;
    this.term = compact(numbers[at]!);
    this.kind = entryKinds[packed.kinds[position]!]!;
    this.session = compact(numbers[at + 1]!);
    this.sequence = compact(numbers[at + 2]!);
    this.lowestOutstanding = compact(numbers[at + 3]!);
    this.timeMs = numbers[at + 4]!;
    this.body = packed.bodies.subarray(bodyStart(packed, position), packed.ends[position]!);
  }
}

export function unpackAll(packed: PackedEntries): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < packed.count; at++) entries.push(unpackEntry(packed, packed.first + at));
  return entries;
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
