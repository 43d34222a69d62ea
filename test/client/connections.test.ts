/** Whom a client dials, when, and which connections it keeps. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { World } from "./world.js";

const linksOf = (world: World): number[] => world.group.hosts.map(({ links }) => links.size);

describe("connections", () => {
  test("that nobody needs are let go, but for the leader's and the home member's", async () => {
    const world = await World.create(4);
    const client = world.client({ home: "c:1" });
    await world.value(client.query("length"));
    for (const host of ["b:1", "c:1", "d:1"])
      await world.value(client.admin("status", null, { host }));
    assert.deepEqual(linksOf(world), [1, 1, 1, 1]);
    world.host("b").answer = () => "ignore";
    world.watch(client.admin("status", null, { host: "b:1", timeoutMs: 30_000 }));
    await world.pass(15_000);
    assert.deepEqual(linksOf(world), [1, 1, 1, 0]);
  });

  test("are kept while nobody leads, since any of them may tell who does", async () => {
    const world = await World.create(2);
    world.group.elect(null);
    const client = world.client();
    await world.value(client.admin("status", null, { host: "a:1" }));
    world.host("b").answer = () => "ignore";
    world.watch(client.admin("status", null, { host: "b:1", timeoutMs: 30_000 }));
    await world.pass(15_000);
    assert.deepEqual(linksOf(world), [1, 1]);
  });

  test("to a member that has left meanwhile end with the client", async () => {
    const world = await World.create(3);
    const client = world.client({ hosts: ["a:1"] });
    await world.value(client.query("length"));
    await world.value(client.admin("status", null, { host: "c:1" }));
    const [gone] = world.group.hosts.splice(2);
    world.group.elect(1);
    await world.settle();
    assert.equal(gone!.links.size, 1);
    await world.value(client.close());
    await world.settle();
    assert.equal(gone!.links.size, 0);
  });

  test("to a host that has answered again are made anew as soon as if it had never failed", async () => {
    const world = await World.create(1);
    const a = world.host("a");
    await a.stop();
    const client = world.client();
    assert.equal((await world.error(client.status({ timeoutMs: 10_000 }))).code, "timeout");
    await a.start();
    assert.equal(await world.answeredBy(client.status()), "a#1");
    a.breakConnections();
    await world.settle();
    const began = world.clock.nowMs();
    assert.equal(await world.answeredBy(client.status()), "a#1");
    assert.ok(world.clock.nowMs() - began < 250);
  });

  test("are not made to where a member of an older term looks for the others", async () => {
    const world = await World.create(2);
    let strangers = 0;
    await world.network.transport("x").listen("x:1", () => {
      strangers += 1;
      return { onOpen() {}, onPayload() {}, onDrain() {}, onClose() {} };
    });
    world.group.elect(0);
    const client = world.client();
    await world.value(client.query("length"));
    await world.value(client.admin("status", null, { host: "b:1" }));
    const [link] = world.host("b").links;
    const old = { term: 1, leader: null, address: null, hosts: ["x:1"] };
    link!.send({ type: "leaderHint", channel: link!.channel!, ...old });
    await world.settle();
    world.host("a").answer = () => "ignore";
    assert.equal((await world.error(client.query("length"))).code, "timeout");
    assert.equal(strangers, 0);
  });

  test("are made one after the other for what any member can answer", async () => {
    const world = await World.create(3);
    world.host("a").silent = true;
    const client = world.client();
    const call = client.status();
    await world.pass(1000);
    assert.deepEqual(linksOf(world), [1, 0, 0]);
    assert.equal(await world.answeredBy(call), "b#1");
    assert.deepEqual(linksOf(world), [0, 1, 0]);
  });

  test("to others are tried at once again when another call waits in vain, however long one did before", async () => {
    const world = await World.create(4);
    const [a, ...others] = world.group.hosts;
    for (const host of others) host.silent = true;
    const client = world.client();
    await world.value(client.query("length"));
    const dialled = (): number => others.reduce((sum, { connections }) => sum + connections, 0);
    a!.answer = () => "ignore";
    await world.error(client.query("length", { timeoutMs: 30_000 }));
    await world.pass(10_000);
    const before = dialled();
    world.watch(client.query("length", { timeoutMs: 30_000 }));
    await world.pass(1250);
    assert.equal(dialled() - before, 3);
  });
});
