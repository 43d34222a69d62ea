/** `events()`: the present first, the newest of each kind, over reconnects, without end or leak. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import { maxSubscriptions } from "../../src/client/options.js";
import type { GroupEvent } from "../../src/client/types.js";
import { World } from "./world.js";

const role = (term: number): GroupEvent => ({ type: "role", role: "leader", term, leader: "a#1" });
const members = (...voters: string[]): GroupEvent => ({ type: "members", voters, learners: [] });

/** The next event, or null at the end. */
async function next(world: World, events: AsyncIterator<GroupEvent>): Promise<GroupEvent | null> {
  const result = (await world.value(events.next())) as IteratorResult<GroupEvent>;
  return result.done === true ? null : result.value;
}

describe("events", () => {
  test("begin with the present and go on with changes", async () => {
    const world = await World.create(1);
    const events = world.client().events();
    assert.deepEqual(await next(world, events), {
      type: "role",
      role: "follower",
      term: 1,
      leader: "a#1",
    });
    world.host("a").notifyAll(members("a#1", "b#1"));
    assert.deepEqual(await next(world, events), members("a#1", "b#1"));
  });

  test("cost nothing before they are read", async () => {
    const world = await World.create(1);
    const client = world.client();
    client.events();
    await world.pass(100);
    assert.equal(world.host("a").connections, 0);
    await world.value(client.close());
  });

  test("of a client that was closed before it was ever asked say so and dial nobody", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.close());
    const events = client.events();
    assert.deepEqual(await next(world, events), { type: "closed" });
    assert.deepEqual([await next(world, events), world.host("a").connections], [null, 0]);
  });

  test("keep the newest of each kind for a slow reader", async () => {
    const world = await World.create(1);
    const events = world.client().events();
    await next(world, events);
    for (let term = 2; term <= 500; term += 1) world.host("a").notifyAll(role(term));
    world.host("a").notifyAll(members("a#1"));
    world.host("a").notifyAll(members("a#1", "b#1"));
    await world.settle();
    assert.deepEqual(await next(world, events), role(500));
    assert.deepEqual(await next(world, events), members("a#1", "b#1"));
  });

  test("go on over a lost connection, without saying the same twice", async () => {
    const world = await World.create(2);
    const events = world.client().events();
    await next(world, events);
    world.host("a").breakConnections();
    await world.pass(2500);
    assert.equal(world.group.hosts.flatMap((host) => [...host.links]).length, 1);
    for (const host of world.group.hosts) host.notifyAll(members("b#1"));
    assert.deepEqual(await next(world, events), members("b#1"));
  });

  test("come from another member when the one that was asked goes away", async () => {
    const world = await World.create(2);
    const events = world.client().events();
    await next(world, events);
    world.host("a").notifyAll({ type: "closed" });
    await world.pass(1500);
    assert.equal(
      [...world.host("b").links].some((link) => link.subscriptions.size === 1),
      true,
    );
  });

  test("of a member that was left are not taken for those of the next one", async () => {
    const world = await World.create(2);
    const events = world.client().events();
    await next(world, events);
    world.host("a").notifyAll({ type: "closed" });
    await world.pass(1500);
    const waiting = next(world, events);
    world.host("a").notifyAll(role(9));
    await world.settle();
    world.host("b").notifyAll(role(5));
    assert.deepEqual(await waiting, role(5));
  });

  test("of a member's own handle end with it", async () => {
    const world = await World.create(1);
    const events = world.client({ home: "a:1" }).events();
    await next(world, events);
    world.host("a").notifyAll({ type: "closed" });
    assert.deepEqual(await next(world, events), { type: "closed" });
    assert.equal(await next(world, events), null);
  });

  test("end with `closed` when the client is closed, also for readers who wait", async () => {
    const world = await World.create(1);
    const client = world.client();
    const events = client.events();
    await next(world, events);
    const waiting = [next(world, events), next(world, events)];
    await world.settle();
    await world.value(client.close());
    assert.deepEqual(await Promise.all(waiting), [{ type: "closed" }, null]);
    assert.deepEqual(await next(world, client.events()), { type: "closed" });
  });

  test("end at once on abort, and the member is told", async () => {
    const world = await World.create(1);
    const client = world.client();
    const controller = new AbortController();
    const events = client.events({ signal: controller.signal });
    await next(world, events);
    const [link] = world.host("a").links;
    assert.equal(link!.subscriptions.size, 1);
    const waiting = next(world, events);
    await world.settle();
    controller.abort();
    assert.equal(await waiting, null);
    await world.settle();
    assert.equal(link!.subscriptions.size, 0);
    assert.equal(await next(world, client.events({ signal: controller.signal })), null);
  });

  test("of one signal have one listener, which ends them all and goes with the last", async () => {
    const world = await World.create(1);
    const client = world.client();
    const controller = new AbortController();
    const { signal } = controller;
    const count = (): number => getEventListeners(signal, "abort").length;
    const streams = Array.from({ length: 20 }, () => client.events({ signal }));
    for (const events of streams) await next(world, events);
    assert.equal(count(), 1);
    const waiting = streams.map((events) => world.watch(events.next()));
    controller.abort();
    await world.settle();
    assert.ok(waiting.every(({ outcome }) => outcome?.type === "value"));
    const members = [...world.host("a").links].map((link) => link.subscriptions.size);
    assert.deepEqual([count(), members], [0, [0]]);
    const { signal: other } = new AbortController();
    const left = client.events({ signal: other });
    await next(world, left);
    await world.value(left.return!());
    assert.equal(getEventListeners(other, "abort").length, 0);
  });

  test("refuse a misspelt option", async () => {
    const world = await World.create(1);
    const events = world.client().events({ sgnal: 1 } as object);
    const message = /^sgnal is no option; there are signal$/;
    await assert.rejects(events.next(), { code: "invalidArgument", message });
  });

  test("end when the loop over them is left, with what was not read and with their signal", async () => {
    const world = await World.create(1);
    const { signal } = new AbortController();
    const events = world.client().events({ signal });
    await next(world, events);
    world.host("a").notifyAll(members("a#1"));
    await world.settle();
    assert.equal(getEventListeners(signal, "abort").length, 1);
    await world.value(events.return!());
    await world.settle();
    const [link] = world.host("a").links;
    assert.equal(link!.subscriptions.size, 0);
    assert.equal(getEventListeners(signal, "abort").length, 0);
    assert.equal(await next(world, events), null);
  });

  test("that nobody reads any more are not asked for again over a new connection", async () => {
    const world = await World.create(1);
    const events = world.client().events();
    await next(world, events);
    await world.value(events.return!());
    world.host("a").breakConnections();
    await world.pass(5000);
    assert.equal(world.host("a").connections, 1);
  });

  test("tell a reader, and nobody else, that every host refuses", async () => {
    const world = await World.create(1);
    world.host("a").refuseOpen = { code: "unknownGroup", message: "not here" };
    const events = world.client().events();
    const error = await world.error(events.next());
    assert.equal(error.code, "unknownGroup");
    assert.equal(await next(world, events), null);
  });

  test("of more streams than a host takes of one client are refused at once, until one ends", async () => {
    const world = await World.create(2);
    const client = world.client();
    const streams = Array.from({ length: maxSubscriptions }, () => client.events());
    for (const events of streams) await next(world, events);
    const tooMany = client.events();
    const error = await world.error(tooMany.next());
    assert.equal(error.code, "overloaded");
    assert.match(error.message, /64 streams of events .* already \(maxSubscriptions\)/);
    assert.equal(await next(world, tooMany), null);
    await world.value(streams[0]!.return!());
    assert.ok((await next(world, client.events())) !== null);
    world.host("a").notifyAll(role(9));
    assert.deepEqual(await next(world, streams[1]!), role(9));
  });

  test("outlast an overload, and those of a member's own handle go to no other member", async () => {
    const world = await World.create(2);
    let refusals = 3;
    world.host("a").answer = () => {
      refusals -= 1;
      return refusals < 0 ? "serve" : { status: "overloaded" };
    };
    const client = world.client({ home: "a:1" });
    const events = client.events();
    assert.ok((await next(world, events)) !== null);
    const subscribed = (id: string): number =>
      [...world.host(id).links].reduce((sum, link) => sum + link.subscriptions.size, 0);
    assert.deepEqual([subscribed("b"), refusals], [0, -1]);
  });

  test("keep their connection honest", async () => {
    const world = await World.create(1);
    const events = world.client().events();
    await next(world, events);
    const [dead] = world.host("a").links;
    dead!.onPayload = () => undefined;
    await world.pass(10_000);
    assert.equal(world.host("a").connections, 2);
    world.host("a").notifyAll(role(9));
    assert.deepEqual(await next(world, events), role(9));
  });
});
