/**
 * The search of Wing and Gong for an order of the calls that the model accepts, with Lowe's pruning:
 * a configuration (set of calls already placed, state) is entered once only.
 *
 * - A call may be next if no call that still waits has returned before it began.
 * - A query that answers what was seen can be placed at once and needs no alternative: moving it here
 *   from any later place changes nothing for the others. (Not so a command that leaves the state as it
 *   is now: it may be needed later.)
 * - Of several calls of unknown outcome with the same effect the earliest stands for all.
 * - Silent calls (outcome unknown, or a reply that is always the same) fit everywhere, so that a wrong
 *   one leads deep into nowhere. They are tried last, and in passes: at most 1, 2, 4 ... in a row. Only
 *   a pass that met no such limit can say that there is no order.
 */
import type { Model, ModelCall, ModelState } from "./model.js";
import { PlacedCalls } from "./placed-calls.js";

export type SearchCall = ModelCall & {
  readonly call: number;
  readonly return: number;
  /** Its answer says nothing about the state. */
  readonly silent: boolean;
};

/** Where the search got furthest: what was placed and what could not follow. */
export type Frontier = { readonly state: ModelState; readonly waiting: readonly SearchCall[] };

export type Stuck = {
  readonly type: "impossible" | "gaveUp";
  readonly configurations: number;
  readonly frontiers: readonly Frontier[];
};

export type SearchResult = { readonly type: "found"; readonly configurations: number } | Stuck;

/** Of the calls that could not follow, the one whose return came first. */
export function firstStuck(result: Stuck): SearchCall | null {
  const waiting = result.frontiers.flatMap((frontier) => frontier.waiting);
  return waiting.reduce<SearchCall | null>(
    (first, call) => (first === null || call.return < first.return ? call : first),
    null,
  );
}

/** More than these are not worth showing. */
const maxFrontiers = 4;
/** Longest run of silent calls, and the share of the configurations that the pass may use up. */
const passes: readonly (readonly [maxSilent: number, share: number])[] = Object.freeze([
  [1, 0.1],
  [2, 0.1],
  [4, 0.1],
  [8, 0.2],
  [Infinity, 1],
]);

/** `known` have returned and must be placed; `unknown` (return Infinity) may be. */
export function searchOrder(
  model: Model,
  known: readonly SearchCall[],
  unknown: readonly SearchCall[],
  maxConfigurations: number,
): SearchResult {
  let configurations = 0;
  let frontiers: readonly Frontier[] = [];
  for (const [maxSilent, share] of passes) {
    const most = Math.min(maxConfigurations * share, maxConfigurations - configurations);
    const placed = new PlacedCalls(known, unknown, model, null);
    const pass = new Pass(model, known, placed, maxSilent, most);
    const outcome = pass.run();
    configurations += pass.configurations;
    if (outcome === "found") return { type: "found", configurations };
    frontiers = pass.frontiers;
    if (outcome === "impossible") return { type: "impossible", configurations, frontiers };
  }
  return { type: "gaveUp", configurations, frontiers };
}

/**
 * Tries one order of the commands only, given by a place for each of them; those without a place are
 * left out. An order that holds proves the history; one that does not proves nothing.
 */
export function tryOrder(
  model: Model,
  known: readonly SearchCall[],
  unknown: readonly SearchCall[],
  placeOf: (call: SearchCall) => number | null,
): SearchResult {
  const placed = new PlacedCalls(known, unknown, model, placeOf);
  const pass = new Pass(model, known, placed, Infinity, Infinity);
  const outcome = pass.run();
  const { configurations, frontiers } = pass;
  return outcome === "found"
    ? { type: "found", configurations }
    : { type: "gaveUp", configurations, frontiers };
}

type Frame = {
  /** Index into `known`, `~index` into `unknown`; the call whose placing led here. */
  readonly placed: number;
  readonly state: ModelState;
  readonly candidates: readonly number[];
  /** Silent calls placed one after the other up to here. */
  readonly silentRun: number;
  next: number;
};

class Pass {
  configurations = 0;
  frontiers: Frontier[] = [];
  readonly #model: Model;
  readonly #known: readonly SearchCall[];
  readonly #placed: PlacedCalls;
  readonly #maxSilent: number;
  readonly #maxConfigurations: number;
  /** Per configuration: the shortest silent run with which it was entered. */
  readonly #seen = new Map<string, number>();
  readonly #frames: Frame[] = [];
  #furthest = -1;
  /** Something was left out because of the limit on silent runs. */
  #limited = false;

  constructor(
    model: Model,
    known: readonly SearchCall[],
    placed: PlacedCalls,
    maxSilent: number,
    maxConfigurations: number,
  ) {
    this.#model = model;
    this.#known = known;
    this.#placed = placed;
    this.#maxSilent = maxSilent;
    this.#maxConfigurations = maxConfigurations;
  }

  run(): "found" | "impossible" | "limited" | "gaveUp" {
    const frames = this.#frames;
    if (this.#known.length === 0) return "found";
    this.#enter(0, this.#model.initial(), 0);
    while (frames.length > 0) {
      const frame = frames[frames.length - 1]!;
      if (frame.next >= frame.candidates.length) {
        frames.pop();
        if (frames.length > 0) this.#placed.remove(frame.placed);
        continue;
      }
      const outcome = this.#try(frame, frame.candidates[frame.next++]!);
      if (outcome !== null) return outcome;
    }
    return this.#limited ? "limited" : "impossible";
  }

  #try(frame: Frame, candidate: number): "found" | "gaveUp" | null {
    const placed = this.#placed;
    const call = placed.callOf(candidate);
    const silentRun = call.silent ? frame.silentRun + 1 : 0;
    if (silentRun > this.#maxSilent) {
      this.#limited = true;
      return null;
    }
    const state = this.#model.apply(frame.state, call);
    if (state === null) return null;
    // Without effect it need not be placed, unless the order to be tried says so.
    if (candidate < 0 && state === frame.state && !placed.ordered) return null;
    if (call.operation.kind === "query") frame.next = frame.candidates.length;
    placed.add(candidate);
    if (placed.knownCount === this.#known.length) return "found";
    const key = placed.key(state);
    if ((this.#seen.get(key) ?? Infinity) <= silentRun) {
      placed.remove(candidate);
      return null;
    }
    if (this.configurations >= this.#maxConfigurations) return "gaveUp";
    this.configurations += 1;
    this.#seen.set(key, silentRun);
    this.#enter(candidate, state, silentRun);
    return null;
  }

  #enter(candidate: number, state: ModelState, silentRun: number): void {
    const placed = this.#placed;
    const candidates = placed.candidates();
    this.#frames.push({ placed: candidate, state, candidates, silentRun, next: 0 });
    if (placed.knownCount > this.#furthest) {
      this.#furthest = placed.knownCount;
      this.frontiers = [];
    }
    if (placed.knownCount === this.#furthest && this.frontiers.length < maxFrontiers) {
      const waiting = candidates.filter((at) => at >= 0).map((at) => this.#known[at]!);
      this.frontiers.push({ state, waiting });
    }
  }
}
