/**
 * Is a history linearizable? Judged by the value's own handlers.
 *
 * Every call that was answered must seem to take effect at one moment between its call and its return,
 * in an order in which the handlers answer what the clients saw. A command of unknown outcome may
 * take effect at any moment after its call, or never. The question is decided part by part where
 * `definition.partition` tells the parts of the value apart.
 */
import { createCborCodec } from "../codec/values.js";
import { RaftError } from "../errors.js";
import type { Codec } from "../ports.js";
import type { AnyDefinedValue, AppliedInfo } from "../value/types.js";
import type { History, Operation } from "./history.js";
import { firstStuck, searchOrder, tryOrder, type Stuck, type SearchCall } from "./linear-search.js";
import { createModel, type Model } from "./model.js";

export type CheckOptions = {
  /** Encodes states to compare them. Default: the definition's own, or CBOR. */
  readonly codec?: Codec | undefined;
  /**
   * The entry by which a command was applied, if somebody has watched: its handler is told so, and the
   * order of the entries is tried first. It is only a guess that saves time: the verdict rests on the
   * history alone. null: not known, or never applied. Default: zeros.
   */
  readonly appliedOf?: ((operation: Operation) => AppliedInfo | null) | undefined;
  /** Give up beyond so many configurations per part. Default 2 million. */
  readonly maxConfigurations?: number | undefined;
};

export type CheckResult =
  | {
      readonly type: "linearizable";
      readonly operations: number;
      readonly partitions: number;
      readonly configurations: number;
    }
  | Violation
  /** The search grew too large: neither a pass nor a failure. */
  | {
      readonly type: "undecided";
      readonly partition: string | null;
      readonly configurations: number;
      /** Where it got furthest: what could not follow, and in which states. */
      readonly window: readonly Operation[];
      readonly states: readonly unknown[];
    };

export type Violation = {
  readonly type: "violation";
  readonly partition: string | null;
  /** Up to its call the history is linearizable; with its answer no longer. */
  readonly culprit: Operation;
  /** The fewest calls among which no order is left: the culprit and what must come before it. */
  readonly window: readonly Operation[];
  /** Values in which the search got stuck before `window`, at most four of them. */
  readonly states: readonly unknown[];
};

const nothingApplied: AppliedInfo = Object.freeze({ index: 0, term: 0, timeMs: 0 });
const defaultMaxConfigurations = 2_000_000;

/**
 * Checks a history of one value.
 *
 * @example
 * ```ts
 * const result = checkLinearizable(counter, parseHistory(text));
 * if (result.type !== "linearizable") throw new Error(describeCheck(result));
 * ```
 */
export function checkLinearizable(
  definition: AnyDefinedValue,
  history: History,
  options: CheckOptions = {},
): CheckResult {
  const codec = options.codec ?? definition.codec ?? createCborCodec();
  const limit = options.maxConfigurations ?? defaultMaxConfigurations;
  checkNames(definition, history);
  const parts = partitionHistory(definition, history);
  let operations = 0;
  let configurations = 0;
  for (const [partition, part] of parts) {
    const model = createModel(definition, codec);
    const silent = silentNames(part);
    const calls = part.map((operation) => toCall(operation, silent, options.appliedOf));
    operations += part.length;
    if (options.appliedOf !== undefined) {
      const { appliedOf } = options;
      const placeOf = ({ operation }: SearchCall) => appliedOf(operation)?.index ?? null;
      const guess = tryOrder(model, ...splitCalls(calls, Infinity), placeOf);
      configurations += guess.configurations;
      if (guess.type === "found") continue;
    }
    const result = searchUntil(model, calls, Infinity, limit);
    configurations += result.configurations;
    if (result.type === "gaveUp") return undecided(model, partition, result);
    if (result.type === "impossible") return explain(model, calls, partition, limit, result);
  }
  return { type: "linearizable", operations, partitions: parts.size, configurations };
}

function checkNames(definition: AnyDefinedValue, history: History): void {
  for (const { kind, name } of history) {
    const table = (kind === "command" ? definition.commands : definition.queries) as object;
    if (!Object.hasOwn(table, name)) {
      throw new RaftError(
        "invalidArgument",
        `the history has a ${kind} "${name}", which value "${definition.name}" does not define`,
      );
    }
  }
}

/**
 * Calls without effect (failed, queries without answer) say nothing and are left out. One call that
 * touches everything (partition null) makes it all one part.
 */
function partitionHistory(
  definition: AnyDefinedValue,
  history: History,
): Map<string | null, Operation[]> {
  const telling = history.filter(
    ({ kind, outcome }) => outcome === "ok" || (outcome === "unknown" && kind === "command"),
  );
  const { partition } = definition;
  if (partition === null) return new Map([[null, telling]]);
  const parts = new Map<string | null, Operation[]>();
  for (const operation of telling) {
    const key = partition(operation.name, operation.arg);
    if (key === null) return new Map([[null, telling]]);
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [operation]);
    else part.push(operation);
  }
  return parts;
}

/** Commands that have answered the same each time. */
function silentNames(part: History): ReadonlySet<string> {
  const replies = new Map<string, Set<string>>();
  for (const { kind, name, reply, outcome } of part) {
    if (kind !== "command" || outcome !== "ok") continue;
    const seen = replies.get(name) ?? new Set<string>();
    replies.set(name, seen.add(show(reply)));
  }
  return new Set([...replies].filter(([, seen]) => seen.size === 1).map(([name]) => name));
}

function toCall(
  operation: Operation,
  silent: ReadonlySet<string>,
  appliedOf: CheckOptions["appliedOf"],
): SearchCall {
  const { kind, name, outcome } = operation;
  return {
    operation,
    silent: kind === "command" && (outcome === "unknown" || silent.has(name)),
    applied: appliedOf?.(operation) ?? nothingApplied,
    call: operation.call,
    // A caller that gave up at some time has not bounded when the command takes effect.
    return: operation.outcome === "ok" ? operation.return! : Infinity,
  };
}

/** The history as it was known at `untilNs`: what had not returned by then is unknown. */
function searchUntil(model: Model, calls: readonly SearchCall[], untilNs: number, limit: number) {
  return searchOrder(model, ...splitCalls(calls, untilNs), limit);
}

function splitCalls(
  calls: readonly SearchCall[],
  untilNs: number,
): [known: SearchCall[], unknown: SearchCall[]] {
  const known: SearchCall[] = [];
  const unknown: SearchCall[] = [];
  for (const call of calls) {
    if (call.call > untilNs) continue;
    if (call.return <= untilNs && call.return !== Infinity) known.push(call);
    else if (call.operation.kind === "command") unknown.push(asUnknown(call));
  }
  const byCall = (a: SearchCall, b: SearchCall): number => a.call - b.call;
  return [known.sort(byCall), unknown.sort(byCall)];
}

function undecided(model: Model, partition: string | null, stuck: Stuck): CheckResult {
  const { configurations, frontiers } = stuck;
  return { type: "undecided", partition, configurations, ...windowOf(model, frontiers) };
}

function windowOf(model: Model, frontiers: Stuck["frontiers"]) {
  const window = new Set<Operation>();
  for (const { waiting } of frontiers) for (const call of waiting) window.add(call.operation);
  return {
    window: [...window].sort((a, b) => a.call - b.call),
    states: frontiers.map(({ state }) => model.show(state)),
  };
}

function asUnknown(call: SearchCall): SearchCall {
  return {
    ...call,
    return: Infinity,
    silent: true,
    operation: { ...call.operation, outcome: "unknown", reply: undefined },
  };
}

/**
 * The shortest beginning of the history that has no order: if a beginning has one, every shorter one
 * has. The call whose return ends it is the culprit. Where the search got stuck is mostly the place;
 * if not, halving finds it.
 */
function explain(
  model: Model,
  calls: readonly SearchCall[],
  partition: string | null,
  limit: number,
  found: Stuck,
): Violation {
  const returned = calls.filter((call) => call.return !== Infinity);
  returned.sort((a, b) => a.return - b.return);
  const placeOf = (result: Stuck): number => {
    const stuck = firstStuck(result);
    return stuck === null ? -1 : returned.indexOf(stuck);
  };
  let good = -1;
  let bad = returned.length - 1;
  let last = found;
  let guess = Math.min(placeOf(found), bad - 1);
  while (bad - good > 1) {
    const probe = guess > good && guess < bad ? guess : (good + bad) >> 1;
    const result = searchUntil(model, calls, returned[probe]!.return, limit);
    if (result.type === "impossible") {
      bad = probe;
      last = result;
      guess = Math.min(placeOf(result), bad - 1);
    } else {
      good = probe;
      guess = -1;
    }
  }
  const culprit = returned[bad]!;
  const { window, states } = windowOf(model, last.frontiers);
  const all = window.includes(culprit.operation) ? window : [...window, culprit.operation];
  return { type: "violation", partition, culprit: culprit.operation, window: all, states };
}

/** A few lines for people. */
export function describeCheck(result: CheckResult): string {
  if (result.type === "linearizable") {
    return `linearizable: ${result.operations} operations, ${result.partitions} part(s)`;
  }
  const where = result.partition === null ? "" : ` (part ${JSON.stringify(result.partition)})`;
  const culprit = result.type === "violation" ? result.culprit : null;
  const lines = result.window.map((operation) => {
    const mark = operation === culprit ? " <- cannot be placed" : "";
    return `  ${describeOperation(operation)}${mark}`;
  });
  const states = result.states.map((state) => `  ${show(state)}`);
  const verdict =
    result.type === "violation"
      ? "not linearizable"
      : `undecided after ${result.configurations} configurations`;
  return [`${verdict}${where}; stuck in`, ...states, "with", ...lines].join("\n");
}

function describeOperation(operation: Operation): string {
  const { client, kind, name, arg, reply, call } = operation;
  const argText = arg === undefined ? "" : show(arg);
  return `client ${client} [${call}, ${operation.return ?? "?"}] ${kind} ${name}(${argText}) -> ${show(reply)}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "bigint" ? `${item}n` : item instanceof Map ? [...item] : item,
  );
  return text === undefined ? "undefined" : text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
