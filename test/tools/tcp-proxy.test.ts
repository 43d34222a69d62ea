/** The proxy does to a connection what a test asks for, so that other tests may believe it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { patterned } from "../../src/contract/peer.js";
import { rawClosed, rawConnect, rawListen, type RawServer } from "./raw.js";
import { TcpProxy } from "./tcp-proxy.js";

/** Counts what arrives, and lets a test wait for so much. */
class Sink {
  readonly chunks: Buffer[] = [];
  readonly socket: Socket;
  size = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.size += chunk.length;
    });
  }

  async holds(size: number): Promise<Buffer> {
    while (this.size < size) await once(this.socket, "data");
    return Buffer.concat(this.chunks);
  }
}

type World = { proxy: TcpProxy; target: RawServer; dialler: Socket; near: Sink; far: Sink };

/** Both ends connected through the proxy, with a first byte gone each way. */
async function world(t: TestContext): Promise<World> {
  let arrived: (socket: Socket) => void = () => undefined;
  const arrival = new Promise<Socket>((resolve) => (arrived = resolve));
  const target = await rawListen(t, (socket) => arrived(socket), { allowHalfOpen: true });
  const proxy = await TcpProxy.start(target.address);
  t.after(() => proxy.close());
  const dialler = await rawConnect(t, proxy.address);
  const near = new Sink(dialler);
  const far = new Sink(await arrival);
  dialler.write("a");
  far.socket.write("b");
  await Promise.all([far.holds(1), near.holds(1)]);
  return { proxy, target, dialler, near, far };
}

/** Something that goes the other way and back in the meantime: the event loop has turned. */
async function roundTrip(t: TestContext, address: string): Promise<void> {
  const socket = await rawConnect(t, address);
  socket.destroy();
  await rawClosed(socket);
}

describe("the TCP proxy", () => {
  test("forwards both ways, whatever the size", async (t) => {
    const { dialler, near, far } = await world(t);
    const sent = patterned(3_000_000);
    dialler.write(sent);
    far.socket.write(sent);
    assert.deepEqual((await far.holds(3_000_001)).subarray(1), Buffer.from(sent));
    assert.deepEqual((await near.holds(3_000_001)).subarray(1), Buffer.from(sent));
  });

  test("forwards an orderly end of each side by itself", async (t) => {
    const { proxy, dialler, far } = await world(t);
    dialler.end("the last words");
    await once(far.socket, "end");
    assert.equal(Buffer.concat(far.chunks).toString(), "athe last words");
    far.socket.end();
    await rawClosed(dialler);
    await rawClosed(far.socket);
    assert.equal(proxy.accepted, 1);
  });

  for (const direction of ["toTarget", "fromTarget"] as const) {
    test(`cut ${direction} holds that direction and no other, and heal lets it through`, async (t) => {
      const { proxy, near, far } = await world(t);
      const [open, shut] = direction === "toTarget" ? [near, far] : [far, near];
      proxy.cut(direction);
      shut.socket.write("through");
      open.socket.write("held back");
      await open.holds(8);
      assert.equal(shut.size, 1);
      proxy.heal();
      assert.equal((await shut.holds(10)).subarray(1).toString(), "held back");
    });
  }

  test("cut holds both directions, ends and new connections too", async (t) => {
    const { proxy, target, dialler, near, far } = await world(t);
    proxy.cut();
    const newcomer = await rawConnect(t, proxy.address);
    newcomer.write("hello");
    dialler.end("held back");
    far.socket.write("held back");
    await roundTrip(t, target.address);
    assert.deepEqual([near.size, far.size], [1, 1]);
    proxy.heal();
    await Promise.all([near.holds(10), far.holds(10)]);
    await once(far.socket, "end");
  });

  test("a delay keeps bytes in order and lets none through before its time", async (t) => {
    const { proxy, dialler, far } = await world(t);
    proxy.setDelayMs(80);
    const beganMs = performance.now();
    dialler.write("one");
    proxy.setDelayMs(80);
    dialler.write("two");
    assert.equal((await far.holds(7)).subarray(1).toString(), "onetwo");
    assert.ok(performance.now() - beganMs >= 79, "not before its time");
  });

  test("a throttle lets no more through than it says", async (t) => {
    const { proxy, dialler, far } = await world(t);
    proxy.setBytesPerSecond(100_000);
    const beganMs = performance.now();
    dialler.write(patterned(30_000));
    await far.holds(30_001);
    // The first twentieth of a second's worth passes at once.
    assert.ok(performance.now() - beganMs >= 240, "not faster than it says");
  });

  test("reset breaks both sides, and new connections come up", async (t) => {
    const { proxy, dialler, far } = await world(t);
    const errors: string[] = [];
    for (const socket of [dialler, far.socket]) {
      socket.on("error", (error: NodeJS.ErrnoException) => errors.push(String(error.code)));
    }
    proxy.reset();
    await Promise.all([rawClosed(dialler), rawClosed(far.socket)]);
    assert.deepEqual(errors, ["ECONNRESET", "ECONNRESET"]);
    const again = await rawConnect(t, proxy.address);
    assert.equal(proxy.accepted, 2);
    again.destroy();
  });

  test("half open: one side is gone, the other stays and hears nothing", async (t) => {
    const { proxy, target, dialler, near, far } = await world(t);
    proxy.leaveHalfOpen("target");
    await rawClosed(far.socket);
    dialler.write(patterned(1_000_000));
    await roundTrip(t, target.address);
    assert.equal(dialler.destroyed, false);
    assert.equal(near.size, 1);
    assert.equal(proxy.links, 1);
  });

  test("a target that refuses shows as a broken connection", async (t) => {
    const { proxy, target } = await world(t);
    await target.close();
    const dialler = await rawConnect(t, proxy.address);
    await rawClosed(dialler);
  });

  test("close frees the port and ends all links", async (t) => {
    const { proxy, dialler, far } = await world(t);
    await proxy.close();
    await Promise.all([rawClosed(dialler), rawClosed(far.socket)]);
    assert.equal(proxy.links, 0);
    await assert.rejects(rawConnect(t, proxy.address));
  });
});
