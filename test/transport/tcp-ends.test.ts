/** What comes when a listener or an address is no longer, or never was, and what is left running beside sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Server, Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { Peer, PeerServer, patterned } from "../../src/contract/peer.js";
import { silentLogger } from "../../src/host/options.js";
import type { Logger, Transport } from "../../src/ports.js";
import type { TcpShared } from "../../src/transport/tcp-connection.js";
import { reasonOf } from "../../src/transport/tcp-errors.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import { makeAuthority } from "../tools/certificates.js";
import { rawClosed, rawConnect } from "../tools/raw.js";

/** And the server of Node's below it. */
async function listen(t: TestContext, transport: Transport) {
  const listening = t.mock.method(Server.prototype, "listen");
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  return { server, below: listening.mock.calls[0]!.this as Server };
}

test("who was on its way in when the listener closed is turned out", async (t) => {
  const { server, below } = await listen(t, createTcpTransport());
  await server.close();
  const late = new Socket();
  below.emit("connection", late);
  assert.ok(late.destroyed);
  assert.equal(server.peers.length, 0);
});

test("a listener that closes waits for no TLS handshake", async (t) => {
  const authority = makeAuthority();
  const tls = { ...authority.issue("foo.test"), ca: authority.cert };
  const { server, below } = await listen(t, createTcpTransport({ tls }));
  const come = once(below, "connection") as Promise<[Socket]>;
  const silent = await rawConnect(t, server.address);
  const [raw] = await come;
  await server.close();
  assert.ok(raw.destroyed);
  await rawClosed(silent);
});

test("looking after connections keeps no process alive", async (t) => {
  const intervals = t.mock.method(globalThis, "setInterval");
  const { server } = await listen(t, createTcpTransport());
  const dialler = Peer.dial(createTcpTransport(), server.address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  await server.accepted();
  assert.equal(intervals.mock.calls.length, 2, "one for each side");
  for (const { result } of intervals.mock.calls) assert.equal(result!.hasRef(), false);
});

test("an onClose that throws because of an impossible address is logged and harms nobody", async () => {
  const told: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_, message) => told.push(message) };
  const peer = new Peer("dialler");
  peer.onNote = () => {
    throw new Error("a bug in onClose");
  };
  createTcpTransport({ logger }).dial("no address", peer);
  await new Promise(setImmediate);
  assert.equal(peer.closes, 1);
  assert.deepEqual(told, ["the onClose handler threw"]);
});

test("what is written and what is read counts as traffic", async (t) => {
  const carriedBy = (transport: Transport): (() => number) => {
    const { mock } = t.mock.method((transport as Transport & TcpShared).heapLimit, "carried");
    return () => mock.calls.reduce((sum, { arguments: [bytes] }) => sum + bytes, 0);
  };
  const [writing, reading] = [createTcpTransport(), createTcpTransport()];
  const [written, read] = [carriedBy(writing), carriedBy(reading)];
  const { server } = await listen(t, reading);
  const dialler = Peer.dial(writing, server.address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  dialler.connection!.send(patterned(10_000));
  await (await server.accepted()).received(1);
  for (const bytes of [written(), read()]) {
    assert.ok(bytes >= 10_000 && bytes < 11_000, `${bytes} bytes`);
  }
});

test("where several addresses of one name were tried, the reason is that of the first", () => {
  const failed = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });
  const all = new AggregateError([failed("ECONNREFUSED"), failed("ENETUNREACH")], "");
  assert.equal(reasonOf(all), reasonOf(failed("ECONNREFUSED")));
  assert.notEqual(reasonOf(all), reasonOf(failed("ENETUNREACH")));
  assert.equal(reasonOf(new AggregateError([], "none of them")), "none of them");
});
