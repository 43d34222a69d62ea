import assert from "node:assert/strict";
import { test } from "node:test";
import { getHeapStatistics } from "node:v8";
import { runInNewContext } from "node:vm";
import { Peer, PeerServer } from "../../src/contract/peer.js";
import type { Transport } from "../../src/ports.js";
import { CollectionWatch, exposedGc, YoungCollections } from "../../src/transport/collections.js";
import { HeapLimit, type HeapState } from "../../src/transport/heap-limit.js";
import type { TcpShared } from "../../src/transport/tcp-connection.js";
import { createTcpTransport } from "../../src/transport/tcp.js";

const MiB = 1024 * 1024;
const ballastBytes = 16 * MiB;

/** One with this heap, made at that time. */
function limitWith(state: Partial<HeapState> = {}, madeMs = 0) {
  const heap = { freeBytes: 2048 * MiB, usedBytes: 10 * MiB, bufferBytes: 0, ...state };
  const soon: (() => void)[] = [];
  const nudges: number[] = [];
  const young: number[] = [];
  let nowMs = madeMs;
  const limit = new HeapLimit({
    nowMs: () => nowMs,
    heap: () => heap,
    soon: (work) => soon.push(work),
    nudge: (bytes) => nudges.push(bytes),
    collectYoung: () => void young.push(nowMs),
  });
  const collectAt = (ms: number): void => {
    nowMs = ms;
    limit.collected(true);
  };
  const doSoon = (): void => {
    for (let work = soon.shift(); work !== undefined; work = soon.shift()) work();
  };
  return { limit, heap, soon, nudges, young, collectAt, doSoon };
}

test("full collections under heavy traffic bring ballast in pieces, the next one takes it away", () => {
  const { limit, soon, nudges, collectAt, doSoon } = limitWith();
  limit.carried(5 * MiB);
  collectAt(0);
  assert.equal(limit.ballastBytes, 0, "one may be due");
  collectAt(100);
  assert.equal(limit.ballastBytes, MiB);
  assert.equal(soon.length, 1, "the rest not at once");
  collectAt(200);
  doSoon();
  assert.equal(limit.ballastBytes, ballastBytes);
  collectAt(300);
  assert.equal(limit.ballastBytes, 0);
  collectAt(400);
  assert.equal(limit.ballastBytes, 0, "counted from the beginning");
  collectAt(500);
  assert.equal(limit.ballastBytes, MiB);
  assert.deepEqual(nudges, [], "they come by themselves");
});

test("without heavy traffic the collections are somebody else's", () => {
  const { limit, heap, nudges, collectAt, doSoon } = limitWith({ usedBytes: 100 * MiB });
  for (let second = 1; second < 10; second++) {
    limit.carried(3 * MiB);
    for (let i = 0; i < 10; i++) collectAt(1000 * second);
    heap.bufferBytes += 100 * MiB;
    limit.look(1000 * second);
  }
  doSoon();
  assert.equal(limit.ballastBytes, 0);
  assert.deepEqual(nudges, []);
});

test("traffic that was heavy in the last second is so at the beginning of the next", () => {
  const { limit, collectAt } = limitWith();
  limit.carried(5 * MiB);
  limit.look(1000);
  collectAt(1000);
  collectAt(1001);
  assert.equal(limit.ballastBytes, MiB);
});

test("the first second begins when it is made", () => {
  const { limit, collectAt } = limitWith({}, 50_000);
  limit.carried(5 * MiB);
  limit.look(51_000);
  collectAt(51_000);
  collectAt(51_001);
  assert.equal(limit.ballastBytes, MiB);
});

test("what is carried in a longer while is no more in a second", () => {
  const { limit, collectAt } = limitWith();
  limit.carried(5 * MiB);
  limit.look(900);
  limit.look(2000);
  collectAt(2000);
  collectAt(2001);
  assert.equal(limit.ballastBytes, 0);
});

test("a collection is as rare as it should be when 7 MiB a second are gone through", () => {
  for (const [usedBytes, everyMs, expected] of [
    [7 * MiB, 1000, 0],
    [7 * MiB, 999, MiB],
    [70 * MiB, 10_000, 0],
    [70 * MiB, 9999, MiB],
  ] as const) {
    const { limit, collectAt } = limitWith({ usedBytes });
    limit.carried(5 * MiB);
    for (let i = 0; i < 5; i++) collectAt(i * everyMs);
    assert.equal(limit.ballastBytes, expected, `${usedBytes} bytes every ${everyMs} ms`);
  }
});

test("a heap that may hardly grow is left alone", () => {
  for (const [freeBytes, expected] of [
    [159 * MiB, 0],
    [160 * MiB, MiB],
  ] as const) {
    const { limit, collectAt } = limitWith({ freeBytes });
    limit.carried(5 * MiB);
    collectAt(0);
    collectAt(1);
    assert.equal(limit.ballastBytes, expected);
  }
});

test("ballast that no collection follows goes after a second or two", () => {
  const { limit, collectAt, doSoon } = limitWith();
  for (const sinceMs of [0, 2000]) {
    limit.carried(5 * MiB);
    collectAt(sinceMs);
    collectAt(sinceMs + 1);
    doSoon();
    for (const ms of [10, 500, 1000, 1010, 1999]) limit.look(sinceMs + ms);
    assert.equal(limit.ballastBytes, ballastBytes);
    limit.look(sinceMs + 2000);
    assert.equal(limit.ballastBytes, 0);
  }
});

test("who lets go while it comes gets no more of it", () => {
  const { limit, collectAt, doSoon } = limitWith();
  limit.carried(5 * MiB);
  collectAt(0);
  collectAt(1);
  limit.letGo();
  doSoon();
  assert.equal(limit.ballastBytes, 0);
});

/** Seconds of heavy traffic, at the end of each of which so many MiB of buffers are there. */
function secondsOf(bufferMiB: readonly number[], state: Partial<HeapState> = {}) {
  const all = limitWith({ usedBytes: 100 * MiB, ...state });
  bufferMiB.forEach((now, second) => {
    all.limit.carried(5 * MiB);
    all.heap.bufferBytes = now * MiB;
    all.limit.look(1000 * (second + 1));
  });
  return all;
}

test("before buffers bring a collection of a large heap it is had, with ballast", () => {
  const { limit, heap, nudges, collectAt, doSoon } = secondsOf([3, 13, 23, 33, 43]);
  assert.equal(limit.ballastBytes, 0, "40 have come, and 20 may until the next look but one");
  limit.carried(5 * MiB);
  heap.bufferBytes = 53 * MiB;
  limit.look(6000);
  assert.equal(limit.ballastBytes, MiB);
  assert.deepEqual(nudges, [], "not before all of the ballast is there");
  doSoon();
  assert.equal(limit.ballastBytes, ballastBytes);
  assert.deepEqual(nudges, [48 * MiB]);
  collectAt(6500);
  assert.equal(limit.ballastBytes, 0);
  limit.carried(5 * MiB);
  heap.bufferBytes = 63 * MiB;
  limit.look(7000);
  assert.equal(limit.ballastBytes, 0, "counted from the collection on");
  collectAt(7500);
  limit.carried(5 * MiB);
  heap.bufferBytes = 63 * MiB + 25 * MiB;
  limit.look(8000);
  assert.equal(limit.ballastBytes, MiB, "25 have come since, and 50 may");
});

test("buffers that go again, a small heap, and one that may hardly grow bring nothing", () => {
  const quick = [3, 13, 23, 33, 43, 53, 63];
  for (const [bufferMiB, state] of [
    [[53, 43, 33, 53, 33, 43, 53, 63], {}],
    [quick, { usedBytes: 39 * MiB }],
    [quick, { freeBytes: 159 * MiB }],
  ] as const) {
    const { limit, nudges, doSoon } = secondsOf(bufferMiB, state);
    assert.equal(limit.ballastBytes, 0);
    doSoon();
    assert.deepEqual(nudges, []);
  }
});

test("buffers are counted from when there were least of them", () => {
  assert.equal(secondsOf([100, 20, 40]).limit.ballastBytes, 0);
  assert.equal(secondsOf([100, 20, 40, 60]).limit.ballastBytes, MiB);
});

test("a collection that comes before all of the ballast is there needs no other", () => {
  const { limit, nudges, doSoon } = secondsOf([3, 23, 53]);
  assert.equal(limit.ballastBytes, MiB);
  limit.letGo();
  doSoon();
  assert.deepEqual(nudges, []);
});

test("a small collection is asked for when 12 MiB were carried since there was one of any kind", () => {
  for (const isFull of [false, true]) {
    const { limit, young, doSoon } = limitWith();
    limit.carried(12 * MiB - 1);
    limit.collected(isFull);
    limit.carried(12 * MiB - 1);
    doSoon();
    assert.deepEqual(young, [], "V8 had one by itself meanwhile");
    limit.carried(1);
    assert.deepEqual(young, [], "others have their turn first");
    doSoon();
    limit.carried(12 * MiB - 1);
    doSoon();
    assert.equal(young.length, 1);
  }
});

test("V8's collections are told apart, and a small one can be had where it has none for buffers", async (t) => {
  const collect = exposedGc();
  const noticed = { full: 0, small: 0 };
  const watch = new CollectionWatch((isFull) => void noticed[isFull ? "full" : "small"]++);
  watch.watch();
  watch.watch();
  t.after(() => watch.stop());
  for (let i = 0; i < 20; i++) collect({ type: "minor" });
  while (noticed.small + noticed.full < 20) await new Promise(setImmediate);
  assert.ok(noticed.full < 5, `${noticed.full} full ones, though none was asked for`);
  const { full } = noticed;
  collect();
  while (noticed.full === full) await new Promise(setImmediate);

  const young = new YoungCollections();
  if (Number.parseInt(process.versions.v8, 10) >= 13) {
    const { small } = noticed;
    for (let i = 0; i < 20; i++) young.have();
    while (noticed.small < small + 20) await new Promise(setImmediate);
  } else {
    young.have();
  }
  assert.equal(runInNewContext("typeof gc"), "undefined");

  watch.stop();
  const before = { ...noticed };
  collect();
  await new Promise(setImmediate);
  assert.deepEqual(noticed, before);
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
  for (let i = 0; i < 2; i++) heapLimit.collected(true);
  assert.ok(heapLimit.ballastBytes > 0);
  dialler.connection!.close();
  await Promise.all([dialler.closed(), accepted.closed()]);
  assert.equal(heapLimit.ballastBytes, 0);
});

test(
  "over TCP, collections of V8 are noticed: ballast is in its heap, then no more",
  { timeout: 30_000 },
  async (t) => {
    const collect = exposedGc();
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
