import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/clock/virtual.js";
import type { History, Operation, OperationOutcome } from "../../src/sim/history.js";
import { checkLinearizable, describeCheck } from "../../src/sim/linearizability.js";
import type { AnyDefinedValue } from "../../src/value/types.js";
import { defineValue } from "../../src/value/define.js";
import { bruteForceLinearizable } from "./brute-force.js";
import { counter, kv, mutableList, register } from "./values.js";

function operation(
  client: number,
  call: number,
  returned: number | null,
  name: string,
  arg: unknown,
  reply: unknown,
  outcome: OperationOutcome = returned === null ? "unknown" : "ok",
): Operation {
  const kind = name === "get" || name === "read" || name === "list" ? "query" : "command";
  return { client, call, return: returned, kind, name, arg, reply, outcome };
}

function verdict(definition: AnyDefinedValue, history: History): string {
  return checkLinearizable(definition, history).type;
}

describe("hand-made histories", () => {
  test("one call after the other is judged in that order", () => {
    const good = [operation(0, 0, 1, "add", 1, 1), operation(1, 2, 3, "get", undefined, 1)];
    const stale = [operation(0, 0, 1, "add", 1, 1), operation(1, 2, 3, "get", undefined, 0)];
    assert.equal(verdict(counter, good), "linearizable");
    assert.equal(verdict(counter, stale), "violation");
  });

  test("a query during a write may see either value, but never the old one after the new one", () => {
    const write = operation(0, 0, 100, "write", 7, null);
    const seen = (first: number, second: number) => [
      write,
      operation(1, 10, 20, "read", undefined, first),
      operation(2, 30, 40, "read", undefined, second),
    ];
    assert.equal(verdict(register, seen(0, 0)), "linearizable");
    assert.equal(verdict(register, seen(0, 7)), "linearizable");
    assert.equal(verdict(register, seen(7, 7)), "linearizable");
    assert.equal(verdict(register, seen(7, 0)), "violation");
  });

  test("a command of unknown outcome may take effect much later, or never", () => {
    const lost = operation(0, 0, 5, "add", 10, undefined, "unknown");
    const reads = (...answers: number[]) => [
      lost,
      ...answers.map((answer, at) =>
        operation(1, 10 + at * 10, 15 + at * 10, "get", undefined, answer),
      ),
    ];
    assert.equal(verdict(counter, reads(0, 0, 0)), "linearizable");
    assert.equal(verdict(counter, reads(0, 0, 10)), "linearizable");
    assert.equal(verdict(counter, reads(10, 10)), "linearizable");
    assert.equal(verdict(counter, reads(0, 10, 0)), "violation");
    assert.equal(verdict(counter, reads(0, 20)), "violation", "it takes effect once");
  });

  test("a command that failed has no effect", () => {
    const failed = operation(0, 0, 5, "add", 10, undefined, "failed");
    assert.equal(
      verdict(counter, [failed, operation(1, 6, 7, "get", undefined, 0)]),
      "linearizable",
    );
    assert.equal(verdict(counter, [failed, operation(1, 6, 7, "get", undefined, 10)]), "violation");
  });

  test("an increment applied twice is found", () => {
    const history = [operation(0, 0, 5, "add", 1, 2)];
    assert.equal(verdict(counter, history), "violation");
  });

  test("a dirty read of a write that never took effect is found", () => {
    const history = [
      operation(0, 0, 1, "read", undefined, 5),
      operation(1, 2, 3, "write", 5, null),
    ];
    assert.equal(verdict(register, history), "violation");
  });

  test("calls that touch at one instant count as concurrent", () => {
    const history = [operation(0, 0, 5, "add", 1, 1), operation(1, 5, 6, "get", undefined, 0)];
    assert.equal(verdict(counter, history), "linearizable");
  });

  test("keys are judged one by one where the value tells them apart", () => {
    const history: Operation[] = [];
    for (let key = 0; key < 50; key++) {
      history.push(operation(key, 0, 1000, "put", { key: `k${key}`, value: key }, null));
      history.push(operation(key, 0, 1000, "get", `k${key}`, key % 2 === 0 ? key : null));
    }
    const result = checkLinearizable(kv, history);
    assert.equal(result.type, "linearizable");
    assert.equal(result.type === "linearizable" ? result.partitions : 0, 50);
    history.push(operation(99, 2000, 2001, "get", "k7", 8));
    const bad = checkLinearizable(kv, history);
    assert.equal(bad.type, "violation");
    assert.equal(bad.type === "violation" ? bad.partition : "", "k7");
  });

  test("a value changed in place is judged without being harmed by its handlers", () => {
    const good = [
      operation(0, 0, 10, "push", { text: "a" }, 1),
      operation(1, 0, 10, "push", { text: "b" }, 2),
      operation(2, 11, 12, "list", undefined, [{ text: "a" }, { text: "b" }]),
    ];
    assert.equal(verdict(mutableList, good), "linearizable");
    const bad = [...good, operation(2, 13, 14, "list", undefined, [{ text: "b" }, { text: "a" }])];
    assert.equal(verdict(mutableList, bad), "violation");
  });

  test("a handler that throws cannot have answered", () => {
    const picky = defineValue({
      name: "picky",
      version: 1,
      initial: () => 0,
      commands: {
        take: (n, by: number) => {
          if (by > n) throw new Error("not enough");
          return { reply: n - by, value: n - by };
        },
      },
      queries: {},
    });
    assert.equal(verdict(picky, [operation(0, 0, 1, "take", 1, -1)]), "violation");
    assert.equal(verdict(picky, [operation(0, 0, null, "take", 1, undefined)]), "linearizable");
  });

  test("nor a handler that changes its value and throws", () => {
    const picky = defineValue({
      name: "picky",
      version: 1,
      mutable: true,
      initial: () => ({ taken: 0 }),
      commands: {
        take: (value): number => {
          value.taken += 1;
          throw new Error("nothing left");
        },
      },
      queries: { taken: ({ taken }) => taken },
    });
    const query = { ...operation(0, 4, 5, "taken", undefined, 1), kind: "query" as const };
    assert.equal(verdict(picky, [operation(0, 0, 1, "take", undefined, 1)]), "violation");
    assert.equal(
      verdict(picky, [operation(0, 0, null, "take", undefined, undefined), query]),
      "linearizable",
    );
  });

  test("one call that touches all keys makes them one part", () => {
    const all = defineValue({
      name: "kv",
      version: 1,
      initial: () => ({}) as Readonly<Record<string, number>>,
      commands: {
        write: (map, key: string) => ({ reply: null, value: { ...map, [key]: 1 } }),
        add: (map) => ({ reply: Object.keys(map).length, value: map }),
      },
      queries: {},
      partition: (name, arg) => (name === "add" ? null : (arg as string)),
    });
    const written = [
      operation(0, 0, 1, "write", "a", null),
      operation(0, 2, 3, "write", "b", null),
    ];
    const counted = (count: number) => [...written, operation(0, 4, 5, "add", undefined, count)];
    assert.equal(verdict(all, counted(2)), "linearizable");
    assert.equal(verdict(all, counted(1)), "violation");
  });

  test("a name that the value does not define is refused, not ignored", () => {
    assert.throws(
      () => verdict(counter, [operation(0, 0, 1, "frob", 1, 1)]),
      /defines? not|does not define/,
    );
  });
});

describe("the report of a violation", () => {
  test("names the culprit and only the calls around it", () => {
    const history: Operation[] = [];
    for (let i = 0; i < 500; i++) history.push(operation(0, i * 10, i * 10 + 5, "add", 1, i + 1));
    history.push(operation(1, 2006, 2008, "get", undefined, 7));
    const result = checkLinearizable(counter, history);
    assert.equal(result.type, "violation");
    if (result.type !== "violation") return;
    assert.equal(result.culprit.name, "get");
    assert.equal(result.culprit.reply, 7);
    assert.ok(result.window.length <= 2, `${result.window.length} operations in the window`);
    assert.deepEqual(result.states, [201]);
    assert.match(describeCheck(result), /get\(\) -> 7 <- cannot be placed/);
  });

  test("a search that grew too large is neither pass nor failure", () => {
    const history = Array.from({ length: 20 }, (_, i) =>
      operation(i, 0, 100, "write", i, null),
    ).concat(operation(20, 101, 102, "read", undefined, 99));
    const result = checkLinearizable(register, history, { maxConfigurations: 1000 });
    assert.equal(result.type, "undecided");
  });
});

/** A history that is linearizable by construction: every call takes effect at a moment inside it. */
function generate(
  random: SeededRandom,
  clients: number,
  count: number,
  unknownRate: number,
): Operation[] {
  const points = Array.from({ length: count }, () => random.next() * count * 10).sort(
    (a, b) => a - b,
  );
  const freeAt = new Array<number>(clients).fill(0);
  const history: Operation[] = [];
  let value = 0;
  for (const point of points) {
    const free = freeAt.flatMap((at, client) => (at < point ? [client] : []));
    if (free.length === 0) continue;
    const client = free[random.below(free.length)]!;
    const call = Math.floor(freeAt[client]! + random.next() * (point - freeAt[client]!));
    const returned = Math.ceil(point + random.next() * 10 * clients);
    freeAt[client] = returned + 1;
    if (random.next() < unknownRate) {
      if (random.next() < 0.5) value += 1;
      history.push(operation(client, call, null, "add", 1, undefined));
    } else if (random.next() < 0.3) {
      history.push(operation(client, call, returned, "get", undefined, value));
    } else {
      value += 1;
      history.push(operation(client, call, returned, "add", 1, value));
    }
  }
  return history;
}

describe("size", () => {
  test("10,000 operations of 16 clients on a counter are judged, also with unknown outcomes", () => {
    const history = generate(new SeededRandom(7), 16, 12_500, 0.002).slice(0, 10_000);
    assert.equal(history.length, 10_000);
    assert.equal(verdict(counter, history), "linearizable");
    const at = history.findIndex((entry, i) => i > 1500 && entry.outcome === "ok");
    history[at] = { ...history[at]!, reply: -1 };
    assert.equal(verdict(counter, history), "violation");
  });
});

describe("against a checker that tries every order", () => {
  const tiny = fc.array(
    fc.record({
      client: fc.nat(3),
      call: fc.nat(12),
      length: fc.nat(6),
      name: fc.constantFrom("write", "read", "add"),
      arg: fc.nat(2),
      reply: fc.nat(3),
      lost: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  );

  test("both agree on every tiny history", () => {
    const mixed = defineValue({
      name: "mixed",
      version: 1,
      initial: () => 0,
      commands: {
        write: (_, to: number) => ({ reply: null, value: to }),
        add: (n, by: number) => ({ reply: n + by, value: n + by }),
      },
      queries: { read: (n) => n },
    });
    const seen = { true: 0, false: 0 };
    fc.assert(
      fc.property(tiny, (calls) => {
        const history = calls.map(({ client, call, length, name, arg, reply, lost }) =>
          operation(
            client,
            call,
            lost && name !== "read" ? null : call + length,
            name,
            name === "read" ? undefined : arg,
            lost && name !== "read" ? undefined : name === "write" ? null : reply,
          ),
        );
        const expected = bruteForceLinearizable(mixed, history);
        seen[`${expected}`] += 1;
        assert.equal(verdict(mixed, history), expected ? "linearizable" : "violation");
      }),
      { numRuns: 3000 },
    );
    assert.ok(seen.true > 100 && seen.false > 100, JSON.stringify(seen));
  });

  test("a good history with one reply changed is judged as the other does", () => {
    let caught = 0;
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: -2, max: 8 }), (seed, which, reply) => {
        const history = generate(new SeededRandom(seed), 3, 8, 0.15).slice(0, 7);
        assert.equal(verdict(counter, history), "linearizable");
        const answered = history.flatMap((entry, at) => (entry.outcome === "ok" ? [at] : []));
        if (answered.length === 0) return;
        const at = answered[which % answered.length]!;
        history[at] = { ...history[at]!, reply };
        const expected = bruteForceLinearizable(counter, history);
        if (!expected) caught += 1;
        assert.equal(verdict(counter, history), expected ? "linearizable" : "violation");
      }),
      { numRuns: 500 },
    );
    assert.ok(caught > 100, `${caught} of the changes broke the history`);
  });
});
