/** Mutual TLS: who may connect, and how refusals read. */
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { silentLogger } from "../../src/host/options.js";
import type { Logger, Transport } from "../../src/ports.js";
import { createTcpTransport, type TcpTransportOptions } from "../../src/transport/tcp.js";
import type { TlsOptions } from "../../src/transport/tls-options.js";
import { makeAuthority } from "../tools/certificates.js";
import { Peer, PeerServer, patterned } from "../../src/contract/peer.js";
import { rawClosed, rawConnect, rawListen } from "../tools/raw.js";

const authority = makeAuthority();
const stranger = makeAuthority("another authority");
const foo = authority.issue("foo.test");
const mutual: TlsOptions = { ...foo, ca: authority.cert };

function hasCode(error: unknown, code: RaftErrorCode): RaftError {
  assert.ok(error instanceof RaftError, `not a RaftError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}

async function listen(t: TestContext, transport: Transport): Promise<PeerServer> {
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  return server;
}

async function dial(t: TestContext, tls: TlsOptions | undefined, address: string): Promise<Peer> {
  const dialler = Peer.dial(createTcpTransport({ tls }), address);
  t.after(() => dialler.connection!.destroy("the test is over"));
  dialler.connection!.send(patterned(10));
  return Promise.resolve(dialler);
}

function recorder(): { readonly logger: Logger; readonly warned: Promise<string> } {
  let warn: (message: string) => void = () => undefined;
  const warned = new Promise<string>((resolve) => (warn = resolve));
  const logger: Logger = { ...silentLogger, warn: (_, message) => warn(message) };
  return { logger, warned };
}

describe("mutual TLS", () => {
  test("who has no certificate is refused, and both sides can read why", async (t) => {
    const { logger, warned } = recorder();
    const server = await listen(t, createTcpTransport({ tls: mutual, logger }));
    const dialler = await dial(t, { ca: authority.cert }, server.address);
    const error = hasCode(await dialler.closed(), "connectFailed");
    assert.match(error.message, /asks for a certificate|certificate required/i);
    assert.match(await warned, /^TLS handshake refused: the other side shows no certificate \(/);
    assert.equal(server.peers.length, 0);
  });

  test("who has a certificate of another authority is refused", async (t) => {
    const { logger, warned } = recorder();
    const server = await listen(t, createTcpTransport({ tls: mutual, logger }));
    const impostor = { ...stranger.issue("foo.test"), ca: authority.cert };
    const dialler = await dial(t, impostor, server.address);
    const error = hasCode(await dialler.closed(), "connectFailed");
    assert.match(error.message, /does not accept this side's certificate|reset it/);
    assert.match(await warned, /^TLS handshake refused: its certificate is not signed by tls\.ca/);
    assert.equal(server.peers.length, 0);
  });

  test("whose certificate was refused is told, of each host by itself", async (t) => {
    const told: { readonly remote: unknown; readonly message: string }[] = [];
    const warn: Logger["warn"] = (context, message) =>
      void told.push({ remote: (context as { readonly remote: unknown }).remote, message });
    const server = await listen(
      t,
      createTcpTransport({ tls: mutual, logger: { ...silentLogger, warn } }),
    );
    const impostor = stranger.issue("foo.test");
    for (const localAddress of ["127.0.0.2", "127.0.0.3"]) {
      const [host, port] = server.address.split(":");
      const to = { host, port: Number(port), localAddress, rejectUnauthorized: false };
      const socket = connectTls({ ...to, ...impostor });
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("close", resolve));
    }
    for (const { message } of told) assert.match(message, /its certificate is not signed/);
    const hosts = told.map(({ remote }) => String(remote).replace(/:\d+$/, ""));
    assert.deepEqual(hosts, ["127.0.0.2", "127.0.0.3"]);
  });

  test("a server with a certificate of another authority is refused", async (t) => {
    const impostor = { ...stranger.issue("foo.test"), ca: authority.cert };
    const server = await listen(t, createTcpTransport({ tls: impostor }));
    const dialler = await dial(t, mutual, server.address);
    const error = hasCode(await dialler.closed(), "connectFailed");
    assert.match(error.message, /not signed by tls\.ca|certificate/);
  });

  test("requestCert false lets those in who have no certificate", async (t) => {
    const server = await listen(t, createTcpTransport({ tls: { ...mutual, requestCert: false } }));
    await dial(t, { ca: authority.cert }, server.address);
    await (await server.accepted()).received(1);
  });

  test("serverName is the name that the certificate must bear", async (t) => {
    const server = await listen(t, createTcpTransport({ tls: mutual }));
    await dial(t, { ...mutual, serverName: "foo.test" }, server.address);
    await (await server.accepted()).received(1);
    const wrong = await dial(t, { ...mutual, serverName: "bar.test" }, server.address);
    const error = hasCode(await wrong.closed(), "connectFailed");
    assert.match(error.message, /another name; set tls\.serverName/);
  });

  test("each of several authorities is trusted, as while one takes the place of another", async (t) => {
    const ca = [stranger.cert, Buffer.from(authority.cert)];
    for (const issuer of [authority, stranger]) {
      const served = { ...issuer.issue("foo.test"), ca };
      const server = await listen(t, createTcpTransport({ tls: served }));
      const dialler = await dial(t, { ...foo, ca }, server.address);
      const refusal = dialler.closed();
      assert.equal(await Promise.race([dialler.opened().then(() => null), refusal]), null);
      await (await server.accepted()).received(1);
    }
  });

  test("dialling a TLS port without TLS says so", async (t) => {
    const server = await listen(t, createTcpTransport({ tls: mutual }));
    const dialler = await dial(t, undefined, server.address);
    const error = await dialler.closed();
    assert.ok(error instanceof RaftError);
    assert.match(error.message, /looks like a TLS server; dial it with TLS|hung up without a word/);
    assert.equal(server.peers.length, 0);
  });

  test("dialling a port without TLS with TLS says so, and the port goes on", async (t) => {
    const transport = createTcpTransport();
    const server = await listen(t, transport);
    const dialler = await dial(t, mutual, server.address);
    const error = hasCode(await dialler.closed(), "connectFailed");
    assert.match(error.message, /speaks no TLS|packet length|wrong version/i);
    const accepted = hasCode(await (await server.accepted()).closed(), "protocolMismatch");
    assert.match(accepted.message, /looks like a TLS client; this port has no TLS/);
    await dial(t, undefined, server.address);
    await (await server.accepted(2)).received(1);
  });

  test("random bytes on a TLS port are refused and logged, and the port goes on", async (t) => {
    const { logger, warned } = recorder();
    const server = await listen(t, createTcpTransport({ tls: mutual, logger }));
    const socket = await rawConnect(t, server.address);
    socket.write(patterned(1000, 5));
    assert.match(await warned, /TLS handshake refused/);
    await rawClosed(socket);
    await dial(t, mutual, server.address);
    await (await server.accepted()).received(1);
  });

  test("a stranger who is refused again and again is told of once, and nothing of it is kept", async (t) => {
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message) };
    const server = await listen(t, createTcpTransport({ tls: mutual, logger }));
    for (let i = 0; i < 3; i++) {
      const socket = await rawConnect(t, server.address);
      socket.write(patterned(1000, 5));
      await rawClosed(socket);
    }
    assert.equal(warnings.length, 1);
    const destroy = t.mock.method(Socket.prototype, "destroy");
    await server.close();
    assert.equal(destroy.mock.callCount(), 0);
  });

  test("a TLS handshake that never comes is ended", async (t) => {
    const limits = { handshakeTimeoutMs: 60 };
    const { logger, warned } = recorder();
    const server = await listen(t, createTcpTransport({ tls: mutual, limits, logger }));
    const socket = await rawConnect(t, server.address);
    assert.match(await warned, /TLS handshake refused/);
    await rawClosed(socket);
    assert.equal(server.peers.length, 0);
  });

  test("a server that never answers the TLS handshake is given up", async (t) => {
    const server = await rawListen(t, () => undefined);
    // What waits for the connection is not yet the other side's to take.
    const limits = { connectTimeoutMs: 60, stallTimeoutMs: 10 };
    const transport = createTcpTransport({ tls: mutual, limits });
    const dialler = Peer.dial(transport, server.address);
    dialler.connection!.send(patterned(10));
    const error = hasCode(await dialler.closed(), "connectFailed");
    assert.match(error.message, /not connected within 60 ms/);
  });

  test("closing a listener ends handshakes that are under way", async (t) => {
    const server = await listen(t, createTcpTransport({ tls: mutual }));
    const socket = await rawConnect(t, server.address);
    socket.write(Buffer.from("1603010200", "hex"));
    // Accepted by the system in order: once this one is in, the other has been seen as well.
    await dial(t, mutual, server.address);
    await (await server.accepted()).received(1);
    await server.close();
    await rawClosed(socket);
  });

  test("what is no such option, or of another type, is refused by name", () => {
    const bad: readonly (readonly [unknown, RegExp])[] = [
      [true, /^tls must be an object such as \{ key, cert, ca \}, got true$/],
      [null, /^tls must be an object .*, got null$/],
      [[foo.cert], /^tls must be an object .*, got an array$/],
      [{ caa: "x" }, /^tls\.caa is no option; there are key, cert, ca, requestCert, serverName$/],
      [{ key: 5 }, /^tls\.key must be a text in PEM, or its bytes, got 5$/],
      [{ cert: [foo.cert] }, /^tls\.cert must be a text in PEM, or its bytes, got an array$/],
      [{ ca: [] }, /^tls\.ca must be .* or an array of such, not empty, got an array$/],
      [
        { ca: [authority.cert, 5] },
        /^tls\.ca must be .* or an array of such, not empty, got an array$/,
      ],
      [{ requestCert: "no" }, /^tls\.requestCert must be true or false, got "no"$/],
      [{ serverName: 5 }, /^tls\.serverName must be a name such as "foo\.example", got 5$/],
    ];
    for (const [tls, message] of bad) {
      const make = (): unknown => createTcpTransport({ tls: tls as TlsOptions });
      assert.throws(make, { code: "invalidArgument", message });
    }
    const ca = [authority.cert, Buffer.from(authority.cert)];
    createTcpTransport({ tls: { ...foo, ca: Buffer.from(authority.cert) } });
    createTcpTransport({ tls: { ...foo, ca, requestCert: undefined, serverName: undefined } });
  });

  test("an option that the transport does not know is refused: a misspelt `tls` would be as good as none", () => {
    const bad: readonly (readonly [unknown, RegExp])[] = [
      [{ tsl: mutual }, /^tsl is no option of the TCP transport; there are tls, limits, logger$/],
      [3, /^options of the TCP transport: expected an object such as \{ tls \}, got 3$/],
      [{ limits: 3 }, /^limits: expected an object of numbers, got 3$/],
      [{ limits: { maxFrameBytes: "1" } }, /^limits\.maxFrameBytes: must be .* and is "1"$/],
    ];
    for (const [options, message] of bad) {
      const make = (): unknown => createTcpTransport(options as TcpTransportOptions);
      assert.throws(make, { code: "invalidArgument", message });
    }
  });

  test("keys and certificates that do not load are refused by name", async () => {
    const bad: readonly TlsOptions[] = [
      { key: foo.key },
      { cert: foo.cert },
      { key: "nonsense", cert: foo.cert },
      { key: foo.key, cert: "nonsense" },
      { key: authority.issue("bar.test").key, cert: foo.cert },
      { ...foo, ca: "" },
      { ...foo, ca: "/etc/foo/ca.pem" },
      { ...foo, ca: [authority.cert, foo.key] },
      { ...foo, ca: authority.cert + stranger.cert.replace("\n-----END", "\n\n-----END") },
    ];
    for (const tls of bad) {
      assert.throws(
        () => createTcpTransport({ tls }),
        (error: unknown) => /^tls: /.test(hasCode(error, "invalidArgument").message),
      );
    }
    createTcpTransport({ tls: { ...foo, ca: `# Ours:\n${authority.cert}${foo.key}${foo.cert}` } });
    await assert.rejects(
      createTcpTransport({ tls: { ca: authority.cert } }).listen("127.0.0.1:0", () => {
        throw new Error("unreachable");
      }),
      (error: unknown) => /tls\.key/.test(hasCode(error, "invalidArgument").message),
    );
  });
});
