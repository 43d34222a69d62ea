/** The simulated network keeps what every transport promises, and breaks only what it says it breaks. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConnectionHandlers } from "../../src/ports.js";
import { SimNetwork } from "../../src/sim/network.js";
import { SimProcess } from "../../src/sim/process.js";
import { World } from "../../src/sim/world.js";
import { transportContract } from "../../src/contract/transport.js";
import { pump } from "./pump.js";

const highWaterBytes = 256 * 1024;
const lowWaterBytes = 64 * 1024;

transportContract("simulated", (t) => {
  const world = new World({ seed: 1 });
  const network = new SimNetwork(world, highWaterBytes, lowWaterBytes);
  const process = new SimProcess(world, "a", "a.1", world.random.fork());
  pump(t, world);
  return {
    transport: network.transport(process),
    listenAddress: "a:0",
    badAddresses: [""],
    highWaterBytes,
    lowWaterBytes,
  };
});

type Side = { readonly got: number[]; ends: (Error | null)[] };

function side(): ConnectionHandlers & Side {
  const got: number[] = [];
  const ends: (Error | null)[] = [];
  return {
    got,
    ends,
    onOpen: () => undefined,
    onPayload: (payload) => got.push(payload[0]!),
    onDrain: () => undefined,
    onClose: (error) => ends.push(error),
  };
}

async function pair(seed: number) {
  const world = new World({ seed });
  const network = new SimNetwork(world);
  const a = new SimProcess(world, "a", "a.1", world.random.fork());
  const b = new SimProcess(world, "b", "b.1", world.random.fork());
  const server = side();
  await network.transport(b).listen("b:1", () => server);
  const client = side();
  const connection = network.transport(a).dial("b:1", client);
  const until = (ms: number): void => {
    while ((world.nextDueMs() ?? Infinity) <= ms) world.step();
  };
  until(100);
  return { world, network, a, b, server, client, connection, until };
}

const peerMessage = 4;

describe("the simulated network", () => {
  test("a cut link holds bytes back and hands them on when it is whole again", async () => {
    const { network, server, connection, until } = await pair(1);
    network.cut("a", "b");
    connection.send(new Uint8Array([1]));
    until(1000);
    assert.deepEqual(server.got, []);
    connection.send(new Uint8Array([2]));
    network.mend("a", "b");
    until(2000);
    assert.deepEqual(server.got, [1, 2]);
    assert.deepEqual(server.ends, []);
  });

  test("a cut lasts long enough: the sender's side gives the connection up", async () => {
    const { network, server, client, connection, until } = await pair(1);
    network.cut("a", "b");
    connection.send(new Uint8Array([1]));
    until(60_000);
    assert.equal(client.ends.length, 1);
    assert.match(client.ends[0]!.message, /timed out/);
    assert.deepEqual(server.got, []);
  });

  test("a reset loses what was under way, and both ends hear of it once", async () => {
    const { network, server, client, connection, until } = await pair(1);
    connection.send(new Uint8Array([1]));
    assert.equal(network.reset("a", "b"), 1);
    until(1000);
    assert.deepEqual(server.got, []);
    assert.deepEqual([server.ends.length, client.ends.length], [1, 1]);
  });

  test("a process that stopped finds everything in order when it goes on", async () => {
    const { b, server, connection, until } = await pair(1);
    b.pause();
    for (let i = 0; i < 5; i++) connection.send(new Uint8Array([i]));
    until(500);
    assert.deepEqual(server.got, []);
    b.resume();
    until(1000);
    assert.deepEqual(server.got, [0, 1, 2, 3, 4]);
  });

  test("the death of a process ends its connections on the other side", async () => {
    const { b, client, until } = await pair(1);
    b.kill();
    until(1000);
    assert.equal(client.ends.length, 1);
  });

  test("only messages between members are lost, doubled and overtaken", async () => {
    const { world, network, server, connection, until } = await pair(1);
    Object.assign(network.settings, { dropRate: 0.3, duplicateRate: 0.3, reorderRate: 0.3 });
    for (let i = 0; i < 300; i++) connection.send(new Uint8Array([i % 2 === 0 ? peerMessage : 9]));
    until(5000);
    assert.equal(server.got.filter((code) => code === 9).length, 150);
    for (const kind of ["drop message", "duplicate message", "reorder message"]) {
      assert.ok((world.faults.get(kind) ?? 0) > 10, kind);
    }
  });

  test("one seed, one course of events; another seed, another", async () => {
    const trace = async (seed: number): Promise<string> => {
      const { world, connection, until } = await pair(seed);
      for (let i = 0; i < 20; i++) connection.send(new Uint8Array([i]));
      until(1000);
      return world.trace.digest();
    };
    assert.equal(await trace(5), await trace(5));
    assert.notEqual(await trace(5), await trace(6));
  });
});
