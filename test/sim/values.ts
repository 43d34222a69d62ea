/** Small values for histories. */
import { defineValue } from "../../src/value/define.js";

export const counter = defineValue({
  name: "counter",
  version: 1,
  initial: () => 0,
  commands: { add: (n, by: number) => ({ reply: n + by, value: n + by }) },
  queries: { get: (n) => n },
});

export const register = defineValue({
  name: "register",
  version: 1,
  initial: () => 0,
  commands: { write: (_, to: number) => ({ reply: null, value: to }) },
  queries: { read: (n) => n },
});

export const kv = defineValue({
  name: "kv",
  version: 1,
  initial: (): Readonly<Record<string, number>> => ({}),
  commands: {
    put: (map, { key, value }: { key: string; value: number }) => ({
      reply: map[key] ?? null,
      value: { ...map, [key]: value },
    }),
  },
  queries: { get: (map, key: string) => map[key] ?? null },
  partition: (name, arg) => (name === "put" ? (arg as { key: string }).key : (arg as string)),
});

export const mutableList = defineValue({
  name: "list",
  version: 1,
  mutable: true,
  initial: (): { text: string; seen?: number }[] => [],
  commands: {
    push: (list, item: { text: string; seen?: number }) => list.push(item),
  },
  queries: { list: (list) => list.map((item) => ({ ...item })) },
});
