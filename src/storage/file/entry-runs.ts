/**
 * The entries of one group as the log is read back: packed once there are enough of them, so that a
 * million of them are not a million objects.
 *
 *     base ........ tailBase ........
 *     packed runs   tail, with holes where an entry was not seen
 */
import type { Entry, EntryList, LogIndex, Term } from "../../core/types.js";
import {
  type PackedEntries,
  PackedList,
  packedRun,
  packedTerm,
  packEntries,
  runHolding,
  unpackEntry,
} from "../../packed-entries.js";

export class EntryRuns {
  #base: LogIndex;
  #runs: PackedEntries[] = [];
  #tail: (Entry | undefined)[] = [];
  #holes = 0;

  /** `base`: index of the entry that would come first. */
  constructor(base: LogIndex) {
    this.#base = base;
  }

  get #tailBase(): LogIndex {
    return this.#base + this.#runs.length * packedRun;
  }

  /** The term of the entry at `index`, null where none was seen. */
  termAt(index: LogIndex): Term | null {
    const run = this.#runOf(index);
    if (run !== null) return packedTerm(run, index);
    return this.#tail[index - this.#tailBase]?.term ?? null;
  }

  #runOf(index: LogIndex): PackedEntries | null {
    return runHolding(this.#runs, index) ?? null;
  }

  /** Entries at and after `index` are gone. */
  dropFrom(index: LogIndex): void {
    this.#unpackFrom(index);
    const keep = Math.max(index - this.#tailBase, 0);
    if (keep >= this.#tail.length) return;
    this.#tail.length = keep;
    if (this.#holes > 0) this.#countHoles();
  }

  /** Afterwards `index` lies in the tail, or before everything that is here. */
  #unpackFrom(index: LogIndex): void {
    while (this.#runs.length > 0 && this.#tailBase > index) {
      const run = this.#runs.pop()!;
      const entries: Entry[] = [];
      for (let at = 0; at < packedRun; at++) entries.push(unpackEntry(run, run.first + at));
      this.#tail = [...entries, ...this.#tail];
    }
  }

  #countHoles(): void {
    this.#holes = 0;
    for (const entry of this.#tail) if (entry === undefined) this.#holes++;
  }

  /** Puts contiguous entries where they belong, in the place of what may be there. */
  place(entries: readonly Entry[]): void {
    const first = entries[0]?.index;
    if (first === undefined) return;
    if (this.#runs.length === 0 && this.#tail.length === 0) this.#base = first;
    this.#unpackFrom(first);
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
    if (dead < 1024 || dead < (this.#tailBase + this.#tail.length - this.#base) / 2) return;
    const runs = Math.min(Math.floor(dead / packedRun), this.#runs.length);
    this.#runs.splice(0, runs);
    this.#base += runs * packedRun;
    if (this.#runs.length > 0) return;
    const rest = Math.min(index - this.#base, this.#tail.length);
    this.#tail.splice(0, rest);
    this.#base = index;
    this.#countHoles();
  }

  /** Entries from `first` up to before `end`, of which none is missing. */
  list(first: LogIndex, end: LogIndex): EntryList {
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
