/** What a caller is told that asks one command again and again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../src/clock/virtual.js";
import { RaftError } from "../../src/errors.js";
import type { CallOutcome } from "../../src/sim/outcome.js";
import { insist } from "../../src/sim/own-ids.js";

const refused = (applied: "no" | "maybe"): CallOutcome => ({
  type: "refused",
  error: new RaftError("timeout", "no answer", { applied }),
});
const threw: CallOutcome = {
  type: "refused",
  error: new RaftError("commandFailed", "odd", { applied: "no" }),
};
const ok = (reply: unknown): CallOutcome => ({ type: "ok", reply });

/** The tries come to these ends, the last one for ever. */
async function insistOn(seed: number, ends: readonly CallOutcome[]) {
  let tries = 0;
  const found: string[] = [];
  const outcome = await insist({
    random: new SeededRandom(seed),
    attempt: () => Promise.resolve(ends[Math.min(tries++, ends.length - 1)]!),
    fail: (message) => found.push(message),
  });
  return { outcome, found, tries };
}

const seeds = Array.from({ length: 40 }, (_, seed) => seed);

describe("a command that is asked again", () => {
  test("has the answer that any of its tries had, whatever the others heard", async () => {
    for (const seed of seeds) {
      const { outcome, found } = await insistOn(seed, [refused("maybe"), ok(7)]);
      assert.deepEqual([outcome, found], [ok(7), []]);
    }
  });

  test("is in doubt when one of its tries is, and certain when none is", async () => {
    for (const seed of seeds) {
      const doubtful = await insistOn(seed, [refused("maybe"), refused("no")]);
      assert.deepEqual(doubtful.outcome, refused("maybe"));
      const certain = await insistOn(seed, [refused("no")]);
      assert.deepEqual(certain.outcome, refused("no"));
    }
  });

  test("is not let go while it is in doubt, and not asked without end", async () => {
    for (const seed of seeds) {
      const { tries } = await insistOn(seed, [refused("maybe")]);
      assert.ok(tries >= 8 && tries <= 24, `${tries} tries`);
    }
  });

  test("has one answer: two that differ are a violation, as is one that threw and one that did not", async () => {
    const seen = async (ends: readonly CallOutcome[]): Promise<Set<string>> => {
      const all = await Promise.all(seeds.map((seed) => insistOn(seed, ends)));
      return new Set(all.flatMap(({ found }) => found));
    };
    const replies = [...(await seen([ok(1), ok(2)]))];
    assert.match(replies.join(), /^one id was answered with [\da-z.]+ and with [\da-z.]+$/);
    const throws = [...(await seen([threw, ok(2)]))];
    assert.match(throws.join(), /^one id was answered commandFailed and with [\da-z.]+$/);
    assert.deepEqual([...(await seen([ok(1), ok(1)]))], []);
  });
});
