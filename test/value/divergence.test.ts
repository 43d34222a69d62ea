/** Members whose handlers are not deterministic find each other out, to the index. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompareHashes } from "../../src/core/types.js";
import { defineValue } from "../../src/value/define.js";
import { electedThree, Replicas } from "./replicas.js";

const dice = defineValue({
  name: "dice",
  version: 1,
  initial: () => 0,
  commands: {
    inc: (v, by: number) => ({ reply: v + by, value: v + by }),
    roll: (v) => ({ reply: Math.random(), value: v }),
  },
  queries: { get: (v) => v },
});

test("hazard 92: a handler with Math.random is reported by the followers, with the first index", () => {
  const { group, a, b, c } = electedThree(dice);
  const session = group.register();
  for (let i = 1; i <= 10; i++) group.command("a", session, i, "inc", 1);
  group.beat();
  group.beat();
  assert.deepEqual([...b.diverged, ...c.diverged], []);
  for (let i = 11; i <= 50; i++) group.command("a", session, i, i === 33 ? "roll" : "inc", 1);
  const roll = a.disk.entries.find((e) => e.session === session && e.sequence === 33)!.index;
  group.beat();
  group.beat();
  assert.deepEqual(b.diverged, [roll]);
  assert.deepEqual(c.diverged, [roll]);
  assert.deepEqual(a.diverged, []);
  for (let i = 0; i < 3; i++) group.beat();
  assert.deepEqual(b.diverged, [roll]);
});

test("the first index is found among thousands of entries that were applied at once", () => {
  const { group, a, b, c } = electedThree(dice);
  const session = group.register();
  for (let i = 1; i <= 3000; i++) {
    group.propose("a", session, i, i === 1234 || i > 2500 ? "roll" : "inc", 1);
  }
  group.settle();
  group.beat();
  group.beat();
  const roll = a.disk.entries.find((e) => e.session === session && e.sequence === 1234)!.index;
  assert.deepEqual([b.diverged, c.diverged], [[roll], [roll]]);
  const sent = group.messages.filter(({ message }) => message.type === "compareHashes");
  assert.ok(sent.length < 40, `${sent.length} messages`);
});

test("one member whose program differs is the one that reports", () => {
  const odd = defineValue({
    name: "dice",
    version: 1,
    initial: () => 0,
    commands: {
      inc: (v, by: number) => ({ reply: v + by + (by === 7 ? 1 : 0), value: v + by }),
      roll: (v) => ({ reply: 0, value: v }),
    },
    queries: { get: (v) => v },
  });
  const group = new Replicas();
  const a = group.create("a", dice);
  group.fire("a", "election");
  const b = group.join("b", odd);
  const c = group.join("c", dice);
  group.beat();
  const session = group.register();
  for (let i = 1; i <= 20; i++) group.command("a", session, i, "inc", i);
  group.beat();
  group.beat();
  const seven = a.disk.entries.find((e) => e.session === session && e.sequence === 7)!.index;
  assert.deepEqual([a.diverged, b.diverged, c.diverged], [[], [seven], []]);
});

test("members that agree exchange hashes once a heartbeat, and none while nothing is applied", () => {
  const { group, b, c } = electedThree();
  const session = group.register();
  group.beat();
  group.messages.length = 0;
  const count = () =>
    group.messages.filter(({ message }) => message.type === "compareHashes").length;
  for (let i = 1; i <= 5; i++) group.command("a", session, i, "inc", 1);
  assert.equal(count(), 0);
  group.beat();
  assert.equal(count(), 2);
  group.beat();
  group.beat();
  assert.equal(count(), 2);
  assert.deepEqual([...b.diverged, ...c.diverged], []);
});

test("hashes of an older term, of a stranger, or of nonsense are ignored", () => {
  const { group, b } = electedThree();
  const { currentTerm } = b.replica.core;
  const message: CompareHashes = {
    type: "compareHashes",
    term: currentTerm,
    indices: [1],
    hashes: [1],
    snapshot: null,
  };
  const nowMs = group.nowMs;
  group.post("b", { type: "messageReceived", from: "c", message, nowMs });
  group.post("b", {
    type: "messageReceived",
    from: "a",
    message: { ...message, term: currentTerm - 1 },
    nowMs,
  });
  const empty = { ...message, indices: [], hashes: [] };
  group.post("b", { type: "messageReceived", from: "a", message: empty, nowMs });
  group.post("b", {
    type: "messageReceived",
    from: "a",
    message: { ...message, hashes: [] },
    nowMs,
  });
  group.settle();
  group.post("a", { type: "messageReceived", from: "b", message: empty, nowMs });
  group.post("b", {
    type: "messageReceived",
    from: "a",
    message: { ...message, indices: [NaN, -1, 1e15, 0.5], hashes: [1, 2, 3, 4] },
    nowMs,
  });
  group.settle();
  assert.deepEqual(b.diverged, [1]);
});
