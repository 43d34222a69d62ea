/** What a host must not give up on the word of somebody who knows less than its member. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter } from "./cluster.js";

const three = ["foo", "bar", "baz"];

describe("a learner that hears of no leader", () => {
  test("is not ended by one of a former term, which stood still when it was taken in", async () => {
    const cluster = new Cluster(5);
    const config = { electionTimeoutMs: 300, heartbeatMs: 50 };
    await cluster.group("counter", counter, three, { config });
    await cluster.pass(1000);
    const [former] = cluster.leaders("counter");
    const others = three.filter((other) => other !== former);
    cluster.clocks.get(former!)!.freeze();
    for (const other of others) cluster.network.cut(former!, other);
    await cluster.until("another one leads", () => cluster.leaders("counter").length === 1);
    const [leader] = cluster.leaders("counter");
    const leaderId = cluster.host(leader!).memberOf("counter")!.id;
    const storage = createMemoryStorage({ durable: true });
    storage.holdAnswers();
    await cluster.start("new", { storage });
    const start = { join: [`${leader}:1`] };
    const joining = cluster.host("new").group("counter", counter, { start, timeoutMs: 60_000 });
    joining.catch(() => undefined);
    const member = () => cluster.host("new").memberOf("counter")!;
    const names = () => member().membership.members.map((one) => one.id);
    await cluster.until("the leader has found it", () => {
      return cluster.host("new").memberOf("counter")?.leader === leaderId;
    });
    while (!names().includes(member().id)) {
      storage.releaseAnswers(1);
      await cluster.pass(5);
    }
    // From now on its storage acknowledges nothing, so it stays a learner.
    const { id } = member();
    await cluster.pass(100);
    for (const other of others) cluster.network.cut("new", other);
    await cluster.pass(3000);
    assert.equal(member().role, "learner");
    // It answers what has waited in its socket before it finds out that its term is over.
    cluster.clocks.get(former!)!.thaw();
    await cluster.pass(1000);
    storage.releaseAnswers();
    cluster.network.healAll();
    const joined = await cluster.run(joining);
    assert.equal(joined.id, id);
    await cluster.close();
  });
});
