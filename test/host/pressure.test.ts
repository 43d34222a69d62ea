/** Sides that do not read: what waits for them is bounded, and costs nobody else. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupEvent } from "../../src/client/types.js";
import { createCborCodec } from "../../src/codec/values.js";
import { type Frame, protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import type { Connection, ConnectionHandlers, Transport } from "../../src/ports.js";
import { encodeQueryBody } from "../../src/value/body.js";
import { Cluster, counter, createLogBook, queue } from "./cluster.js";
import { RawClient } from "./raw-client.js";

const codec = createCborCodec();

/** A transport whose accepted and dialled connections tests can clog: nothing leaves any more. */
class CloggedTransport implements Transport {
  readonly inner: Transport;
  clogged = false;
  /** Frames that were sent while clogged, by type. */
  readonly held: Frame["type"][] = [];
  #waiting: (() => void)[] = [];
  #queuedBytes = 0;
  #handlers: ConnectionHandlers[] = [];

  constructor(inner: Transport) {
    this.inner = inner;
  }

  listen(address: string, accept: (connection: Connection) => ConnectionHandlers) {
    return this.inner.listen(address, (connection) => {
      const handlers = accept(this.#wrap(connection));
      this.#handlers.push(handlers);
      return handlers;
    });
  }

  dial(address: string, handlers: ConnectionHandlers): Connection {
    this.#handlers.push(handlers);
    return this.#wrap(this.inner.dial(address, handlers));
  }

  #wrap(connection: Connection): Connection {
    const queuedBytes = (): number => (this.clogged ? this.#queuedBytes : connection.queuedBytes);
    const queuedPayloads = (): number => this.#waiting.length;
    return {
      remote: connection.remote,
      get queuedBytes() {
        return queuedBytes();
      },
      get queuedPayloads() {
        return queuedPayloads();
      },
      send: (payload) => {
        if (!this.clogged) return connection.send(payload);
        this.held.push(decodeFrame(payload).type);
        this.#queuedBytes += payload.length;
        this.#waiting.push(() => connection.send(payload));
      },
      close: () => connection.close(),
      destroy: (reason) => connection.destroy(reason),
    };
  }

  unclog(): void {
    this.clogged = false;
    this.#queuedBytes = 0;
    for (const send of this.#waiting.splice(0)) send();
    for (const handlers of this.#handlers) handlers.onDrain();
  }
}

describe("a client that does not read", () => {
  test("is closed with one line once too much waits for it", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    const transport = new CloggedTransport(cluster.network.transport("foo"));
    const limits = { maxClientQueueBytes: 10_000 };
    await cluster.start("foo", { transport, limits, logger: book.logger });
    const [foo] = await cluster.group("queue", queue, ["foo"]);
    for (let i = 0; i < 20; i++) await cluster.run(foo!.command("enqueue", "x".repeat(100)));
    const raw = cluster.network.transport("raw");
    const client = new RawClient((handlers) => raw.dial("foo:1", handlers), "queue");
    await cluster.pass(20);
    transport.clogged = true;
    const body = encodeQueryBody(queue, codec, "items", false, undefined);
    for (let i = 0; i < 10; i++) {
      client.ask({ type: "query", request: i, stale: true, body });
      await cluster.pass(10);
    }
    assert.equal(client.closed, true);
    const lines = book.lines.filter((line) => line.level === "warn");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.message, /leaves over 10000 bytes unread/);
    transport.clogged = false;
    assert.equal(await cluster.run(foo!.query("length")), 20);
    await cluster.close();
  });

  test("finds the newest event of each kind when it reads again, and no more", async () => {
    const cluster = new Cluster();
    const transport = new CloggedTransport(cluster.network.transport("foo"));
    await cluster.start("foo", { transport });
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const raw = cluster.network.transport("raw");
    const client = new RawClient((handlers) => raw.dial("foo:1", handlers), "counter");
    client.ask({ type: "admin", request: 9, verb: "subscribe", body: codec.encode(null) });
    await cluster.pass(20);
    const before = client.frames.filter((frame) => frame.type === "notify").length;
    assert.equal(before, 3, "role, members, config");
    transport.clogged = true;
    // More than what may wait before events are held back.
    const body = encodeQueryBody(counter, codec, "get", false, undefined);
    const many = Array.from({ length: 20_000 }, (_, request) => {
      return { type: "query", request: 100 + request, stale: true, body } as const;
    });
    client.ask(...many);
    await cluster.pass(20);
    for (let i = 0; i < 200; i++) {
      await cluster.run(foo!.changeConfig({ heartbeatMs: 100 + i }));
    }
    assert.equal(transport.held.filter((type) => type === "notify").length, 0);
    transport.unclog();
    await cluster.pass(5000);
    const events = client.frames
      .filter((frame) => frame.type === "notify")
      .slice(before)
      .map((frame) => codec.decode(frame.body) as GroupEvent);
    assert.equal(events.length, 1);
    const [event] = events;
    assert.ok(event?.type === "config" && event.config.heartbeatMs === 299);
    await cluster.close();
  });
});

describe("a side that goes on asking and does not read is closed with one line", () => {
  const hello: Frame = { type: "hello", protocol: protocolVersion, kind: "client", from: "raw" };
  const openPeer: Frame = {
    ...{ type: "openPeer", channel: 1, group: "counter", groupId: "id", from: "raw#1" },
    ...{ fromAddress: "raw:1", to: "foo#1", valueName: "counter", valueVersion: 1 },
    compatibleVersions: [],
  };
  const openClient: Frame = {
    ...{ type: "openClient", channel: 1, group: "counter", valueName: null, valueVersion: 0 },
    compatibleVersions: [],
  };

  for (const [what, kind, asked] of [
    ["a client's pings", "client", { type: "ping", reply: false, sentAtMs: 1 }],
    ["a peer's pings", "peer", { type: "ping", reply: false, sentAtMs: 1 }],
    ["one channel opened again and again", "client", openClient],
    ["a client's channel that is refused", "client", { ...openClient, group: "other" }],
    ["a peer's channel that is refused", "peer", openPeer],
  ] as [string, "client" | "peer", Frame][]) {
    test(what, async () => {
      const cluster = new Cluster();
      const book = createLogBook();
      const transport = new CloggedTransport(cluster.network.transport("foo"));
      const limits = { maxClientQueueBytes: 50_000, maxPeerQueueBytes: 50_000 };
      await cluster.start("foo", { transport, limits, logger: book.logger });
      const [foo] = await cluster.group("counter", counter, ["foo"]);
      let closed = false;
      const connection = cluster.network.transport("raw").dial("foo:1", {
        onOpen: () => undefined,
        onPayload: () => undefined,
        onDrain: () => undefined,
        onClose: () => (closed = true),
      });
      connection.send(encodeFrame({ ...hello, kind }));
      await cluster.pass(20);
      transport.clogged = true;
      for (let i = 0; i < 1000; i++) connection.send(encodeFrame(asked));
      await cluster.pass(20);
      assert.equal(closed, true);
      assert.ok(transport.held.length < 200, `${transport.held.length} frames wait`);
      const lines = book.lines.filter(({ message }) => /leaves over 50000 bytes/.test(message));
      assert.equal(lines.length, 1);
      transport.clogged = false;
      assert.equal(await cluster.run(foo!.command("inc", 1)), 1);
      await cluster.close();
    });
  }

  test("a host that is dialled: its pings", async () => {
    const cluster = new Cluster();
    const inner = cluster.network.transport("foo");
    const toMute = new CloggedTransport(inner);
    const transport: Transport = {
      listen: (address, accept) => inner.listen(address, accept),
      dial: (address, handlers) => (address === "mute:1" ? toMute : inner).dial(address, handlers),
    };
    const book = createLogBook();
    const limits = { maxPeerQueueBytes: 50_000 };
    await cluster.start("foo", { transport, limits, logger: book.logger });
    const accepted: Connection[] = [];
    await cluster.network.transport("mute").listen("mute:1", (connection) => {
      accepted.push(connection);
      connection.send(encodeFrame({ type: "welcome", protocol: protocolVersion, hostId: "mute" }));
      return {
        onOpen: () => undefined,
        onPayload: () => undefined,
        onDrain: () => undefined,
        onClose: () => undefined,
      };
    });
    await cluster.group("counter", counter, ["foo"]);
    const raw = new RawClient((handlers) => cluster.host("foo").dialLocal(handlers), "counter");
    const body = codec.encode({
      ...{ memberId: "mute#1", address: "mute:1", valueName: "counter", valueVersion: 1 },
      compatibleVersions: [],
    });
    raw.ask({ type: "admin", request: 5, verb: "join", body });
    await cluster.until("mute was dialled", () => accepted.length === 1);
    await cluster.pass(20);
    toMute.clogged = true;
    const ping = encodeFrame({ type: "ping", reply: false, sentAtMs: 1 });
    for (let i = 0; i < 1000; i++) accepted[0]!.send(ping);
    await cluster.pass(20);
    assert.ok(toMute.held.length < 200, `${toMute.held.length} frames wait`);
    assert.ok(book.lines.some(({ message }) => /sends pings and reads no answers/.test(message)));
    toMute.clogged = false;
    await cluster.close();
  });
});

describe("a peer that does not read", () => {
  test("gets no more than the cap, and catches up when it reads again", async () => {
    const cluster = new Cluster(2);
    // Only what goes to bar is clogged.
    const inner = cluster.network.transport("foo");
    const toBar = new CloggedTransport(inner);
    const transport: Transport = {
      listen: (address, accept) => inner.listen(address, accept),
      dial: (address, handlers) => (address === "bar:1" ? toBar : inner).dial(address, handlers),
    };
    await cluster.start("foo", { transport, limits: { maxPeerQueueBytes: 50_000 } });
    const [foo] = await cluster.group("queue", queue, ["foo", "bar", "baz"]);
    await cluster.pass(1000);
    if (!cluster.leaders("queue").includes("foo")) {
      await cluster.run(foo!.transferLeadership("foo"));
      await cluster.pass(500);
    }
    toBar.clogged = true;
    for (let i = 0; i < 100; i++) {
      assert.equal(await cluster.run(foo!.command("enqueue", `${i} ${"x".repeat(5000)}`)), i);
    }
    // One message beyond the cap may have been let in.
    assert.ok(toBar.held.length < 30, `${toBar.held.length} frames wait`);
    const { members } = await cluster.run(foo!.status());
    assert.equal(members.length, 3);
    toBar.unclog();
    await cluster.until("bar has caught up", () => {
      const { applier } = cluster.host("bar").memberOf("queue")!.replica;
      return (applier.value as { items: readonly string[] }).items.length === 100;
    });
    await cluster.close();
  });
});
