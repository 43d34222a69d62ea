/** What the compiler must accept and refuse of a value whose type has a parameter of its user's. Nothing here runs. */
import type { GroupClient } from "../../src/client/types.js";
import { defineValue } from "../../src/value/define.js";

export function mapOf<T>(name: string) {
  return defineValue({
    ...{ name, version: 1 },
    initial: (): ReadonlyMap<string, T> => new Map(),
    commands: {
      put: (m, arg: { key: string; value: T }) => ({
        reply: m.get(arg.key),
        value: new Map(m).set(arg.key, arg.value),
      }),
    },
    queries: { get: (m, key: string) => m.get(key), all: (m) => [...m.values()] },
  });
}

/** Changed in place, and replying with what may be anything. */
export function registerOf<T>(first: T) {
  return defineValue({
    ...{ name: "register", version: 1, mutable: true },
    initial: () => ({ now: first }),
    commands: {
      swap: (v, next: T) => {
        const { now } = v;
        v.now = next;
        return now;
      },
    },
    queries: { get: (v) => v.now },
  });
}

export function threeOf<T extends object>(first: T) {
  return defineValue({
    ...{ name: "three", version: 1, initial: () => first },
    command: (now, next: T) => ({ reply: now, value: next }),
    query: (now, key: keyof T) => now[key],
  });
}

/** Of which nothing is known: it may be a promise, but is not said to be one. */
export function cellOf<T>(first: T) {
  return defineValue({
    ...{ name: "cell", version: 1, initial: () => first },
    commands: { swap: (now, next: T) => ({ reply: now, value: next }) },
    queries: { get: (now) => now },
  });
}

export function promises<T>(first: T) {
  // @ts-expect-error a handler is no promise, whatever it is of
  return defineValue({
    ...{ name: "promises", version: 1, initial: () => ({ now: first }) },
    commands: {},
    queries: { get: async (v) => v.now },
  });
}

export const people = mapOf<{ age: number }>("people");
export const register = registerOf<string | null>(null);
export const point = threeOf({ x: 0, y: 0 });

export async function calls(
  map: GroupClient<typeof people>,
  one: GroupClient<typeof register>,
  old: GroupClient<typeof point>,
): Promise<void> {
  const age: number | undefined = (await map.command("put", { key: "a", value: { age: 1 } }))?.age;
  const ages: number[] = (await map.query("all")).map((person) => person.age);
  const swapped: string | null = await one.command("swap", "a");
  const before: { x: number; y: number } = await old.command("command", { x: 1, y: 1 });
  const x: number = await old.query("query", "x");

  // @ts-expect-error a value of another type
  await map.command("put", { key: "a", value: { age: "1" } });
  // @ts-expect-error it may be undefined
  const always: { age: number } = await map.query("get", "a");
  // @ts-expect-error a value of another type
  await one.command("swap", 1);
  // @ts-expect-error no such key
  await old.query("query", "z");

  void [age, ages, swapped, before, x, always];
}

/** Where the parameter is not yet known. */
export async function replaced<T>(
  map: GroupClient<ReturnType<typeof mapOf<T>>>,
  key: string,
  value: T,
): Promise<T | undefined> {
  await map.command("put", { key, value });
  return await map.query("get", key);
}
