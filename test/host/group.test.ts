/** Three hosts in one process: a group that elects, answers, takes members in and lets them go. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultGroupConfig } from "../../src/core/config.js";
import type { RaftError } from "../../src/errors.js";
import { Cluster, counter, microtasks, queue } from "./cluster.js";

describe("a group on three hosts", () => {
  test("answers the queue's session through any of its members", async () => {
    const cluster = new Cluster();
    const [foo, bar, baz] = await cluster.group("queue", queue, ["foo", "bar", "baz"]);
    for (const [at, item] of ["a", "b", "c", "d", "e"].entries()) {
      assert.equal(await cluster.run(foo!.command("enqueue", item)), at);
    }
    assert.equal(await cluster.run(bar!.command("dequeue")), "a");
    assert.equal(await cluster.run(baz!.command("dequeue")), "b");
    assert.equal(await cluster.run(baz!.command("enqueue", "f")), 3);
    for (const member of [foo, bar, baz]) {
      assert.equal(await cluster.run(member!.query("length")), 4);
    }
    await cluster.close();
  });

  test("a joined member has applied what was committed before, when `group` resolves", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    for (let i = 0; i < 50; i++) await cluster.run(foo!.command("inc", 1));
    await cluster.start("bar");
    const joining = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
    const bar = await cluster.run(joining);
    assert.equal(await cluster.run(bar.queryStale("get")), 50);
    const status = await cluster.run(bar.status());
    assert.deepEqual(
      status.members.map((member) => member.hostId),
      ["foo", "bar"],
    );
    await cluster.close();
  });

  test("a signal that cannot be let go of is refused, and takes nobody's answer away", async () => {
    const cluster = new Cluster();
    const [one] = await cluster.group("one", counter, ["foo"]);
    const [other] = await cluster.group("other", counter, ["foo"]);
    const listening = { aborted: false, addEventListener: () => undefined };
    for (const odd of [listening, { ...listening, addEventListener: null }]) {
      const options = { signal: odd as unknown as AbortSignal };
      const refused = one!.query("get", options).then(
        () => "answered",
        ({ code, message }: RaftError) => `${code}: ${message}`,
      );
      assert.equal(await cluster.run(other!.command("inc", 0)), 0);
      assert.match(await cluster.run(refused), /^invalidArgument: signal must be an AbortSignal/);
    }
    await cluster.close();
  });

  test("learners become voters by themselves", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    await cluster.pass(1000);
    const { members } = await cluster.run(foo!.status());
    assert.deepEqual(
      members.map(({ hostId, state }) => `${hostId} ${state}`),
      ["foo voter", "bar voter", "baz voter"],
    );
    await cluster.close();
  });

  test("two newcomers at the same time both get in, one change after the other", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo"]);
    await cluster.start("bar");
    await cluster.start("baz");
    const start = { join: ["foo:1"] };
    const both = await cluster.run(
      Promise.all(
        ["bar", "baz"].map((id) => cluster.host(id).group("counter", counter, { start })),
      ),
    );
    assert.equal(await cluster.run(both[0]!.command("inc", 2)), 2);
    assert.equal(await cluster.run(both[1]!.query("get")), 2);
    await cluster.close();
  });

  test("a newcomer may ask any member, and is sent on to the leader", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo", "bar"]);
    await cluster.start("baz");
    const start = { join: ["bar:1"] };
    const baz = await cluster.run(cluster.host("baz").group("counter", counter, { start }));
    assert.equal(await cluster.run(baz.command("inc", 1)), 1);
    await cluster.close();
  });

  test("a group of one answers at once and keeps leading", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const before = cluster.clock.nowMs();
    const answer = foo!.command("inc", 1);
    for (let i = 0; i < 10; i++) {
      cluster.clock.runSoon();
      await microtasks();
    }
    assert.equal(await answer, 1);
    assert.equal(cluster.clock.nowMs(), before);
    const { term } = await cluster.run(foo!.status());
    await cluster.pass(30_000);
    const status = await cluster.run(foo!.status());
    assert.deepEqual([status.role, status.term], ["leader", term]);
    await cluster.close();
  });

  test("many groups share a host, each with its own leader and value", async () => {
    const cluster = new Cluster();
    const names = ["a", "b", "c", "d", "e"];
    for (const name of names) await cluster.group(name, counter, ["foo", "bar", "baz"]);
    for (const [at, name] of names.entries()) {
      const handle = cluster.host("foo").memberOf(name);
      assert.ok(handle !== null);
      assert.equal(cluster.leaders(name).length, 1, `group ${at}`);
    }
    await cluster.close();
  });

  test("a command is applied once per idempotency key, whoever sends it", async () => {
    const cluster = new Cluster();
    const [foo, bar] = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    assert.equal(await cluster.run(foo!.command("inc", 5, { id: "order-1" })), 5);
    assert.equal(await cluster.run(bar!.command("inc", 5, { id: "order-1" })), 5);
    assert.equal(await cluster.run(bar!.query("get")), 5);
    await cluster.close();
  });

  test("a change of configuration reaches every member", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    const change = { heartbeatMs: 100, maxSessions: undefined };
    const changed = await cluster.run(handles[1]!.changeConfig(change));
    assert.equal(changed.heartbeatMs, 100);
    assert.equal(changed.maxSessions, defaultGroupConfig.maxSessions);
    await cluster.pass(1000);
    for (const handle of handles) {
      assert.equal((await cluster.run(handle.status())).config.heartbeatMs, 100);
    }
    await cluster.close();
  });

  test("every member's own copy answers stale queries", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    await cluster.run(handles[0]!.command("inc", 3));
    await cluster.pass(1000);
    for (const handle of handles) assert.equal(await cluster.run(handle.queryStale("get")), 3);
    await cluster.close();
  });

  test("a throwing handler fails its own call, the same on every member", async () => {
    const cluster = new Cluster();
    const [foo, bar] = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    await cluster.run(foo!.command("inc", 1));
    await assert.rejects(cluster.run(bar!.command("fail")), { code: "commandFailed" });
    assert.equal(await cluster.run(bar!.query("get")), 1);
    assert.equal(await cluster.run(foo!.query("get")), 1);
    await cluster.close();
  });

  test("a snapshot is taken on request and named by its index", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    await cluster.run(foo!.command("inc", 1));
    const { lastApplied } = await cluster.run(foo!.status());
    const snapshot = await cluster.run(foo!.snapshot());
    assert.equal(snapshot.index, lastApplied);
    assert.equal((await cluster.run(foo!.status())).snapshotIndex, lastApplied);
    await cluster.close();
  });

  test("a newcomer that lacks compacted entries is caught up by a snapshot", async () => {
    const cluster = new Cluster();
    const config = { trailingLogBytes: 0, snapshotChunkBytes: 64 };
    const [foo] = await cluster.group("queue", queue, ["foo"], { config });
    for (let i = 0; i < 40; i++) await cluster.run(foo!.command("enqueue", `item number ${i}`));
    await cluster.run(foo!.snapshot());
    const status = await cluster.run(foo!.status());
    assert.ok(status.firstLogIndex > 1, "the log was compacted");
    await cluster.start("bar");
    const start = { join: ["foo:1"] };
    const bar = await cluster.run(cluster.host("bar").group("queue", queue, { start }));
    assert.equal(await cluster.run(bar.queryStale("length")), 40);
    assert.equal(await cluster.run(bar.command("dequeue")), "item number 0");
    await cluster.close();
  });
});
