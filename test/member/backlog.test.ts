/** A long log to be applied, as after a restart: in slices, and nothing is answered too early. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { appendOf, counter, Lab, longLog } from "./harness.js";

const count = 30_000;
/** Behind the beginning of the group and the session's own entry. */
const lastIndex = 3 + count;

function append(lab: Lab, commitIndex: number): void {
  lab.receive("c#1", appendOf({ commitIndex, entries: longLog(counter, count) }));
}

describe("a long backlog", () => {
  test("is applied in slices, each in a turn of its own, without further events", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    append(lab, lastIndex);
    const { core, applier } = lab.member.replica;
    assert.equal(core.commitIndex, lastIndex);
    const first = core.lastApplied;
    assert.ok(first > 2 && first < lastIndex, `${first} of ${lastIndex} in the first turn`);
    assert.equal(applier.lastApplied, first);
    const slices = lab.laterTurns();
    assert.ok(slices.length >= 3 && Math.max(...slices) <= 5000, slices.join());
    assert.equal(core.lastApplied, lastIndex);
    assert.equal(applier.value, count);
    lab.member.turn();
    assert.equal(lab.later, 0, "and then there is nothing left to do");
  });

  test("is applied before a leader answers a query that has to see it", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    append(lab, 2);
    lab.lead();
    const { core } = lab.member.replica;
    assert.equal(core.commitIndex, lastIndex + 1, "its own no-op has committed all of it");
    assert.ok(core.lastApplied < lastIndex);
    lab.query(7, "get");
    lab.settle();
    lab.acknowledge();
    assert.deepEqual(lab.repliesTo(7), []);
    assert.ok(core.lastApplied < lastIndex, "the round was over before the backlog was");
    lab.laterTurns();
    assert.deepEqual(
      lab.repliesTo(7).map(({ status, value }) => [status, value]),
      [["ok", count]],
    );
  });
});

describe("queries that wait for an answer", () => {
  test("are bounded in bytes, by what a member's inbox may hold", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const ask = (request: number): void => {
      const body = new Uint8Array(400_000);
      lab.member.request(lab.sink, { type: "query", request, stale: false, body });
      lab.settle();
    };
    for (const request of [10, 11, 12]) ask(request);
    const told = (request: number): string[] => lab.repliesTo(request).map((each) => each.status);
    assert.deepEqual([10, 11, 12].map(told), [[], [], ["overloaded"]]);
    assert.equal(lab.repliesTo(12)[0]!.applied, "no");
    lab.acknowledge();
    assert.deepEqual(
      [10, 11].map((request) => told(request).length),
      [1, 1],
    );
    for (const request of [13, 14, 15]) ask(request);
    assert.deepEqual([13, 14, 15].map(told), [[], [], ["overloaded"]]);
  });
});
