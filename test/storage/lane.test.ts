/** One thing at a time in a lane, few at a time through a gate. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate, Lane } from "../../src/storage/file/lane.js";

/** Work that ends when it is told to, and what of it has begun. */
class Works {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, (error?: Error) => void>();

  of(name: string): () => Promise<void> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve, reject) =>
        this.#ends.set(name, (error) => (error === undefined ? resolve() : reject(error))),
      );
    };
  }

  /** Ends it, and lets happen what follows from that. */
  async end(name: string, error?: Error): Promise<void> {
    this.#ends.get(name)!(error);
    await new Promise(setImmediate);
  }
}

test("a gate lets so many through at once, the others in their order, also after a failure", async () => {
  const works = new Works();
  const gate = new Gate(2);
  const failing = assert.rejects(gate.pass(works.of("a")), /failed/);
  const rest = ["b", "c", "d"].map((name) => gate.pass(works.of(name)));
  assert.deepEqual(works.begun, ["a", "b"]);
  await works.end("a", new Error("failed"));
  await failing;
  assert.deepEqual(works.begun, ["a", "b", "c"]);
  const late = gate.pass(works.of("e"));
  await works.end("b");
  assert.deepEqual(works.begun, ["a", "b", "c", "d"]);
  await works.end("c");
  await works.end("d");
  await works.end("e");
  await Promise.all([...rest, late]);
  // As wide as it was, and no wider.
  const again = ["f", "g", "h"].map((name) => gate.pass(works.of(name)));
  assert.deepEqual(works.begun.slice(5), ["f", "g"]);
  for (const name of ["f", "g", "h"]) await works.end(name);
  await Promise.all(again);
});

test("a lane is idle when what was asked for is done, and a failure does not hold up the next", async () => {
  const works = new Works();
  const lane = new Lane(new Gate(2));
  const failing = assert.rejects(lane.run(works.of("a")), /failed/);
  const next = lane.run(works.of("b"));
  let isIdle = false;
  const idle = lane.idle().then(() => (isIdle = true));
  await new Promise(setImmediate);
  assert.deepEqual(works.begun, ["a"], "although the gate is open");
  await works.end("a", new Error("failed"));
  await failing;
  assert.deepEqual([works.begun, isIdle], [["a", "b"], false]);
  await works.end("b");
  await Promise.all([next, idle]);
});
