/**
 * What the compiler must accept and refuse about `defineValue` and the group handle. Nothing here
 * runs: `tsc` is the test, and a `@ts-expect-error` that has no error fails it.
 */
import type { BackupOptions, RecoverOptions, RestoreOptions } from "../../src/tools.js";
import type { ConnectOptions } from "../../src/client/index.js";
import type { GroupClient } from "../../src/client/types.js";
import type { FileStorageOptions } from "../../src/storage/file/index.js";
import type { GroupOptions, HostOptions } from "../../src/host/options.js";
import type { GroupHooks } from "../../src/member/types.js";
import { VirtualClock } from "../../src/clock/virtual.js";
import type { CheckOptions } from "../../src/sim/index.js";
import { memoryStorage } from "../../src/index.js";
import type { MemoryNetworkOptions } from "../../src/transport/memory.js";
import { defineValue } from "../../src/value/define.js";
import type {
  AnyDefinedValue,
  CommandArgs,
  CommandName,
  CommandReply,
  QueryAnswer,
  QueryArgs,
  ReplicatedValue,
  ThreeFunctionValue,
} from "../../src/value/types.js";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Does not compile unless it is given `true`. */
function check<T extends true>(): T | null {
  return null;
}

export const queue = defineValue({
  name: "queue",
  version: 1,
  initial: () => ({ items: [] as readonly string[] }),
  commands: {
    enqueue: (q, item: string) => ({
      reply: q.items.length,
      value: { items: [...q.items, item] },
    }),
    dequeue: (q) => ({ reply: q.items[0] ?? null, value: { items: q.items.slice(1) } }),
    drop: (q, count?: number) => ({ reply: true, value: { items: q.items.slice(count ?? 1) } }),
    stamp: (q, _arg, applied) => ({ reply: applied.timeMs, value: q }),
  },
  queries: { length: (q) => q.items.length, at: (q, index: number) => q.items[index] },
});

export const scores = defineValue({
  name: "scores",
  version: 2,
  mutable: true,
  initial: () => new Map<string, number>(),
  commands: {
    add: (m, arg: { key: string; by: number }) => {
      const next = (m.get(arg.key) ?? 0) + arg.by;
      m.set(arg.key, next);
      return next;
    },
    clear: (m) => {
      m.clear();
    },
    pair: (m) => ({ reply: m.size, value: "not unwrapped" }),
  },
  queries: { get: (m, key: string) => m.get(key) ?? null },
});

export const three = defineValue({
  name: "three",
  version: 1,
  initial: () => 0,
  command: (n, by: number) => ({ reply: String(n), value: n + by }),
  query: (n, times: number) => n * times,
});

/** As one function for everything is: each operation has a reply of its own type. */
export const register = defineValue({
  name: "register",
  version: 1,
  initial: () => ({ n: 0 }),
  command: (v, op: { type: "add"; by: number } | { type: "isSet" } | { type: "name" }) => {
    switch (op.type) {
      case "add":
        return { reply: v.n + op.by, value: { n: v.n + op.by } };
      case "isSet":
        return { reply: v.n > 0, value: v };
      case "name":
        return { reply: null, value: v };
    }
  },
  query: (v, as: "text" | "number") => (as === "text" ? String(v.n) : v.n),
});

type Queue = typeof queue;
type Scores = typeof scores;
type Three = typeof three;

check<Equal<CommandName<Queue>, "enqueue" | "dequeue" | "drop" | "stamp">>();
check<Equal<CommandArgs<Queue, "enqueue">, [arg: string]>>();
check<Equal<CommandArgs<Queue, "dequeue">, []>>();
check<Equal<CommandReply<Queue, "enqueue">, number>>();
check<Equal<CommandReply<Queue, "dequeue">, string | null>>();
check<Equal<CommandReply<Queue, "stamp">, number>>();
check<Equal<QueryArgs<Queue, "length">, []>>();
check<Equal<QueryArgs<Queue, "at">, [arg: number]>>();
check<Equal<QueryAnswer<Queue, "at">, string | undefined>>();

check<Equal<CommandReply<Scores, "add">, number>>();
check<Equal<CommandReply<Scores, "clear">, void>>();
check<Equal<CommandReply<Scores, "pair">, { reply: number; value: string }>>();
check<Equal<QueryAnswer<Scores, "get">, number | null>>();

check<Equal<CommandName<Three>, "command">>();
check<Equal<CommandArgs<Three, "command">, [arg: number]>>();
check<Equal<CommandReply<Three, "command">, string>>();
check<Equal<QueryAnswer<Three, "query">, number>>();
check<Equal<CommandReply<typeof register, "command">, number | boolean | null>>();
check<Equal<QueryAnswer<typeof register, "query">, string | number>>();

export const any: readonly AnyDefinedValue[] = [queue, scores, three];

export async function calls(
  group: GroupClient<Queue>,
  map: GroupClient<Scores>,
  old: GroupClient<Three>,
): Promise<void> {
  const length: number = await group.command("enqueue", "a");
  const item: string | null = await group.command("dequeue");
  await group.command("dequeue", { timeoutMs: 5 });
  await group.command("dequeue", { id: "once", signal: AbortSignal.timeout(1) });
  await group.command("enqueue", "a", { id: "x" });
  await group.command("drop");
  await group.command("drop", 2);
  await group.command("drop", 2, { timeoutMs: 5 });
  await group.query("length", { timeoutMs: 5 });
  await group.query("at", 1, { timeoutMs: 5 });
  const at: string | undefined = await group.queryStale("at", 0);
  const sum: number = await map.command("add", { key: "k", by: 1 });
  await map.command("clear");
  const text: string = await old.command("command", 1);
  const product: number = await old.query("query", 2);

  // @ts-expect-error no such command
  await group.command("enqeue", "a");
  // @ts-expect-error a query is not a command
  await group.command("length");
  // @ts-expect-error missing argument
  await group.command("enqueue");
  // @ts-expect-error wrong argument
  await group.command("enqueue", 1);
  // @ts-expect-error an argument that the handler does not take
  await group.command("dequeue", "a");
  // @ts-expect-error extra argument
  await group.command("enqueue", "a", "b");
  // @ts-expect-error no such option
  await group.command("dequeue", { timeout: 5 });
  // @ts-expect-error queries take no id
  await group.query("length", { id: "x" });
  // @ts-expect-error the reply is a number
  const wrongReply: string = await group.command("enqueue", "a");
  // @ts-expect-error the reply may be null
  const neverNull: string = await group.command("dequeue");
  // @ts-expect-error no such query
  await group.query("size");
  // @ts-expect-error missing argument
  await group.query("at");
  // @ts-expect-error wrong argument
  await group.queryStale("at", "0");
  // @ts-expect-error incomplete argument
  await map.command("add", { key: "k" });
  // @ts-expect-error the reply is a number
  const wrongSum: string = await map.command("add", { key: "k", by: 1 });
  // @ts-expect-error wrong argument of the three-function form
  await old.command("command", "1");
  // @ts-expect-error only `command` and `query`
  await old.command("inc", 1);

  void [length, item, at, sum, text, product, wrongReply, neverNull, wrongSum];
}

const base = { name: "x", version: 1, initial: () => 0, queries: {} };

// @ts-expect-error a pure command returns { reply, value }
defineValue({
  ...base,
  commands: { inc: (n: number, by: number) => n + by },
});
// @ts-expect-error the new value is of another type
defineValue({
  ...base,
  commands: { inc: (n: number) => ({ reply: n, value: "one" }) },
});
// @ts-expect-error a handler is no promise
defineValue({
  ...base,
  commands: { inc: async (n: number) => ({ reply: n, value: n }) },
});
// @ts-expect-error nor is a query
defineValue({ ...base, commands: {}, queries: { get: async (n: number) => n } });
const mutable = { ...base, mutable: true, initial: () => new Map<string, number>() } as const;
// @ts-expect-error nor is one that changes the value in place
defineValue({ ...mutable, commands: { clear: async (m: Map<string, number>) => m.clear() } });
defineValue({
  ...mutable,
  commands: {
    clear: (m: Map<string, number>) => m.clear(),
    fail: () => {
      throw new Error("no");
    },
    any: (m: Map<string, number>, key: string): unknown => m.get(key),
  },
});
// Of a mutable definition, too, the error stands where the mistake is.
defineValue({
  name: "x",
  version: 1,
  mutable: true,
  initial: () => new Map<string, number>(),
  commands: {
    // @ts-expect-error a handler is no promise
    put: async (m, key: string) => {
      m.set(key, 1);
    },
  },
  queries: { size: (m) => m.size },
});
defineValue({
  name: "x",
  version: 1,
  mutable: true,
  initial: () => new Map<string, number>(),
  commands: { put: (m, key: string) => m.set(key, 1).size },
  // @ts-expect-error nor is a query
  queries: { size: async (m) => m.size },
});
// @ts-expect-error nor is the query of the three-function form
defineValue({
  ...{ name: "x", version: 1, initial: () => 0 },
  command: (n, by: number) => ({ reply: n, value: n + by }),
  query: async (n) => n,
});
defineValue({
  ...{ name: "x", version: 1, initial: () => 0 },
  // @ts-expect-error nor is its command
  command: async (n: number, by: number) => ({ reply: n, value: n + by }),
  query: (n: number) => n,
});
defineValue({
  ...{ name: "x", version: 1 },
  // @ts-expect-error nor is the initial value
  initial: async () => ({ n: 0 }),
  commands: { inc: (v) => ({ reply: 0, value: v }) },
  queries: {},
});
defineValue({
  ...{ name: "x", version: 1, mutable: true },
  // @ts-expect-error nor is one that is changed in place
  initial: async () => new Map<string, number>(),
  commands: { clear: (_map: unknown) => 0 },
  queries: {},
});
defineValue({
  ...{ name: "x", version: 1 },
  // @ts-expect-error nor is that of the three-function form
  initial: async () => 0,
  command: (n: Promise<number>, by: number) => ({ reply: by, value: n }),
  query: () => 0,
});
defineValue({
  ...{ name: "x", version: 1, initial: (): unknown => 0, queries: {} },
  commands: { put: (_now, next: number) => ({ reply: next, value: next }) },
});
const spelledOut: ReplicatedValue<number, number, string, null, number> = {
  ...{ name: "x", version: 1, initial: () => 0 },
  command: (n, by) => ({ reply: String(n), value: n + by }),
  query: (n) => n,
};
export const ofSpelledOut: ThreeFunctionValue<number, number, string, null, number> =
  defineValue(spelledOut);
// @ts-expect-error version is missing
defineValue({ name: "x", initial: () => 0, commands: {}, queries: {} });
// @ts-expect-error commands are missing
defineValue({ name: "x", version: 1, initial: () => 0, queries: {} });

const grown = { ...base, initial: () => ({ n: 0, unit: "m" }), commands: {}, queries: {} };
const forgetsUnit = (old: unknown) => ({ n: old as number });
const returnsNothing = (old: unknown) => void Object.assign(old as object, { unit: "m" });

// @ts-expect-error upgrade forgets a field
defineValue({ ...grown, upgrade: forgetsUnit });
// @ts-expect-error upgrade changes the old value and does not return it
defineValue({ ...grown, upgrade: returnsNothing });

/** An option that may be undefined is handed on as it is, also under `exactOptionalPropertyTypes`. */
export async function handsOn(
  group: GroupClient<typeof queue>,
  given: { readonly timeoutMs?: number; readonly signal?: AbortSignal; readonly id?: string },
): Promise<void> {
  const { timeoutMs, signal, id } = given;
  await group.command("enqueue", "a", { timeoutMs, signal, id });
  await group.query("length", { timeoutMs, signal });
  group.events({ signal });
  await group.changeConfig({ heartbeatMs: timeoutMs });
}

export const handedOn = (
  address: string | undefined,
): HostOptions & GroupOptions & ConnectOptions => ({
  ...{ id: "foo", listen: "127.0.0.1:0", advertise: address, storage: undefined },
  ...{ start: "create", config: { heartbeatMs: undefined }, onDamage: undefined },
  ...{ group: "queue", hosts: [], timeoutMs: undefined, logger: undefined },
});

export const keptIn = (maxLogBytes: number | undefined): FileStorageOptions => ({
  ...{ segmentBytes: undefined, firstSegmentBytes: undefined, maxLogBytes, fs: undefined },
  ...{ lowSpaceBytes: undefined, slowSyncMs: undefined, markLagMs: undefined },
});

export const hooked: GroupHooks = {
  ...{ onCommandCommitted: undefined, onQueryAnswered: undefined, onFollowerAdded: undefined },
  ...{ onFollowerRemoved: undefined, onElected: undefined, onRestored: undefined },
};

memoryStorage({ durable: undefined, keepsLog: undefined });
export const checkedWith: CheckOptions = {
  ...{ codec: undefined, appliedOf: undefined, maxConfigurations: undefined },
};
export const carried: MemoryNetworkOptions = {
  ...{ clock: new VirtualClock(), highWaterBytes: undefined, lowWaterBytes: undefined },
};

export const operated = (
  advertise: string | undefined,
): readonly [BackupOptions, RestoreOptions, RecoverOptions] => [
  { group: "queue", hosts: [], file: "", tls: undefined, timeoutMs: undefined, signal: undefined },
  { file: "", id: "foo", dir: "", group: undefined, advertise, definition: undefined },
  { dirs: [], group: "queue", id: "foo", out: "", advertise },
];

defineValue({
  ...{ name: "x", version: 1, codec: undefined, upgrade: undefined, mutable: undefined },
  ...{ compatibleVersions: undefined, partition: undefined },
  initial: () => 0,
  commands: { inc: (n, by: number) => ({ reply: n, value: n + by }) },
  queries: {},
});
