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
  await assert.rejects(simulate({ value: lottery, workload: draws, seed: 3, durationMs: 20_000 }), {
    code: "divergence",
    message: /; a handler of the value is not deterministic\nat [^]*seed: 3$/,
  });
});

test("a handler that draws lots and says nothing of it is found out as well", async () => {
  const lottery = defineValue({
    name: "lottery",
    version: 1,
    initial: () => 0,
    commands: { draw: () => ({ reply: null, value: Math.random() }) },
    queries: { drawn: (n) => n },
  });
  const next: Workload["next"] = () => ({ kind: "command", name: "draw", arg: undefined });
  const run = { value: lottery, workload: { next }, seed: 3, durationMs: 5000 };
  await assert.rejects(simulate(run), {
    code: "divergence",
    message: /a handler of (the )?value ("lottery" )?is not deterministic/,
  });
});

test("a handler that has never once answered fails the run, with what it said", async () => {
  const broken = defineValue({
    name: "broken",
    version: 1,
    initial: () => ({ items: [] as string[] }),
    commands: {
      push: (value, item: string) => {
        value.items.push(item);
        return { reply: value.items.length, value };
      },
    },
    queries: { length: ({ items }) => items.length },
  });
  const next: Workload["next"] = (random) =>
    random.below(2) === 0
      ? { kind: "command", name: "push", arg: "a" }
      : { kind: "query", name: "length", arg: undefined };
  const run = { value: broken, workload: { next }, seed: 3, durationMs: 5000 };
  await assert.rejects(simulate(run), {
    code: "internal",
    message: /^command "push" has thrown \d+ times and never answered: Cannot add property 0, /,
  });
});

test("a value with a codec of its own answers what no other codec could carry", async () => {
  class Money {
    readonly cents: number;
    constructor(cents: number) {
      this.cents = cents;
    }
  }
  const write = (_key: string, item: unknown): unknown =>
    item instanceof Money ? { cents: item.cents } : item;
  const read = (_key: string, item: unknown): unknown =>
    typeof item === "object" && item !== null && "cents" in item
      ? new Money(item.cents as number)
      : item;
  const purse = defineValue({
    name: "purse",
    version: 1,
    initial: () => ({ held: new Money(0) }),
    commands: {
      add: ({ held }, cents: number) => {
        const sum = new Money(held.cents + cents);
        return { reply: sum, value: { held: sum } };
      },
    },
    queries: { held: ({ held }) => held },
    codec: {
      encode: (item) => new TextEncoder().encode(JSON.stringify(item ?? null, write)),
      decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes), read) as unknown,
    },
  });
  const cluster = await createTestCluster({ value: purse });
  const sum = await cluster.run(cluster.client().command("add", 5));
  assert.ok(sum instanceof Money && sum.cents === 5);
});

test("leases by the handlers' clock are judged by it where the workload identifies its commands", async () => {
  const lease = defineValue({
    name: "lease",
    version: 1,
    initial: () => ({ owner: "", untilMs: 0 }),
    commands: {
      acquire: (held, { owner }: { owner: string; op: number }, { timeMs }) =>
        held.untilMs > timeMs && held.owner !== owner
          ? { reply: false, value: held }
          : { reply: true, value: { owner, untilMs: timeMs + 100 } },
    },
    queries: { owner: ({ owner }) => owner },
  });
  let op = 0;
  const next: Workload["next"] = (random) => {
    if (random.below(4) === 0) return { kind: "query", name: "owner", arg: undefined };
    const arg = { owner: `client ${random.below(3)}`, op: (op += 1) };
    return { kind: "command", name: "acquire", arg };
  };
  const identify: Workload["identify"] = (_name, arg) => (arg as { op: number }).op;
  const run = { value: lease, seed: 3, durationMs: 5000 };
  await simulate({ ...run, workload: { next, identify } });
  await assert.rejects(simulate({ ...run, workload: { next } }), {
    message: /not linearizable[^]*needs `identify`[^]*same value, workload and options, seed: 3$/,
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

test("a call of a workload that is none is refused, and a workload that throws fails the run", async () => {
  const run = (next: () => unknown): Promise<unknown> =>
    simulate({ value: queue, seed: 1, durationMs: 2000, workload: { next: next as never } });
  const known = 'must be one of "command", "query", "stale"';
  const refusals: readonly (readonly [unknown, string])[] = [
    [{ name: "length" }, `workload: kind of a call ${known}, got undefined`],
    [{ kind: "close", name: "length" }, `workload: kind of a call ${known}, got "close"`],
    [{ kind: 5, name: "length" }, `workload: kind of a call ${known}, got 5`],
    [
      undefined,
      'workload: expected a call of next, such as { kind: "command", name: "enqueue", arg: "a" }, got undefined',
    ],
  ];
  for (const [call, message] of refusals) {
    await assert.rejects(
      run(() => call),
      { code: "invalidArgument", message },
    );
  }
  const mistakes: readonly (readonly [unknown, string])[] = [
    [{ kind: "stale", name: "size" }, 'workload: stale "size": unknownQuery: value "queue" '],
    [{ kind: "query", name: "size" }, 'workload: query "size": unknownQuery: value "queue" '],
    [{ kind: "command", name: "push" }, 'workload: command "push": unknownCommand: value "queue" '],
    [
      { kind: "command", name: "enqueue", arg: () => 1 },
      'workload: command "enqueue": encodeFailed: the argument of command "enqueue" ',
    ],
  ];
  for (const [call, message] of mistakes) {
    let calls = 0;
    const next = (): unknown => (++calls % 2 === 0 ? call : { kind: "query", name: "length" });
    await assert.rejects(run(next), (error: unknown) => {
      assert.ok(error instanceof RaftError && error.code === "invalidArgument");
      assert.equal(error.message.slice(0, message.length), message);
      return true;
    });
  }
  const broken = (): never => {
    throw new TypeError("no more ideas");
  };
  await assert.rejects(run(broken), { code: "internal", message: /^no more ideas\nat / });
});

test("a seed that is none, a misspelt option and no options are refused by name", async () => {
  const seeds = [undefined, "7", 1.5, -1, [1], [1, 2 ** 32]] as never[];
  const noSeed = {
    code: "invalidArgument",
    message: /^seed: expected a whole number of 0 or more, or two 32-bit words, got /,
  };
  for (const seed of seeds) {
    await assert.rejects(simulate({ value: queue, workload, seed }), noSeed);
    if (seed === undefined) continue;
    await assert.rejects(createTestCluster({ value: queue, seed }), noSeed);
  }
  const misspelt = { value: queue, workload, seed: 1, duration: 5 };
  await assert.rejects(simulate(misspelt), {
    code: "invalidArgument",
    message: /^duration: no such option; there are value, workload, seed, durationMs, /,
  });
  const unset = { value: queue, workload, seed: 1, settings: { machine: 3, clients: 2 } };
  await assert.rejects(simulate(unset), {
    code: "invalidArgument",
    message: /^settings\.machine: no such setting; there are machines, durable, /,
  });
  for (const machines of [0, 2.5, 8]) {
    await assert.rejects(simulate({ ...unset, settings: { machines } }), {
      code: "invalidArgument",
      message: `machines: expected 1 to 7, got ${machines}`,
    });
  }
  for (const name of ["groups", "clients", "keys"]) {
    await assert.rejects(simulate({ ...unset, settings: { [name]: 0 } }), {
      code: "invalidArgument",
      message: `settings.${name}: expected a whole number of 1 or more, got 0`,
    });
  }
  await assert.rejects(simulate({ ...unset, settings: { minDelayMs: NaN } }), {
    code: "invalidArgument",
    message: "settings.minDelayMs: expected milliseconds, 0 or more, got NaN",
  });
  const machine = { value: queue, machine: 3 };
  await assert.rejects(createTestCluster(machine), {
    code: "invalidArgument",
    message: /^machine: no such option; there are value, machines, /,
  });
  const nothing = { code: "invalidArgument", message: /^options: expected an object such as / };
  await assert.rejects(simulate(undefined as never), nothing);
  await assert.rejects(createTestCluster(undefined as never), nothing);
});

test("time that is no number is refused instead of passing for ever", async () => {
  const cluster = await createTestCluster({ value: queue, machines: 1 });
  const noTime = (field: string, least: number) => ({
    code: "invalidArgument",
    message: new RegExp(`^${field}: expected milliseconds, ${least} or more, got `),
  });
  for (const ms of [NaN, Infinity, -1, undefined as never]) {
    await assert.rejects(cluster.advance(ms), noTime("byMs", 0));
    assert.throws(() => cluster.delay(ms, 5), noTime("minMs", 0));
    assert.throws(() => cluster.delay(2, ms), noTime("maxMs", 2));
    if (ms === undefined) continue;
    const run = simulate({ value: queue, workload, seed: 1, durationMs: ms });
    await assert.rejects(run, noTime("durationMs", 0));
  }
  assert.throws(() => cluster.delay(5, 1), noTime("maxMs", 5));
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
