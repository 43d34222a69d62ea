import assert from "node:assert/strict";
import { test } from "node:test";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Peer, PeerServer } from "../../src/contract/peer.js";
import type { Transport } from "../../src/ports.js";
import { HeapLimit } from "../../src/transport/heap-limit.js";
import type { TcpShared } from "../../src/transport/tcp-connection.js";
import { createTcpTransport } from "../../src/transport/tcp.js";

const MiB = 1024 * 1024;
const ballastBytes = 16 * MiB;

/** One whose heap may grow by so much, and what it wants to do soon. */
function limitWith(freeBytes = 2048 * MiB) {
  const soon: (() => void)[] = [];
  const limit = new HeapLimit(0, {
    freeBytes: () => freeBytes,
    soon: (work) => soon.push(work),
  });
  const doSoon = (): void => {
    for (let work = soon.shift(); work !== undefined; work = soon.shift()) work();
  };
  return { limit, soon, doSoon };
}

test("full collections under heavy traffic bring ballast in pieces, the next one takes it away", () => {
  const { limit, soon, doSoon } = limitWith();
  limit.carried(5 * MiB);
  limit.collected();
  assert.equal(limit.ballastBytes, 0, "one may be due");
  limit.collected();
  assert.equal(limit.ballastBytes, MiB);
  assert.equal(soon.length, 1, "the rest not at once");
  limit.collected();
  doSoon();
  assert.equal(limit.ballastBytes, ballastBytes);
  limit.collected();
  assert.equal(limit.ballastBytes, 0);
  limit.collected();
  assert.equal(limit.ballastBytes, 0, "counted from the beginning");
  limit.collected();
  assert.equal(limit.ballastBytes, MiB);
});

test("without heavy traffic the collections are somebody else's", () => {
  const { limit } = limitWith();
  for (let second = 1; second < 10; second++) {
    limit.carried(3 * MiB);
    for (let i = 0; i < 10; i++) limit.collected();
    limit.look(1000 * second);
  }
  assert.equal(limit.ballastBytes, 0);
});

test("traffic that was heavy in the last second is so at the beginning of the next", () => {
  const { limit } = limitWith();
  limit.carried(5 * MiB);
  limit.look(1000);
  limit.collected();
  limit.collected();
  assert.equal(limit.ballastBytes, MiB);
});

test("what is carried in a longer while is no more in a second", () => {
  const { limit } = limitWith();
  limit.carried(5 * MiB);
  limit.look(900);
  limit.look(2000);
  limit.collected();
  limit.collected();
  assert.equal(limit.ballastBytes, 0);
});

test("a collection now and then is what there should be", () => {
  const { limit } = limitWith();
  for (let second = 1; second < 10; second++) {
    limit.carried(50 * MiB);
    limit.collected();
    limit.look(1000 * second);
  }
  assert.equal(limit.ballastBytes, 0);
});

test("a heap that may hardly grow is left alone", () => {
  for (const [freeBytes, expected] of [
    [159 * MiB, 0],
    [160 * MiB, MiB],
  ] as const) {
    const { limit } = limitWith(freeBytes);
    limit.carried(5 * MiB);
    limit.collected();
    limit.collected();
    assert.equal(limit.ballastBytes, expected);
  }
});

test("ballast that no collection follows goes after a second or two", () => {
  const { limit, doSoon } = limitWith();
  limit.carried(5 * MiB);
  limit.collected();
  limit.collected();
  doSoon();
  limit.look(1000);
  assert.equal(limit.ballastBytes, ballastBytes);
  limit.look(2000);
  assert.equal(limit.ballastBytes, 0);
});

test("who lets go while it comes gets no more of it", () => {
  const { limit, doSoon } = limitWith();
  limit.carried(5 * MiB);
  limit.collected();
  limit.collected();
  limit.letGo();
  doSoon();
  assert.equal(limit.ballastBytes, 0);
});

test("ballast does not outlive the connections of a transport", async (t) => {
  const transport = createTcpTransport();
  const { heapLimit } = transport as Transport & TcpShared;
  const server = await PeerServer.listen(transport, "127.0.0.1:0");
  t.after(() => server.close());
  const dialler = Peer.dial(transport, server.address);
  const accepted = await server.accepted();
  await dialler.opened();
  heapLimit.carried(100 * MiB);
  for (let i = 0; i < 2; i++) heapLimit.collected();
  assert.ok(heapLimit.ballastBytes > 0);
  dialler.connection!.close();
  await Promise.all([dialler.closed(), accepted.closed()]);
  assert.equal(heapLimit.ballastBytes, 0);
});

test(
  "over TCP, collections of V8 are noticed: ballast is in its heap, then no more",
  { timeout: 30_000 },
  async (t) => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const used = (): number => getHeapStatistics().used_heap_size;
    const transport = createTcpTransport();
    const server = await PeerServer.listen(transport, "127.0.0.1:0");
    const { connection } = Peer.dial(transport, server.address);
    t.after(async () => {
      connection!.close();
      await server.close();
    });
    const peer = await server.accepted();
    const payload = new Uint8Array(MiB);
    collect();
    const before = used();
    while (used() < before + ballastBytes - MiB) {
      t.signal.throwIfAborted();
      for (let i = 0; i < 4; i++) connection!.send(payload);
      await peer.received(4);
      peer.payloads.length = 0;
      if (used() < before + MiB) collect();
      await new Promise(setImmediate);
    }
    while (used() > before + 2 * MiB) {
      t.signal.throwIfAborted();
      collect();
      await new Promise(setImmediate);
    }
  },
);
