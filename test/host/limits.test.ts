/** Everything has a limit, and what is over it is refused clearly. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { maxSubscriptions } from "../../src/client/options.js";
import type { GroupEvent } from "../../src/client/types.js";
import { SeededRandom } from "../../src/clock/virtual.js";
import { createCborCodec } from "../../src/codec/values.js";
import { checkLimits, defaultHostLimits, transportLimits } from "../../src/host/limits.js";
import { silentLogger } from "../../src/host/options.js";
import { startHostWith } from "../../src/host/start.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import { encodeCommandBody, encodeQueryBody } from "../../src/value/body.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { maxItemsPerFrame } from "../../src/codec/requests.js";
import type { ClientRequest, Frame } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { Cluster, counter, createLogBook } from "./cluster.js";
import { RawClient } from "./raw-client.js";

const codec = createCborCodec();
const inc = (by: number): Uint8Array => encodeCommandBody(counter, codec, "inc", true, by, null);
const get = encodeQueryBody(counter, codec, "get", false, undefined);

const register: ClientRequest = { type: "register", request: 1, nonce: 77 };

function command(request: number, session: number, sequence: number): ClientRequest {
  return {
    type: "command",
    request,
    session,
    sequence,
    lowestOutstanding: 1,
    body: inc(1),
  };
}

async function rawSession(cluster: Cluster, id = "foo"): Promise<[RawClient, number]> {
  const transport = cluster.network.transport("raw");
  const client = new RawClient((handlers) => transport.dial(`${id}:1`, handlers), "counter");
  client.ask(register);
  await cluster.until("the session is there", () => client.replyTo(1) !== null);
  return [client, client.replyTo(1)!.index];
}

describe("replies", () => {
  test("of one turn leave in one frame per client", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    const [client, session] = await rawSession(cluster, cluster.leaders("counter")[0]);
    const before = client.replyFrames().length;
    const commands = Array.from({ length: 200 }, (_, at) => command(100 + at, session, 1 + at));
    client.ask(...commands);
    await cluster.until("all are answered", () => client.replies().length === 201);
    assert.equal(client.replyFrames().length - before, 1);
    assert.deepEqual(
      client
        .replyFrames()
        .at(-1)!
        .replies.map((reply) => codec.decode(reply.body)),
      commands.map((_, at) => at + 1),
    );
    await cluster.close();
  });

  test("to queries of one turn share one round and one frame", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    const [client] = await rawSession(cluster, cluster.leaders("counter")[0]);
    const before = client.replyFrames().length;
    client.ask(
      ...Array.from({ length: 50 }, (_, at): ClientRequest => {
        return { type: "query", request: 100 + at, stale: false, body: get };
      }),
    );
    await cluster.until("all are answered", () => client.replies().length === 51);
    assert.equal(client.replyFrames().length - before, 1);
    await cluster.close();
  });
});

describe("over a limit", () => {
  test("a client's requests are refused as overloaded, and nothing of them is applied", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage();
    await cluster.start("foo", { storage, limits: { maxRequestsPerClient: 10 } });
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const [client, session] = await rawSession(cluster);
    storage.holdAnswers();
    client.ask(...Array.from({ length: 15 }, (_, at) => command(100 + at, session, 1 + at)));
    await cluster.pass(50);
    const refused = client.replies().filter((reply) => reply.status === "overloaded");
    assert.deepEqual(
      refused.map((reply) => [reply.request, reply.applied]),
      [110, 111, 112, 113, 114].map((request) => [request, "no"]),
    );
    storage.releaseAnswers();
    await cluster.until("the others are answered", () => client.replies().length === 16);
    assert.equal(await cluster.run(foo!.query("get")), 10);
    client.ask(command(200, session, 16));
    await cluster.until("answered again", () => client.replyTo(200) !== null);
    assert.equal(client.replyTo(200)!.status, "ok");
    await cluster.close();
  });

  test("a client's subscriptions are refused, until one of them ends and is told nothing more", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const [client] = await rawSession(cluster);
    const ask = (request: number, verb: string, body: unknown): void =>
      client.ask({ type: "admin", request, verb, body: codec.encode(body) });
    const first = 100;
    const refused = first + maxSubscriptions;
    for (let request = first; request <= refused; request++) ask(request, "subscribe", null);
    await cluster.until("all are answered", () => client.replyTo(refused) !== null);
    const statuses = client.replies().map(({ request, status }) => [request, status]);
    assert.deepEqual(
      statuses.filter(([, status]) => status !== "ok"),
      [[refused, "overloaded"]],
    );
    ask(200, "unsubscribe", { request: first });
    ask(201, "subscribe", null);
    await cluster.until("answered", () => client.replyTo(201) !== null);
    assert.equal(client.replyTo(201)!.status, "ok");
    await cluster.pass(20);
    client.frames.length = 0;
    await cluster.run(foo!.changeConfig({ heartbeatMs: 40 }));
    await cluster.pass(20);
    const told = client.frames.filter((frame) => frame.type === "notify");
    assert.equal(told.length, maxSubscriptions);
    assert.ok(told.every(({ request }) => request !== first));
    await cluster.close();
  });

  test("a channel that is opened anew takes the place of the one before, and of what was subscribed there", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const [client] = await rawSession(cluster);
    const subscribe = (request: number): void =>
      client.ask({ type: "admin", request, verb: "subscribe", body: codec.encode(null) });
    const group = { group: "counter", valueName: null, valueVersion: 0, compatibleVersions: [] };
    subscribe(100);
    for (let request = 101; request < 110; request++) {
      client.send({ type: "openClient", channel: 1, ...group });
      subscribe(request);
    }
    await cluster.until("all are answered", () => client.replyTo(109) !== null);
    await cluster.pass(20);
    client.frames.length = 0;
    await cluster.run(foo!.changeConfig({ heartbeatMs: 40 }));
    await cluster.pass(20);
    const told = client.frames.filter((frame) => frame.type === "notify");
    assert.deepEqual(
      told.map(({ request }) => request),
      [109],
    );
    await cluster.close();
  });

  test("a client's subscriptions end all the same when it leaves them", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage();
    await cluster.start("foo", { storage, limits: { maxRequestsPerClient: 10 } });
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    await cluster.run(foo!.command("inc", 1));
    const streams = Array.from({ length: maxSubscriptions }, () => foo!.events());
    for (const events of streams) await cluster.run(events.next());
    storage.holdAnswers();
    const commands = Array.from({ length: 10 }, () => foo!.command("inc", 1));
    await cluster.pass(50);
    for (const events of streams) await events.return!();
    await cluster.pass(50);
    storage.releaseAnswers();
    await cluster.run(Promise.all(commands));
    const { value } = await cluster.run(foo!.events().next());
    assert.equal((value as GroupEvent).type, "role");
    await cluster.close();
  });

  test("more refusals in a turn than a frame may hold leave in two frames", async () => {
    const cluster = new Cluster();
    await cluster.start("foo", { limits: { maxRequestsPerClient: 10 } });
    await cluster.group("counter", counter, ["foo"]);
    const [client] = await rawSession(cluster);
    const before = client.replyFrames().length;
    const count = maxItemsPerFrame / 2 + 100;
    for (const first of [100, 100 + count]) {
      const queries = Array.from({ length: count }, (_, at): ClientRequest => {
        return { type: "query", request: first + at, stale: false, body: get };
      });
      client.ask(...queries);
    }
    await cluster.until("all are answered", () => client.replies().length === 1 + 2 * count);
    const sizes = client.replyFrames().map((frame) => frame.replies.length);
    assert.ok(sizes.length - before >= 2, `${sizes.length - before} frames`);
    assert.equal(Math.max(...sizes), maxItemsPerFrame);
    await cluster.close();
  });

  test("what does not fit into a member's inbox is refused as overloaded", async () => {
    const cluster = new Cluster();
    await cluster.start("foo", { limits: { maxInboxBytes: 4096 } });
    await cluster.group("counter", counter, ["foo"]);
    const [client, session] = await rawSession(cluster);
    client.ask(...Array.from({ length: 100 }, (_, at) => command(100 + at, session, 1 + at)));
    await cluster.until("all are answered", () => client.replies().length === 101);
    const overloaded = client.replies().filter((reply) => reply.status === "overloaded");
    assert.ok(overloaded.length > 50 && overloaded.length < 100, `${overloaded.length}`);
    assert.ok(overloaded.every((reply) => reply.applied === "no"));
    await cluster.close();
  });

  test("a further connection is refused, until one of the others is gone", async () => {
    const cluster = new Cluster();
    await cluster.start("foo", { limits: { maxConnections: 2 } });
    await cluster.run(cluster.host("foo").group("counter", counter, { start: "create" }));
    const transport = cluster.network.transport("raw");
    const dial = (): RawClient =>
      new RawClient((handlers) => transport.dial("foo:1", handlers), "counter");
    const first = dial();
    const second = dial();
    await cluster.pass(20);
    const third = dial();
    await cluster.pass(20);
    const refusal = third.frames.find((frame) => frame.type === "refuse");
    assert.equal(refusal?.code, "overloaded");
    assert.equal(third.closed, true);
    assert.deepEqual([first.closed, second.closed], [false, false]);
    first.connection.close();
    await cluster.pass(20);
    const fourth = dial();
    await cluster.pass(20);
    assert.ok(fourth.frames.some((frame) => frame.type === "channelOpened"));
    await cluster.close();
  });

  test("a connection that never says hello is closed with one line", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    await cluster.start("foo", { logger: book.logger, limits: { helloTimeoutMs: 1000 } });
    let closed = false;
    cluster.network.transport("raw").dial("foo:1", {
      onOpen: () => undefined,
      onPayload: () => undefined,
      onDrain: () => undefined,
      onClose: () => (closed = true),
    });
    await cluster.pass(4000);
    assert.equal(closed, true);
    const lines = book.lines.filter((line) => line.level === "warn");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.message, /no hello within 1000 ms/);
    await cluster.close();
  });

  test("a client that does not answer pings is let go", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo"]);
    const [client] = await rawSession(cluster);
    await cluster.pass(30_000);
    assert.equal(client.closed, true);
    await cluster.close();
  });
});

describe("what the default transport is asked to allow", () => {
  test("lies beyond the host's own limits, and for frames not below the usual", () => {
    for (const given of [
      {},
      { maxConnections: 5, maxFrameBytes: 5000, maxClientQueueBytes: 5000 },
      { maxConnections: 100_000, maxFrameBytes: 1e9, maxClientQueueBytes: 1e9 },
      { maxPeerQueueBytes: 1e9 },
    ]) {
      const limits = checkLimits(given);
      const { maxConnections, maxFrameBytes, maxQueuedBytes } = transportLimits(limits);
      assert.ok(maxConnections > limits.maxConnections);
      assert.ok(maxFrameBytes >= limits.maxFrameBytes);
      assert.ok(maxFrameBytes >= defaultHostLimits.maxFrameBytes);
      assert.ok(maxQueuedBytes > limits.maxClientQueueBytes + limits.maxFrameBytes);
      assert.ok(maxQueuedBytes > limits.maxPeerQueueBytes + limits.maxFrameBytes);
      createTcpTransport({ limits: transportLimits(limits) });
    }
  });

  test("is told to whoever makes it", async () => {
    const cluster = new Cluster();
    const told: number[] = [];
    const options = { id: "foo", listen: "foo:1", limits: { maxConnections: 9000 } };
    const host = await startHostWith(options, {
      clock: cluster.clock,
      random: cluster.random,
      codec,
      logger: silentLogger,
      freeze: true,
      makeStorage: () => createMemoryStorage(),
      makeTransport(limits) {
        told.push(limits.maxConnections);
        return cluster.network.transport("foo");
      },
    });
    assert.deepEqual(told, [9000]);
    await cluster.run(host.close());
  });
});

describe("a peer that is gone", () => {
  test("is dialled with growing pauses, and reached soon after it is back", async () => {
    const cluster = new Cluster();
    const dials: number[] = [];
    const inner = cluster.network.transport("foo");
    await cluster.start("foo", {
      transport: {
        listen: (address, accept) => inner.listen(address, accept),
        dial(address, handlers) {
          if (address === "bar:1") dials.push(cluster.clock.nowMs());
          return inner.dial(address, handlers);
        },
      },
    });
    const [foo] = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    await cluster.pass(1000);
    if (!cluster.leaders("counter").includes("foo")) {
      await cluster.run(foo!.transferLeadership("foo"));
    }
    cluster.network.cut("foo", "bar");
    const before = dials.length;
    await cluster.pass(20_000);
    const tries = dials.length - before;
    assert.ok(tries >= 10 && tries <= 45, `${tries} tries in 20 s`);
    cluster.network.heal("foo", "bar");
    const healedMs = cluster.clock.nowMs();
    await cluster.run(foo!.command("inc", 1));
    const caughtUp = (): boolean =>
      cluster.host("bar").memberOf("counter")!.replica.core.lastApplied ===
      cluster.host("foo").memberOf("counter")!.replica.core.lastApplied;
    await cluster.until("bar has caught up", caughtUp);
    assert.ok(cluster.clock.nowMs() - healedMs < 2500);
    await cluster.close();
  });

  test("without a word (half open) is noticed by pings, and dialled anew", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    let dials = 0;
    let destroyed = 0;
    await cluster.network.transport("mute").listen("mute:1", (connection) => {
      dials += 1;
      return {
        onOpen: () => undefined,
        onPayload(payload) {
          if (decodeFrame(payload).type !== "hello") return;
          const frame: Frame = { type: "welcome", protocol: protocolVersion, hostId: "mute" };
          connection.send(encodeFrame(frame));
        },
        onDrain: () => undefined,
        onClose: () => (destroyed += 1),
      };
    });
    // A learner that never answers: the group goes on without it.
    const raw = new RawClient((handlers) => cluster.host("foo").dialLocal(handlers), "counter");
    raw.ask({
      type: "admin",
      request: 5,
      verb: "join",
      body: codec.encode({
        memberId: `mute#${new SeededRandom(1).id()}`,
        address: "mute:1",
        valueName: "counter",
        valueVersion: 1,
        compatibleVersions: [],
      }),
    });
    await cluster.pass(30_000);
    assert.equal(raw.replyTo(5)?.status, "ok");
    assert.ok(dials >= 3 && dials <= 6, `${dials} dials`);
    assert.equal(destroyed, dials - 1);
    assert.equal(await cluster.run(foo!.command("inc", 1)), 1);
    await cluster.close();
  });
});
