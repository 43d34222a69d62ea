/** Promises deep within what handlers return: refused, and nobody's unhandled rejection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defineValue } from "../../src/value/define.js";
import {
  ask,
  catchUp,
  copyBySnapshot,
  fingerprint,
  mutableWith,
  newApplier,
  noteUnhandled,
  runOne,
  show,
} from "./log.js";

const late = (): unknown => Promise.reject(new Error("late"));

/** As of a handler that maps a list by an async function. */
function manyLate(): unknown {
  const all = new Map<unknown, unknown>([[late(), [{ a: late() }, new Set([late()])]]]);
  return { first: late(), all, again: all };
}

test("promises within a reply or an answer are refused, and their rejections harm nobody", async (t) => {
  const unhandled = noteUnhandled(t);
  const pure = defineValue({
    name: "odd",
    version: 1,
    initial: () => ({ n: 1 }),
    commands: { run: () => ({ reply: manyLate(), value: { n: 2 } }) },
    queries: { get: ({ n }) => n, all: manyLate },
  });
  const { applier, shown } = runOne(pure, "run");
  assert.match(shown as string, /^encodeFailed\/no: .*class Promise at \.first/);
  assert.equal(ask(applier, "get"), 1);
  const mutable = runOne(mutableWith(manyLate), "run");
  assert.match(mutable.shown as string, /^encodeFailed\/maybe: .*class Promise at \.first/);
  assert.match(ask(newApplier(pure), "all") as string, /^encodeFailed: .*class Promise at \.first/);
  // An unhandled rejection is reported once the microtasks are done.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("a promise within the new value is told of where a snapshot is taken, until a command mends it", () => {
  const pure = defineValue({
    name: "odd",
    version: 1,
    initial: () => ({ n: 1, deep: [] as readonly { readonly at: unknown }[] }),
    commands: {
      spoil: () => ({ reply: 1, value: { n: 2, deep: [{ at: Promise.resolve() }] } }),
      mend: () => ({ reply: 2, value: { n: 3, deep: [] } }),
    },
    queries: { get: ({ n }) => n },
  });
  const { applier, log, session, shown } = runOne(pure, "spoil");
  assert.equal(shown, 1);
  assert.throws(() => fingerprint(applier), /class Promise at \.deep\[0\]\.at/);
  log.command(session, 2, "mend");
  assert.equal(show(catchUp(applier, log)), 2);
  assert.equal(ask(copyBySnapshot(applier), "get"), 3);
});

test("what cannot even be looked at, or contains itself, is refused all the same", async (t) => {
  const unhandled = noteUnhandled(t);
  const bodies = [
    () => {
      const cycle: unknown[] = [late()];
      cycle.push(cycle);
      return cycle;
    },
    () => [
      late(),
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error("trap");
          },
        },
      ),
    ],
    () => Array.from({ length: 50_000 }).reduce((inner) => [inner], late()),
  ];
  for (const body of bodies) {
    assert.match(runOne(mutableWith(body), "run").shown as string, /^encodeFailed\/maybe: /);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});
