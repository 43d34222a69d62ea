/** Time: leases, and processes that stand still (decision 9; hazards 44, 94, 98). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupHandle } from "../../src/host/handle.js";
import { Cluster, type Counter, counter } from "./cluster.js";

const ids = ["foo", "bar", "baz"];

async function group(config: object = {}): Promise<{
  cluster: Cluster;
  leader: string;
  handles: Map<string, GroupHandle<Counter>>;
}> {
  const cluster = new Cluster(3);
  const made = await cluster.group("counter", counter, ids, { config });
  await cluster.pass(1000);
  const handles = new Map(ids.map((id, at) => [id, made[at]!]));
  return { cluster, leader: cluster.leaders("counter")[0]!, handles };
}

describe("lease reads", () => {
  const config = { clockDriftMarginMs: 200 };

  test("answer at once while the lease holds, and not after it ran out", async () => {
    const { cluster, leader, handles } = await group(config);
    const handle = handles.get(leader)!;
    await cluster.run(handle.command("inc", 1));
    await cluster.pass(500);
    for (const id of ids) if (id !== leader) cluster.network.cut(leader, id);
    let answered = 0;
    void handle.query("get", { timeoutMs: 60_000 }).then(() => (answered += 1));
    await cluster.pass(10);
    assert.equal(answered, 1, "the lease answers though nobody can be asked");
    await cluster.pass(1000);
    void handle.query("get", { timeoutMs: 60_000 }).then(
      () => (answered += 1),
      () => undefined,
    );
    await cluster.pass(2000);
    assert.equal(answered, 1, "after the lease nothing is answered without a majority");
    cluster.network.healAll();
    await cluster.until("the second query was answered", () => answered === 2);
    await cluster.close();
  });

  test("without a margin below the election timeout every query asks a majority", async () => {
    const { cluster, leader, handles } = await group();
    const handle = handles.get(leader)!;
    await cluster.run(handle.command("inc", 1));
    for (const id of ids) if (id !== leader) cluster.network.cut(leader, id);
    let answered = false;
    void handle.query("get", { timeoutMs: 60_000 }).then(() => (answered = true));
    await cluster.pass(10);
    assert.equal(answered, false);
    cluster.network.healAll();
    await cluster.until("answered by a majority", () => answered);
    await cluster.close();
  });

  test("a leader that stood still does not answer from the lease it had", async () => {
    const { cluster, leader, handles } = await group(config);
    const other = ids.find((id) => id !== leader)!;
    await cluster.run(handles.get(leader)!.command("inc", 1));
    // The query reaches the leader while it stands still, and the others go on without it.
    cluster.clocks.get(leader)!.freeze();
    const late = handles.get(leader)!.query("get", { timeoutMs: 60_000 });
    const moved = handles.get(other)!.command("inc", 41, { timeoutMs: 60_000 });
    assert.equal(await cluster.run(moved), 42);
    cluster.clocks.get(leader)!.thaw();
    assert.equal(await cluster.run(late), 42);
    await cluster.close();
  });
});

describe("a process that stood still", () => {
  test("as a follower, does not campaign because it slept itself", async () => {
    const { cluster, leader, handles } = await group();
    const follower = ids.find((id) => id !== leader)!;
    const before = await cluster.run(handles.get(leader)!.status());
    for (let i = 0; i < 5; i++) {
      cluster.clocks.get(follower)!.freeze();
      await cluster.pass(5000);
      cluster.clocks.get(follower)!.thaw();
      await cluster.pass(300);
      const { role } = cluster.host(follower).memberOf("counter")!;
      assert.equal(role, "follower");
    }
    const after = await cluster.run(handles.get(leader)!.status());
    assert.deepEqual([after.term, after.leader], [before.term, before.leader]);
    await cluster.close();
  });

  test("as a follower, reads what came meanwhile before it campaigns, however often it sleeps", async () => {
    const { cluster, leader } = await group();
    const follower = ids.find((id) => id !== leader)!;
    const { term } = cluster.host(leader).memberOf("counter")!;
    for (let i = 0; i < 6; i++) {
      // Longer than its patience; the grace that it gives itself is not given so often.
      cluster.clocks.get(follower)!.freeze();
      await cluster.pass(2500);
      cluster.clocks.get(follower)!.thaw();
      await cluster.pass(10);
      const { role, leader: known } = cluster.host(follower).memberOf("counter")!;
      assert.deepEqual([role, known !== null], ["follower", true], `after sleep ${i + 1}`);
      await cluster.pass(300);
    }
    assert.equal(cluster.host(leader).memberOf("counter")!.term, term);
    await cluster.close();
  });

  test("together with all the others, goes on under the same leader", async () => {
    const { cluster, leader, handles } = await group();
    const before = await cluster.run(handles.get(leader)!.status());
    for (const clock of cluster.clocks.values()) clock.freeze();
    await cluster.pass(5000);
    for (const clock of cluster.clocks.values()) clock.thaw();
    await cluster.pass(3000);
    const after = await cluster.run(handles.get(leader)!.status());
    assert.deepEqual([after.term, after.leader], [before.term, before.leader]);
    await cluster.close();
  });

  test("tells how long in its status", async () => {
    const { cluster, leader, handles } = await group();
    cluster.clocks.get(leader)!.freeze();
    await cluster.pass(700);
    cluster.clocks.get(leader)!.thaw();
    const status = await cluster.run(handles.get(leader)!.status());
    assert.ok(status.loopDelayMs >= 400 && status.loopDelayMs <= 700, `${status.loopDelayMs}`);
    await cluster.pass(120_000);
    const later = await cluster.run(handles.get(leader)!.status());
    assert.ok(later.loopDelayMs < 100, `${later.loopDelayMs}`);
    await cluster.close();
  });

  test("costs the others nothing: a paused follower holds up no command", async () => {
    const { cluster, leader, handles } = await group();
    const follower = ids.find((id) => id !== leader)!;
    cluster.clocks.get(follower)!.freeze();
    const before = cluster.clock.nowMs();
    for (let i = 1; i <= 20; i++) {
      assert.equal(await cluster.run(handles.get(leader)!.command("inc", 1)), i);
    }
    assert.ok(cluster.clock.nowMs() - before <= 20 * 10, "each within a step or two");
    cluster.clocks.get(follower)!.thaw();
    await cluster.pass(1000);
    assert.equal(await cluster.run(handles.get(follower)!.queryStale("get")), 20);
    await cluster.close();
  });
});
