/**
 * The search of Wing and Gong for an order of the calls that the model accepts, with Lowe's pruning:
 * a configuration (set of calls already placed, state) is entered once only.
 *
 * - A call may be next if no call that still waits has returned before it began.
 * - A query that answers what was seen can be placed at once and needs no alternative: moving it here
 *   from any later place changes nothing for the others. (Not so a command that leaves the state as it
 *   is now: it may be needed later.)
 * - Calls of unknown outcome are tried last. Of several with the same effect the earliest stands for all.
 */
import type { Model, ModelCall, ModelState } from "./model.js";

export type SearchCall = ModelCall & { readonly call: number; readonly return: number };

/** Where the search got furthest: what was placed and what could not follow. */
export type Frontier = { readonly state: ModelState; readonly waiting: readonly SearchCall[] };

export type SearchResult =
  | { readonly type: "found"; readonly configurations: number }
  | {
      readonly type: "impossible";
      readonly configurations: number;
      readonly frontiers: readonly Frontier[];
    }
  | { readonly type: "gaveUp"; readonly configurations: number };

export type Impossible = Extract<SearchResult, { type: "impossible" }>;

/** Of the calls that could not follow, the one whose return came first. */
export function firstStuck(result: Impossible): SearchCall | null {
  const waiting = result.frontiers.flatMap((frontier) => frontier.waiting);
  return waiting.reduce<SearchCall | null>(
    (first, call) => (first === null || call.return < first.return ? call : first),
    null,
  );
}

/** More than these are not worth showing. */
const maxFrontiers = 4;

type Frame = {
  /** Index into `known`, `~index` into `unknown`; the call whose placing led here. */
  readonly placed: number;
  readonly state: ModelState;
  readonly candidates: readonly number[];
  next: number;
};

/** `known` have returned and must be placed; `unknown` (return Infinity) may be. */
export function searchOrder(
  model: Model,
  known: readonly SearchCall[],
  unknown: readonly SearchCall[],
  maxConfigurations: number,
): SearchResult {
  const placed = new Placed(known, unknown, model);
  const seen = new Set<string>();
  const initial = model.initial();
  const frames: Frame[] = [{ placed: 0, state: initial, candidates: placed.candidates(), next: 0 }];
  let frontiers: Frontier[] = [{ state: initial, waiting: known.slice(0, 1) }];
  let furthest = 0;
  if (known.length === 0) return { type: "found", configurations: 0 };

  while (frames.length > 0) {
    const frame = frames[frames.length - 1]!;
    if (frame.next >= frame.candidates.length) {
      frames.pop();
      if (frames.length > 0) placed.remove(frame.placed);
      continue;
    }
    const candidate = frame.candidates[frame.next++]!;
    const state = model.apply(frame.state, placed.callOf(candidate));
    if (state === null) continue;
    if (candidate < 0 && state === frame.state) continue;
    if (candidate >= 0 && !isCommand(known[candidate]!)) frame.next = frame.candidates.length;
    placed.add(candidate);
    if (placed.knownCount === known.length) return { type: "found", configurations: seen.size };
    const key = placed.key(state);
    if (seen.has(key)) {
      placed.remove(candidate);
      continue;
    }
    if (seen.size >= maxConfigurations) return { type: "gaveUp", configurations: seen.size };
    seen.add(key);
    const candidates = placed.candidates();
    frames.push({ placed: candidate, state, candidates, next: 0 });
    if (placed.knownCount > furthest) {
      furthest = placed.knownCount;
      frontiers = [];
    }
    if (placed.knownCount === furthest && frontiers.length < maxFrontiers) {
      frontiers.push({
        state,
        waiting: candidates.filter((at) => at >= 0).map((at) => known[at]!),
      });
    }
  }
  return { type: "impossible", configurations: seen.size, frontiers };
}

/** The set of calls placed so far. Both lists are sorted by the time of the call. */
class Placed {
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

  constructor(known: readonly SearchCall[], unknown: readonly SearchCall[], model: Model) {
    this.#known = known;
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

  callOf(candidate: number): SearchCall {
    return candidate >= 0 ? this.#known[candidate]! : this.#unknown[~candidate]!;
  }

  add(candidate: number): void {
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
    if (candidate < 0) {
      this.#unknownBits[~candidate] = 0;
      this.#unknownCount -= 1;
      return;
    }
    this.#knownBits[candidate] = 0;
    this.knownCount -= 1;
    if (candidate < this.#first) this.#first = candidate;
  }

  /** What may come next: queries, then commands by their return, then calls of unknown outcome. */
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
      const kinds = Number(isCommand(known[a]!)) - Number(isCommand(known[b]!));
      return kinds !== 0 ? kinds : known[a]!.return - known[b]!.return;
    });
    for (let at = 0; at < this.#unknown.length; at++) {
      if (this.#unknown[at]!.call > earliestReturn) break;
      const twin = this.#twin[at]!;
      if (this.#unknownBits[at] === 0 && (twin < 0 || this.#unknownBits[twin] === 1)) {
        possible.push(~at);
      }
    }
    return possible;
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

function isCommand(call: SearchCall): boolean {
  return call.operation.kind === "command";
}
