/** Which member a caller means, who may tell a newcomer that it was taken in, and who says where a member is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { appendOf, counter, Lab } from "./harness.js";

function join(lab: Lab, request: number, memberId: string): void {
  const value = { valueName: "counter", valueVersion: 1, compatibleVersions: [] };
  lab.admin(request, "join", { memberId, address: "there:1", ...value });
  lab.settle();
}

/** Leads with b#1 and has heard nothing of c#1 for an election timeout. */
async function leadWithoutC(): Promise<Lab> {
  const lab = new Lab(counter);
  await lab.restore();
  lab.lead();
  const untilMs = lab.clock.nowMs() + 2 * lab.member.replica.core.config.electionTimeoutMs;
  while (lab.clock.nowMs() <= untilMs) {
    lab.fire();
    if (lab.sent.some(({ to }) => to === "b#1")) lab.acknowledge();
  }
  assert.equal(lab.member.role, "leader");
  return lab;
}

const membersOf = (lab: Lab): string[] => lab.member.membership.members.map(({ id }) => id);

describe("of two incarnations of one host", () => {
  test("the newer one is meant by the host's name", async () => {
    const lab = await leadWithoutC();
    join(lab, 1, "c#2");
    lab.acknowledge();
    assert.deepEqual(membersOf(lab), ["a#1", "b#1", "c#1", "c#2"]);
    lab.admin(2, "remove", { id: "c" });
    lab.settle();
    lab.acknowledge();
    assert.deepEqual(membersOf(lab), ["a#1", "b#1", "c#1"]);
  });
});

test("a newcomer hears from a leader, and from nobody else, that it was taken in", async () => {
  const lab = await leadWithoutC();
  join(lab, 1, "d#1");
  lab.acknowledge();
  join(lab, 2, "d#1");
  const { core } = lab.member.replica;
  const { commitIndex } = core;
  const prev = { prevLogIndex: commitIndex, prevLogTerm: core.currentTerm };
  lab.receive("c#1", appendOf({ term: core.currentTerm + 1, ...prev, commitIndex, entries: [] }));
  join(lab, 3, "d#1");
  const statuses = [1, 2, 3].map((request) => lab.repliesTo(request).map(({ status }) => status));
  assert.deepEqual(statuses, [["ok"], ["ok"], ["notLeader"]]);
});

test("another member that moves is looked for there before the log says so, and nobody else is", async () => {
  const lab = await leadWithoutC();
  const move = (request: number, memberId: string): void => {
    lab.admin(request, "move", { memberId, address: `${memberId}:9` });
    lab.settle();
  };
  move(1, "stranger#1");
  move(2, "a#1");
  assert.deepEqual(lab.announced, []);
  move(3, "b#1");
  assert.deepEqual(lab.announced, ["b#1 at b#1:9"]);
});
