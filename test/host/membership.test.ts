/** Who belongs to the group: the original's refusals, removal, replacement, transfer, revival. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readStatus } from "../../src/core/index.js";
import type { GroupHandle } from "../../src/host/handle.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter, createLogBook } from "./cluster.js";

const three = ["foo", "bar", "baz"];

async function trio(seed?: number): Promise<{
  cluster: Cluster;
  foo: GroupHandle<Counter>;
  bar: GroupHandle<Counter>;
  baz: GroupHandle<Counter>;
}> {
  const cluster = new Cluster(seed);
  const [foo, bar, baz] = await cluster.group("counter", counter, three);
  await cluster.pass(500);
  return { cluster, foo: foo!, bar: bar!, baz: baz! };
}

describe("removing a member", () => {
  test("takes it out by host id; its handle ends, the rest goes on", async () => {
    const { cluster, foo, bar, baz } = await trio();
    await cluster.run(foo.removeMember("baz"));
    await cluster.run(baz.closed);
    const { members } = await cluster.run(bar.status());
    assert.deepEqual(members.map((member) => member.hostId).sort(), ["bar", "foo"]);
    assert.equal(await cluster.run(bar.command("inc", 1)), 1);
    assert.equal(cluster.host("baz").memberOf("counter"), null);
    await cluster.close();
  });

  test("and its host may join again, as a new member", async () => {
    const { cluster, foo, baz } = await trio();
    await cluster.run(foo.command("inc", 4));
    await cluster.run(foo.removeMember(baz.id));
    await cluster.run(baz.closed);
    const start = { join: ["foo:1"] };
    const again = await cluster.run(cluster.host("baz").group("counter", counter, { start }));
    assert.notEqual(again.id, baz.id);
    assert.equal(await cluster.run(again.queryStale("get")), 4);
    await cluster.close();
  });

  test("is refused for somebody unknown, and for the leader", async () => {
    const { cluster, foo } = await trio();
    await assert.rejects(cluster.run(foo.removeMember("qux")), (error: Error) => {
      assert.equal((error as { code?: string }).code, "notMember");
      assert.match(error.message, /"qux".*foo#/);
      return true;
    });
    const [leader] = cluster.leaders("counter");
    await assert.rejects(cluster.run(foo.removeMember(leader!)), { code: "cannotRemoveLeader" });
    await cluster.close();
  });

  test("is refused while it would leave no live majority", async () => {
    const { cluster, foo } = await trio();
    cluster.kill("baz");
    await cluster.pass(3000);
    await assert.rejects(cluster.run(foo.removeMember("bar")), { code: "willBreakQuorum" });
    await cluster.run(foo.removeMember("baz"));
    assert.equal(await cluster.run(foo.command("inc", 1)), 1);
    await cluster.close();
  });

  test("one that never heard of it cannot disrupt the others", async () => {
    const { cluster, foo, bar } = await trio();
    cluster.network.cut("baz", "foo");
    cluster.network.cut("baz", "bar");
    await cluster.run(foo.removeMember("baz"));
    const { term, leader } = await cluster.run(foo.status());
    await cluster.pass(10_000);
    cluster.network.healAll();
    await cluster.pass(10_000);
    const after = await cluster.run(bar.status());
    assert.deepEqual([after.term, after.leader], [term, leader]);
    await cluster.close();
  });
});

describe("a learner that was removed while it could not hear of it", () => {
  test("asks in the end, and ends; its host may join again", async () => {
    const { cluster, foo } = await trio();
    // Its storage acknowledges nothing, so it stays a learner.
    const storage = createMemoryStorage();
    storage.holdAnswers();
    await cluster.start("new", { storage });
    const start = { join: ["foo:1"] };
    const open = (timeoutMs: number): Promise<GroupHandle<Counter>> =>
      cluster.host("new").group("counter", counter, { start, timeoutMs });
    const joining = open(120_000);
    const outcome = assert.rejects(joining, { code: "removed" });
    await cluster.until("it is a learner that has heard of the leader", () => {
      const member = cluster.host("new").memberOf("counter");
      return member?.role === "learner" && member.leader !== null;
    });
    const { id } = cluster.host("new").memberOf("counter")!;
    for (const other of three) cluster.network.cut("new", other);
    await cluster.run(foo.removeMember(id));
    await cluster.pass(5000);
    cluster.network.healAll();
    await cluster.run(outcome);
    storage.releaseAnswers();
    const again = await cluster.run(open(5000));
    assert.notEqual(again.id, id);
    assert.equal(await cluster.run(again.command("inc", 1)), 1);
    await cluster.close();
  });

  test("asks the leader whatever the host that it was told to join is called", async () => {
    const cluster = new Cluster();
    await cluster.start("foo", { listen: "leader" });
    const foo = await cluster.run(
      cluster.host("foo").group("counter", counter, { start: "create" }),
    );
    const storage = createMemoryStorage();
    storage.holdAnswers();
    await cluster.start("new", { storage });
    const joining = cluster
      .host("new")
      .group("counter", counter, { start: { join: ["leader"] }, timeoutMs: 120_000 });
    const outcome = assert.rejects(joining, { code: "removed" });
    await cluster.until("it is a learner that has heard of the leader", () => {
      const member = cluster.host("new").memberOf("counter");
      return member?.role === "learner" && member.leader !== null;
    });
    cluster.network.cut("new", "foo");
    await cluster.run(foo.removeMember("new"));
    await cluster.pass(5000);
    cluster.network.healAll();
    await cluster.run(outcome);
    storage.releaseAnswers();
    await cluster.close();
  });
});

describe("a newcomer that the group counts on already", () => {
  test("is not given up when it cannot catch up in time", async () => {
    const { cluster } = await trio();
    const storage = createMemoryStorage();
    const book = createLogBook();
    await cluster.start("new", { storage, logger: book.logger });
    const start = { join: ["foo:1"] };
    const joining = cluster.host("new").group("counter", counter, { start, timeoutMs: 3000 });
    await cluster.until("its own log names it", () => {
      const member = cluster.host("new").memberOf("counter");
      return member?.membership.members.some(({ id }) => id === member.id) === true;
    });
    storage.holdAnswers();
    for (const other of three) cluster.network.cut("new", other);
    const handle = await cluster.run(joining);
    assert.ok(book.lines.some(({ message }) => /is in the group, but could not/.test(message)));
    cluster.network.healAll();
    storage.releaseAnswers();
    assert.equal(await cluster.run(handle.command("inc", 1)), 1);
    await cluster.until("it is a voter", () => {
      const member = cluster.host("new").memberOf("counter")!;
      return member.membership.voters.includes(member.id);
    });
    await cluster.close();
  });
});

describe("one membership change at a time", () => {
  test("a second one is refused while the first is under way", async () => {
    const { cluster, foo, bar, baz } = await trio();
    const [leader] = cluster.leaders("counter");
    const others = [foo, bar, baz].filter((each) => !each.id.startsWith(`${leader}#`));
    const handle = [foo, bar, baz].find((each) => each.id.startsWith(`${leader}#`))!;
    const first = handle.removeMember(others[0]!.id);
    const second = handle.removeMember(others[1]!.id);
    await assert.rejects(cluster.run(second), { code: "uncommittedMembershipChange" });
    await cluster.run(first);
    await cluster.close();
  });
});

describe("leadership", () => {
  test("is handed to the member that is named", async () => {
    const { cluster, foo } = await trio();
    const [leader] = cluster.leaders("counter");
    const target = three.find((id) => id !== leader)!;
    await cluster.run(foo.transferLeadership(target));
    await cluster.until("the target leads", () => cluster.leaders("counter").includes(target));
    assert.equal(await cluster.run(foo.command("inc", 1)), 1);
    await cluster.close();
  });

  test("is refused to the leader itself, to a stranger, and to one that is silent", async () => {
    const { cluster, foo, bar, baz } = await trio();
    const [leader] = cluster.leaders("counter");
    const handle = [foo, bar, baz].find((each) => each.id.startsWith(`${leader}#`))!;
    const rejects = (id: string, code: string): Promise<void> =>
      assert.rejects(cluster.run(handle.transferLeadership(id)), { code });
    await rejects(leader!, "alreadyLeader");
    await rejects("qux", "notMember");
    const silent = three.find((id) => id !== leader)!;
    cluster.kill(silent);
    await cluster.pass(3000);
    await rejects(silent, "newLeaderUnresponsive");
    await cluster.close();
  });

  test("a leader whose host closes waits with it for a membership change that is under way", async () => {
    const cluster = new Cluster();
    const storages = three.map(() => createMemoryStorage());
    for (const [at, id] of three.entries()) await cluster.start(id, { storage: storages[at]! });
    await cluster.group("counter", counter, three);
    await cluster.pass(500);
    const qux = await cluster.start("qux");
    for (const storage of storages.slice(1)) storage.holdAnswers();
    const joining = qux.group("counter", counter, { start: { join: ["foo:1"] } });
    const { core } = cluster.host("foo").memberOf("counter")!.replica;
    await cluster.until("qux is taken in", () => readStatus(core).pendingMembershipChange);
    const closing = cluster.host("foo").close();
    await cluster.pass(100);
    for (const storage of storages.slice(1)) storage.releaseAnswers();
    await cluster.run(closing);
    cluster.hosts.delete("foo");
    assert.equal(cluster.leaders("counter").length, 1);
    await cluster.run(joining);
    await cluster.close();
  });

  test("a leader whose host closes waits for that no longer than its election timeout", async (t) => {
    const cluster = new Cluster();
    const storage = createMemoryStorage();
    await cluster.start("bar", { storage });
    const config = { heartbeatMs: 50, electionTimeoutMs: 300 };
    await cluster.group("counter", counter, ["foo", "bar"], { config });
    await cluster.start("qux");
    storage.holdAnswers();
    const joining = cluster.host("qux").group("counter", counter, { start: { join: ["foo:1"] } });
    const { core } = cluster.host("foo").memberOf("counter")!.replica;
    await cluster.until("qux is taken in", () => readStatus(core).pendingMembershipChange);
    const member = cluster.host("foo").memberOf("counter")!;
    const asked = t.mock.method(member, "request");
    await cluster.run(cluster.host("foo").close(), 400);
    assert.ok(asked.mock.callCount() <= 300 / 20, `asked ${asked.mock.callCount()} times`);
    cluster.hosts.delete("foo");
    storage.releaseAnswers();
    const outcome = assert.rejects(joining);
    await cluster.close();
    await outcome;
  });

  test("hosts that all close at once wait for nobody, and one that stays is handed the group", async () => {
    for (const staying of [0, 1]) {
      const { cluster } = await trio();
      const [leader] = cluster.leaders("counter");
      const others = three.filter((id) => id !== leader);
      const going = others.slice(0, 2 - staying);
      const sinceMs = cluster.clock.nowMs();
      await cluster.run(Promise.all([leader!, ...going].map((id) => cluster.host(id).close())));
      const tookMs = cluster.clock.nowMs() - sinceMs;
      assert.ok(tookMs < 200, `${tookMs} ms of the cluster's own time`);
      for (const id of [leader!, ...going]) cluster.hosts.delete(id);
      assert.deepEqual(cluster.leaders("counter"), others.slice(2 - staying));
      await cluster.close();
      await cluster.pass(50);
      assert.equal(cluster.clock.pending, 0, "timers, which keep a process from its end");
    }
  });

  test("a leader whose host closes lets somebody take the transfer back, and tells it once", async () => {
    const cluster = new Cluster();
    const { lines, logger } = createLogBook();
    await cluster.start("foo", { logger });
    const [foo] = await cluster.group("counter", counter, three);
    for (const id of ["bar", "baz"]) cluster.clocks.get(id)!.freeze();
    const lagging = assert.rejects(foo!.command("inc", 1), { code: "closed" });
    const closing = cluster.host("foo").close();
    await cluster.pass(20);
    await cluster.run(foo!.transferLeadership(null));
    await cluster.run(closing, 200);
    await lagging;
    const told = lines.filter(({ message }) => message.includes("could not hand over"));
    assert.deepEqual(
      told.map(({ level }) => level),
      ["info"],
    );
    await cluster.close();
  });

  test("a leader whose host closes hands over to a voter that answers and has most of the log", async () => {
    for (const [at, frozenMs] of [
      [0, 0],
      [1, 0],
      [0, 2000],
    ] as const) {
      const { cluster, foo } = await trio();
      const [leader] = cluster.leaders("counter");
      const others = three.filter((id) => id !== leader);
      const [frozen] = others.splice(at, 1);
      cluster.clocks.get(frozen!)!.freeze();
      if (frozenMs === 0) await cluster.run(foo.command("inc", 1));
      await cluster.pass(frozenMs);
      await cluster.run(cluster.host(leader!).close(), 200);
      cluster.hosts.delete(leader!);
      assert.deepEqual(cluster.leaders("counter"), others);
      await cluster.close();
    }
  });

  test("taking back a transfer that is not under way is done at once", async () => {
    const { cluster, foo } = await trio();
    await cluster.run(foo.transferLeadership(null));
    assert.equal(await cluster.run(foo.command("inc", 1)), 1);
    await cluster.close();
  });
});

describe("a host that lost its memory", () => {
  test("joins as a new member and replaces its dead predecessor", async () => {
    const { cluster, foo, baz } = await trio();
    await cluster.run(foo.command("inc", 7));
    cluster.kill("baz");
    await cluster.pass(2000);
    cluster.network.healAll();
    cluster.network.disconnect("baz");
    await cluster.start("baz", { listen: "baz:2" });
    const start = { join: ["foo:1", "bar:1"] };
    const again = await cluster.run(cluster.host("baz").group("counter", counter, { start }));
    assert.notEqual(again.id, baz.id);
    assert.equal(await cluster.run(again.queryStale("get")), 7);
    await cluster.pass(2000);
    const { members } = await cluster.run(foo.status());
    assert.deepEqual(members.map(({ id, state }) => `${id} ${state}`).sort(), [
      ...[again.id, cluster.host("bar").memberOf("counter")!.id, foo.id]
        .map((id) => `${id} voter`)
        .sort(),
    ]);
    await cluster.close();
  });

  test("waits as long under a leader that has just begun, which counts the dead as alive", async () => {
    const { cluster, foo, bar } = await trio();
    const [leader] = cluster.leaders("counter");
    const dead = three.find((id) => id !== leader)!;
    cluster.kill(dead);
    cluster.network.healAll();
    cluster.network.disconnect(dead);
    const hosts = three.filter((id) => id !== dead);
    const join = hosts.map((id) => `${id}:1`);
    const twin = await cluster.start(dead, { listen: `${dead}:2` });
    const joining = twin.group("counter", counter, { start: { join } });
    await cluster.pass(600);
    const next = hosts.find((id) => id !== leader)!;
    const handle = [foo, bar].find((each) => !each.id.startsWith(`${dead}#`))!;
    await cluster.run(handle.transferLeadership(next));
    const again = await cluster.run(joining);
    assert.equal(await cluster.run(again.command("inc", 1)), 1);
    await cluster.close();
  });

  test("is refused while its predecessor lives", async () => {
    const { cluster, foo } = await trio();
    const twin = await cluster.start("baz", { listen: "baz:2" });
    const joining = twin.group("counter", counter, { start: { join: ["foo:1"] } });
    await assert.rejects(cluster.run(joining), (error: Error) => {
      assert.equal((error as { code?: string }).code, "alreadyMember");
      assert.match(error.message, /join of group "counter" through foo:1/);
      return true;
    });
    assert.equal(twin.memberOf("counter"), null);
    assert.equal(await cluster.run(foo.command("inc", 1)), 1);
    await cluster.close();
  });
});

describe("forced removal", () => {
  test("revives a group that lost its majority", async () => {
    const { cluster, foo } = await trio();
    await cluster.run(foo.command("inc", 3));
    cluster.kill("bar");
    cluster.kill("baz");
    await cluster.pass(5000);
    assert.deepEqual(cluster.leaders("counter"), []);
    await cluster.run(cluster.host("foo").forceRemoveMember("counter", "bar"));
    await cluster.run(cluster.host("foo").forceRemoveMember("counter", "baz"));
    assert.equal(await cluster.run(foo.command("inc", 1)), 4);
    assert.deepEqual(cluster.leaders("counter"), ["foo"]);
    await cluster.close();
  });

  test("is refused for oneself, a stranger, and a group that is not here", async () => {
    const { cluster } = await trio();
    const host = cluster.host("foo");
    const rejects = (group: string, id: string, code: string): Promise<void> =>
      assert.rejects(cluster.run(host.forceRemoveMember(group, id)), { code });
    await rejects("counter", "foo", "invalidArgument");
    await rejects("counter", "qux", "notMember");
    await rejects("nothing", "bar", "unknownGroup");
    await rejects(Symbol("counter") as never, "bar", "invalidArgument");
    await cluster.close();
  });
});
