import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "../../src/core/types.js";
import { BreedingOracle } from "../../src/sim/breeding.js";
import { ledgerOf } from "../../src/sim/ledger.js";

const config = { heartbeatMs: 100, electionTimeoutMs: 1000 };
const plans = [{ name: "g", definition: ledgerOf(false), config }];
const channel = { group: "g", from: "a#1", to: "b#1" };

function beat(round: number): Message {
  return {
    ...{ type: "appendEntries", term: 3, prevLogIndex: 7, prevLogTerm: 3, commitIndex: 7 },
    ...{ round, sentAtMs: 0, promiseMs: 1000, entries: [] },
  };
}

describe("messages that breed messages (hazard 96)", () => {
  const found: string[] = [];
  const oracle = (): BreedingOracle => {
    found.length = 0;
    return new BreedingOracle(plans, (message) => found.push(message));
  };

  test("are found when the same is said more often than timers explain", () => {
    const breeding = oracle();
    for (let ms = 0; ms < 400; ms += 10) breeding.sent(channel, beat(1), ms);
    assert.deepEqual(found, []);
    breeding.sent(channel, beat(1), 400);
    assert.deepEqual(found, ["group g: a#1 to b#1: append 3: 7+0 7 1: 41 times within 400 ms"]);
  });

  test("are not seen in heartbeats, in questions that differ, in what others hear, and in answers", () => {
    const breeding = oracle();
    for (let ms = 0; ms < 100_000; ms += 100) breeding.sent(channel, beat(1), ms);
    for (let round = 2; round < 1000; round++) breeding.sent(channel, beat(round), 200_000);
    for (let to = 0; to < 1000; to++) {
      breeding.sent({ ...channel, to: `c#${to}` }, beat(1), 300_000);
    }
    const answer = { type: "requestVoteReply", term: 3, granted: false } as const;
    for (let times = 0; times < 1000; times++) breeding.sent(channel, answer, 400_000);
    assert.deepEqual(found, []);
  });
});
