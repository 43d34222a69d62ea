/** What strangers, old versions and attackers write to the port ends their connection, nothing else. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { crc32 } from "../../src/codec/crc32.js";
import { encodeFrames, makeFarewell, makePreamble } from "../../src/codec/frame.js";
import { RaftError } from "../../src/errors.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import type { TcpLimits } from "../../src/transport/tcp-limits.js";
import { Peer, PeerServer, patterned } from "../../src/contract/peer.js";
import { rawClosed, rawConnect, rawListen } from "../tools/raw.js";

const maxFrameBytes = 1024 * 1024;

async function listen(t: TestContext, limits: Partial<TcpLimits> = {}): Promise<PeerServer> {
  const transport = createTcpTransport({ limits: { maxFrameBytes, ...limits } });
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  return server;
}

function refusal(error: Error | null): RaftError {
  assert.ok(error instanceof RaftError, `not refused: ${String(error)}`);
  return error;
}

/** The port still serves those who speak properly. */
async function goesOn(t: TestContext, server: PeerServer): Promise<void> {
  const before = server.peers.length;
  const dialler = Peer.dial(createTcpTransport(), server.address, "honest");
  t.after(() => dialler.connection!.destroy("the test is over"));
  dialler.connection!.send(patterned(100));
  const accepted = await server.accepted(before + 1);
  await accepted.received(1);
  assert.deepEqual(accepted.payloads, [patterned(100)]);
}

function concat(...parts: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
}

function header(length: number, sum: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint32(4, sum, true);
  return bytes;
}

const good = encodeFrames([patterned(50)], crc32);
const damaged = good.slice();
damaged[20]! ^= 1;
const preamble = makePreamble();
const nextVersion = preamble.slice();
nextVersion[7]! += 1;
const tlsHello = Buffer.from("160301020001000200", "hex");

const attacks: readonly (readonly [name: string, bytes: Uint8Array, why: RegExp])[] = [
  ["an HTTP request", concat("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), /looks like an HTTP client/],
  ["a TLS hello", tlsHello, /looks like a TLS client; this port has no TLS/],
  ["SSH", concat("SSH-2.0-OpenSSH_9.6\r\n"), /looks like SSH/],
  ["another version", concat(nextVersion, good), /framing version 2, this side speaks 1/],
  ["random bytes", patterned(4096, 7), /no rafted-value port or client/],
  ["zeros", new Uint8Array(64), /no rafted-value port or client/],
  ["a preamble that goes wrong late", concat("RAFTVAX"), /it began with "RAFTVAX"/],
  [
    "a huge declared length",
    concat(preamble, header(0x7fffffff, 0)),
    /2147483647.*at most 1048576/,
  ],
  ["a length one too large", concat(preamble, header(maxFrameBytes + 1, 0)), /1048577 bytes/],
  ["half a farewell", concat(preamble, header(0xffffffff, 1)), /4294967295 bytes/],
  ["a frame damaged on the way", concat(preamble, damaged), /checksum .* damaged on the way/],
  ["random bytes behind a preamble", concat(preamble, patterned(4096, 3)), /declared|checksum/],
  ["damage behind a good frame", concat(preamble, good, damaged), /checksum/],
];

describe("hostile bytes", () => {
  for (const [name, bytes, why] of attacks) {
    test(`${name}: the connection ends with protocolMismatch, the port goes on`, async (t) => {
      const server = await listen(t);
      const socket = await rawConnect(t, server.address);
      socket.write(bytes);
      const accepted = await server.accepted();
      const error = refusal(await accepted.closed());
      assert.equal(error.code, "protocolMismatch");
      assert.match(error.message, why);
      assert.match(error.message, /^127\.0\.0\.1:\d+: /);
      await rawClosed(socket);
      await goesOn(t, server);
    });
  }

  test("the same bytes one by one are refused for the same reasons", async (t) => {
    const server = await listen(t);
    const short = attacks.filter(([, bytes]) => bytes.length <= 200);
    for (const [i, [name, bytes, why]] of short.entries()) {
      const socket = await rawConnect(t, server.address);
      const accepted = await server.accepted(i + 1);
      socket.setNoDelay(true);
      for (const byte of bytes) {
        socket.write(new Uint8Array([byte]));
        await new Promise(setImmediate);
      }
      const error = refusal(await accepted.closed());
      assert.equal(error.code, "protocolMismatch", name);
      // Of a foreign protocol, the first wrong byte alone says little.
      if (bytes[0] === preamble[0]) assert.match(error.message, why);
    }
    await goesOn(t, server);
  });

  test("a stream that ends in the middle of a frame is no orderly end", async (t) => {
    const server = await listen(t);
    const socket = await rawConnect(t, server.address);
    socket.end(concat(preamble, good, good.subarray(0, 30)));
    const accepted = await server.accepted();
    const error = refusal(await accepted.closed());
    assert.equal(error.code, "closed");
    assert.match(error.message, /in the middle of a frame/);
    assert.deepEqual(accepted.payloads, [patterned(50)]);
  });

  test("a stream that ends without a farewell is no orderly end", async (t) => {
    const server = await listen(t);
    const socket = await rawConnect(t, server.address);
    socket.end(concat(preamble, good));
    const error = refusal(await (await server.accepted()).closed());
    assert.equal(error.code, "closed");
    assert.match(error.message, /without a farewell/);
  });

  test("what follows a farewell is not handed out", async (t) => {
    const server = await listen(t);
    const socket = await rawConnect(t, server.address);
    socket.write(concat(preamble, good, makeFarewell(), good));
    const accepted = await server.accepted();
    assert.equal(await accepted.closed(), null);
    assert.equal(accepted.payloads.length, 1);
  });

  test("a reset of the other side is told as such", async (t) => {
    const server = await listen(t);
    const socket = await rawConnect(t, server.address);
    socket.write(concat(preamble, good));
    const accepted = await server.accepted();
    await accepted.received(1);
    socket.resetAndDestroy();
    const error = refusal(await accepted.closed());
    assert.equal(error.code, "closed");
  });
});

describe("silent and endless strangers", () => {
  const begun: readonly (readonly [name: string, bytes: Uint8Array])[] = [
    ["nothing at all", new Uint8Array(0)],
    ["a part of the preamble", preamble.subarray(0, 3)],
    ["a preamble alone", preamble],
    ["a header alone", concat(preamble, header(1000, 0))],
    ["a part of a frame", concat(preamble, good.subarray(0, good.length - 1))],
  ];
  for (const [name, bytes] of begun) {
    test(`who says ${name} is turned out after handshakeTimeoutMs`, async (t) => {
      const server = await listen(t, { handshakeTimeoutMs: 60 });
      const socket = await rawConnect(t, server.address);
      if (bytes.length > 0) socket.write(bytes);
      const error = refusal(await (await server.accepted()).closed());
      assert.equal(error.code, "protocolMismatch");
      assert.match(error.message, /no whole frame arrived within 60 ms/);
      await rawClosed(socket);
    });
  }

  test("a frame that drips byte by byte does not put the end off", async (t) => {
    const server = await listen(t, { handshakeTimeoutMs: 60 });
    const socket = await rawConnect(t, server.address);
    socket.setNoDelay(true);
    socket.write(concat(preamble, header(100_000, 0)));
    const drip = setInterval(() => socket.write("."), 5);
    t.after(() => clearInterval(drip));
    const error = refusal(await (await server.accepted()).closed());
    assert.match(error.message, /no whole frame arrived within 60 ms/);
  });

  test("who has said one frame may be silent for as long as it likes", async (t) => {
    const server = await listen(t, { handshakeTimeoutMs: 40 });
    const quiet = await rawConnect(t, server.address);
    quiet.write(concat(preamble, good));
    const talker = await server.accepted();
    await talker.received(1);
    const silent = await rawConnect(t, server.address);
    // Once the silent one is out, the deadline of the quiet one is long past.
    await (await server.accepted(2)).closed();
    await rawClosed(silent);
    quiet.write(good);
    await talker.received(2);
    assert.equal(talker.closes, 0);
  });

  test("our own late event loop is not held against the other side", async (t) => {
    const server = await listen(t, { handshakeTimeoutMs: 50 });
    const socket = await rawConnect(t, server.address);
    const accepted = await server.accepted();
    await new Promise<void>((resolve) => socket.write(concat(preamble, good), () => resolve()));
    const until = performance.now() + 200;
    while (performance.now() < until);
    await accepted.received(1);
    socket.write(good);
    await accepted.received(2);
    assert.equal(accepted.closes, 0);
  });

  test("a declared length makes nobody allocate: a thousand strangers cost little", async (t) => {
    const server = await listen(t, { maxFrameBytes: 40 * 1024 * 1024 });
    const attack = concat(preamble, header(40 * 1024 * 1024, 0), "x");
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 1; i <= 200; i++) {
      (await rawConnect(t, server.address)).write(attack);
      await server.accepted(i);
    }
    // All of it has been read once this one, written later, has been.
    await goesOn(t, server);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 200 * 256 * 1024, `${grown} bytes for 200 bytes received`);
  });
});

describe("dialling something else", () => {
  async function dial(t: TestContext, address: string): Promise<RaftError> {
    const transport = createTcpTransport({ limits: { handshakeTimeoutMs: 80 } });
    const dialler = Peer.dial(transport, address);
    t.after(() => dialler.connection!.destroy("the test is over"));
    dialler.connection!.send(patterned(10));
    return refusal(await dialler.closed());
  }

  test("an HTTP server is recognised", async (t) => {
    const server = await rawListen(t, (socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    const error = await dial(t, server.address);
    assert.equal(error.code, "protocolMismatch");
    assert.match(error.message, /looks like an HTTP server/);
  });

  test("a port that never says a word is given up", async (t) => {
    const server = await rawListen(t, () => undefined);
    const error = await dial(t, server.address);
    assert.equal(error.code, "connectFailed");
    assert.match(error.message, /nobody answered within 80 ms/);
  });

  test("a port that hangs up without a word is named so", async (t) => {
    const server = await rawListen(t, (socket) => socket.end());
    const error = await dial(t, server.address);
    assert.equal(error.code, "connectFailed");
    assert.match(error.message, /hung up without a word/);
  });

  test("a port that resets is named so", async (t) => {
    const server = await rawListen(t, (socket) => socket.resetAndDestroy());
    assert.equal((await dial(t, server.address)).code, "connectFailed");
  });

  test("a host name that does not exist is named so", async (t) => {
    const error = await dial(t, "no-such-host.invalid:7101");
    assert.equal(error.code, "connectFailed");
    assert.match(error.message, /no-such-host\.invalid:7101 could not be reached/);
  });
});
