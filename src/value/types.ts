/** The types of a defined value: what `defineValue` takes and what the API infers from it. */
import type { Codec } from "../ports.js";

/** What a handler may know about the entry that it applies; the same on every member. */
export type AppliedInfo = {
  readonly index: number;
  readonly term: number;
  /** Milliseconds since 1970, stamped by the leader; never goes back. The only clock for handlers. */
  readonly timeMs: number;
};

// The handler's own parameter list is what is inferred: `any` in these constraints reaches only who leaves an argument without a type.
/* eslint-disable @typescript-eslint/no-explicit-any */
export type Commands<V> = Record<
  string,
  (value: V, arg: any, applied: AppliedInfo) => { readonly reply: unknown; readonly value: V }
>;
export type MutableCommands<V> = Record<
  string,
  (value: V, arg: any, applied: AppliedInfo) => unknown
>;
export type Queries<V> = Record<string, (value: V, arg: any) => unknown>;

/** Refuses the handlers of a table that return a promise; what returns `any` or `unknown` is looked at when it is called. */
export type Synchronous<H> = {
  readonly [K in keyof H]: H[K] extends (...args: any[]) => infer Answer
    ? RefusedIfPromised<H[K], Answer>
    : unknown;
};

/** The same of one handler, by what it returns. */
export type SynchronousAnswer<Answer> = RefusedIfPromised<Answer, Answer>;

/** The same of `initial`: what a promise is of would never become the group's value. */
export type SynchronousInitial<V> = RefusedIfPromised<
  V,
  V,
  "initial is synchronous: it returns no promise"
>;

/**
 * A type parameter of the caller's own, as in `function mapOf<T>() { return defineValue(...) }`, may become a promise:
 * asked whether it is one, the compiler puts the answer off, and takes no handler meanwhile. So it is asked whether it
 * is one and not `any`, which it tries for the parameter: that is no at once. `Asked` is there so that it is asked of
 * each handler, and not of all of them when this is declared.
 */
type RefusedIfPromised<Asked, Answer, Why = "a handler is synchronous: it returns no promise"> = [
  Asked,
  { is: IsPromise<Answer>; isAny: IsAny<Answer> },
] extends [unknown, { is: true; isAny: false }]
  ? (...args: any[]) => Why
  : unknown;
type IsPromise<T> = [T] extends [PromiseLike<any>] ? true : false;
type IsAny<T> = [0] extends [1 & T] ? true : false;

type Handler = (...args: any[]) => unknown;
/* eslint-enable @typescript-eslint/no-explicit-any */

type Common<V> = {
  /** 1 to 64 characters: letters, digits, `_ . - :`. All members and clients must agree on it. */
  readonly name: string;
  /** Integer, 1 or more; raise it when handlers or the value's shape change. */
  readonly version: number;
  /** The value of a new group: the same on every member, so no clock, no randomness. */
  readonly initial: () => V;
  /** Default: CBOR. */
  readonly codec?: Codec | undefined;
  /** Turns the decoded value of an older version's snapshot into this version's. */
  readonly upgrade?: ((value: unknown, fromVersion: number) => NoInfer<V>) | undefined;
  /** Other versions that may run beside this one during a rolling upgrade. */
  readonly compatibleVersions?: readonly number[] | undefined;
  /** The part of the value that a call touches; lets the linearizability checker work key by key. */
  readonly partition?: ((name: string, arg: unknown) => string | null) | undefined;
};

/** Handlers return `{ reply, value }` and never change what they are given. */
export type PureSpec<V, C, Q> = Common<V> & {
  readonly mutable?: false | undefined;
  readonly commands: C;
  readonly queries: Q;
};
/** Handlers change the value in place and return the reply alone. */
export type MutableSpec<V, C, Q> = Common<V> & {
  readonly mutable: true;
  readonly commands: C;
  readonly queries: Q;
};

/** The three-function form of the Elixir original: one `command` and one `query` for everything. */
export type ReplicatedValue<V, CommandArg, Reply, QueryArg, Answer> = ThreeFunctionSpec<
  V,
  CommandArg,
  { readonly reply: Reply; readonly value: NoInfer<V> },
  QueryArg,
  Answer
>;

/** The same by what `command` returns. */
export type ThreeFunctionSpec<V, CommandArg, Result, QueryArg, Answer> = Common<V> & {
  readonly command: (value: NoInfer<V>, arg: CommandArg, applied: AppliedInfo) => Result;
  readonly query: (value: NoInfer<V>, arg: QueryArg) => Answer;
};

/** What the three-function form becomes: one command named `command`, one query named `query`. */
export type ThreeFunctionValue<V, CommandArg, Reply, QueryArg, Answer> = DefinedValue<
  V,
  {
    readonly command: (
      value: V,
      arg: CommandArg,
      applied: AppliedInfo,
    ) => { readonly reply: Reply; readonly value: V };
  },
  { readonly query: (value: V, arg: QueryArg) => Answer },
  false
>;

/** What `defineValue` returns. `V`, `C`, `Q` and `M` live on in the types of the API. */
export type DefinedValue<V, C, Q, M extends boolean = boolean> = {
  readonly name: string;
  readonly version: number;
  readonly mutable: M;
  readonly initial: () => V;
  readonly commands: C;
  readonly queries: Q;
  readonly codec: Codec | null;
  readonly upgrade: ((value: unknown, fromVersion: number) => V) | null;
  readonly compatibleVersions: readonly number[];
  readonly partition: ((name: string, arg: unknown) => string | null) | null;
};

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyDefinedValue = DefinedValue<any, any, any, any>;

export type CommandName<D extends AnyDefinedValue> = keyof D["commands"] & string;
export type QueryName<D extends AnyDefinedValue> = keyof D["queries"] & string;

/**
 * `[]` for a handler that takes no argument, `[arg?]` for one that accepts `undefined` (optional,
 * with a default, untyped), `[arg]` otherwise.
 */
export type ArgsOf<F> = F extends (value: never, ...rest: infer R) => unknown
  ? R extends readonly []
    ? []
    : R extends readonly [infer A, ...unknown[]]
      ? undefined extends A
        ? [arg?: A]
        : [arg: A]
      : R extends readonly [(infer A)?, ...unknown[]]
        ? [arg?: A]
        : []
  : [];

export type CommandArgs<D extends AnyDefinedValue, N extends CommandName<D>> = ArgsOf<
  D["commands"][N]
>;
export type QueryArgs<D extends AnyDefinedValue, N extends QueryName<D>> = ArgsOf<D["queries"][N]>;

type Returned<F> = F extends Handler ? ReturnType<F> : never;

export type CommandReply<D extends AnyDefinedValue, N extends CommandName<D>> =
  Returned<D["commands"][N]> extends infer R
    ? D extends { readonly mutable: true }
      ? R
      : R extends { readonly reply: infer Reply }
        ? Reply
        : R
    : never;
export type QueryAnswer<D extends AnyDefinedValue, N extends QueryName<D>> = Returned<
  D["queries"][N]
>;

/** How a command came out when it was applied; kept for retries, the same on every member. */
export type Outcome = {
  readonly status:
    "ok" | "commandFailed" | "unknownCommand" | "encodeFailed" | "sessionExpired" | "overloaded";
  readonly applied: "no" | "maybe";
  /** ok: the encoded reply. Otherwise: the message as UTF-8. */
  readonly body: Uint8Array;
};
