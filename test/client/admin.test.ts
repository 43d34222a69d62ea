/** Administrative verbs: who is asked, and what may be sent again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createAdminClient } from "../../src/client/admin.js";
import type { ClientRequest } from "../../src/codec/types.js";
import { codec, type FakeHost } from "./fake-server.js";
import { World } from "./world.js";

const sent = (host: FakeHost): [string, unknown][] =>
  host.requests.flatMap((request) =>
    request.type === "admin" ? [[request.verb, codec.decode(request.body)]] : [],
  );
const isVerb = (request: ClientRequest, verb: string): boolean =>
  request.type === "admin" && request.verb === verb;

/** A world whose leader "a" takes one verb in, says nothing and dies; then "b" leads. */
async function loseAnswer(verb: string, call: (world: World) => Promise<unknown>) {
  const world = await World.create(3);
  const { clock } = world;
  const a = world.host("a");
  a.answer = (request) => (isVerb(request, verb) ? "ignore" : "serve");
  const pending = world.watch(call(world));
  await world.pass(50);
  assert.equal(sent(a).length, 1);
  await a.stop();
  world.group.elect(1);
  return { world, pending, beganMs: clock.nowMs() };
}

describe("administrative verbs", () => {
  test("go to the leader where only the leader can answer", async () => {
    const world = await World.create(3);
    world.group.elect(2);
    const client = world.client({ home: "a:1" });
    await world.value(client.changeConfig({ heartbeatMs: 50 }));
    await world.value(client.removeMember("b#1"));
    await world.value(client.transferLeadership("b"));
    await world.value(client.transferLeadership(null));
    assert.deepEqual(sent(world.host("c")), [
      ["changeConfig", { heartbeatMs: 50 }],
      ["remove", { id: "b#1" }],
      ["transfer", { id: "b" }],
      ["transfer", { id: null }],
    ]);
    await world.value(client.snapshot());
    assert.deepEqual(sent(world.host("a")), [["snapshot", null]]);
  });

  test("reject with the refusal of the leader", async () => {
    const world = await World.create(2);
    const client = world.client();
    for (const code of ["notMember", "willBreakQuorum", "pendingLeaderChange", "invalidConfig"]) {
      world.host("a").answer = () => ({ status: code, message: `because of ${code}` });
      const error = await world.error(client.removeMember("x"));
      assert.deepEqual([error.code, error.applied], [code, "no"]);
      assert.equal(error.message, `because of ${code}`);
    }
  });

  test("take a repeated removal for done when the member is gone", async () => {
    const { world, pending } = await loseAnswer("remove", (w) => w.client().removeMember("c#1"));
    world.host("b").answer = () => ({ status: "notMember" });
    await world.pass(2000);
    assert.equal(pending.outcome?.type, "value");
  });

  test("wait for the change that their first try may have begun", async () => {
    const { world, pending } = await loseAnswer("remove", (w) => w.client().removeMember("c#1"));
    let refused = 0;
    world.host("b").answer = () =>
      refused++ < 3 ? { status: "uncommittedMembershipChange" } : "serve";
    await world.pass(2000);
    assert.equal(pending.outcome?.type, "value");
    assert.equal(refused, 4);
  });

  test("never remove by host id twice: the member may have come back", async () => {
    const { world, pending } = await loseAnswer("remove", (w) => w.client().removeMember("c"));
    await world.pass(2000);
    assert.ok(pending.outcome?.type === "error");
    const { code, applied, message } = pending.outcome.error;
    assert.deepEqual([code, applied], ["unavailable", "maybe"]);
    assert.match(message, /look at status\(\) before you repeat it/);
    assert.deepEqual(sent(world.host("b")), []);
  });

  test("take a repeated transfer for done when its target leads", async () => {
    const { world, pending } = await loseAnswer("transfer", (w) =>
      w.client().transferLeadership("b"),
    );
    world.host("b").answer = () => ({ status: "alreadyLeader" });
    await world.pass(2000);
    assert.equal(pending.outcome?.type, "value");
  });

  test("refuse a first transfer to the leader", async () => {
    const world = await World.create(2);
    world.host("a").answer = () => ({ status: "alreadyLeader" });
    const error = await world.error(world.client().transferLeadership("a"));
    assert.deepEqual([error.code, error.applied], ["alreadyLeader", "no"]);
  });
});

describe("an administrative client", () => {
  test("asks one host, any host or the leader", async () => {
    const world = await World.create(3);
    world.group.elect(1);
    const admin = createAdminClient(world.client({ definition: null }));
    assert.equal(await world.answeredBy(admin.status({ host: "c:1" })), "c#1");
    const ids = [{ id: "a#1" }, { id: "b#1" }, { id: "c#1" }];
    assert.deepEqual(await world.value(admin.members()), ids);
    assert.deepEqual(sent(world.host("b")), [["status", null]]);
    await world.value(admin.remove("a"));
    await world.value(admin.transfer(null));
    await world.value(admin.changeConfig({}));
    await world.value(admin.snapshot({ host: "a:1" }));
    assert.deepEqual(sent(world.host("a")), [["snapshot", null]]);
    await world.value(admin.close());
    await admin.closed;
  });

  test("asks for forced removal the host that was named, and no other", async () => {
    const world = await World.create(2);
    const admin = createAdminClient(world.client({ definition: null }));
    const missing = await world.error(admin.forceRemove("a"));
    assert.equal(missing.code, "invalidArgument");
    assert.match(missing.message, /host is missing: forceRemove means one member/);
    await world.value(admin.forceRemove("a", { host: "b:1" }));
    assert.deepEqual(sent(world.host("b")), [["forceRemove", { id: "a" }]]);
    await world.host("b").stop();
    const lost = await world.error(admin.forceRemove("a", { host: "b:1", timeoutMs: 500 }));
    assert.deepEqual([lost.code, lost.applied], ["timeout", "no"]);
    assert.match(lost.message, /b:1 could not be reached/);
    assert.deepEqual(sent(world.host("a")), []);
  });

  test("does not repeat a forced removal whose answer was lost", async () => {
    const world = await World.create(1);
    const admin = createAdminClient(world.client({ definition: null }));
    const a = world.host("a");
    a.answer = () => "ignore";
    const call = admin.forceRemove("b");
    await world.settle();
    a.answer = () => "serve";
    a.breakConnections();
    const error = await world.error(call);
    assert.deepEqual([error.code, error.applied], ["unavailable", "maybe"]);
    await world.pass(1000);
    assert.equal(sent(a).length, 1);
  });
});
