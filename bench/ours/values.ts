/** The values that are measured. */
import { defineValue } from "../package.js";

export const counter = defineValue({
  name: "bench-counter",
  version: 1,
  initial: () => 0,
  commands: { inc: (n, by: number) => ({ reply: n + by, value: n + by }) },
  queries: { get: (n) => n },
});

/** Keeps the length of the last payload, so that the value itself costs nothing. */
export const payload = defineValue({
  name: "bench-payload",
  version: 1,
  mutable: true,
  initial: () => ({ length: 0 }),
  commands: {
    put: (state, bytes: Uint8Array) => {
      state.length = bytes.length;
      return bytes.length;
    },
  },
  queries: { length: (state) => state.length },
});

/** Of the map that a newcomer takes in. */
export const mapEntries = 1_000_000;

/** A map that may hold a million entries. */
export const bigMap = defineValue({
  name: "bench-map",
  version: 1,
  mutable: true,
  initial: () => new Map<string, number>(),
  commands: {
    fill: (map, range: { from: number; to: number }) => {
      for (let i = range.from; i < range.to; i++) map.set(`key-${i}`, i);
      return map.size;
    },
    set: (map, entry: { key: string; value: number }) => {
      map.set(entry.key, entry.value);
      return map.size;
    },
  },
  queries: { size: (map) => map.size },
});

export const values = { counter, payload, bigMap };
export type ValueName = keyof typeof values;
