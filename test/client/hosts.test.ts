/** Hosts that refuse, speak something else, or say nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostBook } from "../../src/client/hosts.js";
import { identities, World } from "./world.js";

describe("hosts that will never do", () => {
  test("reject at once when all refuse, with each host and its reason", async () => {
    const world = await World.create(2);
    world.host("a").refuseOpen = { code: "unknownGroup", message: 'no group "numbers"' };
    world.host("b").refuseOpen = { code: "unknownGroup", message: "never heard of it" };
    const client = world.client();
    const outcome = await world.outcome(client.command("push", 1));
    assert.ok(outcome.type === "error");
    const { code, applied, message } = outcome.error;
    assert.deepEqual([code, applied], ["unknownGroup", "no"]);
    assert.match(
      message,
      /host a:1 refuses: no group "numbers"; host b:1 refuses: never heard of it/,
    );
    assert.ok(outcome.atMs < 100, `${outcome.atMs}`);
  });

  test("are passed over while others serve the group", async () => {
    const world = await World.create(3);
    world.host("a").refuseOpen = { code: "unknownGroup", message: "not here" };
    world.group.elect(2);
    const client = world.client();
    assert.equal(await world.value(client.command("push", 1)), 1);
  });

  test("are asked anew by the next call", async () => {
    const world = await World.create(1);
    world.host("a").refuseOpen = { code: "unknownGroup", message: "not yet" };
    const client = world.client();
    assert.equal((await world.error(client.status())).code, "unknownGroup");
    world.host("a").refuseOpen = null;
    const began = world.clock.nowMs();
    assert.equal(await world.answeredBy(client.status()), "a#1");
    assert.ok(world.clock.nowMs() - began < 50);
  });

  test("and do now are not held to what they said before", async () => {
    const world = await World.create(2);
    const [a, b] = [world.host("a"), world.host("b")];
    const refusal = { code: "unknownGroup", message: "not here" };
    a.refuseOpen = refusal;
    world.group.elect(1);
    const client = world.client();
    assert.equal(await world.value(client.command("push", 1)), 1);
    a.refuseOpen = null;
    world.group.elect(0);
    assert.equal(await world.value(client.command("push", 2)), 2);
    b.refuseOpen = refusal;
    b.breakConnections();
    world.group.elect(1);
    const call = client.command("push", 3);
    await world.pass(1000);
    world.group.elect(0);
    assert.equal(await world.value(call), 3);
  });

  test("are told by their version of the protocol", async () => {
    const world = await World.create(1);
    world.host("a").protocol = 9;
    const client = world.client();
    const error = await world.error(client.query("length"));
    assert.equal(error.code, "protocolMismatch");
    assert.match(error.message, /host a:1 speaks protocol version 9, this client 2/);
  });

  test("are told by what they send", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    const a = world.host("a");
    a.answer = () => "ignore";
    const call = client.command("push", 2);
    await world.settle();
    for (const link of a.links) link.connection.send(new Uint8Array([250, 1, 2, 3]));
    const error = await world.error(call);
    assert.deepEqual([error.code, error.applied], ["protocolMismatch", "maybe"]);
    assert.match(error.message, /a:1.*frame type 250/);
  });

  test("are told by the group's id: another group of the same name gets no command of ours", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.group.groupId = "group-2";
    world.host("a").breakConnections();
    const error = await world.error(client.command("push", 2));
    assert.equal(error.code, "groupMismatch");
    assert.match(error.message, /group id group-2, this client began with group-1/);
    assert.deepEqual(identities(world.host("a")).length, 1);
  });

  test("show themselves by silence: a handshake does not take for ever", async () => {
    const world = await World.create(2);
    world.host("a").silent = true;
    world.group.elect(1);
    const client = world.client();
    assert.equal(await world.value(client.command("push", 1)), 1);
    assert.ok(world.clock.nowMs() < 500);
  });
});

describe("a connection that has gone silent", () => {
  test("is pinged, given up and made anew within the default timeout", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    const [dead] = world.host("a").links;
    // From now on this connection swallows everything; a new one would work.
    dead!.onPayload = () => undefined;
    assert.equal(await world.value(client.command("push", 2)), 2);
    assert.ok(world.clock.nowMs() < 5000);
    assert.equal(world.host("a").connections, 2);
  });

  test("is kept while it answers pings, however long a reply takes", async () => {
    const world = await World.create(1);
    const client = world.client();
    world.host("a").answer = (request) => (request.type === "query" ? "ignore" : "serve");
    const error = await world.error(client.query("length", { timeoutMs: 20_000 }));
    assert.equal(error.code, "timeout");
    assert.ok(world.host("a").pings >= 5);
    assert.equal(world.host("a").connections, 1);
  });

  test("is not given up because this process stood still itself", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => "ignore";
    const box = world.watch(client.query("length", { timeoutMs: 60_000 }));
    await world.pass(100);
    const [link] = world.host("a").links;
    // All timers due within nine seconds fire at once, as after SIGSTOP and SIGCONT.
    const { clock } = world;
    const stalled = clock.nowMs() + 9000;
    clock.nowMs = () => stalled;
    clock.advance(110);
    await world.settle();
    assert.equal(box.outcome, null);
    assert.equal(world.host("a").links.has(link!), true);
  });
});

describe("the book of hosts", () => {
  const addresses = ({ entries }: HostBook): string[] => entries.map(({ address }) => address);

  test("forgets who has left the group, but for those that the user named", () => {
    const book = new HostBook(["a:1", "b:1"], null);
    book.refresh(["a:1", "b:1", "c:1", "d:1"]);
    assert.deepEqual(addresses(book), ["a:1", "b:1", "c:1", "d:1"]);
    book.refresh(["d:1", "e:1"]);
    assert.deepEqual(addresses(book), ["a:1", "b:1", "d:1", "e:1"]);
    book.refresh([]);
    assert.equal(book.entries.length, 4, "a member that knows nobody says nothing");
  });

  test("takes in no more than a group may have, whatever a host says", () => {
    const book = new HostBook(["a:1"], null);
    book.refresh(Array.from({ length: 10_000 }, (_, at) => `x${at}:1`));
    assert.equal(book.entries.length, 65);
  });

  test("gives everybody a turn to be dialled, and the home member the first one", () => {
    const turns = (book: HostBook): string[] =>
      Array.from({ length: 5 }, () => book.nextToDial(0)!.address);
    const book = new HostBook(["a:1", "b:1", "c:1"], null);
    assert.deepEqual(turns(book), ["a:1", "b:1", "c:1", "a:1", "b:1"]);
    const handle = new HostBook(["a:1", "b:1"], "b:1");
    assert.deepEqual(turns(handle), ["b:1", "b:1", "b:1", "b:1", "b:1"]);
    handle.home!.failures = 1;
    assert.deepEqual(turns(handle), ["b:1", "a:1", "b:1", "a:1", "b:1"]);
  });
});
