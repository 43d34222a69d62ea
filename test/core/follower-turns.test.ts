/** What a follower makes of several messages within one turn, and whom it lets wait. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  bootstrapEntries,
  type Core,
  type CoreEffect,
  type CoreEvent,
  createCore,
  defaultGroupConfig,
  endTurn,
  type Entry,
  type EntryKind,
  type Membership,
  type Message,
  step,
} from "../../src/core/index.js";

const self = { id: "a#1", address: "a:1" };
const body = new Uint8Array(0);

function membershipOf(voters: readonly string[], change: Partial<Membership> = {}): Membership {
  const members = ["a#1", "b#1", "c#1"].map((id) => ({ id, address: `${id[0]}:1` }));
  return { voters, outgoing: [], learners: [], members, ...change };
}

function entry(index: number, term: number, payload: Membership | null = null): Entry {
  const kind: EntryKind = payload === null ? "command" : "membership";
  const base = { session: 0, sequence: 0, lowestOutstanding: 0, timeMs: 0, body };
  return { ...base, index, term, kind, payload };
}

/** Its log: the configuration, and `membership` at 2. */
class Follower {
  readonly core: Core;
  #nowMs = 0;

  constructor(membership: Membership) {
    const [config, first] = bootstrapEntries(self, defaultGroupConfig, 0);
    this.core = createCore(
      {
        ...{ self, nowMs: 0, snapshot: null, config: defaultGroupConfig, restarted: false },
        hardState: { currentTerm: 2, votedFor: null, forcedRemovals: [] },
        entries: [config!, { ...first!, payload: membership }],
        firstReadBatch: 1,
      },
      [],
    );
  }

  turn(...events: readonly CoreEvent[]): CoreEffect[] {
    const out: CoreEffect[] = [];
    for (const event of events) step(this.core, event, out);
    endTurn(this.core, out);
    return out;
  }

  from(id: string, message: Message): CoreEvent {
    return { type: "messageReceived", from: id, message, nowMs: this.#nowMs };
  }

  /** The entries (`prev`, ...] of a leader. */
  append(id: string, term: number, prev: number, entries: Entry[], more = {}): CoreEvent {
    const times = { round: 0, sentAtMs: 0, promiseMs: 0 };
    const prevLogTerm = prev <= 2 ? 1 : 2;
    return this.from(id, {
      ...{ type: "appendEntries", term, prevLogIndex: prev, prevLogTerm, commitIndex: 0 },
      ...{ ...times, entries, ...more },
    });
  }
}

function repliesOf(out: readonly CoreEffect[]): Message[] {
  return out.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
}

describe("a follower", () => {
  test("stores what stays of entries that were cut before storage got any of them", () => {
    const one = new Follower(membershipOf(["a#1", "b#1", "c#1"]));
    const out = one.turn(
      one.append("b#1", 2, 2, [entry(3, 2), entry(4, 2), entry(5, 2)]),
      one.append("c#1", 3, 4, [entry(5, 3)]),
    );
    const stores = out.filter((effect) => effect.type === "store");
    assert.deepEqual(
      stores.map(({ truncateFrom, entries }) => [
        truncateFrom,
        entries.map(({ index, term }) => `${index}@${term}`),
      ]),
      [[0, ["3@2", "4@2", "5@3"]]],
    );
  });

  test("echoes a read round that comes with entries before these are stored, and once", () => {
    const one = new Follower(membershipOf(["a#1", "b#1", "c#1"]));
    one.turn(one.append("b#1", 2, 2, []));
    assert.deepEqual(repliesOf(one.turn(one.append("b#1", 2, 2, [entry(3, 2)]))), []);
    const [echo] = repliesOf(one.turn(one.append("b#1", 2, 3, [entry(4, 2)], { round: 1 })));
    assert.ok(echo?.type === "appendEntriesReply" && echo.success);
    assert.deepEqual([echo.round, echo.matchIndex], [1, 2]);
    const again = one.append("b#1", 2, 4, [entry(5, 2)], { round: 1 });
    assert.deepEqual(repliesOf(one.turn(again)), []);
  });

  test("tells nobody of a removal by an entry that may be cut, whatever was applied before", () => {
    const two = membershipOf(["a#1", "b#1"], { members: membershipOf([]).members.slice(0, 2) });
    const one = new Follower(two);
    const three = ["a#1", "b#1", "c#1"];
    // c joins and leaves; that it leaves at all is not committed.
    const entries = [
      entry(3, 2, membershipOf(three, { outgoing: ["a#1", "b#1"] })),
      entry(4, 2, membershipOf(three)),
      entry(5, 2, two),
    ];
    one.turn(one.append("b#1", 2, 2, [], { commitIndex: 2 }));
    const ask = { type: "preVote", term: 3, lastLogIndex: 4, lastLogTerm: 2 } as const;
    const out = one.turn(
      one.append("b#1", 2, 2, entries, { commitIndex: 4 }),
      one.from("c#1", ask),
    );
    const told = repliesOf(out).find(({ type }) => type === "preVoteReply");
    assert.ok(told?.type === "preVoteReply");
    assert.equal(told.removed, false);
  });

  test("as a learner, lets no read wait for entries of a leader that has gone", () => {
    const one = new Follower(
      membershipOf(["b#1", "c#1"], { learners: [{ id: "a#1", promote: false, replaces: null }] }),
    );
    one.turn(one.append("b#1", 2, 2, []));
    one.turn({ type: "readRequested", request: 1, nowMs: 0 });
    const reply = { type: "readIndexReply", term: 2, batch: 1, readIndex: 9 } as const;
    one.turn(one.from("b#1", reply));
    const out = one.turn({ type: "timerFired", timer: "election", nowMs: 5000 });
    assert.deepEqual(
      out.filter(({ type }) => type === "refused"),
      [{ type: "refused", request: 1, code: "unavailable", applied: "no" }],
    );
  });
});
