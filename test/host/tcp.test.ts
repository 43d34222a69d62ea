/** Three hosts over real sockets and the system clock, by the public module alone. */
import assert from "node:assert/strict";
import { connect as dialTcp, createServer } from "node:net";
import { describe, test } from "node:test";
import {
  connect,
  createTcpTransport,
  defineValue,
  type GroupHandle,
  type Host,
  RaftError,
  startHost,
} from "../../src/index.js";
import { makeAuthority } from "../tools/certificates.js";
import { type Counter, counter, createLogBook, queue } from "./cluster.js";

const config = { heartbeatMs: 50, electionTimeoutMs: 250 };
const loopback = "127.0.0.1:0";
const mebibyte = 1024 * 1024;

async function trio(): Promise<{ hosts: Host[]; handles: GroupHandle<Counter>[] }> {
  const hosts = await Promise.all(
    ["foo", "bar", "baz"].map((id) => startHost({ id, listen: loopback })),
  );
  const [foo, bar, baz] = hosts as [Host, Host, Host];
  const first = await foo.group("counter", counter, { start: "create", config });
  const start = { join: [foo.address] };
  const others = await Promise.all(
    [bar, baz].map((host) => host.group("counter", counter, { start })),
  );
  return { hosts, handles: [first, ...others] };
}

const closeAll = (hosts: readonly Host[]): Promise<unknown> =>
  Promise.all(hosts.map((host) => host.close()));

describe("three hosts over TCP", () => {
  test("answer members and an outside client, each increment once", async () => {
    const { hosts, handles } = await trio();
    const client = connect(counter, {
      group: "counter",
      hosts: hosts.map((host) => host.address),
    });
    const callers = [...handles, client];
    const calls = Array.from({ length: 400 }, (_, at) => callers[at % 4]!.command("inc", 1));
    const replies = await Promise.all(calls);
    assert.deepEqual(
      [...replies].sort((a, b) => a - b),
      replies.map((_, at) => at + 1),
    );
    for (const caller of callers) assert.equal(await caller.query("get"), 400);
    await client.close();
    await closeAll(hosts);
  });

  test("elect anew when the leader's host closes under load, and lose or double nothing", async () => {
    const { hosts, handles } = await trio();
    const client = connect(counter, {
      group: "counter",
      hosts: hosts.map((host) => host.address),
    });
    await client.command("inc", 1);
    const leaderAt = hosts.findIndex((host) => host.memberOf("counter")!.role === "leader");
    let sent = 1;
    const leaving: Promise<void>[] = [];
    const replies: number[] = [1];
    const loop = async (): Promise<void> => {
      while (sent < 600) {
        sent += 1;
        if (sent === 200) leaving.push(hosts[leaderAt]!.close());
        replies.push(await client.command("inc", 1, { timeoutMs: 20_000 }));
      }
    };
    await Promise.all(Array.from({ length: 32 }, loop));
    await Promise.all(leaving);
    assert.deepEqual(
      replies.sort((a, b) => a - b),
      replies.map((_, at) => at + 1),
    );
    const survivor = handles.find((_, at) => at !== leaderAt)!;
    assert.equal(await survivor.query("get"), sent);
    await client.close();
    await closeAll(hosts);
  });
});

describe("over TCP", () => {
  test("a listen address in use is refused by name", async () => {
    const foo = await startHost({ id: "foo", listen: loopback });
    await assert.rejects(startHost({ id: "bar", listen: foo.address }), (error) => {
      assert.ok(error instanceof RaftError);
      assert.equal(error.code, "listenFailed");
      assert.ok(error.message.includes(foo.address), error.message);
      return true;
    });
    await foo.close();
  });

  test("an address that cannot be one is refused at once, by the field", async () => {
    const host = await startHost({ id: "foo", listen: loopback });
    for (const address of ["nowhere", "127.0.0.1", "127.0.0.1:99999"]) {
      const start = { join: ["127.0.0.1:1", address] };
      await assert.rejects(
        host.group("counter", counter, { start, timeoutMs: 60_000 }),
        (error) => {
          assert.ok(error instanceof RaftError);
          assert.equal(error.code, "invalidArgument");
          assert.ok(
            error.message.startsWith(`start.join: "${address}" is no address: it `),
            error.message,
          );
          return true;
        },
      );
      const listening = startHost({ id: "bar", listen: address });
      await assert.rejects(listening, { code: "invalidArgument", message: /^listen: / });
    }
    for (const advertise of ["nowhere", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999"]) {
      const advertised = startHost({ id: "bar", listen: loopback, advertise });
      await assert.rejects(advertised, { code: "invalidArgument", message: /^advertise: / });
    }
    await host.close();
    await assert.rejects(startHost(undefined as never), { code: "invalidArgument" });
    const tls = { key: "k", cert: "c" };
    const transport = { listen: () => undefined, dial: () => undefined } as never;
    const both = startHost({ id: "foo", listen: loopback, tls, transport });
    await assert.rejects(both, { code: "invalidArgument", message: /^tls: / });
  });

  test("an answer above the usual limit of a frame passes where limits.maxFrameBytes allows it", async () => {
    const blobs = defineValue({
      name: "blobs",
      version: 1,
      initial: () => 0,
      commands: {},
      queries: { blob: (_n, size: number) => new Uint8Array(size) },
    });
    const maxFrameBytes = 44 * mebibyte;
    const limits = { maxFrameBytes };
    const host = await startHost({ id: "foo", listen: loopback, limits });
    await host.group("blobs", blobs, { start: "create" });
    const transport = createTcpTransport({ limits });
    const client = connect(blobs, { group: "blobs", hosts: [host.address], transport });
    const blob = await client.query("blob", 42 * mebibyte, { timeoutMs: 20_000 });
    assert.equal(blob.length, 42 * mebibyte);
    await client.close();
    await host.close();
  });

  test("joining through a port of something else says what it looks like", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const host = await startHost({ id: "foo", listen: loopback });
    const start = { join: [`127.0.0.1:${port}`] };
    await assert.rejects(host.group("counter", counter, { start, timeoutMs: 3000 }), (error) => {
      assert.ok(error instanceof RaftError);
      assert.equal(error.code, "protocolMismatch", error.message);
      assert.match(error.message, new RegExp(`127.0.0.1:${port}.*HTTP server`));
      return true;
    });
    await host.close();
    server.close();
  });

  test("hostile bytes close their own connection, with one line each", async () => {
    const book = createLogBook();
    const host = await startHost({ id: "foo", listen: loopback, logger: book.logger });
    const group = await host.group("queue", queue, { start: "create" });
    const preamble = Buffer.from([...Buffer.from("RAFTVAL"), 1]);
    const hugeHeader = Buffer.alloc(8);
    hugeHeader.writeUInt32LE(0xffff_fff0, 0);
    const attacks = [
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01]),
      Buffer.concat([preamble, hugeHeader]),
      Buffer.concat([preamble, Buffer.from([4, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 9])]),
      Buffer.from("RAFTVAL\u0009"),
    ];
    // Twice each: who tries the same again and again is told of once in a while.
    for (const [at, attack] of attacks.flatMap((attack) => [attack, attack]).entries()) {
      const socket = dialTcp(Number(host.address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.resume();
      socket.write(attack);
      await new Promise<void>((resolve) => socket.once("close", () => resolve()));
      const lines = book.lines.filter((line) => line.level === "warn" || line.level === "error");
      assert.equal(
        lines.length,
        Math.floor(at / 2) + 1,
        lines.map((line) => line.message).join("\n"),
      );
    }
    assert.equal(await group.command("enqueue", "a"), 0);
    await host.close();
  });

  test("bytes that never get as far as a connection, too: a TLS handshake that is none", async () => {
    const book = createLogBook();
    const authority = makeAuthority();
    const tls = { ...authority.issue("foo.test"), ca: authority.cert };
    const host = await startHost({ id: "foo", listen: loopback, logger: book.logger, tls });
    for (let times = 0; times < 3; times++) {
      const socket = dialTcp(Number(host.address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.resume();
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    }
    assert.deepEqual(
      book.lines.filter(({ level }) => level !== "debug").map(({ level }) => level),
      ["warn"],
    );
    assert.match(book.lines.at(-1)!.message, /^TLS handshake refused: /);
    await host.close();
  });
});
