/** Whole runs: the same seed is the same run, sound clusters pass, unsound values are found. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSystemRandom } from "../../src/clock/system.js";
import { checkLinearizable } from "../../src/sim/linearizability.js";
import { faultNames } from "../../src/sim/nemesis.js";
import { reproduce } from "../../src/sim/shrink.js";
import {
  runSimulation,
  type SimulationOptions,
  type SimulationResult,
} from "../../src/sim/simulation.js";
import { defineValue } from "../../src/value/define.js";
import { newerLedger } from "../../src/sim/ledger-newer.js";

/** Each has found a defect once. */
const fixedSeeds = [9, 19, 36];
const freshSeeds = 2;
const freshMs = 20_000;

async function pass(options: SimulationOptions): Promise<SimulationResult> {
  const result = await runSimulation(options);
  assert.equal(result.failure, null, `${result.failure?.message}\n${reproduce(options)}`);
  return result;
}

describe("a simulation", () => {
  for (const seed of fixedSeeds) {
    test(`of seed ${seed} ends with nothing lost`, async () => {
      const result = await pass({ seed });
      assert.ok(result.counts.ok > 50, `${result.counts.ok} calls were answered`);
      const struck = [...result.faults].filter(([name]) => faultNames.includes(name));
      assert.ok(struck.length >= 3, `only ${struck.map(([name]) => name).join()} struck`);
    });
  }

  test(`of ${freshSeeds} fresh seeds ends with nothing lost`, async () => {
    const random = createSystemRandom();
    for (let i = 0; i < freshSeeds; i++) {
      const word = (): number => Math.floor(random.next() * 2 ** 32);
      await pass({ seed: [word(), word()], durationMs: freshMs });
    }
  });

  test("is the same run for the same seed, and another one for another", async () => {
    const options = { seed: 77, durationMs: 10_000 };
    const once = await pass(options);
    const twice = await pass(options);
    assert.equal(once.traceHash, twice.traceHash);
    assert.deepEqual(once.histories, twice.histories);
    assert.deepEqual([...once.faults], [...twice.faults]);
    const other = await pass({ ...options, seed: 78 });
    assert.notEqual(once.traceHash, other.traceHash);
  });

  test("is the same run with a trace and without", async () => {
    const lines: string[] = [];
    const options = { seed: 5, durationMs: 5000 };
    const traced = await pass({ ...options, trace: (line) => lines.push(line) });
    assert.equal(traced.traceHash, (await pass(options)).traceHash);
    assert.ok(lines.length > 1000);
  });

  test("records a history that a checker of its own can judge", async () => {
    const { histories, settings } = await pass({ seed: 3, durationMs: 10_000 });
    assert.equal(histories.length, settings.groups);
    for (const history of histories) {
      assert.equal(checkLinearizable(newerLedger, history).type, "linearizable");
    }
  });
});

/** In virtual milliseconds: five times there and back, five syncs; the network takes 1 at most, a disk as well. */
const withoutTimersMs = 15;

describe("where nothing fails, no call waits for a timer", () => {
  const config = { heartbeatMs: 400, electionTimeoutMs: 2000 };
  const cases = [
    { machines: 1, durable: true, lease: false },
    { machines: 3, durable: false, lease: true },
    { machines: 3, durable: true, lease: false },
    { machines: 5, durable: true, lease: true },
  ];
  for (const { machines, durable, lease } of cases) {
    const how = `${machines} ${durable ? "durable" : "in memory"}${lease ? ", by lease" : ""}`;
    test(how, async () => {
      const clockDriftMarginMs = lease ? 300 : config.electionTimeoutMs;
      const near = { machines, durable, groups: 1, minDelayMs: 0.1 };
      const settings = { ...near, config: { ...config, clockDriftMarginMs } };
      const { histories, durationMs } = await pass({ seed: machines, faults: [], settings });
      const calls = histories.flat().filter(({ outcome }) => outcome === "ok");
      const beganAt = Math.min(...calls.map(({ call }) => call));
      // Sessions are opened and caches filled before; the value is looked at once more after it.
      const calm = calls.filter(({ call }) => {
        const atMs = (call - beganAt) / 1e6;
        return atMs > 0.2 * durationMs && atMs < 0.9 * durationMs;
      });
      assert.ok(calm.length > 20, `${calm.length} calls`);
      const longestMs = Math.max(...calm.map((each) => (each.return! - each.call) / 1e6));
      assert.ok(longestMs < withoutTimersMs, `${longestMs} virtual ms`);
    });
  }
});

describe("a simulation finds", () => {
  const small = { machines: 3, durable: false, groups: 1, clients: 2 };

  test("a handler that is not deterministic", async () => {
    let calls = 0;
    const moody = defineValue({
      name: "moody",
      version: 1,
      initial: () => 0,
      commands: { add: (n) => ({ reply: n + (calls++ % 3), value: n + 1 }) },
      queries: { get: (n) => n },
    });
    const workload = { next: () => ({ kind: "command", name: "add", arg: undefined }) as const };
    const result = await runSimulation({ seed: 1, value: moody, workload, settings: small });
    assert.match(result.failure?.message ?? "", /applied add -> .* where another member applied/);
  });

  test("answers that are not linearizable", async () => {
    let lies = 0;
    const forgetful = defineValue({
      name: "forgetful",
      version: 1,
      initial: () => 0,
      commands: { add: (n) => ({ reply: n + 1, value: n + 1 }) },
      // Only queries lie, so that members agree all the same.
      queries: { get: (n) => (n > 20 && lies++ === 3 ? n - 10 : n) },
    });
    const result = await runSimulation({
      seed: 2,
      value: forgetful,
      workload: {
        next: (random) =>
          random.next() < 0.5
            ? { kind: "query", name: "get", arg: undefined }
            : { kind: "command", name: "add", arg: undefined },
      },
      settings: small,
      faults: [],
    });
    assert.match(result.failure?.message ?? "", /not linearizable/);
    assert.match(result.failure?.message ?? "", /get\(\) -> \d+ <- cannot be placed/);
  });
});
