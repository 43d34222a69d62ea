/**
 * Random walks of three and five cores from seeds. `WALK_RUNS=100000 WALK_STEPS=400 WALK_SEED=7`
 * hunts longer; `WALK_SEED=7 WALK_RUNS=1 WALK_VOTERS=3 WALK_TRACE=1` shows one run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runWalk, type Result } from "./walk.js";

const env = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);

function hunt(voters: number, runs: number, steps: number, firstSeed: number) {
  const failed: Result[] = [];
  let committed = 0;
  let excused = 0;
  for (let seed = firstSeed; seed < firstSeed + runs && failed.length < 5; seed++) {
    const result = runWalk(seed, voters, steps, process.env["WALK_TRACE"] === "1");
    committed += result.committed;
    if (result.excused) excused += 1;
    if (result.violations.length > 0) failed.push(result);
  }
  return { failed, committed, excused };
}

for (const voters of [3, 5]) {
  if (process.env["WALK_VOTERS"] !== undefined && env("WALK_VOTERS", 0) !== voters) continue;
  test(`${voters} cores keep every promise whatever happens, and work again afterwards`, () => {
    const runs = env("WALK_RUNS", 1000);
    const steps = env("WALK_STEPS", 250);
    const { failed, committed, excused } = hunt(voters, runs, steps, env("WALK_SEED", 1));
    const shown = failed.map(({ seed, violations }) => `seed ${seed}: ${violations[0]}`);
    assert.deepEqual(shown, []);
    // A storm in which nothing is ever committed proves nothing.
    assert.ok(committed > 5 * runs, `only ${committed} entries committed in ${runs} runs`);
    assert.ok(excused < runs / 10, `${excused} of ${runs} runs could not be healed`);
  });
}
