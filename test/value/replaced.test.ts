/** What a replica has found of its value, and what it makes of what leaders tell, once a snapshot takes its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GroupConfig, SnapshotMeta } from "../../src/core/types.js";
import { beatReplicaAgain, cloneReplica, createReplica } from "../../src/replica.js";
import { defineValue } from "../../src/value/define.js";
import { codec, fingerprint } from "./log.js";
import { electedThree, type Node, readWhole, type Replicas } from "./replicas.js";

/** Differs in a reply (`roll`) or in the value alone (`stray`). */
const dice = defineValue({
  name: "dice",
  version: 1,
  initial: () => ({ n: 0, strayed: 0 }),
  commands: {
    inc: (v, by: number) => ({ reply: v.n + by, value: { ...v, n: v.n + by } }),
    roll: (v) => ({ reply: Math.random(), value: v }),
    stray: (v) => ({ reply: null, value: { ...v, strayed: Math.random() } }),
  },
  queries: {},
});

class Game {
  readonly group: Replicas;
  readonly a: Node;
  readonly b: Node;
  readonly session: number;
  #sequence = 0;

  constructor(config: Partial<GroupConfig> = {}) {
    const { group, a, b } = electedThree(dice, config);
    this.group = group;
    this.a = a;
    this.b = b;
    this.session = group.register();
    this.beat();
  }

  /** Index of the entry. */
  play(name: string): number {
    this.#sequence += 1;
    this.group.command("a", this.session, this.#sequence, name, name === "inc" ? 1 : undefined);
    return this.a.replica.core.lastApplied;
  }

  many(count: number): void {
    for (let i = 0; i < count; i++) this.play("inc");
  }

  /** Many at once. */
  flood(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#sequence += 1;
      this.group.propose("a", this.session, this.#sequence, "inc", 1);
    }
    this.group.settle();
  }

  beat(): void {
    this.group.beat();
    this.group.beat();
  }

  snapshot(id: string): SnapshotMeta {
    this.group.post(id, { type: "snapshotRequested", request: this.group.request() });
    this.group.settle();
    return this.group.node(id).disk.snapshot!;
  }

  /** Both take one at the same entry, and b is told of a's. */
  compareValues(): void {
    this.beat();
    for (const id of ["b", "a"]) this.snapshot(id);
    assert.equal(this.b.disk.snapshot!.index, this.a.disk.snapshot!.index);
    this.beat();
  }

  /** The leader's snapshot takes the place of what b has. */
  replace(): SnapshotMeta {
    this.group.cut.add("a->b");
    this.many(3);
    const snapshot = this.snapshot("a");
    this.group.cut.clear();
    for (let i = 0; i < 4; i++) this.group.beat();
    assert.equal(this.b.replica.core.snapshot?.index, snapshot.index);
    assert.deepEqual(fingerprint(this.b.replica.applier), fingerprint(this.a.replica.applier));
    return snapshot;
  }
}

test("hazard 92: who was replaced by the leader's snapshot reports the next difference as well", () => {
  const game = new Game();
  const first = game.play("roll");
  game.beat();
  assert.deepEqual(game.b.diverged, [first]);
  game.replace();
  game.many(3);
  game.beat();
  assert.deepEqual(game.b.diverged, [first], "nothing differs any more");
  const second = game.play("roll");
  game.beat();
  assert.deepEqual(game.b.diverged, [first, second]);
});

test("hazard 92: a search whose answers were lost does not go on in the value that took its place", () => {
  for (const what of ["roll", "stray"]) {
    const game = new Game();
    game.many(100);
    game.play("roll");
    game.many(100);
    game.group.cut.add("b->a");
    game.beat();
    assert.equal(game.b.replica.comparison.against, "a", "b searches, and is not heard");
    game.replace();
    const at = game.play(what);
    game.compareValues();
    assert.deepEqual(game.b.diverged, [at]);
  }
});

test("hazard 92: while the first reply that differs is searched, no snapshot is reported in its place", () => {
  const game = new Game();
  game.many(100);
  const roll = game.play("roll");
  game.play("stray");
  game.many(100);
  game.group.cut.add("b->a");
  game.beat();
  assert.deepEqual(game.b.diverged, []);
  // The answers of c are enough for the leader to go on.
  game.compareValues();
  assert.deepEqual(game.b.diverged, []);
  game.group.cut.clear();
  game.many(1);
  game.beat();
  assert.deepEqual(game.b.diverged, [roll]);
});

test("hazard 92: a difference that is too old to be searched by now is reported where it was seen", () => {
  const game = new Game();
  game.many(100);
  const roll = game.play("roll");
  game.many(100);
  game.group.cut.add("b->a");
  game.beat();
  const { differsAt } = game.b.replica.comparison.gap;
  assert.deepEqual(game.b.diverged, []);
  for (let i = 0; i < 3; i++) game.flood(3000);
  game.beat();
  game.group.cut.clear();
  game.many(1);
  for (let i = 0; i < 3; i++) game.beat();
  assert.deepEqual(game.b.diverged, [differsAt]);
  assert.ok(differsAt >= roll);
});

test("hazard 92: a drift that the leader's snapshot has mended is not reported again", () => {
  const game = new Game();
  game.play("stray");
  game.compareValues();
  const { index } = game.a.disk.snapshot!;
  assert.deepEqual(game.b.diverged, [index]);
  const { own } = game.a.replica.comparison.marks;
  const told = own.at(-1)!;
  game.replace();
  // Another leader may have none that is newer.
  const { currentTerm: term } = game.b.replica.core;
  for (const snapshot of [own.at(-1)!, told]) {
    const message = { type: "compareHashes", term, indices: [], hashes: [], snapshot } as const;
    const { nowMs } = game.group;
    game.group.post("b", { type: "messageReceived", from: "a", message, nowMs });
    game.group.settle();
  }
  assert.deepEqual(game.b.diverged, [index]);
});

test("hazard 92: the first entry that differs is found where the leader tells of its newest one alone", () => {
  const game = new Game();
  game.play("roll");
  const at = game.play("roll");
  game.many(5);
  game.beat();
  // Its log gives it other replies than it had, and it knows nothing of what was told.
  const again = game.group.restart("b");
  game.snapshot("a");
  game.beat();
  assert.deepEqual(again.diverged, [at - 1]);
});

test("snapshots of which an older term or a stranger tells change nothing about when the own one is due", () => {
  const game = new Game({ trailingLogBytes: 100_000 });
  game.many(5);
  game.beat();
  const { core } = game.b.replica;
  const { currentTerm: term, lastApplied } = core;
  const tell = (from: string, inTerm: number): readonly number[] => {
    const mark = { index: lastApplied - 1, valueHash: 1, valueVersion: 1, sizeBytes: 77 };
    const hashes = { indices: [], hashes: [], snapshot: mark };
    const message = { type: "compareHashes", term: inTerm, ...hashes } as const;
    const { nowMs } = game.group;
    game.group.post("b", { type: "messageReceived", from, message, nowMs });
    game.group.settle();
    return [core.countedFrom, core.countedSizeBytes];
  };
  const before = [core.countedFrom, core.countedSizeBytes];
  assert.deepEqual(tell("c", term), before);
  assert.deepEqual(tell("a", term - 1), before);
  assert.deepEqual(tell("a", term), [lastApplied - 1, 77]);
});

test("a leader's heartbeat is no mere repetition while the others have not been told of all", () => {
  const game = new Game();
  game.beat();
  const { replica } = game.a;
  const isRepeated = () => beatReplicaAgain(replica, game.group.nowMs + 1, []);
  assert.equal(isRepeated(), true);
  game.play("inc");
  assert.equal(isRepeated(), false);
  game.beat();
  assert.equal(isRepeated(), true);
  game.snapshot("a");
  assert.equal(isRepeated(), false);
  game.beat();
  assert.equal(isRepeated(), true);
});

test("hazard 50: a loaded snapshot replaces the value only if it is the one that is being installed", () => {
  const game = new Game();
  game.group.cut.add("a->b");
  game.many(3);
  const meta = game.snapshot("a");
  const { replica, disk } = { replica: game.b.replica, disk: game.a.disk };
  const decoded = readWhole(replica, meta, disk.pieces);
  const before = fingerprint(replica.applier);
  const other = [
    { meta, installing: false },
    { meta: { ...meta, index: meta.index + 1 }, installing: true },
    { meta: { ...meta, term: meta.term + 1 }, installing: true },
  ];
  const sizes = { requestedBytes: meta.sizeBytes, heldBytes: 0 };
  for (const incoming of other) {
    replica.core.incoming = { ...incoming, ...sizes };
    game.group.post("b", { type: "snapshotLoaded", snapshot: meta, decoded });
    game.group.settle();
    assert.deepEqual(fingerprint(replica.applier), before);
  }
});

test("a member that came back keeps what it may have promised to a leader; a newborn one has promised nothing", () => {
  const self = { id: "d", address: "d:1" };
  const born = { self, definition: dice, codec, nowMs: 0, timeMs: 0, firstReadBatch: 1 };
  const newborn = createReplica({ ...born, freeze: true, start: { type: "join" } }, []);
  assert.equal(newborn.core.promisedUntilMs, -Infinity);
  const { group } = new Game();
  const restarted = group.restart("b");
  assert.ok(restarted.replica.core.promisedUntilMs > group.nowMs);
});

test("a clone takes no part in what its original compares", () => {
  const game = new Game();
  const clone = cloneReplica(game.b.replica);
  game.play("stray");
  game.compareValues();
  assert.equal(game.b.replica.comparison.diverged, true);
  assert.equal(clone.comparison.diverged, false);
  assert.deepEqual([clone.comparison.marks.own, clone.comparison.marks.told], [[], []]);
});
