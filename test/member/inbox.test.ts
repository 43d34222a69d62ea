/** What waits for a member's next turn is bounded, and what it takes in goes on as it came. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lastIndex } from "../../src/core/log.js";
import { counter, Lab, longLog } from "./harness.js";

/** What the harness gives a member's inbox. */
const inboxBytes = 1_000_000;

async function leader(): Promise<Lab> {
  const lab = new Lab(counter);
  await lab.restore();
  lab.lead();
  return lab;
}

function isTakenAgain(lab: Lab): void {
  lab.settle();
  lab.member.request(lab.sink, { type: "register", request: 99_999, nonce: 99_999 });
  assert.deepEqual(lab.repliesTo(99_999), []);
}

describe("an inbox is filled", () => {
  test("by requests that have no body as well", async () => {
    const lab = await leader();
    const count = 20_000;
    for (let request = 1; request <= count; request++) {
      lab.member.request(lab.sink, { type: "register", request, nonce: request });
    }
    const { length } = lab.replies;
    assert.ok(length > count / 2 && length < count, `${length} were refused`);
    for (const { status, applied } of lab.replies) {
      assert.deepEqual([status, applied], ["overloaded", "no"]);
    }
    isTakenAgain(lab);
  });

  test("by commands, each with its body", async () => {
    const lab = await leader();
    const body = new Uint8Array(inboxBytes * 0.3);
    const base = { type: "command", session: 1, lowestOutstanding: 1, body } as const;
    for (let sequence = 1; sequence <= 5; sequence++) {
      lab.member.request(lab.sink, { ...base, request: sequence, sequence });
    }
    assert.deepEqual(
      lab.replies.map(({ request, status, applied }) => [request, status, applied]),
      [4, 5].map((request) => [request, "overloaded", "no"]),
    );
    isTakenAgain(lab);
  });

  test("by what peers send, of which the rest is lost as on a network", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    const entries = longLog(counter, 4);
    entries.forEach((entry, at) => {
      const [prevLogIndex, prevLogTerm] = [entry.index - 1, at === 0 ? 1 : 2];
      const message = {
        ...{ type: "appendEntries" as const, term: 2, prevLogIndex, prevLogTerm, entries: [entry] },
        ...{ commitIndex: 2, round: 1, sentAtMs: 0, promiseMs: 1000 },
      };
      lab.member.receive("c#1", message, inboxBytes * 0.3);
    });
    lab.settle();
    assert.equal(lastIndex(lab.member.replica.core.log), entries[2]!.index);
    isTakenAgain(lab);
  });
});

test("a command's entry says which replies its client has, so that nobody keeps them", async () => {
  const lab = await leader();
  const session = lab.register();
  lab.command(10, session, 1, "inc", 1);
  lab.settle();
  lab.acknowledge();
  const body = lab.take("c#1", "appendEntries").entries.at(-1)!.body;
  const command = { type: "command", session, sequence: 2, lowestOutstanding: 2, body } as const;
  lab.member.request(lab.sink, { ...command, request: 11 });
  lab.settle();
  assert.equal(lab.take("b#1", "appendEntries").entries[0]!.lowestOutstanding, 2);
});

test("election timeouts differ each time, and lie between one and two electionTimeoutMs", async () => {
  const lab = new Lab(counter);
  await lab.restore({ electionTimeoutMs: 1000 });
  const waits = new Set<number>();
  for (let round = 1; round <= 50; round++) {
    lab.receive("c#1", {
      ...{ type: "appendEntries", term: 2, prevLogIndex: 2, prevLogTerm: 1, entries: [] },
      ...{ commitIndex: 2, round, sentAtMs: 0, promiseMs: 1000 },
    });
    waits.add(lab.member.earliestMs - lab.clock.nowMs());
    lab.clock.advance(100);
  }
  const [least, most] = [Math.min(...waits), Math.max(...waits)];
  assert.ok(least >= 1000 && least < 1200, `${least} ms`);
  assert.ok(most <= 2010 && most > 1800, `${most} ms`);
  assert.ok(waits.size > 25, `${waits.size} different ones`);
});
