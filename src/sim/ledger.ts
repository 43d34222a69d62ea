/**
 * The simulator's own value: made so that its replies give an order away. Every write bears a number
 * (`op`) of its own and answers with the one before it, so a lost, doubled or reordered write shows
 * in the next reply under that key.
 */
import { defineValue } from "../value/define.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { SeededRandom } from "../clock/virtual.js";
import { pick } from "./world.js";
import type { UpgradedWorkload } from "./workload.js";

export type Line = { readonly count: number; readonly last: number };
export type Ledger = Readonly<Record<string, Line>>;
export type Write = { readonly key: string; readonly op: number };

export const empty: Line = Object.freeze({ count: 0, last: 0 });

function lineOf(ledger: Ledger, key: string): Line {
  return ledger[key] ?? empty;
}

export function refuseOdd(op: number): void {
  if (op % 2 === 1) throw new Error("odd numbers are refused");
}

export const partition = (_name: string, arg: unknown): string | null =>
  typeof arg === "string" ? arg : (arg as Write).key;

/** Handlers that change nothing. */
export const ledger = defineValue({
  name: "ledger",
  version: 1,
  initial: (): Ledger => ({}),
  commands: {
    /** Replies with the line as it was. */
    write: (value, { key, op }: Write) => {
      const before = lineOf(value, key);
      return { reply: before, value: { ...value, [key]: { count: before.count + 1, last: op } } };
    },
    /** Replies with nothing: only later reads tell when it took effect. */
    blindWrite: (value, { key, op }: Write) => ({
      reply: null,
      value: { ...value, [key]: { count: lineOf(value, key).count + 1, last: op } },
    }),
    /** Throws for odd numbers, on every member alike. */
    picky: (value, { key, op }: Write) => {
      refuseOdd(op);
      const count = lineOf(value, key).count + 1;
      return { reply: count, value: { ...value, [key]: { count, last: op } } };
    },
  },
  queries: { read: (value, key: string) => lineOf(value, key) },
  partition,
});

/** The same, changed in place. */
export const mutableLedger = defineValue({
  name: "ledger",
  version: 1,
  mutable: true,
  initial: (): Record<string, Line> => ({}),
  commands: {
    write: (value, { key, op }: Write) => {
      const before = lineOf(value, key);
      value[key] = { count: before.count + 1, last: op };
      return before;
    },
    blindWrite: (value, { key, op }: Write) => {
      value[key] = { count: lineOf(value, key).count + 1, last: op };
      return null;
    },
    picky: (value, { key, op }: Write) => {
      refuseOdd(op);
      const count = lineOf(value, key).count + 1;
      value[key] = { count, last: op };
      return count;
    },
  },
  queries: { read: (value, key: string) => lineOf(value, key) },
  partition,
});

/** Reads and writes of a few keys, so that clients meet. */
export function ledgerWorkload(keys: number): UpgradedWorkload {
  let op = 0;
  return {
    nextOfNewer: (random: SeededRandom) => {
      const key = `k${random.below(keys)}`;
      if (random.next() < 0.3) return { kind: "query", name: "seals", arg: key };
      op += 1;
      return { kind: "command", name: "seal", arg: { key, op } };
    },
    next: (random: SeededRandom) => {
      const key = `k${random.below(keys)}`;
      const dice = random.next();
      if (dice < 0.35) return { kind: "query", name: "read", arg: key };
      if (dice < 0.4) return { kind: "stale", name: "read", arg: key };
      op += 1;
      const name = pick(random, ["write", "write", "write", "blindWrite", "picky"]);
      return { kind: "command", name, arg: { key, op } };
    },
    identify: (_name, arg) => (arg as Write).op,
  };
}

export function ledgerOf(mutable: boolean): AnyDefinedValue {
  return mutable ? mutableLedger : ledger;
}
