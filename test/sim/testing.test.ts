/** The example of docs/testing.md, run: what a user of `rafted-value/testing` types. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defineValue, RaftError } from "../../src/index.js";
import { createTestCluster, simulate, type Workload } from "../../src/sim/index.js";

const queue = defineValue({
  name: "queue",
  version: 1,
  initial: () => ({ items: [] as readonly string[] }),
  commands: {
    enqueue: (q, item: string) => ({ reply: q.items.length, value: { items: [...q.items, item] } }),
    dequeue: (q) => ({ reply: q.items[0] ?? null, value: { items: q.items.slice(1) } }),
  },
  queries: { length: (q) => q.items.length },
});

const workload: Workload = {
  next: (random) => {
    const drawn = random.below(3);
    if (drawn === 0) return { kind: "command", name: "enqueue", arg: `item ${random.below(1000)}` };
    if (drawn === 1) return { kind: "command", name: "dequeue", arg: undefined };
    return { kind: "query", name: "length", arg: undefined };
  },
};

test("a user's queue survives storms, and a run is repeated to the byte", async () => {
  const first = await simulate({ value: queue, workload, seed: 7, durationMs: 20_000 });
  assert.ok(first.counts.ok > 0, "no call was answered");
  assert.ok(
    [...first.faults.values()].some((count) => count > 0),
    "no fault struck",
  );
  const again = await simulate({ value: queue, workload, seed: 7, durationMs: 20_000 });
  assert.equal(again.traceHash, first.traceHash);
});

test("a handler that draws lots is found out", async () => {
  const lottery = defineValue({
    name: "lottery",
    version: 1,
    initial: () => 0,
    commands: { draw: (n) => ({ reply: Math.random(), value: n + 1 }) },
    queries: { drawn: (n) => n },
  });
  const draws: Workload = { next: () => ({ kind: "command", name: "draw", arg: undefined }) };
  await assert.rejects(simulate({ value: lottery, workload: draws, seed: 1, durationMs: 20_000 }), {
    name: "RaftError",
  });
});

test("a fault that does not exist is refused by name", async () => {
  await assert.rejects(
    simulate({ value: queue, workload, seed: 1, faults: ["earthquake"] }),
    (error: unknown) =>
      error instanceof RaftError &&
      error.code === "invalidArgument" &&
      error.message.includes("earthquake"),
  );
});

test("a value or a workload that is none is refused by name", async () => {
  const none = { name: "queue" } as never;
  const noValue = { code: "invalidValue", message: /^value: expected what defineValue returns/ };
  await assert.rejects(createTestCluster({ value: none }), noValue);
  await assert.rejects(simulate({ value: none, workload, seed: 1 }), noValue);
  await assert.rejects(simulate({ value: queue, workload: {} as never, seed: 1 }), {
    code: "invalidArgument",
    message: /^workload: expected an object with a method "next"/,
  });
});

test("a cluster under a test's control answers, loses its leader and goes on", async () => {
  const cluster = await createTestCluster({ value: queue, machines: 3 });
  const client = cluster.client();
  assert.equal(await cluster.run(client.command("enqueue", "a")), 0);
  const leader = cluster.leader();
  assert.ok(leader);
  cluster.crash(leader);
  assert.equal(await cluster.run(client.command("dequeue", { timeoutMs: 60_000 })), "a");
  assert.notEqual(cluster.leader(), leader);
  cluster.restart(leader);
  await cluster.until(() => cluster.settled);
  assert.equal(await cluster.run(client.query("length")), 0);
});
