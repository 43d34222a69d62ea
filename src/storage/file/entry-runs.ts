/**
 * The entries of one group as the log is read back: packed, so that a million of them are not a million
 * objects, unless they came out of order.
 *
 *     base ........ tailBase ........
 *     packed runs   the run that is being filled, or
 *                   tail, with holes where an entry was not seen
 */
import type { Entry, EntryList, LogIndex, Term } from "../../core/types.js";
import {
  type PackedEntries,
  PackedList,
  packedRun,
  packedTerm,
  packEntries,
  RunBuilder,
  runHolding,
  unpackAll,
  unpackEntry,
} from "../../packed-entries.js";

export class EntryRuns {
  #base: LogIndex;
  #runs: PackedEntries[] = [];
  /** While something is in it, the tail is empty. */
  readonly #filling = new RunBuilder();
  #tail: (Entry | undefined)[] = [];
  #holes = 0;

  /** `base`: index of the entry that would come first. */
  constructor(base: LogIndex) {
    this.#base = base;
  }

  get #tailBase(): LogIndex {
    return this.#base + this.#runs.length * packedRun;
  }

  /** Behind the last entry. */
  get #end(): LogIndex {
    return this.#tailBase + this.#filling.count + this.#tail.length;
  }

  get #isEmpty(): boolean {
    return this.#end === this.#base;
  }

  /** The term of the entry at `index`, null where none was seen. */
  termAt(index: LogIndex): Term | null {
    const run = this.#runOf(index);
    if (run !== null) return packedTerm(run, index);
    const at = index - this.#tailBase;
    if (at >= 0 && at < this.#filling.count) return this.#filling.termAt(at);
    return this.#tail[at]?.term ?? null;
  }

  /** The first index in [first, last] whose entry has another term or was not seen, or 0. */
  firstOtherThan(first: LogIndex, last: LogIndex, term: Term): LogIndex {
    for (let index = first; index <= last; index++) {
      const run = this.#runOf(index);
      if (run === null) {
        if (this.termAt(index) !== term) return index;
        continue;
      }
      const end = Math.min(last, run.first + run.count - 1);
      while (index <= end && packedTerm(run, index) === term) index++;
      if (index <= end) return index;
      index = end;
    }
    return 0;
  }

  #runOf(index: LogIndex): PackedEntries | null {
    return runHolding(this.#runs, index) ?? null;
  }

  /** Entries at and after `index` are gone. */
  dropFrom(index: LogIndex): void {
    if (index >= this.#end) return;
    if (index < this.#tailBase) {
      // Whole runs go as they are: a log that a snapshot replaces may have a million entries.
      this.#filling.take();
      this.#tail = [];
      this.#holes = 0;
      this.#runs.length = Math.max(Math.ceil((index - this.#base) / packedRun), 0);
    }
    this.#unpackFrom(index);
    const keep = Math.max(index - this.#tailBase, 0);
    if (keep >= this.#tail.length) return;
    this.#tail.length = keep;
    if (this.#holes > 0) this.#countHoles();
  }

  /** Afterwards `index` lies in the tail, or before everything that is here. */
  #unpackFrom(index: LogIndex): void {
    this.#emptyFilling();
    if (index >= this.#tailBase) return;
    const keep = Math.max(Math.floor((index - this.#base) / packedRun), 0);
    const unpacked: (Entry | undefined)[] = [];
    for (const run of this.#runs.splice(keep)) {
      for (const entry of unpackAll(run)) unpacked.push(entry);
    }
    for (const entry of this.#tail) unpacked.push(entry);
    this.#tail = unpacked;
  }

  #emptyFilling(): void {
    if (this.#filling.count > 0) this.#tail = unpackAll(this.#filling.take());
  }

  #countHoles(): void {
    this.#holes = 0;
    for (const entry of this.#tail) if (entry === undefined) this.#holes++;
  }

  /** As `place`, with those from `position` on. */
  placePacked(packed: PackedEntries, position: number): void {
    if (position >= packed.count) return;
    const first = packed.first + position;
    if (this.#isEmpty) this.#base = first;
    if (first !== this.#end || this.#holes > 0) {
      return this.place(unpackAll(packed).slice(position));
    }
    if (this.#tail.length > 0) {
      const tail = packEntries(this.#tail as Entry[], 0, this.#tail.length);
      this.#tail = [];
      this.#fill(tail, 0);
    }
    this.#fill(packed, position);
  }

  #fill(packed: PackedEntries, position: number): void {
    for (let at = position; at < packed.count;) {
      at += this.#filling.append(packed, at);
      if (this.#filling.count === packedRun) this.#runs.push(this.#filling.take());
    }
  }

  /** Puts contiguous entries where they belong, in the place of what may be there. */
  place(entries: readonly Entry[]): void {
    const first = entries[0]?.index;
    if (first === undefined) return;
    this.#unpackFrom(first);
    if (this.#isEmpty) this.#base = first;
    if (first < this.#base) {
      this.#tail = [...new Array<undefined>(this.#base - first).fill(undefined), ...this.#tail];
      this.#base = first;
      this.#countHoles();
    }
    const tail = this.#tail;
    let at = first - this.#tailBase;
    for (; tail.length < at; this.#holes++) tail.push(undefined);
    for (const entry of entries) {
      if (at < tail.length && tail[at] === undefined) this.#holes--;
      tail[at++] = entry;
    }
    this.#pack();
  }

  #pack(): void {
    const tail = this.#tail;
    if (this.#holes > 0 || tail.length < 2 * packedRun) return;
    let done = 0;
    for (; tail.length - done >= 2 * packedRun; done += packedRun) {
      this.#runs.push(packEntries(tail as Entry[], done, packedRun));
    }
    this.#tail = tail.slice(done);
  }

  /** Lets go what lies before `index`, in large portions. */
  forgetBefore(index: LogIndex): void {
    const dead = index - this.#base;
    if (dead < 1024 || dead < (this.#end - this.#base) / 2) return;
    const runs = Math.min(Math.floor(dead / packedRun), this.#runs.length);
    this.#runs.splice(0, runs);
    this.#base += runs * packedRun;
    if (this.#runs.length > 0) return;
    this.#emptyFilling();
    const rest = Math.min(index - this.#base, this.#tail.length);
    this.#tail.splice(0, rest);
    this.#base = index;
    this.#countHoles();
  }

  /** Entries from `first` up to before `end`, of which none is missing. */
  list(first: LogIndex, end: LogIndex): EntryList {
    this.#emptyFilling();
    const from = Math.max(first, this.#base);
    const isWhole = (run: PackedEntries): boolean =>
      run.first + packedRun > from && run.first + packedRun <= end;
    const runs = this.#runs.filter(isWhole);
    const lastRun = runs.at(-1);
    const tail: Entry[] = [];
    for (let at = lastRun === undefined ? from : lastRun.first + packedRun; at < end; at++) {
      const run = this.#runOf(at);
      tail.push(run === null ? this.#tail[at - this.#tailBase]! : unpackEntry(run, at));
    }
    return new PackedList(from, runs, tail);
  }
}
