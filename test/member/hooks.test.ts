/** What a program is told by hooks and events, and by which member. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Entry } from "../../src/core/types.js";
import type { GroupHooks } from "../../src/member/types.js";
import { defineValue } from "../../src/value/define.js";
import { appendOf, counter, Lab, longLog } from "./harness.js";

type Told = [hook: keyof GroupHooks, what: unknown][];

function listen(told: Told): GroupHooks {
  const tell =
    (hook: keyof GroupHooks) =>
    (what: unknown): void =>
      void told.push([hook, what]);
  return {
    onCommandCommitted: tell("onCommandCommitted"),
    onQueryAnswered: tell("onQueryAnswered"),
    onFollowerAdded: tell("onFollowerAdded"),
    onFollowerRemoved: tell("onFollowerRemoved"),
    onElected: tell("onElected"),
    onRestored: tell("onRestored"),
  };
}

/** As the leader c#1 of that term. */
function append(
  lab: Lab,
  term: number,
  prevLogIndex: number,
  prevLogTerm: number,
  entries: Entry[],
) {
  const commitIndex = prevLogIndex + entries.length;
  lab.receive("c#1", appendOf({ term, prevLogIndex, prevLogTerm, commitIndex, entries }));
}

describe("hooks", () => {
  test("hear of every election, and of the restoring with the first of them only", async () => {
    const lab = new Lab(counter);
    const told: Told = [];
    await lab.restore({}, listen(told));
    lab.lead();
    const first = lab.member.term;
    assert.deepEqual(told.splice(0), [
      ["onElected", { term: first }],
      ["onRestored", { lastApplied: 0 }],
    ]);
    append(lab, first + 1, 3, first, []);
    lab.lead();
    assert.deepEqual(told, [["onElected", { term: lab.member.term }]]);
  });

  test("hear of a query from the leader that answered it, and of none that failed", async () => {
    const told: Told = [];
    const lab = new Lab(
      defineValue({
        name: "counter",
        version: 1,
        initial: () => 7,
        commands: {},
        queries: {
          get: (n: number) => n,
          fail: (): number => {
            throw new Error("the handler's own trouble");
          },
        },
      }),
    );
    await lab.restore({}, listen(told));
    lab.lead();
    told.length = 0;
    lab.query(10, "get");
    lab.query(11, "fail");
    lab.settle();
    lab.acknowledge();
    const statuses = [10, 11].map((request) => lab.repliesTo(request)[0]?.status);
    assert.deepEqual(statuses, ["ok", "queryFailed"]);
    assert.deepEqual(told, [["onQueryAnswered", { name: "get", arg: undefined, answer: 7 }]]);
    assert.ok(lab.log.every((line) => !line.includes("hook")));
  });

  test("hear from the leader who has left, once that is committed", async () => {
    const lab = new Lab(counter);
    const told: Told = [];
    await lab.restore({}, listen(told));
    lab.lead();
    told.length = 0;
    lab.admin(1, "remove", { id: "c#1" });
    lab.settle();
    assert.deepEqual(told, []);
    lab.acknowledge();
    lab.acknowledge();
    assert.equal(lab.repliesTo(1)[0]?.status, "ok");
    assert.deepEqual(told, [["onFollowerRemoved", { id: "c#1" }]]);
  });

  test("cost the member nothing, whatever they throw and their promises reject with", async () => {
    const lab = new Lab(counter);
    const odd = Object.create(null) as Error;
    await lab.restore(
      {},
      {
        onElected: () => {
          throw odd;
        },
        onRestored: () => Promise.reject(odd),
      },
    );
    lab.lead();
    assert.equal(lab.ended, null);
    await Promise.resolve();
    const failed = "failed: something was thrown that has no text";
    const told = lab.log.filter((line) => line.includes("hook"));
    assert.deepEqual(told, [`hook onElected ${failed}`, `hook onRestored ${failed}`]);
  });

  test("hear from a follower neither of commands nor of members", async () => {
    const lab = new Lab(counter);
    const told: Told = [];
    await lab.restore({}, listen(told));
    const members = ["a", "b"].map((id) => ({ id: `${id}#1`, address: `${id}:1` }));
    const payload = { voters: ["a#1", "b#1"], outgoing: [], learners: [], members };
    const log = longLog(counter, 2);
    const last: Entry = { ...log.at(-1)!, index: 6, kind: "membership", payload };
    append(lab, 2, 2, 1, [...log, last]);
    assert.equal(lab.member.replica.core.lastApplied, 6);
    assert.deepEqual(lab.member.membership.voters, ["a#1", "b#1"]);
    assert.deepEqual(told, []);
  });
});

test("a difference to the leader is told once, with the first index at which it was seen", async () => {
  const lab = new Lab(counter);
  await lab.restore();
  append(lab, 2, 2, 1, longLog(counter, 2));
  // The leader is asked for what is older, and knows nothing.
  for (const index of [4, 4, 5]) {
    lab.receive("c#1", {
      ...{ type: "compareHashes", term: 2, indices: [index], hashes: [1], snapshot: null },
    });
  }
  const told = lab.events.filter(({ type }) => type === "divergence");
  assert.deepEqual(told, [{ type: "divergence", index: 4 }]);
  assert.deepEqual(lab.member.currentEvents().at(-1), told[0]);
});

test("a difference that comes back after the leader's snapshot took its place is told again", async () => {
  const leader = new Lab(counter);
  await leader.restore();
  append(leader, 2, 2, 1, longLog(counter, 2));
  leader.admin(1, "snapshot", null);
  leader.settle();
  const snapshot = leader.member.replica.core.snapshot!;
  const data = Buffer.concat(await leader.storage.loadSnapshot("g"));

  const lab = new Lab(counter);
  await lab.restore();
  append(lab, 2, 2, 1, longLog(counter, 1));
  const differs = (index: number): void =>
    lab.receive("c#1", {
      ...{ type: "compareHashes", term: 2, indices: [index], hashes: [1], snapshot: null },
    });
  differs(4);
  differs(4);
  lab.receive("c#1", {
    ...{ type: "installSnapshot", term: 2, snapshot, offset: 0, data },
    ...{ round: 2, sentAtMs: 0, promiseMs: 1000 },
  });
  while (lab.member.replica.core.lastApplied < snapshot.index) {
    await new Promise((resolve) => setImmediate(resolve));
    lab.settle();
  }
  append(lab, 2, 5, 2, longLog(counter, 3).slice(3));
  differs(6);
  differs(6);
  const told = lab.events.filter(({ type }) => type === "divergence");
  assert.deepEqual(
    told.map((event) => event.type === "divergence" && event.index),
    [4, 6],
  );
  assert.equal(lab.log.filter((line) => line.startsWith("divergence")).length, 2);
  assert.deepEqual(lab.member.currentEvents().at(-1), told[0], "the first index is kept");
});

test("a caller is told that a command whose handler threw had no effect, and no hook hears of it", async () => {
  const lab = new Lab(
    defineValue({
      name: "counter",
      version: 1,
      initial: () => 0,
      commands: {
        inc: (_n: number, _by: number): { reply: number; value: number } => {
          throw new Error("the handler's own trouble");
        },
      },
      queries: { get: (n: number) => n },
    }),
  );
  const told: Told = [];
  await lab.restore({}, listen(told));
  lab.lead();
  const session = lab.register();
  told.length = 0;
  lab.command(10, session, 1, "inc", 1);
  lab.settle();
  lab.acknowledge();
  const replies = lab.repliesTo(10).map(({ status, applied }) => [status, applied]);
  assert.deepEqual(replies, [["commandFailed", "no"]]);
  assert.deepEqual(told, []);
  assert.ok(lab.log.every((line) => !line.includes("hook")));
});
