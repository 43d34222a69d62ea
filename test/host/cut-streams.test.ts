/** What a host was really sent, sent again and cut off at each byte, or in two pieces: nothing of it stays. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect as dialTcp, createServer } from "node:net";
import { test, type TestContext } from "node:test";
import { connect, createTcpTransport, startHost } from "../../src/index.js";
import type { Transport } from "../../src/ports.js";
import { rawClosed } from "../tools/raw.js";
import { createLogBook, queue } from "./cluster.js";

const config = { heartbeatMs: 100, electionTimeoutMs: 2000 };
const loopback = "127.0.0.1:0";
const atOnce = 64;
/** Greeting, channel, snapshot and first entries; what follows is more of the same. */
const mostBytes = 1000;

/** TCP that counts whom it has taken in and not let go, and knows where it listens. */
class Counting {
  open = 0;
  address = "";
  readonly transport: Transport;

  constructor() {
    const inner = createTcpTransport();
    this.transport = {
      dial: (address, handlers) => inner.dial(address, handlers),
      listen: async (address, accept) => {
        const listener = await inner.listen(address, (connection) => {
          this.open += 1;
          const handlers = accept(connection);
          return {
            onOpen: () => handlers.onOpen(),
            onPayload: (payload) => handlers.onPayload(payload),
            onDrain: () => handlers.onDrain(),
            onClose: (error) => {
              this.open -= 1;
              handlers.onClose(error);
            },
          };
        });
        this.address = listener.address;
        return listener;
      },
    };
  }

  async until(open: number): Promise<void> {
    while (this.open !== open) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Passes on what comes to it, and keeps what goes to the target, by connection. */
async function record(t: TestContext, target: () => string) {
  const streams: Buffer[][] = [];
  const server = createServer((from) => {
    const stream: Buffer[] = [];
    streams.push(stream);
    const to = dialTcp(Number(target().split(":")[1]), "127.0.0.1");
    from.on("data", (chunk) => void stream.push(chunk));
    from.pipe(to).pipe(from);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, taken: () => streams.splice(0).map((stream) => Buffer.concat(stream)) };
}

async function replay(address: string, pieces: readonly Buffer[]): Promise<void> {
  const socket = dialTcp(Number(address.split(":")[1]), "127.0.0.1");
  // A host that hung up first is as good an end as any.
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  socket.setNoDelay(true);
  for (const piece of pieces) {
    if (piece.length > 0) socket.write(piece);
    // Turns in which the host, in this process, takes the connection and reads that piece by itself.
    for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  await rawClosed(socket);
}

async function replayAll(address: string, bytes: Buffer): Promise<void> {
  for (let from = 0; from < bytes.length; from += atOnce) {
    const replays: Promise<void>[] = [];
    for (let cut = from; cut < Math.min(from + atOnce, bytes.length); cut += 1) {
      replays.push(replay(address, [bytes.subarray(0, cut)]));
      replays.push(replay(address, [bytes.subarray(0, cut), bytes.subarray(cut)]));
    }
    await Promise.all(replays);
  }
}

test("streams that are cut off at each byte, or come in two pieces, end and change nothing", async (t) => {
  const counting = new Counting();
  const recorder = await record(t, () => counting.address);
  const { lines, logger } = createLogBook();
  const bar = await startHost({ id: "bar", listen: loopback });
  const { transport } = counting;
  const { address: advertise } = recorder;
  const foo = await startHost({ id: "foo", listen: loopback, advertise, transport, logger });
  const first = await bar.group("queue", queue, { start: "create", config });
  for (const item of ["a", "b", "c"]) await first.command("enqueue", item);
  await first.snapshot();
  const second = await foo.group("queue", queue, { start: { join: [bar.address] } });
  const [fromPeer] = recorder.taken();
  const peers = counting.open;
  // Behind what made it a voter.
  await first.command("enqueue", "d");
  await first.transferLeadership("foo");
  const client = connect(queue, { group: "queue", hosts: [foo.address] });
  await client.command("enqueue", "e");
  await client.command("dequeue");
  await Promise.all([client.status(), client.snapshot(), client.queryStale("items")]);
  const events = client.events();
  await events.next();
  await client.close();
  const [fromClient] = recorder.taken();
  await counting.until(peers);

  for (const bytes of [fromPeer!, fromClient!]) {
    assert.ok(bytes.length > 200, `${bytes.length} bytes`);
    await replayAll(counting.address, bytes.subarray(0, mostBytes));
    await counting.until(peers);
  }
  for (const handle of [first, second]) {
    assert.deepEqual(await handle.query("items"), ["b", "c", "d", "e"]);
  }
  assert.deepEqual(
    lines.filter(({ level }) => level === "error" || level === "warn"),
    [],
  );
  await Promise.all([foo.close(), bar.close()]);
  assert.equal(counting.open, 0);
});
