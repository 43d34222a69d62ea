/** The network inside one process: cuts, and nothing left to chance. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../src/clock/virtual.js";
import { RaftError } from "../../src/errors.js";
import { MemoryNetwork } from "../../src/transport/memory.js";
import { Peer, PeerServer, patterned } from "../../src/contract/peer.js";

type World = { clock: VirtualClock; network: MemoryNetwork; server: PeerServer; dialler: Peer };

/** "foo" listens and "bar" has dialled it; nothing moves but by the clock. */
async function world(): Promise<World> {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock });
  const server = await PeerServer.listen(network.transport("foo"), "foo:1");
  const dialler = Peer.dial(network.transport("bar"), server.address);
  clock.runSoon();
  assert.deepEqual([dialler.opens, server.peers[0]!.opens], [1, 1]);
  return { clock, network, server, dialler };
}

function code(error: Error | null): string | null {
  assert.ok(error === null || error instanceof RaftError);
  return error?.code ?? null;
}

describe("the memory network", () => {
  test("time stands still: everything happens in soon, in the order of the calls", async () => {
    const { clock, server, dialler } = await world();
    const accepted = server.peers[0]!;
    for (let i = 0; i < 10; i++) dialler.connection!.send(patterned(5, i));
    assert.deepEqual(accepted.payloads, []);
    clock.runSoon();
    assert.deepEqual(
      accepted.payloads,
      Array.from({ length: 10 }, (_, i) => patterned(5, i)),
    );
    assert.equal(clock.nowMs(), 0);
  });

  test("a cut breaks the connections between two nodes, on both sides, and lets none come up", async () => {
    const { clock, network, server, dialler } = await world();
    const accepted = server.peers[0]!;
    dialler.connection!.send(patterned(5));
    network.cut("bar", "foo");
    clock.runSoon();
    assert.deepEqual([code(dialler.error), code(accepted.error)], ["closed", "closed"]);
    assert.deepEqual([dialler.closes, accepted.closes], [1, 1]);
    assert.deepEqual(accepted.payloads, []);
    const late = Peer.dial(network.transport("bar"), server.address);
    clock.runSoon();
    assert.equal(code(late.error), "connectFailed");
    assert.match(late.error!.message, /the network is cut/);
  });

  test("a cut concerns nobody else, and heal ends it", async () => {
    const { clock, network, server } = await world();
    network.cut("foo", "bar");
    network.cut("foo", "qux");
    const third = Peer.dial(network.transport("baz"), server.address);
    clock.runSoon();
    assert.equal(third.opens, 1);
    network.heal("foo", "bar");
    const again = Peer.dial(network.transport("bar"), server.address);
    const still = Peer.dial(network.transport("qux"), server.address);
    clock.runSoon();
    assert.deepEqual([again.opens, still.opens], [1, 0]);
    network.healAll();
    const healed = Peer.dial(network.transport("qux"), server.address);
    clock.runSoon();
    assert.equal(healed.opens, 1);
  });

  test("disconnect breaks what a node has, once: new connections come up", async () => {
    const { clock, network, server, dialler } = await world();
    network.disconnect("foo");
    clock.runSoon();
    assert.equal(code(dialler.error), "closed");
    const again = Peer.dial(network.transport("bar"), server.address);
    clock.runSoon();
    assert.equal(again.opens, 1);
  });

  test("transports without a name are nodes of their own", async () => {
    const { clock, network, server } = await world();
    const [one, two] = [network.transport(), network.transport()];
    const first = Peer.dial(one, server.address);
    const second = Peer.dial(two, server.address);
    clock.runSoon();
    assert.deepEqual([first.opens, second.opens], [1, 1]);
    const remotes = server.peers.slice(1).map(({ connection }) => connection!.remote);
    assert.notEqual(remotes[0], remotes[1]);
  });

  test("a listener that is closed twice leaves the next one at its address alone", async () => {
    const clock = new VirtualClock();
    const network = new MemoryNetwork({ clock });
    const former = await PeerServer.listen(network.transport("foo"), "foo:1");
    await former.close();
    const server = await PeerServer.listen(network.transport("foo"), "foo:1");
    await former.close();
    const dialler = Peer.dial(network.transport("bar"), "foo:1");
    clock.runSoon();
    assert.deepEqual([dialler.opens, server.peers.length], [1, 1]);
  });

  test("what is sent when there is room again, and then closed behind, arrives", async () => {
    const { clock, network, server, dialler } = await world();
    const { connection } = dialler;
    dialler.onNote = (what) => {
      if (what !== "drain") return;
      connection!.send(patterned(7));
      connection!.close();
    };
    const largeBytes = network.highWaterBytes + 1;
    connection!.send(patterned(largeBytes));
    clock.runSoon();
    const accepted = server.peers[0]!;
    assert.deepEqual(
      accepted.payloads.map(({ length }) => length),
      [largeBytes, 7],
    );
    assert.deepEqual([dialler.drains, dialler.error, accepted.error], [1, null, null]);
    assert.deepEqual([dialler.closes, accepted.closes], [1, 1]);
  });
});
