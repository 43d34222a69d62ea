/** Rolling upgrades of the simulator's own value: what its versions agree in, and whole runs of them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../src/clock/virtual.js";
import { createCborCodec } from "../../src/codec/values.js";
import { ledgerOf, ledgerWorkload } from "../../src/sim/ledger.js";
import { newerLedgerOf } from "../../src/sim/ledger-newer.js";
import { reproduce } from "../../src/sim/shrink.js";
import {
  runSimulation,
  type SimulationOptions,
  type SimulationResult,
} from "../../src/sim/simulation.js";
import type { AnyDefinedValue } from "../../src/value/types.js";

const codec = createCborCodec();
type Handler = (value: unknown, arg: unknown, applied: unknown) => unknown;

/** A value as a member has it. */
class Kept {
  value: unknown;
  readonly #definition: AnyDefinedValue;

  constructor(definition: AnyDefinedValue, value: unknown = definition.initial()) {
    this.#definition = definition;
    this.value = value;
  }

  /** What a caller hears, as bytes. */
  call(kind: "command" | "query", name: string, arg: unknown): string {
    const { commands, queries, mutable } = this.#definition;
    const handler = ((kind === "command" ? commands : queries) as Record<string, Handler>)[name]!;
    let reply: unknown;
    try {
      reply = handler(this.value, arg, { index: 1, term: 1, timeMs: 1 });
    } catch (cause) {
      return String(cause);
    }
    if (kind === "command" && !mutable)
      ({ reply, value: this.value } = reply as Kept & { reply: unknown });
    return hex(reply);
  }
}

function hex(value: unknown): string {
  return Buffer.from(codec.encode(value)).toString("hex");
}

for (const mutable of [false, true]) {
  const [older, newer] = [ledgerOf(mutable), newerLedgerOf(mutable)];

  test(`both versions answer alike, and the older one's snapshot is the newer one's value (${mutable ? "mutable" : "pure"})`, () => {
    const random = new SeededRandom(5);
    const workload = ledgerWorkload(3);
    const [old, young] = [new Kept(older), new Kept(newer)];
    for (let i = 0; i < 400; i++) {
      const { kind, name, arg } = workload.next(random, 0);
      const called = kind === "command" ? kind : "query";
      assert.equal(young.call(called, name, arg), old.call(called, name, arg), name);
      const before = hex(old.value);
      assert.equal(hex(newer.upgrade!(codec.decode(codec.encode(old.value)), 1)), hex(young.value));
      assert.equal(hex(newer.upgrade!(old.value, 1)), hex(young.value));
      assert.equal(hex(old.value), before, "it stays as it is");
    }
  });

  test(`the older version knows nothing of the newer one (${mutable ? "mutable" : "pure"})`, () => {
    const { name, arg } = ledgerWorkload(1).nextOfNewer(new SeededRandom(2));
    assert.deepEqual(older.compatibleVersions, []);
    const known = { ...older.commands, ...older.queries };
    assert.ok(!Object.hasOwn(known, name), name);
    const young = new Kept(newer);
    const kind = Object.hasOwn(newer.commands, name) ? "command" : "query";
    assert.match(young.call(kind, name, arg), /^[\da-f]+$/);
  });
}

describe("a rolling upgrade", () => {
  const small = { machines: 3, groups: 1, clients: 4, keys: 2 };

  async function pass(options: SimulationOptions): Promise<SimulationResult> {
    const result = await runSimulation(options);
    assert.equal(result.failure, null, `${result.failure?.message}\n${reproduce(options)}`);
    return result;
  }

  function answered({ histories }: SimulationResult, handler: string): number {
    const calls = histories.flat();
    return calls.filter(({ name, outcome }) => name === handler && outcome === "ok").length;
  }

  for (const durable of [true, false]) {
    test(`comes to an end: then what only the newer version has is answered (${durable ? "durable" : "in memory"})`, async () => {
      const options = { seed: 4, faults: ["upgrade"], settings: { ...small, durable } };
      const result = await pass(options);
      assert.ok((result.faults.get("early") ?? 0) > 0, "it was asked before as well");
      assert.ok(answered(result, "seal") > 0 && answered(result, "seals") > 0);
    });
  }

  test("is not begun for a value of one's own, which has one version", async () => {
    const value = ledgerOf(false);
    const workload = ledgerWorkload(2);
    const result = await pass({ seed: 4, faults: ["upgrade"], value, workload, settings: small });
    assert.equal(result.faults.get("upgrade"), undefined);
    assert.equal(answered(result, "seal"), 0);
  });
});
