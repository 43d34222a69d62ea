/** The values of the examples in the storms of the simulator: what a user's own test may look like. */
import { describe, test } from "node:test";
import { type AnyDefinedValue } from "rafted-value";
import { simulate, type Workload, type WorkloadCall } from "rafted-value/testing";
import { jobs } from "../../examples/jobs.js";
import { keys } from "../../examples/keys.js";
import { locks } from "../../examples/locks.js";

type Draw = (below: number) => number;
/** `number` is another one for each call. */
type NextCall = (draw: Draw, number: number) => WorkloadCall;

const kind = "command";
const query = (name: string, arg: unknown): WorkloadCall => ({ kind: "query", name, arg });

function drawLocks(draw: Draw, number: number): WorkloadCall {
  const name = `lock-${draw(2)}`;
  switch (draw(5)) {
    case 0:
      return query("holder", name);
    case 1:
      return { kind, name: "release", arg: { name, token: draw(20), number } };
    default: {
      const arg = { name, owner: `owner-${draw(3)}`, forMs: 1 + draw(3000), number };
      return { kind, name: "acquire", arg };
    }
  }
}

function drawKeys(draw: Draw, number: number): WorkloadCall {
  const key = `key-${draw(3)}`;
  switch (draw(5)) {
    case 0:
      return query("get", key);
    case 1:
      return query("changesAfter", draw(100));
    case 2:
      return { kind, name: "remove", arg: key };
    case 3:
      return { kind, name: "compareAndSet", arg: { key, value: `${number}`, revision: draw(50) } };
    default:
      return { kind, name: "set", arg: { key, value: `${number}` } };
  }
}

function drawJobs(draw: Draw, number: number): WorkloadCall {
  switch (draw(5)) {
    case 0:
      return query("counts", undefined);
    case 1:
      return { kind, name: "done", arg: { id: 1 + draw(30), attempt: 1 + draw(2), number } };
    case 2:
    case 3:
      return { kind, name: "add", arg: `work ${number}` };
    default:
      return { kind, name: "take", arg: 500 + number };
  }
}

/**
 * What tells commands apart lets the checker know when each was applied: their handlers have a clock.
 * A removal of the same key is not told apart, and no clock is looked at there.
 */
function workloadOf(next: NextCall): Workload {
  let calls = 0;
  return {
    next: (random) => next((below) => random.below(below), ++calls),
    identify: (name, arg) => (name === "remove" ? null : JSON.stringify([name, arg])),
  };
}

const examples: readonly (readonly [AnyDefinedValue, NextCall])[] = [
  [locks, drawLocks],
  [keys, drawKeys],
  [jobs, drawJobs],
];

describe("in storms, linearizable and the same on all members are", () => {
  for (const [value, next] of examples) {
    for (const seed of [1, 2]) {
      test(`${value.name}, seed ${seed}`, async () => {
        await simulate({ value, seed, workload: workloadOf(next) });
      });
    }
  }
});
