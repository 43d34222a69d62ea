/** Messages that no honest member would send: a core may do anything with them but break. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cloneCore, endTurn, step } from "../../src/core/index.js";
import type { CoreEffect, Message } from "../../src/core/types.js";
import type { SeededRandom } from "../../src/clock/virtual.js";
import { startWalk, takeStep } from "./walk.js";

const odd: readonly number[] = [-1, 0, 1, 2, 3, 1000, 2 ** 40, Number.MAX_SAFE_INTEGER];

function oddNumber(random: SeededRandom, near: number): number {
  return random.below(2) === 0 ? near + random.below(7) - 3 : odd[random.below(odd.length)]!;
}

/** One or two numbers or flags of the message, at any depth, are others. */
function distort(message: Message, random: SeededRandom): Message {
  const copy = structuredClone(message) as Record<string, unknown>;
  const places: [Record<string, unknown>, string][] = [];
  const visit = (holder: Record<string, unknown>): void => {
    for (const [name, value] of Object.entries(holder)) {
      if (typeof value === "number" || typeof value === "boolean") places.push([holder, name]);
      else if (value instanceof Uint8Array || value === null) continue;
      else if (typeof value === "object") visit(value as Record<string, unknown>);
    }
  };
  visit(copy);
  for (let i = 1 + random.below(2); i > 0 && places.length > 0; i--) {
    const [holder, name] = places[random.below(places.length)]!;
    const value = holder[name];
    holder[name] = typeof value === "number" ? oddNumber(random, value) : value !== true;
  }
  return copy as unknown as Message;
}

test("no message makes a core throw, whatever its numbers are", () => {
  let tried = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const walk = startWalk(seed, 3);
    const { cluster, random } = walk;
    for (let i = 0; i < 250; i++) {
      takeStep(walk);
      const letter = cluster.bag[random.below(Math.max(1, cluster.bag.length))];
      if (letter === undefined) continue;
      const message = distort(letter.message, random);
      for (const machine of cluster.live()) {
        const core = cloneCore(machine.core!);
        const out: CoreEffect[] = [];
        const nowMs = cluster.nowOf(machine);
        const from = random.below(2) === 0 ? letter.from : letter.to;
        try {
          step(core, { type: "messageReceived", from, message, nowMs }, out);
          endTurn(core, out);
        } catch (error) {
          assert.fail(`seed ${seed}: ${JSON.stringify(message)} made ${String(error)}`);
        }
        tried += 1;
      }
    }
  }
  assert.ok(tried > 5000, `only ${tried} were tried`);
});
