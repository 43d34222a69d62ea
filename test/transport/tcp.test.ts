/** What is special about TCP: writes, limits, deadlines, addresses. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { crc32 } from "../../src/codec/crc32.js";
import { encodeFrames, makePreamble } from "../../src/codec/frame.js";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { silentLogger } from "../../src/host/options.js";
import type { Logger, Transport } from "../../src/ports.js";
import { formatAddress, parseAddress } from "../../src/transport/tcp-address.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import type { TcpLimits } from "../../src/transport/tcp-limits.js";
import { Peer, PeerServer, patterned } from "../../src/contract/peer.js";
import { rawClosed, rawConnect, rawListen, rawReset } from "../tools/raw.js";

/** Node unwraps them in place when all are bytes. */
type Chunk = { chunk: Uint8Array } | Uint8Array;
/** How Node's streams hand several buffers to a socket at once. */
const vectored = Socket.prototype as unknown as { _writev(chunks: Chunk[]): void };

const mebibyte = 1024 * 1024;

function hasCode(error: unknown, code: RaftErrorCode): RaftError {
  assert.ok(error instanceof RaftError, `not a RaftError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function pair(
  t: TestContext,
  limits: Partial<TcpLimits> = {},
): Promise<{ transport: Transport; dialler: Peer; accepted: Peer; server: PeerServer }> {
  const transport = createTcpTransport({ limits });
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  const dialler = Peer.dial(transport, server.address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  const accepted = await server.accepted();
  await dialler.opened();
  return { transport, dialler, accepted, server };
}

/** A connection to a server that speaks first and then does as `serve` says. */
async function dialRaw(
  t: TestContext,
  limits: Partial<TcpLimits>,
  serve: (socket: Socket) => void,
): Promise<Peer> {
  const server = await rawListen(
    t,
    (socket) => {
      socket.write(makePreamble());
      serve(socket);
    },
    { allowHalfOpen: true },
  );
  const dialler = Peer.dial(createTcpTransport({ limits }), server.address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  await dialler.opened();
  return dialler;
}

describe("writing", () => {
  test("all payloads of a turn leave in one write", async (t) => {
    const { dialler, accepted } = await pair(t);
    dialler.connection!.send(patterned(1));
    await accepted.received(1);
    const write = t.mock.method(Socket.prototype, "write");
    const writev = t.mock.method(vectored, "_writev");
    for (let i = 0; i < 1000; i++) dialler.connection!.send(patterned(64, i));
    assert.equal(write.mock.callCount(), 0, "before the turn is over");
    await accepted.received(1001);
    assert.equal(write.mock.callCount(), 1);
    assert.equal((write.mock.calls[0]!.arguments[0] as Uint8Array).length, 1000 * 72);
    assert.equal(writev.mock.callCount(), 0);
  });

  test("what a turn has sent so far leaves with the transport's flush, and the rest at its end", async (t) => {
    const { transport, dialler, accepted } = await pair(t);
    dialler.connection!.send(patterned(1));
    await accepted.received(1);
    const write = t.mock.method(Socket.prototype, "write");
    dialler.connection!.send(patterned(10, 1));
    dialler.connection!.send(patterned(10, 2));
    accepted.connection!.send(patterned(10, 3));
    transport.flush!();
    assert.equal(write.mock.callCount(), 2, "one for each connection");
    transport.flush!();
    dialler.connection!.send(patterned(10, 4));
    assert.equal(write.mock.callCount(), 2);
    await accepted.received(4);
    assert.equal(write.mock.callCount(), 3);
    const sent = [patterned(1), patterned(10, 1), patterned(10, 2), patterned(10, 4)];
    assert.deepEqual(accepted.payloads, sent);
    await dialler.received(1);
  });

  test("a large payload is not copied, and still leaves in the same write", async (t) => {
    const { dialler, accepted } = await pair(t);
    dialler.connection!.send(patterned(1));
    await accepted.received(1);
    const writev = t.mock.method(vectored, "_writev");
    const large = patterned(100_000);
    dialler.connection!.send(patterned(10));
    dialler.connection!.send(large);
    dialler.connection!.send(patterned(10));
    await accepted.received(4);
    assert.equal(writev.mock.callCount(), 1);
    const [chunks] = writev.mock.calls[0]!.arguments;
    const isLarge = (one: Chunk): boolean =>
      ("chunk" in one ? one.chunk : one).buffer === large.buffer;
    assert.ok(chunks.some(isLarge));
  });

  test("Nagle's algorithm is off and keep-alive on, at both ends", async (t) => {
    const noDelay = t.mock.method(Socket.prototype, "setNoDelay");
    const keepAlive = t.mock.method(Socket.prototype, "setKeepAlive");
    await pair(t, { keepAliveMs: 7000 });
    assert.deepEqual(
      noDelay.mock.calls.map((call) => call.arguments),
      [[true], [true]],
    );
    assert.deepEqual(
      keepAlive.mock.calls.map((call) => call.arguments),
      [
        [true, 7000],
        [true, 7000],
      ],
    );
  });

  test("the wire is the framing of the codec and nothing more", async (t) => {
    const transport = createTcpTransport();
    const server = await PeerServer.listen(transport, "127.0.0.1:0");
    t.after(() => server.close());
    server.onAccept = ({ connection }) => {
      connection!.send(patterned(30));
      connection!.close();
    };
    const socket = await rawConnect(t, server.address);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(socket, "end");
    const expected = [
      makePreamble(),
      encodeFrames([patterned(30)], crc32),
      new Uint8Array(8).fill(255),
    ];
    assert.deepEqual(Buffer.concat(chunks), Buffer.concat(expected));
  });
});

describe("limits in bytes and count", () => {
  test("a payload above maxFrameBytes ends the connection that should carry it", async (t) => {
    const { dialler, accepted } = await pair(t, { maxFrameBytes: 1000 });
    dialler.connection!.send(patterned(1000));
    await accepted.received(1);
    dialler.connection!.send(patterned(1001));
    const error = hasCode(await dialler.closed(), "invalidArgument");
    assert.match(error.message, /1001 bytes was sent, maxFrameBytes is 1000/);
  });

  test("more than maxQueuedBytes for one that takes nothing ends its connection", async (t) => {
    const dialler = await dialRaw(t, { maxQueuedBytes: 16 * mebibyte }, (s) => s.pause());
    const connection = dialler.connection!;
    const piece = patterned(mebibyte);
    while (connection.queuedBytes < 16 * mebibyte) connection.send(piece);
    assert.equal(dialler.closes, 0);
    connection.send(piece);
    assert.match(
      hasCode(await dialler.closed(), "overloaded").message,
      /bytes wait to be sent, maxQueuedBytes is 16777216/,
    );
    assert.equal(connection.queuedBytes, 0);
  });

  test("and so do short payloads, which take more memory than their bytes", async (t) => {
    const dialler = await dialRaw(t, { maxQueuedBytes: 4 * mebibyte }, (s) => s.pause());
    const connection = dialler.connection!;
    const piece = patterned(1);
    for (let i = 0; i < 8192; i++) connection.send(piece);
    assert.equal(connection.queuedPayloads, 8192);
    assert.equal(connection.queuedBytes, 8192);
    connection.send(piece);
    assert.equal(connection.queuedBytes, 0);
    assert.match(
      hasCode(await dialler.closed(), "overloaded").message,
      /4194816 bytes wait to be sent, maxQueuedBytes is 4194304/,
    );
  });

  test("what one that takes nothing has not taken stays in queuedBytes", async (t) => {
    const dialler = await dialRaw(t, {}, (socket) => socket.pause());
    const connection = dialler.connection!;
    const piece = patterned(mebibyte);
    for (let i = 0; i < 96; i++) connection.send(piece);
    while (connection.queuedBytes === 96 * mebibyte) await new Promise(setImmediate);
    // Something has left; the system's own buffers are far smaller than the rest.
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    assert.ok(connection.queuedBytes > 48 * mebibyte, `${connection.queuedBytes}`);
    assert.equal(connection.queuedBytes % mebibyte, 0);
    assert.equal(dialler.drains, 0);
  });

  test("a full listener turns newcomers away, says so once, and serves again", async (t) => {
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message) };
    const transport = createTcpTransport({ limits: { maxConnections: 2 }, logger });
    const server = await PeerServer.listen(transport, "127.0.0.1:0");
    t.after(() => server.close());
    const one = Peer.dial(transport, server.address, "one");
    const two = Peer.dial(transport, server.address, "two");
    t.after(() => [one, two].forEach(({ connection }) => connection!.destroy("over")));
    await server.accepted(2);
    for (let i = 0; i < 3; i++) {
      const turnedAway = Peer.dial(transport, server.address, "turned away");
      hasCode(await turnedAway.closed(), "connectFailed");
    }
    assert.equal(server.peers.length, 2);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /full: 2 connections.*maxConnections/);
    one.connection!.close();
    await server.peers[0]!.closed();
    await one.closed();
    const next = Peer.dial(transport, server.address, "next");
    t.after(() => next.connection!.destroy("the test is over"));
    await server.accepted(3);
  });

  test("limits out of range or unknown are refused by name", () => {
    const bad: readonly (readonly [object, RegExp])[] = [
      [{ maxFrameBytes: 0 }, /limits\.maxFrameBytes: must be a positive integer and is 0/],
      [{ maxFrameBytes: 2 ** 32 - 1 }, /limits\.maxFrameBytes: must not exceed/],
      [{ connectTimeoutMs: 1.5 }, /limits\.connectTimeoutMs/],
      [{ keepAliveMs: "10" }, /limits\.keepAliveMs/],
      [{ lowWaterBytes: 8 * mebibyte }, /limits\.lowWaterBytes: must not exceed highWaterBytes/],
      [{ highWaterBytes: 2 ** 40 }, /limits\.highWaterBytes: must not exceed maxQueuedBytes/],
      [{ maxFrames: 1 }, /limits\.maxFrames: is no limit/],
    ];
    for (const [limits, why] of bad) {
      assert.throws(
        () => createTcpTransport({ limits }),
        (error: unknown) => why.test(hasCode(error, "invalidArgument").message),
      );
    }
  });
});

describe("deadlines", () => {
  test("one that takes nothing for stallTimeoutMs is given up", async (t) => {
    const dialler = await dialRaw(t, { stallTimeoutMs: 50 }, (socket) => socket.pause());
    for (let i = 0; i < 16; i++) dialler.connection!.send(patterned(mebibyte));
    const error = hasCode(await dialler.closed(), "closed");
    assert.match(error.message, /takes nothing/);
  });

  test("close gives up what one that takes nothing has not taken by closeTimeoutMs", async (t) => {
    const dialler = await dialRaw(t, { closeTimeoutMs: 50 }, (socket) => socket.pause());
    for (let i = 0; i < 16; i++) dialler.connection!.send(patterned(mebibyte));
    dialler.connection!.close();
    const error = hasCode(await dialler.closed(), "closed");
    assert.match(error.message, /closed with \d+ bytes unsent/);
  });

  test("close ends in order at closeTimeoutMs if only the other side's end is missing", async (t) => {
    const dialler = await dialRaw(t, { closeTimeoutMs: 50 }, () => undefined);
    dialler.connection!.send(patterned(1000));
    dialler.connection!.close();
    assert.equal(await dialler.closed(), null);
  });

  test("a reset that crosses our close is an orderly end if all had left", async (t) => {
    let other: Socket | undefined;
    const dialler = await dialRaw(t, {}, (socket) => {
      other = socket;
    });
    dialler.connection!.send(patterned(1000));
    while (dialler.connection!.queuedBytes > 0) await new Promise(setImmediate);
    dialler.connection!.close();
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
    rawReset(other!);
    assert.equal(await dialler.closed(), null);
  });

  test("what the other side goes on sending after close is no obstacle to closing", async (t) => {
    const flood = encodeFrames([patterned(60_000)], crc32);
    const dialler = await dialRaw(t, { closeTimeoutMs: 60_000 }, (socket) => {
      const more = (): void => {
        while (socket.writable && socket.write(flood));
      };
      socket.on("drain", more);
      socket.once("end", () => socket.end());
      more();
    });
    await dialler.received(3);
    const received = dialler.payloads.length;
    dialler.connection!.close();
    assert.equal(await dialler.closed(), null);
    assert.equal(dialler.payloads.length, received);
  });

  test("no timer outlives the connections", async (t) => {
    const set = t.mock.method(globalThis, "setInterval");
    const clear = t.mock.method(globalThis, "clearInterval");
    const { dialler, accepted } = await pair(t);
    dialler.connection!.close();
    await Promise.all([dialler.closed(), accepted.closed()]);
    assert.equal(set.mock.callCount(), 1);
    assert.equal(clear.mock.callCount(), 1);
  });
});

describe("addresses", () => {
  test("host and port are read, and written back the same", () => {
    const cases = [
      ["127.0.0.1:7101", "127.0.0.1", 7101],
      ["localhost:1", "localhost", 1],
      ["host-1.example_x.com:65535", "host-1.example_x.com", 65535],
      ["[::1]:7101", "::1", 7101],
      ["[fe80::1:2]:80", "fe80::1:2", 80],
    ] as const;
    for (const [text, host, port] of cases) {
      assert.deepEqual(parseAddress(text, "dial"), { host, port });
      assert.equal(formatAddress(host, port), text);
    }
  });

  test("port 0 is for listening only", () => {
    assert.equal(parseAddress("127.0.0.1:0", "listen").port, 0);
    assert.throws(
      () => parseAddress("127.0.0.1:0", "dial"),
      (error: unknown) => /^dial: .*port 0/.test(hasCode(error, "invalidArgument").message),
    );
  });

  test("the message names the argument, shows it and says what it should look like", () => {
    assert.throws(
      () => parseAddress("7101", "listen", "advertise"),
      (error: unknown) =>
        hasCode(error, "invalidArgument").message ===
        'advertise: "7101" must look like "host:port", or "[::1]:port" for IPv6',
    );
    assert.throws(() => parseAddress(undefined as never, "listen"), RaftError);
  });

  test("dialling what is no address ends the connection it returns", async () => {
    const dialler = Peer.dial(createTcpTransport(), "nowhere");
    dialler.connection!.send(patterned(1));
    dialler.connection!.close();
    dialler.connection!.destroy("twice");
    assert.match(hasCode(await dialler.closed(), "invalidArgument").message, /^dial: "nowhere"/);
    assert.equal(dialler.closes, 1);
  });

  test("an address of another machine is no address to listen on, and the message says why", async () => {
    await assert.rejects(
      createTcpTransport().listen("192.0.2.1:0", () => new Peer("nobody")),
      (error: unknown) =>
        /192\.0\.2\.1:0: this machine has no such address/.test(
          hasCode(error, "listenFailed").message,
        ),
    );
  });

  test("IPv6 works where the machine has it", async (t) => {
    const transport = createTcpTransport();
    let server: PeerServer;
    try {
      server = await PeerServer.listen(transport, "[::1]:0");
    } catch (error) {
      hasCode(error, "listenFailed");
      return t.skip("this machine has no IPv6 loopback");
    }
    t.after(() => server.close());
    assert.match(server.address, /^\[::1\]:\d+$/);
    const dialler = Peer.dial(transport, server.address);
    dialler.connection!.send(patterned(10));
    const accepted = await server.accepted();
    await accepted.received(1);
    assert.match(accepted.connection!.remote, /^\[::1\]:\d+$/);
    dialler.connection!.destroy("the test is over");
    await dialler.closed();
  });

  test("closing a listener lets its port go at once, however many are connected", async (t) => {
    const { server, dialler } = await pair(t);
    const silent = await rawConnect(t, server.address);
    await server.close();
    const again = await PeerServer.listen(createTcpTransport(), server.address);
    t.after(() => again.close());
    assert.equal(dialler.closes, 0);
    silent.destroy();
    await rawClosed(silent);
  });
});
