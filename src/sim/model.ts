/**
 * A defined value as the sequential model that a history is judged by: its own handlers, run one
 * after the other.
 */
import type { Codec } from "../ports.js";
import type { AnyDefinedValue, AppliedInfo } from "../value/types.js";
import { hashBytes } from "./hash.js";
import type { Operation } from "./history.js";

/** A state of the model. Equal states are the same object: compare with `===`. */
export type ModelState = {
  readonly id: number;
  /** The value itself; for a mutable value its encoding, since handlers change what they are given. */
  readonly content: unknown;
  /** What followed from here, by call: the search comes back to the same states again and again. */
  readonly next: Map<Operation, ModelState | null>;
};

export type ModelCall = {
  readonly operation: Operation;
  /** What the handler is told of the entry, if the recorder knows it. */
  readonly applied: AppliedInfo;
};

export type Model = {
  readonly initial: () => ModelState;
  /**
   * The state after the call, or null when the model does not answer what the client saw. A call whose
   * outcome is unknown fits everywhere; where its handler throws it leaves the state.
   */
  readonly apply: (state: ModelState, call: ModelCall) => ModelState | null;
  /** Tells calls with the same effect from others. */
  readonly callKey: (operation: Operation) => string;
  /** For reports. */
  readonly show: (state: ModelState) => unknown;
};

type Handler = (value: unknown, arg: unknown, applied: AppliedInfo) => unknown;

export function createModel(definition: AnyDefinedValue, codec: Codec): Model {
  const states = new Map<string, ModelState>();
  const intern = (content: unknown, bytes: Uint8Array): ModelState => {
    const key = hashBytes(bytes);
    let state = states.get(key);
    if (state === undefined) {
      state = { id: states.size, content, next: new Map() };
      states.set(key, state);
    }
    return state;
  };
  const fits = (reply: unknown, operation: Operation): boolean =>
    operation.outcome === "unknown" || sameValue(codec, reply, operation.reply);
  const run = definition.mutable ? runMutable(codec, intern, fits) : runPure(codec, intern, fits);

  return {
    initial: () => {
      const value: unknown = definition.initial();
      const bytes = codec.encode(value);
      return intern(definition.mutable ? bytes : value, bytes);
    },
    apply: (state, call) => {
      const known = state.next.get(call.operation);
      if (known !== undefined) return known;
      const { kind, name } = call.operation;
      const table = (kind === "command" ? definition.commands : definition.queries) as Record<
        string,
        Handler
      >;
      if (!Object.hasOwn(table, name)) return null;
      const next = run(table[name]!, state, call);
      state.next.set(call.operation, next);
      return next;
    },
    callKey: ({ name, arg }) => `${name}:${arg === undefined ? "" : hashBytes(codec.encode(arg))}`,
    show: (state) =>
      definition.mutable ? codec.decode(state.content as Uint8Array) : state.content,
  };
}

type Run = (handler: Handler, state: ModelState, call: ModelCall) => ModelState | null;
type Intern = (content: unknown, bytes: Uint8Array) => ModelState;
type Fits = (reply: unknown, operation: Operation) => boolean;

function runPure(codec: Codec, intern: Intern, fits: Fits): Run {
  return (handler, state, { operation, applied }) => {
    try {
      const result = handler(state.content, operation.arg, applied);
      if (operation.kind === "query") return fits(result, operation) ? state : null;
      const { reply, value } = result as { reply: unknown; value: unknown };
      if (!fits(reply, operation)) return null;
      return Object.is(value, state.content) ? state : intern(value, codec.encode(value));
    } catch {
      return operation.outcome === "unknown" ? state : null;
    }
  };
}

function runMutable(codec: Codec, intern: Intern, fits: Fits): Run {
  return (handler, state, { operation, applied }) => {
    const value = codec.decode(state.content as Uint8Array);
    // The handler may keep its argument in the value and change it there later.
    const arg = operation.arg === undefined ? undefined : codec.decode(codec.encode(operation.arg));
    let threw = false;
    let reply: unknown;
    try {
      reply = handler(value, arg, applied);
    } catch {
      threw = true;
    }
    if (threw ? operation.outcome !== "unknown" : !fits(reply, operation)) return null;
    if (operation.kind === "query") return state;
    // What a mutable command changed before it threw stays.
    const bytes = codec.encode(value);
    return intern(bytes, bytes);
  };
}

function sameValue(codec: Codec, a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isComposite(a) || !isComposite(b)) return Object.is(a, b);
  return hashBytes(codec.encode(a)) === hashBytes(codec.encode(b));
}

function isComposite(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
