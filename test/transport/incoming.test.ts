import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { test } from "node:test";
import { receiveChunks } from "../../src/transport/incoming.js";

/** A stream that is fed by hand, what its receiver got, and what came the long way. */
function listen() {
  const stream = new Readable({ read: () => undefined });
  const got: string[] = [];
  const emitted: string[] = [];
  const start = (): void => {
    receiveChunks(stream, (chunk) => got.push(chunk.toString()));
    stream.on("data", (chunk: Buffer) => emitted.push(chunk.toString()));
  };
  return { stream, got, emitted, start, push: (text: string) => stream.push(Buffer.from(text)) };
}

test("a chunk goes straight to its receiver where nothing is queued before it", async () => {
  const { stream, got, emitted, start, push } = listen();
  start();
  assert.equal(push("a"), true, "more may come");
  assert.deepEqual(got, ["a"], "within the call");
  push("b");
  stream.push(null);
  await once(stream, "end");
  assert.deepEqual(got, ["a", "b"]);
  assert.deepEqual(emitted, []);
});

test("what was queued before the receiver came is not overtaken", async () => {
  const { stream, got, emitted, start, push } = listen();
  push("a");
  push("b");
  start();
  push("c");
  assert.deepEqual(got, []);
  stream.push(null);
  await once(stream, "end");
  assert.deepEqual(got, ["a", "b", "c"]);
  assert.deepEqual(emitted, got);
});

test("what comes to a paused stream waits in it", async () => {
  const { stream, got, start, push } = listen();
  start();
  push("a");
  stream.pause();
  push("b");
  push("c");
  assert.deepEqual(got, ["a"]);
  stream.resume();
  push("d");
  assert.deepEqual(got, ["a"], "b and c come first");
  stream.push(null);
  await once(stream, "end");
  assert.deepEqual(got, ["a", "b", "c", "d"]);
});

test("nothing arrives once the stream is destroyed", async () => {
  const { stream, got, start, push } = listen();
  start();
  push("a");
  stream.destroy();
  push("b");
  await once(stream, "close");
  assert.deepEqual(got, ["a"]);
});

test("this Node's sockets take the short way, on both sides", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepting = once(server, "connection");
  const dialled = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(dialled, "connect");
  const [accepted] = (await accepting) as [Socket];
  const ends = [dialled, accepted].map((socket) => {
    const end = { socket, bytes: 0, emitted: 0, ended: once(socket, "end") };
    receiveChunks(socket, (chunk) => (end.bytes += chunk.length));
    socket.on("data", () => end.emitted++);
    return end;
  });
  // More than a socket's read takes, and than a stream would queue.
  for (const { socket } of ends) socket.end(Buffer.alloc(1024 * 1024, "x"));
  for (const end of ends) {
    await end.ended;
    assert.deepEqual([end.bytes, end.emitted], [1024 * 1024, 0]);
  }
  server.close();
  await once(server, "close");
});
