/** Queries by the lease, at once where nothing waits for a turn, otherwise within one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupHooks } from "../../src/member/types.js";
import { defineValue } from "../../src/value/define.js";
import { appendOf, counter, Lab, longLog } from "./harness.js";

const config = { clockDriftMarginMs: 200 };

describe("a lease", () => {
  const inTurns: GroupHooks = { onQueryAnswered: () => undefined };
  const ways: { readonly title: string; readonly hooks: GroupHooks; readonly fails: boolean }[] = [
    {
      title: "that runs out while the answer is made gives way to a read round (hazard 44)",
      hooks: {},
      fails: false,
    },
    {
      title: "that runs out in a turn, which a hook asks for, does so too (hazard 44)",
      hooks: inTurns,
      fails: false,
    },
    {
      title: "that runs out while a handler fails on what may be old leaves it another try",
      hooks: {},
      fails: true,
    },
    {
      title: "that runs out in a turn while a handler fails leaves it another try",
      hooks: inTurns,
      fails: true,
    },
  ];
  for (const { title, hooks, fails } of ways) {
    test(title, async () => {
      let onGet = (): void => undefined;
      const slow = defineValue({
        name: "slow",
        version: 1,
        initial: () => 7,
        commands: { inc: (n, by: number) => ({ reply: n + by, value: n + by }) },
        queries: {
          get: (n) => {
            onGet();
            return n;
          },
        },
      });
      const lab = new Lab(slow);
      await lab.restore(config, hooks);
      lab.lead();
      lab.query(1, "get");
      lab.settle();
      assert.equal(lab.repliesTo(1)[0]?.value, 7, "the lease answers");
      onGet = () => {
        lab.clock.advance(2000);
        if (fails) throw new Error("it fails on this value");
      };
      lab.query(2, "get");
      lab.settle();
      assert.deepEqual(lab.repliesTo(2), [], "what was read may be old by now");
      onGet = () => undefined;
      lab.acknowledge();
      assert.equal(lab.repliesTo(2)[0]?.value, 7);
    });
  }

  test("answers without a turn", async () => {
    const lab = new Lab(counter);
    await lab.restore(config);
    lab.lead();
    lab.query(1, "get");
    assert.equal(lab.repliesTo(1)[0]?.value, 0);
  });

  test("is asked anew once what was found of it is over, though no turn came between", async () => {
    let made = 0;
    const counted = defineValue({
      name: "counted",
      version: 1,
      initial: () => 7,
      commands: {},
      queries: {
        get: (n) => {
          made += 1;
          return n;
        },
      },
    });
    const lab = new Lab(counted);
    await lab.restore(config);
    lab.lead();
    const beat = (times: number): void => {
      for (let beats = 0; beats < times; beats++) {
        lab.fire();
        lab.acknowledge("b#1");
        lab.acknowledge("c#1");
      }
    };
    lab.acknowledge("c#1");
    // Until there is nothing to say but that it leads, which takes no turn.
    beat(5);
    lab.query(1, "get");
    beat(10);
    lab.query(2, "get");
    assert.equal(lab.repliesTo(2)[0]?.value, 7, "the followers answer all the time");
    assert.equal(made, 2, "no answer was made in vain");
    const heardMs = lab.clock.nowMs();
    while (lab.clock.nowMs() < heardMs + 800) lab.fire();
    lab.query(3, "get");
    assert.equal(made, 2, "none is made once the lease is over");
    lab.settle();
    lab.acknowledge("b#1");
    assert.equal(lab.repliesTo(3)[0]?.value, 7);
    assert.equal(made, 3);
  });

  test("answers nothing while what came before waits for a turn", async () => {
    const lab = new Lab(counter);
    await lab.restore(config);
    lab.lead();
    const { term } = lab.member;
    const at = { term: term + 1, prevLogIndex: 3, prevLogTerm: term, commitIndex: 0 };
    lab.member.receive("c#1", appendOf(at), 100);
    lab.query(1, "get");
    assert.deepEqual(lab.repliesTo(1), []);
    lab.settle();
    assert.equal(lab.member.role, "follower");
    assert.ok(lab.repliesTo(1).every(({ status }) => status !== "ok"));
  });

  test("answers nothing before all that is committed was applied", async () => {
    const lab = new Lab(counter);
    await lab.restore(config);
    const count = 30_000;
    lab.receive("c#1", appendOf({ entries: longLog(counter, count) }));
    lab.lead();
    lab.query(1, "get");
    assert.deepEqual(lab.repliesTo(1), []);
    lab.laterTurns();
    assert.equal(lab.repliesTo(1)[0]?.value, count);
  });

  test("answers nothing before an entry of the leader's own term is committed", async () => {
    const lab = new Lab(counter);
    await lab.restore(config);
    lab.lead({ acknowledged: false });
    // It has heard the leader, and stored nothing of this term yet.
    const { term, prevLogIndex, round, sentAtMs } = lab.take("b#1", "appendEntries");
    const echo = { hintIndex: 0, hintTerm: 0, round, sentAtMs };
    const reply = { type: "appendEntriesReply", term, success: true, ...echo } as const;
    lab.receive("b#1", { ...reply, matchIndex: prevLogIndex });
    lab.query(1, "get");
    lab.settle();
    assert.deepEqual(lab.repliesTo(1), []);
    lab.receive("b#1", { ...reply, matchIndex: prevLogIndex + 1 });
    assert.equal(lab.repliesTo(1)[0]?.value, 0);
  });

  test("answers in a turn where a hook is to hear of it", async () => {
    const told: unknown[] = [];
    const lab = new Lab(counter);
    await lab.restore(config, { onQueryAnswered: ({ answer }) => told.push(answer) });
    lab.lead();
    lab.query(1, "get");
    assert.deepEqual(lab.repliesTo(1), []);
    lab.settle();
    assert.equal(lab.repliesTo(1)[0]?.value, 0);
    assert.deepEqual(told, [0]);
  });
});
