/** The values that `--value` knows by name. */
import { defineValue } from "../value/define.js";
import type { AnyDefinedValue } from "../value/types.js";

/** First in, first out. `enqueue` answers with the length before, `dequeue` with null when empty. */
export const queue = defineValue({
  name: "queue",
  version: 1,
  initial: () => ({ items: [] as readonly string[] }),
  commands: {
    enqueue: (q, item: string) => {
      if (item === undefined) throw new TypeError("enqueue needs an item");
      return { reply: q.items.length, value: { items: [...q.items, item] } };
    },
    dequeue: (q) => ({ reply: q.items[0] ?? null, value: { items: q.items.slice(1) } }),
  },
  queries: { length: (q) => q.items.length },
});

/** A number. `inc` adds (1 if nothing is given) and answers with the sum. */
export const counter = defineValue({
  name: "counter",
  version: 1,
  initial: () => 0,
  commands: {
    inc: (sum, by?: number) => {
      const step = by ?? 1;
      if (typeof step !== "number" || !Number.isFinite(step)) {
        throw new TypeError("inc needs a finite number");
      }
      return { reply: sum + step, value: sum + step };
    },
  },
  queries: { get: (sum) => sum },
});

type Put = { readonly key: string; readonly value: unknown };
type CompareAndSet = { readonly key: string; readonly from: unknown; readonly to: unknown };

/**
 * Keys and values. An absent key reads as null, and to set a key to null is to delete it. `put` and
 * `delete` answer with what was there before; `cas` sets only what still equals `from`.
 */
export const kv = defineValue({
  name: "kv",
  version: 1,
  mutable: true,
  initial: () => new Map<string, unknown>(),
  commands: {
    put: (map, arg: Put) => {
      const key = checkKey("put", arg?.key);
      const before = map.get(key) ?? null;
      setOrDelete(map, key, arg.value);
      return before;
    },
    delete: (map, key: string) => {
      const before = map.get(checkKey("delete", key)) ?? null;
      map.delete(key);
      return before;
    },
    cas: (map, arg: CompareAndSet) => {
      const key = checkKey("cas", arg?.key);
      if (!sameValue(map.get(key) ?? null, arg.from ?? null)) return false;
      setOrDelete(map, key, arg.to);
      return true;
    },
  },
  queries: { get: (map, key: string) => map.get(checkKey("get", key)) ?? null },
  partition: (name, arg) => {
    const key = name === "put" || name === "cas" ? (arg as Put | undefined)?.key : arg;
    return typeof key === "string" ? key : null;
  },
});

/** A lookup that never answers for a name such as "toString". */
export const builtInValues: Readonly<Record<string, AnyDefinedValue>> = Object.freeze({
  queue,
  counter,
  kv,
});

export function builtInValue(name: string): AnyDefinedValue | null {
  return Object.hasOwn(builtInValues, name) ? builtInValues[name]! : null;
}

function checkKey(command: string, key: unknown): string {
  if (typeof key === "string") return key;
  throw new TypeError(
    command === "put" || command === "cas"
      ? `${command} needs an object with a string as key`
      : `${command} needs a string as key`,
  );
}

function setOrDelete(map: Map<string, unknown>, key: string, value: unknown): void {
  if (value === null || value === undefined) map.delete(key);
  else map.set(key, value);
}

/** Equality of what came out of a codec: plain data. */
function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = Object.keys(a);
  if (keys.length === 0 && !isEmptyPlain(a)) return false;
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => {
      if (!Object.hasOwn(b, key)) return false;
      return sameValue((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]);
    })
  );
}

/** A Map or a Date has no keys of its own either, which says nothing about what it holds. */
function isEmptyPlain(value: object): boolean {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}
