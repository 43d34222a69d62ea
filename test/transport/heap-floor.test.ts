import assert from "node:assert/strict";
import { test } from "node:test";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ConnectionHandlers } from "../../src/ports.js";
import { type Heap, HeapFloor } from "../../src/transport/heap-floor.js";
import { createTcpTransport } from "../../src/transport/tcp.js";

const MiB = 1024 * 1024;
const floorBytes = 12 * MiB;
const small: Heap = { usedBytes: 20 * MiB, limitBytes: 2048 * MiB };

/** A floor that has seen so many bytes in each second; its size after each. */
function sizesAfter(bytes: readonly number[], heap: Heap = small): number[] {
  const floor = new HeapFloor(0, () => heap);
  return bytes.map((each, second) => {
    floor.carried(each);
    floor.look(1000 * (second + 1));
    return floor.sizeBytes;
  });
}

test("a process that carries little has no floor, one that carries much has", () => {
  assert.deepEqual(sizesAfter([MiB, 3 * MiB, 0]), [0, 0, 0]);
  assert.deepEqual(sizesAfter([5 * MiB, 0]), [floorBytes, floorBytes]);
});

test("what is carried in a longer while is no more in a second", () => {
  const floor = new HeapFloor(0, () => small);
  floor.carried(5 * MiB);
  floor.look(900);
  assert.equal(floor.sizeBytes, 0, "not looked at yet");
  floor.look(2000);
  assert.equal(floor.sizeBytes, 0);
});

test("a heap that is large, or that may not grow, gets no floor", () => {
  const heavy = [50 * MiB];
  assert.deepEqual(sizesAfter(heavy, { usedBytes: 33 * MiB, limitBytes: 2048 * MiB }), [0]);
  assert.deepEqual(sizesAfter(heavy, { usedBytes: 20 * MiB, limitBytes: 140 * MiB }), [0]);
  assert.deepEqual(sizesAfter(heavy, { usedBytes: 20 * MiB, limitBytes: 150 * MiB }), [floorBytes]);
});

test("the floor goes once the traffic has been light for half a minute", () => {
  const pause = [5 * MiB, ...new Array<number>(20).fill(0)];
  const sizes = sizesAfter([...pause, ...pause, ...new Array<number>(10).fill(0)]);
  assert.ok(sizes.slice(0, -1).every((size) => size === floorBytes));
  assert.equal(sizes.at(-1), 0);
});

function collected(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return getHeapStatistics().used_heap_size;
}

test("bytes that go over TCP bring about a floor within V8's heap", async () => {
  const transport = createTcpTransport();
  const ignored: ConnectionHandlers = {
    onOpen: () => undefined,
    onPayload: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
  };
  let received = 0;
  let heard: () => void = () => undefined;
  const listener = await transport.listen("127.0.0.1:0", () => ({
    ...ignored,
    onPayload: (payload) => {
      received += payload.length;
      heard();
    },
  }));
  const connection = transport.dial(listener.address, ignored);
  const payload = new Uint8Array(MiB);
  const before = collected();
  while (collected() < before + floorBytes - MiB) {
    const until = received + 4 * MiB;
    for (let i = 0; i < 4; i++) connection.send(payload);
    while (received < until) await new Promise<void>((resolve) => (heard = resolve));
  }
  connection.close();
  await listener.close();
  // With the last connection it goes, though the transport stays and can be used again.
  while (collected() > before + 2 * MiB) await new Promise(setImmediate);
  await (await transport.listen("127.0.0.1:0", () => ignored)).close();
});
