/**
 * What every Transport owes its users, as tests. Run it for an adapter with
 * `transportContract("tcp", makeHarness)`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RaftError } from "../errors.js";
import { Peer, PeerServer, patterned } from "./peer.js";
import { testEndings } from "./transport-endings.js";
import {
  connect,
  isRaftError,
  listen,
  outside,
  type TransportFactory,
} from "./transport-harness.js";

function testOpening(make: TransportFactory): void {
  test("both sides are told once that the connection is open", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    dialler.connection!.send(patterned(10));
    await accepted.received(1);
    assert.deepEqual([dialler.opens, accepted.opens], [1, 1]);
    assert.notEqual(dialler.connection!.remote, "");
    assert.notEqual(accepted.connection!.remote, "");
  });

  test("the listener says where it can be reached", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    assert.doesNotMatch(server.address, /:0$/);
    const other = await listen(t, harness);
    assert.notEqual(other.address, server.address);
  });

  test("what is sent before the connection is open waits for it", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    const dialler = Peer.dial(harness.transport, server.address);
    t.after(() => dialler.connection!.destroy("the test is over"));
    for (let i = 0; i < 100; i++) dialler.connection!.send(patterned(i, i));
    assert.equal(dialler.connection!.queuedBytes, (99 * 100) / 2);
    const accepted = await server.accepted();
    await accepted.received(100);
    accepted.payloads.forEach((payload, i) => assert.deepEqual(payload, patterned(i, i)));
  });

  test("the accepting side may send before its handlers are known", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    server.onAccept = (peer) => peer.connection!.send(patterned(5));
    const dialler = Peer.dial(harness.transport, server.address);
    t.after(() => dialler.connection!.destroy("the test is over"));
    await dialler.received(1);
    assert.deepEqual(dialler.payloads[0], patterned(5));
  });

  test("no handler is called within a call", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    const dialler = new Peer("dialler");
    outside(dialler, () => {
      dialler.connection = harness.transport.dial(server.address, dialler);
      dialler.connection.send(patterned(10));
    });
    const accepted = await server.accepted();
    await accepted.received(1);
    outside(accepted, () => accepted.connection!.send(patterned(harness.highWaterBytes + 1)));
    await dialler.received(1);
    outside(dialler, () => dialler.connection!.close());
    outside(accepted, () => accepted.connection!.destroy("no longer needed"));
    await Promise.all([dialler.closed(), accepted.closed()]);
  });
}

function testRefusals(make: TransportFactory): void {
  test("an address where nobody listens ends the dialled connection", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    await server.close();
    const dialler = Peer.dial(harness.transport, server.address);
    dialler.connection!.send(patterned(10));
    isRaftError(await dialler.closed(), "connectFailed");
    assert.equal(dialler.opens, 0);
    dialler.connection!.send(patterned(10));
    dialler.connection!.close();
    dialler.connection!.destroy("twice");
    assert.equal(dialler.connection!.queuedBytes, 0);
    assert.equal(dialler.closes, 1);
  });

  test("an address that cannot be one is refused", async (t) => {
    const harness = await make(t);
    for (const address of harness.badAddresses) {
      await assert.rejects(
        harness.transport.listen(address, () => new Peer("nobody")),
        (error: unknown) =>
          isRaftError(error, "invalidArgument") && /listen/.test((error as RaftError).message),
      );
    }
  });

  test("an address in use is refused with a remedy", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    await assert.rejects(
      harness.transport.listen(server.address, () => new Peer("nobody")),
      (error: unknown) =>
        isRaftError(error, "listenFailed") && /in use.*choose/.test((error as RaftError).message),
    );
  });

  test("a closed listener takes no one in, keeps whom it has and frees its address", async (t) => {
    const { harness, server, dialler, accepted } = await connect(t, make);
    await server.close();
    await server.close();
    const late = Peer.dial(harness.transport, server.address, "late");
    isRaftError(await late.closed(), "connectFailed");
    dialler.connection!.send(patterned(10));
    await accepted.received(1);
    const again = await PeerServer.listen(harness.transport, server.address);
    t.after(() => again.close());
    assert.equal(again.address, server.address);
  });
}

function testPayloads(make: TransportFactory): void {
  test("payloads of all sizes arrive whole and in order, both ways", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    const sizes = [0, 1, 7, 8, 9, 64, 0, 4096, 16384, 16385, 65536, 3, 1_100_003, 1, 70_000, 2];
    const sent = sizes.map((size, i) => patterned(size, i + 1));
    for (const [from, to] of [
      [dialler, accepted],
      [accepted, dialler],
    ] as const) {
      for (const payload of sent) from.connection!.send(payload);
      await to.received(sent.length);
      to.payloads.forEach((payload, i) => assert.ok(Buffer.compare(payload, sent[i]!) === 0));
    }
    assert.equal(dialler.connection!.queuedBytes, 0);
  });

  test("a payload that is sent in parts arrives as one, in its turn", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    const connection = dialler.connection!;
    if (connection.sendParts === undefined) return t.skip("the transport takes no parts");
    const parts = [20, 16_385, 1, 70_000, 300].map((size, i) => patterned(size, i));
    const whole = Buffer.concat(parts);
    connection.send(patterned(7));
    connection.sendParts(parts);
    assert.equal(connection.queuedBytes, 7 + whole.length);
    connection.send(patterned(8));
    await accepted.received(3);
    assert.deepEqual(
      accepted.payloads.map((payload) => payload.length),
      [7, whole.length, 8],
    );
    assert.ok(Buffer.compare(accepted.payloads[1]!, whole) === 0);
    assert.equal(connection.queuedBytes, 0);
  });

  test("order holds over many turns", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    for (let turn = 0; turn < 200; turn++) {
      for (let i = 0; i < 20; i++) {
        const payload = new Uint8Array(24);
        new DataView(payload.buffer).setUint32(0, turn * 20 + i);
        dialler.connection!.send(payload);
      }
      await new Promise(setImmediate);
    }
    await accepted.received(4000);
    accepted.payloads.forEach((payload, i) => {
      assert.equal(new DataView(payload.buffer, payload.byteOffset).getUint32(0), i);
    });
  });
}

function testViews(make: TransportFactory): void {
  test("a payload that was handed out never changes", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    for (let i = 0; i < 300; i++) {
      dialler.connection!.send(patterned(1000 + i, i));
      if (i % 10 === 0) await accepted.received(i);
    }
    await accepted.received(300);
    accepted.payloads.forEach((payload, i) => {
      assert.deepEqual(new Uint8Array(payload), patterned(1000 + i, i));
    });
  });

  test("slice of a received payload is a copy, as of any Uint8Array", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    dialler.connection!.send(patterned(100));
    await accepted.received(1);
    const payload = accepted.payloads[0]!;
    const copy = payload.slice();
    assert.notEqual(copy.buffer, payload.buffer);
  });
}

function testTraffic(make: TransportFactory): void {
  test("a handler may answer at once", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    accepted.onNote = (what) => {
      if (what === "payload") accepted.connection!.send(accepted.payloads.at(-1)!);
    };
    for (let i = 0; i < 50; i++) dialler.connection!.send(patterned(i, i));
    await dialler.received(50);
    dialler.payloads.forEach((payload, i) => assert.deepEqual(payload, patterned(i, i)));
  });

  test("many connections do not mix their payloads", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    server.onAccept = (peer) => {
      peer.onNote = (what) => {
        if (what === "payload") peer.connection!.send(peer.payloads.at(-1)!);
      };
    };
    const diallers = Array.from({ length: 40 }, (_, i) =>
      Peer.dial(harness.transport, server.address, `dialler ${i}`),
    );
    t.after(() => diallers.forEach(({ connection }) => connection!.destroy("the test is over")));
    diallers.forEach((dialler, d) => {
      for (let i = 0; i < 25; i++) dialler.connection!.send(patterned(40, d * 100 + i));
    });
    await Promise.all(diallers.map((dialler) => dialler.received(25)));
    diallers.forEach((dialler, d) => {
      dialler.payloads.forEach((payload, i) => {
        assert.deepEqual(payload, patterned(40, d * 100 + i));
      });
    });
  });
}

function testPressure(make: TransportFactory): void {
  test("queuedBytes grows with what is sent, and onDrain says once that it has left", async (t) => {
    const { harness, dialler, accepted } = await connect(t, make);
    const connection = dialler.connection!;
    const count = 8;
    const size = Math.ceil(harness.highWaterBytes / count) + 1;
    let queuedAtDrain = -1;
    dialler.onNote = (what) => {
      if (what === "drain") queuedAtDrain = connection.queuedBytes;
    };
    for (let i = 0; i < count; i++) connection.send(patterned(size, i));
    assert.equal(connection.queuedBytes, size * count);
    await dialler.until("it has drained", () => dialler.drains > 0);
    assert.ok(queuedAtDrain >= 0 && queuedAtDrain <= harness.lowWaterBytes, `${queuedAtDrain}`);
    await accepted.received(count);
    connection.send(patterned(10));
    await accepted.received(count + 1);
    assert.equal(dialler.drains, 1);
  });

  test("queuedBytes is what was sent and has not left, over many turns and writes", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    const connection = dialler.connection!;
    let sentBytes = 0;
    for (let turn = 1; turn <= 12; turn++) {
      const before = connection.queuedBytes;
      for (let i = 0; i < 5; i++) connection.send(patterned(100_000 * i + 1, turn));
      sentBytes += 1_000_005;
      assert.equal(connection.queuedBytes, before + 1_000_005);
      await accepted.received(turn);
      const arrivedBytes = accepted.payloads.reduce((sum, { length }) => sum + length, 0);
      assert.ok(connection.queuedBytes >= 0 && connection.queuedBytes <= sentBytes);
      assert.ok(arrivedBytes <= sentBytes);
    }
    await accepted.received(60);
    accepted.connection!.send(patterned(1));
    await dialler.received(1);
    assert.equal(connection.queuedBytes, 0);
  });

  test("below the high mark there is no onDrain", async (t) => {
    const { harness, dialler, accepted } = await connect(t, make);
    dialler.connection!.send(patterned(harness.highWaterBytes));
    await accepted.received(1);
    accepted.connection!.send(patterned(1));
    await dialler.received(1);
    await dialler.until("all has left", () => dialler.connection!.queuedBytes === 0);
    assert.equal(dialler.drains, 0);
  });
}

/** Defines the suite; `make` is called anew for each test and cleans up by `t.after`. */
export function transportContract(name: string, make: TransportFactory): void {
  describe(`transport contract: ${name}`, () => {
    testOpening(make);
    testRefusals(make);
    testPayloads(make);
    testViews(make);
    testTraffic(make);
    testPressure(make);
    testEndings(make);
  });
}
