/** More clients than a host serves: they keep out each other, and neither other hosts nor its own program. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { spareForPeers } from "../../src/host/accepted-connections.js";
import { protocolVersion } from "../../src/codec/types.js";
import { encodeFrame } from "../../src/codec/wire.js";
import { Cluster, counter, createLogBook } from "./cluster.js";
import { RawClient } from "./raw-client.js";

const maxConnections = 3;

/** Clients of that host, one more than it serves; whoever is refused or cut off comes again at once. */
function createCrowd(cluster: Cluster, id: string): { come(): void; served(): number } {
  const transport = cluster.network.transport(`crowd of ${id}`);
  const dial = (): RawClient =>
    new RawClient((handlers) => transport.dial(`${id}:1`, handlers), "counter");
  const crowd = Array.from({ length: maxConnections + 1 }, dial);
  return {
    come(): void {
      for (const [at, { closed }] of crowd.entries()) if (closed) crowd[at] = dial();
    },
    served(): number {
      const isServed = ({ closed, frames }: RawClient): boolean =>
        !closed && frames.some(({ type }) => type === "channelOpened");
      return crowd.filter(isServed).length;
    },
  };
}

test("hosts find each other again through a crowd of clients, and a handle finds its own host", async () => {
  const cluster = new Cluster();
  const { lines, logger } = createLogBook();
  const ids = ["foo", "bar", "baz"];
  for (const id of ids) await cluster.start(id, { logger, limits: { maxConnections } });
  const handles = await cluster.group("counter", counter, ids);
  for (const id of ids) cluster.network.disconnect(id);
  const crowds = ids.map((id) => createCrowd(cluster, id));
  // The hosts come back after a pause, when all places are taken.
  await cluster.pass(5);
  assert.deepEqual(
    crowds.map((crowd) => crowd.served()),
    [maxConnections, maxConnections, maxConnections],
  );
  for (let spentMs = 0; spentMs < 3000; spentMs += 20) {
    for (const crowd of crowds) crowd.come();
    await cluster.pass(20);
  }
  const [leader] = cluster.leaders("counter");
  assert.ok(leader !== undefined, "they have a leader");
  const itsHandle = handles[ids.indexOf(leader)]!;
  assert.equal(await cluster.run(itsHandle.command("inc", 1)), 1);
  const told = lines.filter(({ message }) => message.includes("serves 3 connections already"));
  assert.equal(told.length, ids.length, "once each");
  await cluster.close();
});

test("connections that say they are of hosts are as many as are spare for them, and not one more", async () => {
  const cluster = new Cluster();
  await cluster.start("foo", { limits: { maxConnections } });
  const transport = cluster.network.transport("raw");
  let refused = 0;
  for (let at = 0; at <= maxConnections + spareForPeers; at++) {
    const connection = transport.dial("foo:1", {
      onOpen: () => undefined,
      onPayload: () => undefined,
      onDrain: () => undefined,
      onClose: () => (refused += 1),
    });
    const from = `host${at}`;
    connection.send(encodeFrame({ type: "hello", protocol: protocolVersion, kind: "peer", from }));
  }
  await cluster.pass(50);
  assert.equal(refused, 1);
  await cluster.close();
});
