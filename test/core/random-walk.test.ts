/**
 * Random walks of three and five cores from seeds. `WALK_RUNS=100000 WALK_STEPS=400 WALK_SEED=7`
 * hunts longer; `WALK_VOTERS=3 WALK_SEED=7 WALK_RUNS=1 WALK_TRACE=1` shows one run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runWalk, type Result } from "./walk.js";

const env = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);

/** A storm without these is a calm, and proves nothing. */
const expected = [
  ...["crash", "restart", "cut", "stalled", "storageFailed", "peerDisconnected", "removed"],
  ...["became leader", "became preCandidate", "became learner", "membership joint committed"],
  ...["answered by leader", "answered by follower", "answered by lease", "answered at once"],
  ...["refused notLeader"],
  ...["installSnapshot", "snapshotFailed", "compactLog", "configChanged", "transferRequested"],
  ...[
    "heard beat",
    "heard beat again",
    "heard echo",
    "heard echo again",
    "beat again",
    "rest again",
    "finish",
    "left unfinished",
  ],
];

type Hunt = {
  readonly failed: Result[];
  readonly counts: Map<string, number>;
  committed: number;
  excused: number;
};

function hunt(voters: number, runs: number, steps: number, firstSeed: number): Hunt {
  const found: Hunt = { failed: [], counts: new Map(), committed: 0, excused: 0 };
  for (let seed = firstSeed; seed < firstSeed + runs && found.failed.length < 5; seed++) {
    const result = runWalk(seed, voters, steps, process.env["WALK_TRACE"] === "1");
    found.committed += result.committed;
    for (const [what, times] of result.counts) {
      found.counts.set(what, (found.counts.get(what) ?? 0) + times);
    }
    if (result.excused) found.excused += 1;
    if (result.violations.length > 0) found.failed.push(result);
  }
  return found;
}

for (const { voters, runs, steps } of [
  { voters: 3, runs: 1200, steps: 200 },
  { voters: 5, runs: 500, steps: 250 },
]) {
  if (env("WALK_VOTERS", voters) !== voters) continue;
  test(`${voters} cores keep every promise whatever happens, and work again afterwards`, () => {
    const wanted = env("WALK_RUNS", runs);
    const found = hunt(voters, wanted, env("WALK_STEPS", steps), env("WALK_SEED", 1));
    const shown = found.failed.map(({ seed, violations }) => `seed ${seed}: ${violations[0]}`);
    assert.deepEqual(shown, []);
    if (wanted < 100) return;
    assert.deepEqual(
      expected.filter((what) => !found.counts.has(what)),
      [],
    );
    assert.ok(found.committed > 5 * wanted, `only ${found.committed} entries were committed`);
    assert.ok(found.excused < wanted / 10, `${found.excused} runs could not be healed`);
  });
}
