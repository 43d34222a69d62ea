/** A value that drifts apart without a differing reply shows in snapshots at the same index. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompareHashes } from "../../src/core/types.js";
import { defineValue } from "../../src/value/define.js";
import type { Codec } from "../../src/ports.js";
import { codec } from "./log.js";
import { electedThree, type Node, type Replicas } from "./replicas.js";

/** Counts are right and replies are the same everywhere; what nobody replies is not. */
const drifting = defineValue({
  name: "drifting",
  version: 1,
  initial: () => ({ count: 0, seen: [] as readonly number[] }),
  commands: {
    inc: ({ count, seen }, by: number) => ({
      reply: count + by,
      value: { count: count + by, seen: [...seen.slice(-9), by] },
    }),
    stray: ({ count, seen }) => ({
      reply: count,
      value: { count, seen: [...seen.slice(-9), Math.random()] },
    }),
  },
  queries: { get: ({ count }) => count },
});

const small = { minSnapshotLogBytes: 600, snapshotLogFactor: 1, trailingLogBytes: 100_000 };

function send(group: Replicas, session: number, from: number, to: number, name = "inc"): void {
  const { id } = group.leader();
  for (let i = from; i <= to; i++)
    group.command(id, session, i, name, name === "inc" ? 1 : undefined);
}

function ownIndices({ replica }: Node): number[] {
  return replica.comparison.marks.own.map(({ index }) => index);
}

function snapshotIndex({ replica }: Node): number {
  return replica.core.snapshot?.index ?? 0;
}

test("hazard 92: a handler that drifts silently is reported by the followers, after the snapshot's index", () => {
  const { group, a, b, c } = electedThree(drifting, small);
  const session = group.register();
  send(group, session, 1, 30);
  group.beat();
  group.beat();
  assert.ok(snapshotIndex(a) > 0);
  assert.deepEqual(ownIndices(b), ownIndices(a), "snapshots at the same entries");
  assert.deepEqual([...b.diverged, ...c.diverged], [], "members that agree raise no alarm");
  send(group, session, 31, 31, "stray");
  const before = snapshotIndex(a);
  for (let i = 32; snapshotIndex(a) === before; i++) send(group, session, i, i);
  group.beat();
  group.beat();
  assert.deepEqual(b.diverged, [snapshotIndex(a)]);
  assert.deepEqual(c.diverged, [snapshotIndex(a)]);
  assert.deepEqual(a.diverged, []);
  send(group, session, 200, 240);
  group.beat();
  assert.equal(b.diverged.length, 1, "it is reported once");
});

test("nobody drifts by being restored, restarted or told by another leader", () => {
  const { group, a, c } = electedThree(drifting, { ...small, trailingLogBytes: 0 });
  const session = group.register();
  send(group, session, 1, 15);
  group.beat();
  // c is restored from a's snapshot, b from its own.
  group.cut.add("a->c");
  send(group, session, 16, 45);
  group.cut.clear();
  for (let i = 0; i < 5; i++) group.beat();
  assert.equal(c.replica.core.lastApplied, a.replica.core.lastApplied);
  const restarted = group.restart("b");
  group.beat();
  let told = 0;
  for (let i = 46; i < 200; i++) {
    send(group, session, i, i);
    if (i % 3 === 0) group.beat();
    const { marks } = restarted.replica.comparison;
    const shared = marks.own.filter((mark) => marks.told.some(({ index }) => index === mark.index));
    told = Math.max(told, shared.length);
  }
  assert.ok(told > 0, "b has compared its value after its restart");
  assert.ok(ownIndices(c).some((index) => ownIndices(a).includes(index)));
  assert.deepEqual(
    [a, restarted, c].flatMap(({ diverged }) => diverged),
    [],
  );
});

test("a follower that takes one on request is back in step with its leader's next one", () => {
  const { group, a, b } = electedThree(drifting, small);
  const session = group.register();
  send(group, session, 1, 12);
  group.post("b", { type: "snapshotRequested", request: group.request() });
  group.settle();
  assert.notEqual(snapshotIndex(b), snapshotIndex(a));
  group.beat();
  const before = snapshotIndex(a);
  for (let i = 13; snapshotIndex(a) === before; i++) {
    send(group, session, i, i);
    group.beat();
  }
  group.beat();
  assert.equal(snapshotIndex(b), snapshotIndex(a));
});

test("a snapshot that is taken later than the leader's is compared when it is there", () => {
  const { group, a, b } = electedThree(drifting, small);
  const session = group.register();
  send(group, session, 1, 1, "stray");
  // Entries reach b last of all.
  group.cut.add("a->b");
  const before = snapshotIndex(a);
  for (let i = 2; snapshotIndex(a) === before; i++) send(group, session, i, i);
  group.cut.clear();
  const { own } = a.replica.comparison.marks;
  const message: CompareHashes = {
    type: "compareHashes",
    term: a.replica.core.currentTerm,
    indices: [],
    hashes: [],
    snapshot: own.at(-1)!,
  };
  group.post("b", { type: "messageReceived", from: "a", message, nowMs: group.nowMs });
  group.settle();
  assert.deepEqual(b.diverged, []);
  for (let i = 0; i < 3; i++) group.beat();
  assert.deepEqual(b.diverged, [own.at(-1)!.index]);
});

test("nothing is made of a codec that does not call itself canonical", () => {
  const own: Codec = {
    encode: (value) =>
      codec.encode(typeof value === "object" ? { value, order: Math.random() } : { value }),
    decode: (bytes) => (codec.decode(bytes) as { value: unknown }).value,
  };
  const loose = defineValue({
    name: "loose",
    version: 1,
    codec: own,
    initial: () => ({ count: 0 }),
    commands: { inc: ({ count }, by: number) => ({ reply: count, value: { count: count + by } }) },
    queries: {},
  });
  const { group, a, b } = electedThree(loose, small);
  const session = group.register();
  send(group, session, 1, 40);
  for (let i = 0; i < 3; i++) group.beat();
  assert.ok(snapshotIndex(a) > 0);
  assert.deepEqual([ownIndices(a), ownIndices(b), b.diverged], [[], [], []]);
});

test("marks of an older term, of a stranger, of another version, or of nonsense are ignored", () => {
  const { group, a, b } = electedThree(drifting, small);
  const session = group.register();
  send(group, session, 1, 30);
  group.beat();
  const [mark] = b.replica.comparison.marks.own;
  const { currentTerm: term } = b.replica.core;
  const tell = (from: string, change: object, inTerm = term): void => {
    const snapshot = { ...mark!, valueHash: 1, ...change };
    const message = { type: "compareHashes", term: inTerm, indices: [], hashes: [], snapshot };
    const event = { type: "messageReceived", from, message: message as never, nowMs: group.nowMs };
    group.post("b", event as never);
    group.settle();
  };
  const counted = (): unknown[] => {
    const { countedFrom, countedSizeBytes, appliedBytes } = b.replica.core;
    return [countedFrom, countedSizeBytes, appliedBytes];
  };
  const before = counted();
  tell("c", {});
  tell("a", {}, term - 1);
  tell("a", { valueVersion: 2 });
  for (const index of [NaN, -1, 0.5, 1e15, Infinity]) tell("a", { index });
  for (const sizeBytes of [NaN, -1, 0.5]) tell("a", { index: mark!.index - 1, sizeBytes });
  assert.deepEqual(b.diverged, []);
  assert.deepEqual(counted(), before);
  send(group, session, 31, 40);
  assert.equal(snapshotIndex(b), snapshotIndex(a));
});
