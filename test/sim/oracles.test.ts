/** The onlookers of a simulation can fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimDisk } from "../../src/sim/disk.js";
import { DurabilityOracle, DurableMark } from "../../src/sim/durability.js";
import { appendEntry, createLog } from "../../src/core/log.js";
import { type Core, emptyMembership } from "../../src/core/state.js";
import type { Membership } from "../../src/core/types.js";
import { LeaseOracle } from "../../src/sim/leases.js";
import { GroupOracle } from "../../src/sim/oracles.js";
import { PromotionOracle } from "../../src/sim/promotions.js";

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

test("a command that is applied although its caller heard that it is not, before or later, is a violation", () => {
  const found: string[] = [];
  const oracle = new GroupOracle("g", (message) => found.push(message));
  oracle.refused("op 1", "overloaded");
  oracle.applied("a", { index: 5, term: 1, timeMs: 0 }, "inc -> 1", "op 1");
  oracle.applied("a", { index: 6, term: 1, timeMs: 0 }, "inc -> 2", "op 2");
  oracle.refused("op 2", "timeout");
  oracle.refused("op 3", "timeout");
  assert.deepEqual(found, [
    "group g: command op 1 was applied at 5, though its caller heard that it was not: overloaded",
    "group g: command op 2 was applied at 6, though its caller heard that it was not: timeout",
  ]);
});

test("a voter that deletes what it holds is a violation, one that was taken out or is not in yet is none", () => {
  const found: string[] = [];
  const oracle = new GroupOracle("g", (message) => found.push(message));
  const core = {
    ...{ self: { id: "a#1" }, currentTerm: 1, votedFor: null, role: { type: "leader" } },
    ...{ commitIndex: 0, lastApplied: 0, snapshot: null, log: createLog(0, 0, []) },
    memberships: [] as { index: number; membership: Membership }[],
  };
  const appends = (index: number, voters: readonly string[]): void => {
    core.memberships.push({ index, membership: { ...emptyMembership, voters } });
    oracle.look(core as unknown as Core);
  };
  appends(0, ["a#1", "b#1"]);
  oracle.deletes("c#1");
  assert.deepEqual(found, []);
  oracle.deletes("b#1");
  assert.deepEqual(found.splice(0), ["group g: b#1 deleted all that it holds, and is a voter"]);
  // Whoever is told first that the change is committed is the one that goes.
  appends(1, ["a#1"]);
  oracle.deletes("b#1");
  appends(2, ["a#1", "c#1"]);
  oracle.deletes("c#1");
  assert.deepEqual(found, []);
});

/** A leader of five entries with a follower that has acknowledged what was sent at 1000. */
function leaderOf(term: number, matchIndex: number, membership: Membership): Core {
  const entry = { term: 1, session: 0, sequence: 0, lowestOutstanding: 0, timeMs: 0 };
  const body = new Uint8Array(0);
  const taken: Membership = {
    ...{ voters: ["a#1"], outgoing: [], members: [] },
    learners: [{ id: "b#1", promote: true, replaces: null }],
  };
  const log = createLog(0, 0, []);
  appendEntry(log, { ...entry, index: 1, kind: "membership", body, payload: membershipOf("a#1") });
  appendEntry(log, { ...entry, index: 2, kind: "membership", body, payload: taken });
  const peer = { id: "b#1", ackedSentAtMs: 1000, matchIndex };
  return {
    ...{ self: { id: "a#1" }, currentTerm: term, log, commitIndex: 2, lastApplied: 2 },
    ...{ config: { electionTimeoutMs: 500, clockDriftMarginMs: 100 }, configIndex: 0 },
    ...{ membership, membershipIndex: 3 },
    role: {
      ...{ type: "leader", termStartIndex: 1, peers: [peer], leaseAllowed: true },
      ...{ leasePatienceMs: 500, leaseFloorMs: 0 },
    },
  } as unknown as Core;
}

function membershipOf(...voters: readonly string[]): Membership {
  return { voters, outgoing: [], learners: [], members: [] };
}

test("another leader within a lease is a violation, one behind it or in its term is none", () => {
  const found: string[] = [];
  const oracle = new LeaseOracle("g", (message) => found.push(message));
  const both = membershipOf("a#1", "b#1");
  const older = { ...leaderOf(2, 2, both), self: { id: "b#1" } } as Core;
  const sole = { ...leaderOf(2, 2, membershipOf("c#1")), self: { id: "c#1" } } as Core;
  const elected = (term: number, nowMs: number): void =>
    oracle.look(leaderOf(term, 2, both), () => [
      { core: leaderOf(2, 2, both), nowMs },
      { core: sole, nowMs },
      { core: older, nowMs: 1400 },
    ]);
  elected(2, 1399);
  elected(3, 1400);
  assert.deepEqual(found, []);
  elected(4, 1399);
  elected(4, 1399);
  assert.deepEqual(found, [
    "group g: a#1 was elected in term 4, and a#1 of term 2 counts on its lease for 1 ms yet",
  ]);
});

test("a voter that has not told its leader of the entry that took it in is a violation", () => {
  const found: string[] = [];
  const oracle = new PromotionOracle("g", (message) => found.push(message));
  const joint = { ...membershipOf("a#1", "b#1"), outgoing: ["a#1"] };
  oracle.look(leaderOf(1, 2, joint));
  oracle.look(leaderOf(1, 1, membershipOf("a#1", "b#1")));
  assert.deepEqual(found, []);
  oracle.look(leaderOf(1, 1, joint));
  assert.deepEqual(found, [
    "group g: a#1 makes b#1 a voter, which has told it of no entry behind 1 and was taken in by 2",
  ]);
});
