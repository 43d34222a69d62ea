/**
 * `defineValue`: from handlers to a checked, frozen definition; and the rule that tells a call's
 * argument from its options.
 */
import { isOptions, RaftError, show, unknownName } from "../errors.js";
import type {
  AnyDefinedValue,
  Commands,
  DefinedValue,
  MutableCommands,
  MutableSpec,
  PureSpec,
  Queries,
  Synchronous,
  SynchronousAnswer,
  SynchronousInitial,
  ThreeFunctionSpec,
  ThreeFunctionValue,
} from "./types.js";

const namePattern = /^[A-Za-z0-9_.:-]{1,64}$/;
const handlerPattern = /^[A-Za-z_$][A-Za-z0-9_$]{0,63}$/;

/**
 * Defines a value that a group can replicate. The result is frozen; give it to `host.group()` and
 * `connect()`.
 *
 * Handlers must be deterministic: the same value, argument and `applied` give the same result on
 * every member. The only clock is `applied.timeMs`; no `Math.random`, no I/O, no promises. What a
 * handler throws becomes the caller's `commandFailed`, the same on every member.
 *
 * In TypeScript, say the type of a handler's argument (`item: string`): without one it is `any`, within the handler and
 * for those who call it.
 *
 * The value must have an encoding as well, and what is within it is not looked at with each command: one with a
 * function or a promise in it is told of when a snapshot is due, which fails; the log is kept until another
 * command has mended the value. A promise in it that rejects ends the process, of all members alike, and
 * again where a restart applies the log anew.
 *
 * - Pure (default): a command returns `{ reply, value }` and changes nothing. When it throws, or when
 *   its reply has no encoding, the old value stays.
 * - `mutable: true`: a command changes the value in place and returns the reply alone. What it changed
 *   before it threw stays (on all members alike), so check the argument before the first change. Let no
 *   object occur in it twice: where a snapshot was restored it is two, and a change reaches one of them.
 * - A query changes nothing, in both: it runs on one member alone, whose value would differ from then on.
 * - `command` + `query` instead of `commands` + `queries`: the three-function form; the handlers
 *   are then called `command` and `query`.
 *
 * Refuses with RaftError `invalidValue`, which names the field: `name` (1 to 64 letters, digits,
 * `_ . - :`), `version` (integer >= 1), handler names (1 to 64 characters, as JavaScript identifiers).
 *
 * @example
 * ```ts
 * const queue = defineValue({
 *   name: "queue",
 *   version: 1,
 *   initial: () => ({ items: [] as readonly string[] }),
 *   commands: {
 *     enqueue: (q, item: string) => ({
 *       reply: q.items.length,
 *       value: { items: [...q.items, item] },
 *     }),
 *   },
 *   queries: { length: (q) => q.items.length },
 * });
 *
 * // Changed in place, with a clock, and able to read the snapshots of its version 1.
 * const leases = defineValue({
 *   name: "leases",
 *   version: 2,
 *   mutable: true,
 *   initial: () => new Map<string, number>(),
 *   upgrade: (old) => new Map(Object.entries(old as Record<string, number>)),
 *   commands: {
 *     take: (v, arg: { name: string; forMs: number }, applied) => {
 *       if ((v.get(arg.name) ?? 0) > applied.timeMs) throw new Error(`${arg.name} is taken`);
 *       v.set(arg.name, applied.timeMs + arg.forMs);
 *       return applied.index;
 *     },
 *   },
 *   queries: { until: (v, name: string) => v.get(name) ?? null },
 * });
 *
 * // The three-function form.
 * const total = defineValue({
 *   name: "total",
 *   version: 1,
 *   initial: () => 0,
 *   command: (n, by: number) => ({ reply: n + by, value: n + by }),
 *   query: (n, times: number) => n * times,
 * });
 * ```
 */
export function defineValue<V, C extends Commands<NoInfer<V>>, Q extends Queries<NoInfer<V>>>(
  spec: PureSpec<V, C & Commands<NoInfer<V>>, Q & Queries<NoInfer<V>> & Synchronous<Q>> & {
    readonly initial: SynchronousInitial<NoInfer<V>>;
  },
): DefinedValue<V, C, Q, false>;
// What `command` returns is inferred as a whole: of several replies of different types, `Reply` alone would take the first.
export function defineValue<
  V,
  CommandArg,
  Result extends { readonly reply: unknown; readonly value: NoInfer<V> },
  QueryArg,
  Answer,
>(
  spec: ThreeFunctionSpec<V, CommandArg, Result, QueryArg, Answer> & {
    readonly initial: SynchronousInitial<NoInfer<V>>;
    readonly query: SynchronousAnswer<Answer>;
  },
): ThreeFunctionValue<V, CommandArg, Result["reply"], QueryArg, Answer>;
// Last, since of several that are equally wrong the compiler tells of the last alone.
export function defineValue<
  V,
  C extends MutableCommands<NoInfer<V>>,
  Q extends Queries<NoInfer<V>>,
>(
  spec: MutableSpec<
    V,
    C & MutableCommands<NoInfer<V>> & Synchronous<C>,
    Q & Queries<NoInfer<V>> & Synchronous<Q>
  > & { readonly initial: SynchronousInitial<NoInfer<V>> },
): DefinedValue<V, C, Q, true>;
export function defineValue(spec: unknown): AnyDefinedValue {
  const fields = checkObject(spec, "definition");
  const label = checkName(fields["name"]);
  checkFields(label, fields);
  const mutable = checkMutable(label, fields["mutable"]);
  const { commands, queries } = checkHandlers(label, fields);
  const version = fields["version"];
  if (!isVersion(version)) {
    throw invalid(label, "version", `must be an integer >= 1, got ${show(version)}`);
  }
  const definition: AnyDefinedValue = {
    name: label,
    version,
    mutable,
    initial: checkFunction(label, "initial", fields["initial"]),
    commands,
    queries,
    codec: checkCodec(label, fields["codec"]) as AnyDefinedValue["codec"],
    upgrade: optionalFunction(label, "upgrade", fields["upgrade"]),
    compatibleVersions: checkVersions(label, fields["compatibleVersions"]),
    partition: optionalFunction(
      label,
      "partition",
      fields["partition"],
    ) as AnyDefinedValue["partition"],
  };
  return Object.freeze(definition);
}

/** Whether something (a module's export, say) came out of `defineValue`, of any copy of the library. */
export function isDefinedValue(candidate: unknown): candidate is AnyDefinedValue {
  if (typeof candidate !== "object" || candidate === null || !Object.isFrozen(candidate))
    return false;
  const fields = candidate as Record<string, unknown>;
  return (
    typeof fields["name"] === "string" &&
    isVersion(fields["version"]) &&
    typeof fields["mutable"] === "boolean" &&
    typeof fields["initial"] === "function" &&
    typeof fields["commands"] === "object" &&
    typeof fields["queries"] === "object" &&
    Array.isArray(fields["compatibleVersions"])
  );
}

/** What follows the name in a call, told apart. `arg` is undefined when `hasArg` is false. */
export type SplitArgs<Options> = {
  readonly hasArg: boolean;
  readonly arg: unknown;
  readonly options: Options | undefined;
};

type OptionShape = {
  readonly timeoutMs?: number | undefined;
  readonly signal?: unknown;
  readonly id?: string | undefined;
};

/**
 * Tells the argument of `command(name, ...rest)` or `query(name, ...rest)` from its options.
 *
 * - Two things after the name: the argument, then the options.
 * - One thing, and the handler declares an argument (`handler.length >= 2`): the argument.
 * - One thing, and it does not (no argument, or one with a default, which JavaScript does not count):
 *   options if it is a plain object with no other keys than `timeoutMs`, `signal` and, for commands,
 *   `id`, whose values are checked like those of all options; otherwise the argument.
 *
 * So only a handler whose argument has a default *and* may look like options needs care: pass
 * `{}` as the second thing. An argument of `undefined` is no argument. Refuses an unknown name
 * with `unknownCommand` or `unknownQuery`, anything else that does not fit with `invalidArgument`.
 */
export function splitArgs<Options extends OptionShape = OptionShape>(
  definition: AnyDefinedValue,
  kind: "command" | "query",
  name: string,
  rest: readonly unknown[],
): SplitArgs<Options> {
  const handler = handlerOf(definition, kind, name);
  if (rest.length > 2) {
    throw new RaftError("invalidArgument", `${kind} "${name}" takes an argument and options only`);
  }
  let arg = rest[0];
  let options = rest[1];
  if (rest.length === 1 && handler.length < 2 && looksLikeOptions(kind, arg)) {
    options = arg;
    arg = undefined;
  }
  if (options !== undefined && !isOptions(options)) {
    throw new RaftError(
      "invalidArgument",
      `options of ${kind} "${name}" must be an object, got ${show(options)}`,
    );
  }
  return { hasArg: arg !== undefined, arg, options: options as Options | undefined };
}

/** The handler of that name, or RaftError `unknownCommand` / `unknownQuery` with the known names. */
export function handlerOf(
  definition: AnyDefinedValue,
  kind: "command" | "query",
  name: string,
): (...args: unknown[]) => unknown {
  const table = (kind === "command" ? definition.commands : definition.queries) as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  if (typeof name === "string" && Object.hasOwn(table, name)) return table[name]!;
  throw new RaftError(
    kind === "command" ? "unknownCommand" : "unknownQuery",
    `value "${definition.name}" defines no ${kind} ${show(name)}; ` +
      `it has: ${Object.keys(table).join(", ") || "none"}`,
  );
}

/** What a call may be told, beside its argument. */
export const callOptionNames = Object.freeze({
  command: ["timeoutMs", "signal", "id"],
  query: ["timeoutMs", "signal"],
} as const);

function looksLikeOptions(kind: "command" | "query", candidate: unknown): boolean {
  if (!isPlain(candidate)) return false;
  return unknownName(candidate, callOptionNames[kind]) === undefined;
}

/** No array, map or instance of a class. */
function isPlain(candidate: unknown): candidate is object {
  if (typeof candidate !== "object" || candidate === null) return false;
  const prototype: unknown = Object.getPrototypeOf(candidate);
  // Of another realm, `Object.prototype` is another one.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isVersion(candidate: unknown): candidate is number {
  return Number.isSafeInteger(candidate) && (candidate as number) >= 1;
}

function checkObject(candidate: unknown, what: string): Record<string, unknown> {
  if (typeof candidate === "object" && candidate !== null)
    return candidate as Record<string, unknown>;
  throw new RaftError(
    "invalidValue",
    `the value's ${what} must be an object, got ${show(candidate)}`,
  );
}

function checkName(name: unknown): string {
  if (typeof name === "string" && namePattern.test(name)) return name;
  throw new RaftError(
    "invalidValue",
    `the value's name must be 1 to 64 letters, digits or _ . - : , got ${show(name)}`,
  );
}

const fieldNames: readonly string[] = Object.freeze([
  ...["name", "version", "mutable", "initial", "commands", "queries", "command", "query"],
  ...["codec", "upgrade", "compatibleVersions", "partition"],
]);

function checkFields(label: string, fields: Record<string, unknown>): void {
  const strange = unknownName(fields, fieldNames);
  if (strange === undefined) return;
  throw invalid(label, strange, `is no field of a value; there are ${fieldNames.join(", ")}`);
}

function checkMutable(label: string, mutable: unknown): boolean {
  if (mutable === undefined || typeof mutable === "boolean") return mutable === true;
  throw invalid(label, "mutable", `must be true or false, got ${show(mutable)}`);
}

function checkHandlers(label: string, fields: Record<string, unknown>) {
  const three = fields["command"] !== undefined || fields["query"] !== undefined;
  if (!three) {
    return {
      commands: checkTable(label, "commands", fields["commands"]),
      queries: checkTable(label, "queries", fields["queries"]),
    };
  }
  if (fields["commands"] !== undefined || fields["queries"] !== undefined) {
    throw invalid(
      label,
      "command",
      "and query are one form, commands and queries another: use one",
    );
  }
  return {
    commands: Object.freeze({ command: checkFunction(label, "command", fields["command"]) }),
    queries: Object.freeze({ query: checkFunction(label, "query", fields["query"]) }),
  };
}

function checkTable(label: string, field: string, table: unknown): object {
  if (!isPlain(table)) {
    throw invalid(label, field, `must be a plain object of functions, got ${show(table)}`);
  }
  const copy: Record<string, unknown> = {};
  for (const [name, handler] of Object.entries(table)) {
    if (!handlerPattern.test(name)) {
      throw invalid(
        label,
        `${field}.${name}`,
        "must be named as a JavaScript identifier of 1 to 64 characters",
      );
    }
    copy[name] = checkFunction(label, `${field}.${name}`, handler);
  }
  return Object.freeze(copy);
}

function checkFunction(label: string, field: string, candidate: unknown): () => unknown {
  if (typeof candidate === "function") return candidate as () => unknown;
  throw invalid(label, field, `must be a function, got ${show(candidate)}`);
}

/** null: as a defined value has it that is defined anew, with changes. */
function optionalFunction(label: string, field: string, candidate: unknown) {
  if (candidate === undefined || candidate === null) return null;
  return checkFunction(label, field, candidate);
}

const optionalOfCodec = [
  ...["encodeSlices", "decodeSlices", "decodeArriving", "encodeBehind", "decodeBehind", "capture"],
];

function checkCodec(label: string, codec: unknown): object | null {
  if (codec === undefined || codec === null) return null;
  const fields =
    typeof codec === "object" && codec !== null ? (codec as Record<string, unknown>) : {};
  checkFunction(label, "codec.encode", fields["encode"]);
  checkFunction(label, "codec.decode", fields["decode"]);
  for (const name of optionalOfCodec) optionalFunction(label, `codec.${name}`, fields[name]);
  const { canonical } = fields;
  if (canonical !== undefined && typeof canonical !== "boolean") {
    throw invalid(label, "codec.canonical", `must be a boolean, got ${show(canonical)}`);
  }
  return codec as object;
}

function checkVersions(label: string, versions: unknown): readonly number[] {
  if (versions === undefined) return Object.freeze([]);
  if (!Array.isArray(versions) || !versions.every(isVersion)) {
    throw invalid(label, "compatibleVersions", "must be an array of integers >= 1");
  }
  return Object.freeze([...versions]);
}

function invalid(label: string, field: string, problem: string): RaftError {
  return new RaftError("invalidValue", `value "${label}": ${field} ${problem}`);
}
