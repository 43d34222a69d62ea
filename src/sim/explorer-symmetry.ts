/**
 * Numbers for things that come again and again, and a hash of a state that is the same for all states
 * which differ by the names of members alone: the least over all renamings. Each thing is written
 * out under each renaming once, so this costs a few additions for a state.
 */
import type { MemberId } from "../core/types.js";
import type { Rename } from "./explorer-key.js";
import { hashText, mix, type StateHash } from "./explorer-table.js";

export type Renaming = {
  readonly rename: Rename;
  /** Where the member at each place is after the renaming. */
  readonly places: readonly number[];
};

/** Every permutation of `alike` among `ids`; the first one changes nothing. */
export function renamings(ids: readonly MemberId[], alike: readonly MemberId[]): Renaming[] {
  return permutations(alike).map((permuted) => {
    const rename: Rename = (id) => {
      const at = alike.indexOf(id);
      return at < 0 ? id : permuted[at]!;
    };
    return { rename, places: ids.map((id) => ids.indexOf(rename(id))) };
  });
}

function permutations(ids: readonly MemberId[]): MemberId[][] {
  if (ids.length === 0) return [[]];
  return ids.flatMap((first) =>
    permutations(ids.filter((id) => id !== first)).map((rest) => [first, ...rest]),
  );
}

export class Interner<T> {
  readonly #renamings: readonly Renaming[];
  readonly #keyOf: (thing: T, rename: Rename) => string;
  readonly #numbers = new Map<string, number>();
  /** Things that have a number already, so that they need not be written out again. */
  readonly #known = new Map<T, number>();
  readonly #things: T[] = [];
  /** Two words for each renaming of each thing. */
  readonly #hashes: Uint32Array[] = [];

  constructor(renamings: readonly Renaming[], keyOf: (thing: T, rename: Rename) => string) {
    this.#renamings = renamings;
    this.#keyOf = keyOf;
  }

  get(number: number): T {
    return this.#things[number]!;
  }

  intern(thing: T): number {
    const seen = this.#known.get(thing);
    if (seen !== undefined) return seen;
    const key = this.#keyOf(thing, this.#renamings[0]!.rename);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#things.length;
      this.#things.push(thing);
      this.#known.set(thing, number);
      this.#numbers.set(key, number);
      const words = new Uint32Array(2 * this.#renamings.length);
      for (const [at, { rename }] of this.#renamings.entries()) {
        const { high, low } = hashText(this.#keyOf(thing, rename));
        words[2 * at] = high;
        words[2 * at + 1] = low;
      }
      this.#hashes.push(words);
    }
    return number;
  }

  /** Of `numbers` at their places, and of other things whose order means nothing. */
  hash(
    numbers: readonly number[],
    others: readonly { readonly interner: HashSource; readonly numbers: readonly number[] }[],
  ): StateHash {
    const least: StateHash = { high: Infinity, low: Infinity };
    for (let at = 0; at < this.#renamings.length; at++) {
      const { places } = this.#renamings[at]!;
      let high = 0;
      let low = 0;
      for (let place = 0; place < numbers.length; place++) {
        const words = this.#hashes[numbers[place]!]!;
        const salt = Math.imul(places[place]! + 1, 0x9e3779b9);
        high = (high + mix(words[2 * at]! + salt)) | 0;
        low = (low + mix(words[2 * at + 1]! ^ salt)) | 0;
      }
      for (let other = 0; other < others.length; other++) {
        const { interner, numbers: unordered } = others[other]!;
        for (let i = 0; i < unordered.length; i++) {
          high = (high + interner.word(unordered[i]!, 2 * at)) | 0;
          low = (low + interner.word(unordered[i]!, 2 * at + 1)) | 0;
        }
      }
      high >>>= 0;
      low >>>= 0;
      if (high < least.high || (high === least.high && low < least.low)) {
        least.high = high;
        least.low = low;
      }
    }
    return least;
  }

  word(number: number, at: number): number {
    return this.#hashes[number]![at]!;
  }
}

export type HashSource = { word(number: number, at: number): number };
