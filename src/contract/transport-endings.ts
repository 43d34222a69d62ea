/** The transport contract's second half: closing, destroying, handlers that throw. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RaftError } from "../errors.js";
import { Peer, patterned } from "./peer.js";
import { connect, isRaftError, listen, type TransportFactory } from "./transport-harness.js";

function testClosing(make: TransportFactory): void {
  test("close sends what is queued, then both sides hear of an orderly end, once", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    const connection = dialler.connection!;
    for (let i = 0; i < 500; i++) connection.send(patterned(5000, i));
    connection.close();
    connection.close();
    connection.send(patterned(1));
    assert.equal(await accepted.closed(), null);
    assert.equal(await dialler.closed(), null);
    assert.equal(accepted.payloads.length, 500);
    accepted.connection!.close();
    connection.destroy("too late");
    connection.close();
    await new Promise(setImmediate);
    assert.deepEqual([dialler.closes, accepted.closes], [1, 1]);
    assert.equal(connection.queuedBytes, 0);
  });

  test("the accepting side may close as well", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    accepted.connection!.send(patterned(3));
    accepted.connection!.close();
    assert.equal(await dialler.closed(), null);
    assert.equal(await accepted.closed(), null);
    assert.equal(dialler.payloads.length, 1);
  });

  test("both sides may close at the same time", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    dialler.connection!.close();
    accepted.connection!.close();
    assert.equal(await dialler.closed(), null);
    assert.equal(await accepted.closed(), null);
  });
}

function testClosingEarly(make: TransportFactory): void {
  test("close before the connection is open still sends what is queued", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    const dialler = Peer.dial(harness.transport, server.address);
    dialler.connection!.send(patterned(10));
    dialler.connection!.send(patterned(20));
    dialler.connection!.close();
    const accepted = await server.accepted();
    assert.equal(await accepted.closed(), null);
    assert.equal(await dialler.closed(), null);
    assert.deepEqual(accepted.payloads, [patterned(10), patterned(20)]);
    assert.equal(dialler.opens, 0);
  });

  test("close before the connection is open, with nothing queued, gives up at once", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    const dialler = Peer.dial(harness.transport, server.address);
    dialler.connection!.close();
    assert.equal(await dialler.closed(), null);
    assert.equal(dialler.opens, 0);
  });

  test("after close nothing is handed out but the end", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    accepted.onNote = (what) => {
      if (what === "payload" && accepted.payloads.length === 2) accepted.connection!.close();
    };
    for (let i = 0; i < 10; i++) dialler.connection!.send(patterned(10, i));
    await accepted.closed();
    await dialler.closed();
    assert.equal(accepted.payloads.length, 2);
  });
}

function testClosingUnderPressure(make: TransportFactory): void {
  test("after close there is no onDrain", async (t) => {
    const { harness, dialler, accepted } = await connect(t, make);
    dialler.connection!.send(patterned(harness.highWaterBytes + 1));
    dialler.connection!.close();
    assert.equal(await dialler.closed(), null);
    assert.equal(dialler.drains, 0);
    assert.equal(accepted.payloads.length, 1);
  });
}

function testDestroying(make: TransportFactory): void {
  test("destroy ends the connection at once and says why, once", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    const connection = dialler.connection!;
    connection.send(patterned(100));
    connection.destroy("the operator said so");
    connection.destroy("again");
    connection.close();
    connection.send(patterned(1));
    assert.equal(connection.queuedBytes, 0);
    const error = await dialler.closed();
    isRaftError(error, "closed");
    assert.match(error!.message, /the operator said so/);
    isRaftError(await accepted.closed(), "closed");
    assert.deepEqual([dialler.closes, accepted.closes], [1, 1]);
  });

  test("after destroy nothing of the same batch is handed out", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    accepted.onNote = (what) => {
      if (what === "payload") accepted.connection!.destroy("enough");
    };
    for (let i = 0; i < 10; i++) dialler.connection!.send(patterned(10, i));
    isRaftError(await accepted.closed(), "closed");
    await dialler.closed();
    assert.equal(accepted.payloads.length, 1);
  });

  test("destroy within accept ends it before it was open", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    server.onAccept = ({ connection }) => connection!.destroy("not wanted");
    const dialler = Peer.dial(harness.transport, server.address);
    const accepted = await server.accepted();
    const error = await accepted.closed();
    isRaftError(error, "closed");
    assert.match(error!.message, /not wanted/);
    assert.equal(accepted.opens, 0);
    await dialler.closed();
  });

  test("destroy before the connection is open ends it", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    const dialler = Peer.dial(harness.transport, server.address);
    dialler.connection!.send(patterned(10));
    dialler.connection!.destroy("changed our mind");
    isRaftError(await dialler.closed(), "closed");
    assert.equal(dialler.opens, 0);
  });
}

function testThrowing(make: TransportFactory): void {
  test("a payload handler that throws ends its own connection and no other", async (t) => {
    const { harness, server, dialler, accepted } = await connect(t, make);
    const bystander = Peer.dial(harness.transport, server.address, "bystander");
    t.after(() => bystander.connection!.destroy("the test is over"));
    const other = await server.accepted(2);
    accepted.onNote = (what) => {
      if (what === "payload") throw new Error("a bug in the handler");
    };
    dialler.connection!.send(patterned(10));
    dialler.connection!.send(patterned(10));
    const error = await accepted.closed();
    isRaftError(error, "internal");
    assert.match(error!.message, /onPayload.*a bug in the handler/);
    assert.equal(accepted.payloads.length, 1);
    await dialler.closed();
    bystander.connection!.send(patterned(20));
    await other.received(1);
  });

  test("the code of a RaftError that a handler throws is kept", async (t) => {
    const { dialler, accepted } = await connect(t, make);
    accepted.onNote = (what) => {
      if (what === "payload") throw new RaftError("protocolMismatch", "not a frame");
    };
    dialler.connection!.send(patterned(10));
    isRaftError(await accepted.closed(), "protocolMismatch");
    await dialler.closed();
  });

  test("an open handler that throws ends its own connection", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    server.onAccept = (peer) => {
      peer.onNote = (what) => {
        if (what === "open") throw new Error("a bug in the handler");
      };
    };
    const dialler = Peer.dial(harness.transport, server.address);
    const accepted = await server.accepted();
    isRaftError(await accepted.closed(), "internal");
    await dialler.closed();
  });
}

function testThrowingElsewhere(make: TransportFactory): void {
  test("a drain handler that throws ends its own connection", async (t) => {
    const { harness, dialler, accepted } = await connect(t, make);
    dialler.onNote = (what) => {
      if (what === "drain") throw new Error("a bug in the handler");
    };
    dialler.connection!.send(patterned(harness.highWaterBytes + 1));
    isRaftError(await dialler.closed(), "internal");
    await accepted.closed();
  });

  test("accept that throws ends the new connection, and the listener goes on", async (t) => {
    const harness = await make(t);
    const server = await listen(t, harness);
    let refuse = true;
    server.onAccept = () => {
      if (refuse) throw new Error("a bug in accept");
    };
    const first = Peer.dial(harness.transport, server.address, "first");
    await first.closed();
    refuse = false;
    const second = Peer.dial(harness.transport, server.address, "second");
    t.after(() => second.connection!.destroy("the test is over"));
    second.connection!.send(patterned(10));
    const accepted = await server.accepted();
    await accepted.received(1);
  });

  test("a close handler that throws harms nobody", async (t) => {
    const { harness, server, dialler, accepted } = await connect(t, make);
    dialler.onNote = (what) => {
      if (what === "close") throw new Error("a bug in the handler");
    };
    dialler.connection!.close();
    await dialler.closed();
    await accepted.closed();
    const next = Peer.dial(harness.transport, server.address, "next");
    t.after(() => next.connection!.destroy("the test is over"));
    next.connection!.send(patterned(10));
    await (await server.accepted(2)).received(1);
  });
}

export function testEndings(make: TransportFactory): void {
  testClosing(make);
  testClosingEarly(make);
  testClosingUnderPressure(make);
  testDestroying(make);
  testThrowing(make);
  testThrowingElsewhere(make);
}
