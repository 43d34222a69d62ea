/** Core and value together: births, retries, snapshots, and members that disagree. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCborCodec } from "../../src/codec/values.js";
import { RaftError } from "../../src/errors.js";
import {
  answerQuery,
  cloneReplica,
  countSessions,
  createReplica,
  flushReplica,
  type ReplicaEffect,
  stepReplica,
} from "../../src/replica.js";
import { encodeQueryBody } from "../../src/value/body.js";
import { defineValue } from "../../src/value/define.js";
import type { AnyDefinedValue } from "../../src/value/types.js";
import { codec, counter, fingerprint, show } from "./log.js";
import { electedThree, type Node, readWhole, Replicas, type Told } from "./replicas.js";

function reply(told: Told): unknown {
  assert.ok(told.outcome !== undefined, `no outcome: ${told.by}`);
  return show(told.outcome);
}

function total(node: Node): unknown {
  const { status, body } = answerQuery(
    node.replica,
    encodeQueryBody(node.definition, codec, "get", false, undefined),
  );
  assert.equal(status, "ok");
  return codec.decode(body);
}

function assertEqual(...nodes: Node[]): void {
  const [first, ...others] = nodes.map((node) => fingerprint(node.replica.applier));
  for (const other of others) assert.deepEqual(other, first);
}

test("a new group stores its first entries before anything else and leads at once", () => {
  const group = new Replicas();
  const a = group.create("a");
  const first = a.seen[0]!;
  assert.ok(first.type === "store" && first.ticket === 0);
  assert.deepEqual(
    first.entries.map((entry) => entry.kind),
    ["config", "membership"],
  );
  assert.equal(first.hardState?.currentTerm, 1);
  group.fire("a", "election");
  assert.equal(a.replica.core.role.type, "leader");
  assert.equal(a.disk.entries.length, 3);
  const session = group.register();
  assert.equal(reply(group.command("a", session, 1, "inc", 5)), 5);
  assert.equal(countSessions(a.replica), 1);
  const again = group.restart("a");
  group.fire("a", "election");
  assert.equal(total(again), 5);
});

test("three replicas apply the same and are equal to the byte", () => {
  const { group, a, b, c } = electedThree();
  const session = group.register();
  for (let i = 1; i <= 20; i++) group.command("a", session, i, i % 3 === 0 ? "fail" : "inc", i);
  group.beat();
  assertEqual(a, b, c);
  assert.notEqual(total(a), 0);
});

test("hazard 85: a retry is answered from the session at the old leader and at the new one", () => {
  const { group, a } = electedThree();
  const session = group.register();
  const first = group.command("a", session, 1, "inc", 5);
  assert.equal(first.by, "log");
  const retried = group.command("a", session, 1, "inc", 5);
  assert.equal(retried.by, "session");
  assert.deepEqual(retried.outcome, first.outcome);
  group.beat();
  for (const other of ["b", "c"]) group.cut.add(`a->${other}`).add(`${other}->a`);
  group.nowMs += 10_000;
  group.fire("c", "election");
  group.fire("b", "election");
  const { id } = group.leader();
  assert.notEqual(id, "a");
  const elsewhere = group.command(id, session, 1, "inc", 5);
  assert.equal(elsewhere.by, "session");
  assert.deepEqual(elsewhere.outcome, first.outcome);
  assert.equal(reply(group.command(id, session, 2, "inc", 1)), 6);
  group.cut.clear();
  group.beat();
  group.beat();
  assert.equal(total(a), 6);
});

test("hazard 86: a retry under an expired session is refused by any member that knows", () => {
  const { group } = electedThree(counter, { maxSessions: 1 });
  const session = group.register();
  group.command("a", session, 1, "inc", 5);
  group.register();
  group.beat();
  for (const id of ["a", "b"]) {
    const told = group.command(id, session, 1, "inc", 5);
    assert.equal(told.by, "session");
    assert.match(reply(told) as string, /^sessionExpired\/maybe: /);
  }
});

test("a session that this member has not seen applied yet is left to the log", () => {
  const { group, a } = electedThree();
  const beyond = a.replica.core.lastApplied + 10;
  const told = group.command("a", beyond, 1, "inc", 5);
  assert.equal(told.by, "log");
  assert.match(reply(told) as string, /^sessionExpired\/maybe: /);
  assert.equal(group.command("b", beyond + 10, 1, "inc", 5).by, "notLeader");
});

test("hazard 35: a retry that is in the log twice is applied once", () => {
  const { group, a, b } = electedThree();
  const session = group.register();
  group.propose("a", session, 1, "inc", 5);
  group.propose("a", session, 1, "inc", 5);
  group.settle();
  group.beat();
  const copies = a.disk.entries.filter((entry) => entry.session === session);
  assert.equal(copies.length, 2);
  assert.equal(total(a), 5);
  assertEqual(a, b);
});

test("hazard 58: a retry after restart from a snapshot is not applied again", () => {
  const { group, a } = electedThree();
  const session = group.register();
  const first = group.command("a", session, 1, "inc", 5);
  group.post("a", { type: "snapshotRequested", request: 900 });
  group.settle();
  assert.equal(a.disk.entries.length, 0);
  assert.equal(a.disk.snapshot!.index, a.replica.core.lastApplied);
  assert.equal(a.disk.snapshot!.valueVersion, 1);
  const before = fingerprint(a.replica.applier);
  const restarted = group.restart("a");
  assert.deepEqual(fingerprint(restarted.replica.applier), before);
  const told = group.command("a", session, 1, "inc", 5);
  assert.equal(told.by, "session");
  assert.deepEqual(told.outcome, first.outcome);
});

test("a newcomer gets value, sessions and hashes by snapshot, and goes on alike", () => {
  const { group, a } = electedThree(counter, { snapshotChunkBytes: 64 });
  const session = group.register();
  for (let i = 1; i <= 10; i++) group.command("a", session, i, "keep", { i });
  group.post("a", { type: "snapshotRequested", request: 900 });
  group.settle();
  const d = group.join("d");
  for (let i = 0; i < 5; i++) group.beat();
  assert.ok(group.messages.some(({ message }) => message.type === "installSnapshot"));
  assert.ok(d.replica.core.snapshot !== null);
  group.command("a", session, 11, "inc", 1);
  group.beat();
  group.beat();
  assertEqual(a, d);
  assert.deepEqual(d.diverged, []);
});

test("hazard 50: a snapshot nobody waits for, or older than what was applied, changes nothing", () => {
  const { group, a, b } = electedThree();
  const session = group.register();
  group.command("a", session, 1, "inc", 5);
  group.post("a", { type: "snapshotRequested", request: 900 });
  group.settle();
  const { snapshot, pieces } = a.disk;
  group.command("a", session, 2, "inc", 5);
  group.beat();
  const before = fingerprint(b.replica.applier);
  const decoded = readWhole(b.replica, snapshot!, pieces);
  group.post("b", { type: "snapshotLoaded", snapshot: snapshot!, decoded });
  group.settle();
  assert.deepEqual(fingerprint(b.replica.applier), before);
  const newer = { ...snapshot!, index: b.replica.applier.lastApplied + 1 };
  group.post("b", { type: "snapshotLoaded", snapshot: newer, decoded });
  group.settle();
  assert.deepEqual(fingerprint(b.replica.applier), before);
  // Even if the core were waiting for the old one.
  b.replica.core.incoming = {
    meta: snapshot!,
    requestedBytes: snapshot!.sizeBytes,
    heldBytes: snapshot!.sizeBytes,
    installing: true,
  };
  b.seen.length = 0;
  group.post("b", { type: "snapshotLoaded", snapshot: snapshot!, decoded });
  group.settle();
  assert.deepEqual(fingerprint(b.replica.applier), before);
  assert.ok(!b.seen.some((effect) => effect.type === "applied"));
  assert.equal(b.replica.core.incoming, null);
  assertEqual(a, b);
});

test("commands go on while a snapshot is pulled; of a mutable value only if its codec can copy it", () => {
  const { encode, decode } = createCborCodec();
  const parts = {
    name: "map",
    version: 3,
    mutable: true as const,
    initial: () => new Map<string, number>(),
    commands: {
      inc: (v: Map<string, number>, by: number) => v.set("n", (v.get("n") ?? 0) + by).get("n")!,
    },
    queries: { get: (v: Map<string, number>) => v.get("n") ?? 0 },
  };
  const cases = [
    { definition: counter, immediate: false },
    { definition: defineValue(parts), immediate: false },
    { definition: defineValue({ ...parts, codec: { encode, decode } }), immediate: true },
  ] as readonly { definition: AnyDefinedValue; immediate: boolean }[];
  for (const { definition, immediate } of cases) {
    const group = new Replicas();
    const a = group.create("a", definition);
    group.fire("a", "election");
    const session = group.register();
    group.command("a", session, 1, "inc", 5);
    a.seen.length = 0;
    group.post("a", { type: "snapshotRequested", request: 900 });
    group.settle();
    const started = a.seen.find((effect) => effect.type === "snapshotStarted");
    assert.ok(started?.type === "snapshotStarted");
    assert.equal(started.request, 900);
    assert.equal(started.immediate, immediate);
    assert.equal(a.disk.snapshot!.valueVersion, definition.version);
    group.command("a", session, 2, "inc", 5);
    const restarted = group.restart("a");
    group.fire("a", "election");
    assert.equal(total(restarted), 10);
  }
});

test("a snapshot that is under way is not begun again", () => {
  const { group, a } = electedThree();
  a.seen.length = 0;
  group.post("a", { type: "snapshotRequested", request: 900 });
  group.post("a", { type: "snapshotRequested", request: 901 });
  group.settle();
  assert.equal(a.seen.filter((effect) => effect.type === "snapshotStarted").length, 1);
  assert.ok(a.seen.some((effect) => effect.type === "refused" && effect.request === 901));
});

test("a program that cannot read the stored value's version does not start, and says what to do", () => {
  const { group, a } = electedThree();
  group.post("a", { type: "snapshotRequested", request: 900 });
  group.settle();
  const next = defineValue({
    name: "counter",
    version: 2,
    initial: () => 0,
    commands: {},
    queries: {},
  });
  assert.throws(
    () => group.restart("a", next),
    (error: unknown) =>
      error instanceof RaftError && error.code === "invalidValue" && /upgrade/.test(error.message),
  );
  assert.equal(a.disk.snapshot!.valueVersion, 1);
});

test("a restored member uses the group's own configuration before it has applied it again", () => {
  const { group } = electedThree(counter, { electionTimeoutMs: 3000 });
  assert.equal(group.restart("b").replica.core.config.electionTimeoutMs, 3000);
});

test("a clone shares nothing that changes", () => {
  const { group, a } = electedThree();
  const session = group.register();
  group.command("a", session, 1, "inc", 5);
  const before = fingerprint(a.replica.applier);
  const clone = cloneReplica(a.replica);
  assert.deepEqual(fingerprint(clone.applier), before);
  const out: ReplicaEffect[] = [];
  stepReplica(clone, { type: "timerFired", timer: "heartbeat", nowMs: 99_999 }, out);
  flushReplica(clone, out);
  group.command("a", session, 2, "inc", 1);
  assert.deepEqual(fingerprint(clone.applier), before);
  assert.notDeepEqual(fingerprint(a.replica.applier), before);
});

test("a pure value that is not usable is refused at birth", () => {
  const definition = defineValue({
    name: "bad",
    version: 1,
    initial: (): unknown => () => 1,
    commands: {},
    queries: {},
  });
  const self = { id: "a", address: "a:1" };
  assert.throws(
    () =>
      createReplica(
        {
          definition,
          codec,
          self,
          nowMs: 0,
          timeMs: 0,
          firstReadBatch: 1,
          freeze: true,
          start: { type: "join" },
        },
        [],
      ),
    (error: unknown) => error instanceof RaftError && error.code === "invalidValue",
  );
});
