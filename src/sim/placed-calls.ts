/** The set of calls that a search for an order has placed so far. */
import type { SearchCall } from "./linear-search.js";
import type { Model, ModelState } from "./model.js";

/** Both lists are sorted by the time of the call. */
export class PlacedCalls {
  knownCount = 0;
  readonly #known: readonly SearchCall[];
  readonly #unknown: readonly SearchCall[];
  readonly #knownBits: Uint8Array;
  readonly #unknownBits: Uint8Array;
  /** Per unknown call: the one before it with the same effect, or -1. */
  readonly #twin: Int32Array;
  #unknownCount = 0;
  /** Everything before it is placed. */
  #first = 0;

  /** Not null: the only order of commands to be tried, and how far it has come. */
  readonly #order: readonly number[] | null;
  #orderAt = 0;

  constructor(
    known: readonly SearchCall[],
    unknown: readonly SearchCall[],
    model: Model,
    placeOf: ((call: SearchCall) => number | null) | null,
  ) {
    this.#known = known;
    this.#order = placeOf === null ? null : orderOf(known, unknown, placeOf);
    this.#unknown = unknown;
    this.#knownBits = new Uint8Array(known.length);
    this.#unknownBits = new Uint8Array(unknown.length);
    const last = new Map<string, number>();
    this.#twin = Int32Array.from(unknown, ({ operation }, at) => {
      const key = model.callKey(operation);
      const twin = last.get(key) ?? -1;
      last.set(key, at);
      return twin;
    });
  }

  get ordered(): boolean {
    return this.#order !== null;
  }

  callOf(candidate: number): SearchCall {
    return candidate >= 0 ? this.#known[candidate]! : this.#unknown[~candidate]!;
  }

  add(candidate: number): void {
    if (this.#order?.[this.#orderAt] === candidate) this.#orderAt += 1;
    if (candidate < 0) {
      this.#unknownBits[~candidate] = 1;
      this.#unknownCount += 1;
      return;
    }
    this.#knownBits[candidate] = 1;
    this.knownCount += 1;
    while (this.#knownBits[this.#first] === 1) this.#first += 1;
  }

  remove(candidate: number): void {
    if (this.#order?.[this.#orderAt - 1] === candidate) this.#orderAt -= 1;
    if (candidate < 0) {
      this.#unknownBits[~candidate] = 0;
      this.#unknownCount -= 1;
      return;
    }
    this.#knownBits[candidate] = 0;
    this.knownCount -= 1;
    if (candidate < this.#first) this.#first = candidate;
  }

  /** What may come next: queries, then telling commands, silent ones, and calls of unknown outcome. */
  candidates(): number[] {
    const known = this.#known;
    let earliestReturn = Infinity;
    const found: number[] = [];
    for (let at = this.#first; at < known.length; at++) {
      if (this.#knownBits[at] === 1) continue;
      if (known[at]!.call > earliestReturn) break;
      earliestReturn = Math.min(earliestReturn, known[at]!.return);
      found.push(at);
    }
    const possible = found.filter((at) => known[at]!.call <= earliestReturn);
    possible.sort((a, b) => {
      const order = rank(known[a]!) - rank(known[b]!);
      return order !== 0 ? order : known[a]!.return - known[b]!.return;
    });
    for (let at = 0; at < this.#unknown.length; at++) {
      if (this.#unknown[at]!.call > earliestReturn) break;
      const twin = this.#twin[at]!;
      const first = twin < 0 || this.#unknownBits[twin] === 1 || this.#order !== null;
      if (this.#unknownBits[at] === 0 && first) possible.push(~at);
    }
    return this.#order === null ? possible : possible.filter((at) => this.#isInOrder(at));
  }

  #isInOrder(candidate: number): boolean {
    const query = candidate >= 0 && this.#known[candidate]!.operation.kind === "query";
    return query || this.#order![this.#orderAt] === candidate;
  }

  /** Exact: two configurations have the same key only if they are the same. */
  key(state: ModelState): string {
    let key = `${state.id},${this.#first}`;
    key += bitsToText(this.#knownBits, this.#first, this.knownCount - this.#first);
    if (this.#unknownCount > 0) key += `|${bitsToText(this.#unknownBits, 0, this.#unknownCount)}`;
    return key;
  }
}

/** The bits from `from` up to the last that is set; `count` of them are. */
function bitsToText(bits: Uint8Array, from: number, count: number): string {
  let text = ",";
  let left = count;
  for (let at = from; left > 0;) {
    let unit = 0;
    for (let bit = 0; bit < 15; bit++, at++) {
      if (bits[at] === 1) {
        unit |= 1 << bit;
        left -= 1;
      }
    }
    text += String.fromCharCode(unit + 1);
  }
  return text;
}

function rank({ operation, silent }: SearchCall): number {
  return operation.kind === "query" ? 0 : silent ? 2 : 1;
}

function orderOf(
  known: readonly SearchCall[],
  unknown: readonly SearchCall[],
  placeOf: (call: SearchCall) => number | null,
): readonly number[] {
  const places: { readonly candidate: number; readonly place: number }[] = [];
  const note = (call: SearchCall, candidate: number): void => {
    const place = call.operation.kind === "command" ? placeOf(call) : null;
    if (place !== null) places.push({ candidate, place });
  };
  known.forEach((call, at) => note(call, at));
  unknown.forEach((call, at) => note(call, ~at));
  return places.sort((a, b) => a.place - b.place).map(({ candidate }) => candidate);
}
