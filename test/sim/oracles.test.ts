/** The onlookers of a simulation can fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimDisk } from "../../src/sim/disk.js";
import { DurabilityOracle, DurableMark } from "../../src/sim/durability.js";
import { GroupOracle } from "../../src/sim/oracles.js";

test("a command that is applied by two entries, or in two ways by one, is a violation", () => {
  const found: string[] = [];
  const oracle = new GroupOracle("g", (message) => found.push(message));
  const at = (index: number) => ({ index, term: 1, timeMs: 0 });
  oracle.applied("a", at(5), "inc -> 1", "op 1");
  oracle.applied("b", at(5), "inc -> 1", "op 1");
  assert.deepEqual(found, []);
  oracle.applied("b", at(6), "inc -> 2", "op 1");
  assert.deepEqual(found.splice(0), [
    "group g: b applied command op 1 at 6 and at 5: not exactly once",
  ]);
  oracle.applied("a", at(6), "inc -> 3", null);
  assert.match(found.join(), /^group g: a applied inc -> 3 at 6, where another .* inc -> 2; /);
});

test("a vote or an acknowledgement that leaves before it is on the disk is a violation", () => {
  const found: string[] = [];
  const mark = new DurableMark();
  const disk = { marks: new Map([["g", mark]]) } as unknown as SimDisk;
  const oracle = new DurabilityOracle(
    () => disk,
    (message) => found.push(message),
  );
  const channel = { group: "g", from: "a#1", to: "b#1" };
  const vote = { type: "requestVoteReply", term: 2, granted: true } as never;
  const stored = { type: "appendEntriesReply", term: 2, success: true, matchIndex: 4 } as never;
  oracle.sent("a", channel, vote);
  oracle.sent("a", channel, stored);
  assert.match(found[0]!, /granted b#1 a vote in term 2, but its disk has term 0/);
  assert.match(found[1]!, /acknowledged index 4 in term 2, but its disk has term 0/);
  mark.hardState = { currentTerm: 2, votedFor: "b#1" } as never;
  mark.snapshot(4);
  oracle.sent("a", channel, vote);
  oracle.sent("a", channel, stored);
  assert.equal(found.length, 2);
});
