/** What a transport owes connections that live long, and those that come after others have gone. */
import assert from "node:assert/strict";
import { Server, Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { crc32 } from "../../src/codec/crc32.js";
import { encodeFrames, makePreamble } from "../../src/codec/frame.js";
import { Peer, PeerServer, patterned } from "../../src/contract/peer.js";
import { RaftError } from "../../src/errors.js";
import type { TcpShared } from "../../src/transport/tcp-connection.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import { silentLogger } from "../../src/host/options.js";
import type { Logger, Transport } from "../../src/ports.js";
import { rawListen, rawReset } from "../tools/raw.js";

const mebibyte = 1024 * 1024;
const anHourMs = 3_600_000;

/** Connected to a port that says one word, and neither reads nor ends. */
async function dialStalled(
  t: TestContext,
  transport: Transport,
  accepted: (socket: Socket) => void = () => undefined,
): Promise<Peer> {
  const greeting = Buffer.concat([makePreamble(), encodeFrames([patterned(1)], crc32)]);
  const serve = (socket: Socket): void => {
    socket.write(greeting);
    socket.pause();
    accepted(socket);
  };
  const server = await rawListen(t, serve, { allowHalfOpen: true });
  const dialler = Peer.dial(transport, server.address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  await dialler.opened();
  return dialler;
}

test("who has taken all that was sent may be sent nothing for as long as it likes", async (t) => {
  const transport = createTcpTransport({ limits: { stallTimeoutMs: 40 } });
  const server = await PeerServer.listen(createTcpTransport(), "127.0.0.1:0");
  t.after(() => server.close());
  const quiet = Peer.dial(transport, server.address, "quiet");
  t.after(() => quiet.connection!.destroy("the test is over"));
  quiet.connection!.send(patterned(10));
  const accepted = await server.accepted();
  await accepted.received(1);
  // Was sent to later, so once it is given up, any deadline of the quiet one is long past.
  const stalled = await dialStalled(t, transport);
  for (let i = 0; i < 16; i++) stalled.connection!.send(patterned(mebibyte));
  assert.match((await stalled.closed())!.message, /takes nothing/);
  quiet.connection!.send(patterned(10));
  await accepted.received(2);
  assert.equal(quiet.closes, 0);
});

/** Two connections of one transport, the first of which is to stay; `accepted` is its other end. */
async function dialTwice(t: TestContext, transport: Transport) {
  const server = await PeerServer.listen(createTcpTransport(), "127.0.0.1:0");
  t.after(() => server.close());
  const sound = Peer.dial(transport, server.address);
  t.after(() => sound.connection!.destroy("the test is over"));
  const accepted = await server.accepted();
  const broken = Peer.dial(transport, server.address);
  await Promise.all([sound.opened(), broken.opened(), server.accepted(2)]);
  return { sound, broken, accepted };
}

test("a write that throws ends its connection, and what others were sent in that turn leaves", async (t) => {
  const transport = createTcpTransport();
  const { sound, broken, accepted } = await dialTwice(t, transport);
  const write = t.mock.method(Socket.prototype, "write");
  write.mock.mockImplementationOnce(() => {
    throw new RangeError("no memory");
  });
  broken.connection!.send(patterned(10));
  sound.connection!.send(patterned(20));
  assert.match((await broken.closed())!.message, /no memory/);
  await accepted.received(1);
  assert.deepEqual(accepted.payloads, [patterned(20)]);
  assert.equal(sound.closes, 0);
});

test("who breaks in the turn in which it was sent something leaves nothing of it behind", async (t) => {
  const transport = createTcpTransport();
  const { sums } = transport as Transport & TcpShared;
  const { sound, broken, accepted } = await dialTwice(t, transport);
  const large = patterned(100_000);
  for (const { connection } of [broken, sound]) connection!.send(large);
  broken.connection!.destroy("it broke");
  await Promise.all([broken.closed(), accepted.received(1)]);
  assert.equal(sums.size, 0);
});

test("a large payload is given stallTimeoutMs for each MiB of it", async (t) => {
  const transport = createTcpTransport({ limits: { stallTimeoutMs: 60 } });
  const small = await dialStalled(t, transport);
  const large = await dialStalled(t, transport);
  large.connection!.send(patterned(36 * mebibyte));
  for (let i = 0; i < 16; i++) small.connection!.send(patterned(mebibyte));
  await small.closed();
  assert.equal(large.closes, 0);
  assert.match((await large.closed())!.message, /takes nothing/);
});

test("deadlines hold again after all connections were gone", async (t) => {
  const transport = createTcpTransport({
    limits: { handshakeTimeoutMs: 40, connectTimeoutMs: anHourMs },
  });
  const server = await rawListen(t, () => undefined);
  for (let i = 0; i < 2; i++) {
    const dialler = Peer.dial(transport, server.address);
    assert.match((await dialler.closed())!.message, /nobody answered within 40 ms/);
  }
});

test("a listener that is full again says so again", async (t) => {
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message) };
  const transport = createTcpTransport({ limits: { maxConnections: 1 }, logger });
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  for (let times = 1; times <= 2; times++) {
    const served = Peer.dial(transport, server.address, "served");
    await server.accepted(times);
    await Peer.dial(transport, server.address, "turned away").closed();
    assert.equal(warnings.length, times);
    served.connection!.close();
    await server.peers[times - 1]!.closed();
  }
});

test("a logger that is none is refused by name: what it throws would be swallowed", () => {
  const incomplete = { ...silentLogger, error: undefined };
  for (const [logger, shown] of [
    [null, '"debug", got null'],
    [() => undefined, '"debug", got a function'],
    [incomplete, '"error", got an object'],
  ] as const) {
    assert.throws(() => createTcpTransport({ logger: logger as never }), {
      code: "invalidArgument",
      message: `logger of the TCP transport must be an object with a method ${shown}`,
    });
  }
});

test("a connection that cannot be accepted is logged, and the listener goes on", async (t) => {
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message) };
  const transport = createTcpTransport({ logger });
  const listen = t.mock.method(Server.prototype, "listen");
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  const listening = listen.mock.calls[0]!.this as Server;
  // As Node does it when the process has no file descriptor left.
  listening.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }));
  assert.deepEqual(warnings, ["a connection was not accepted: accept EMFILE (EMFILE)"]);
  const dialler = Peer.dial(transport, server.address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  await server.accepted();
});

test("who accept throws at is turned out at once, and not left to wait", async (t) => {
  const transport = createTcpTransport({ limits: { connectTimeoutMs: anHourMs } });
  const listener = await transport.listen("127.0.0.1:0", () => {
    throw new Error("a bug in accept");
  });
  t.after(() => listener.close());
  const error = await Peer.dial(transport, listener.address).closed();
  assert.match(error!.message, /hung up without a word/);
});

test("close ends by closeTimeoutMs, whatever deadline there was before", async (t) => {
  const limits = { closeTimeoutMs: 40, connectTimeoutMs: anHourMs, handshakeTimeoutMs: anHourMs };
  const transport = createTcpTransport({ limits });
  const greeted = await dialStalled(t, transport);
  await greeted.received(1);
  greeted.connection!.close();
  assert.equal(await greeted.closed(), null);
  const { address } = await rawListen(t, (socket) => void socket.pause());
  const early = Peer.dial(transport, address, "closed before it is open");
  for (let i = 0; i < 16; i++) early.connection!.send(patterned(mebibyte));
  early.connection!.close();
  assert.match((await early.closed())!.message, /closed with \d+ bytes unsent/);
});

for (const [rest, expected] of [
  [10, 10],
  [11, 0],
] as const) {
  test(`onDrain comes once what waits is down to the low mark of 10 bytes: ${rest} behind a large one`, async (t) => {
    const limits = { highWaterBytes: mebibyte, lowWaterBytes: 10 };
    const server = await PeerServer.listen(createTcpTransport(), "127.0.0.1:0");
    t.after(() => server.close());
    const dialler = Peer.dial(createTcpTransport({ limits }), server.address);
    t.after(() => dialler.connection!.destroy("the test is over"));
    let waited = -1;
    dialler.onNote = (what) => {
      if (what === "drain") waited = dialler.connection!.queuedBytes;
    };
    // The first of them is a write of its own.
    dialler.connection!.send(patterned(mebibyte));
    dialler.connection!.send(patterned(rest));
    await dialler.until("it has drained", () => dialler.drains > 0);
    assert.equal(waited, expected);
  });
}

test("who goes while it is still owed something leaves no orderly end, however it goes", async (t) => {
  for (const go of [rawReset, (socket: Socket) => void socket.end()]) {
    let other: Socket | undefined;
    const dialler = await dialStalled(t, createTcpTransport(), (socket) => (other = socket));
    for (let i = 0; i < 16; i++) dialler.connection!.send(patterned(mebibyte));
    await dialler.received(1);
    dialler.connection!.close();
    go(other!);
    const error = await dialler.closed();
    assert.ok(error instanceof RaftError && error.code === "closed", String(error));
  }
});
