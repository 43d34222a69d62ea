/** A clone is equal, does the same, and shares nothing that changes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cloneCore, endTurn, step } from "../../src/core/index.js";
import type { Core } from "../../src/core/state.js";
import type { CoreEffect, CoreEvent } from "../../src/core/types.js";
import { startWalk, takeStep, type Walk } from "./walk.js";

/** The newest slice of the log, and what the shell keeps of a core at rest, are no state. */
function stateOf(core: Core): unknown {
  return structuredClone({ ...core, rest: null, log: { ...core.log, shared: null } });
}

function run(core: Core, event: CoreEvent): CoreEffect[] {
  const out: CoreEffect[] = [];
  step(core, event, out);
  endTurn(core, out);
  return out;
}

function someEvent({ cluster, random }: Walk, to: string): CoreEvent {
  const letters = cluster.bag.filter((letter) => letter.to === to);
  const letter = letters[random.below(Math.max(1, letters.length))];
  const nowMs = cluster.nowOf(cluster.machines.get(to)!);
  if (letter !== undefined && random.below(4) > 0) {
    return { type: "messageReceived", from: letter.from, message: letter.message, nowMs };
  }
  const timer = random.below(2) === 0 ? "election" : "heartbeat";
  return { type: "timerFired", timer, nowMs };
}

/** Calls back with cores of all kinds: leaders with snapshots on their way, learners, the removed. */
function withCores(seeds: number, visit: (core: Core, event: CoreEvent) => void): Set<string> {
  const roles = new Set<string>();
  for (let seed = 1; seed <= seeds; seed++) {
    const walk = startWalk(seed, 3);
    for (let i = 0; i < 300; i++) {
      takeStep(walk);
      if (i % 10 !== 0) continue;
      for (const { core, id } of walk.cluster.live()) {
        roles.add(core!.role.type);
        visit(core!, someEvent(walk, id));
      }
    }
  }
  return roles;
}

const allRoles = ["candidate", "follower", "leader", "learner", "preCandidate", "removed"];

describe("a clone of a core", () => {
  test("is equal to it, and the same event brings both to the same state and effects", () => {
    const roles = withCores(120, (core, event) => {
      const [one, other] = [cloneCore(core), cloneCore(core)];
      assert.deepEqual(stateOf(one), stateOf(core));
      assert.deepEqual(run(one, event), run(other, event));
      assert.deepEqual(stateOf(one), stateOf(other));
    });
    assert.deepEqual([...roles].sort(), allRoles);
  });

  test("is not touched by what happens to the other, either way", () => {
    withCores(120, (core, event) => {
      const clone = cloneCore(core);
      const before = stateOf(core);
      run(clone, event);
      assert.deepEqual(stateOf(core), before);
      const [first, second] = [cloneCore(core), cloneCore(core)];
      run(first, event);
      assert.deepEqual(stateOf(second), before);
    });
  });
});
