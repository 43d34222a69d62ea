/** Durable members that come back at other addresses: one after the other, or all at once. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { GroupHandle } from "../../src/host/handle.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter } from "./cluster.js";

const ids = ["foo", "bar", "baz"];
/** Raised with every move, so that no address is ever used again. */
let port = 1;
let cluster: Cluster;
let storages: Map<string, MemoryStorage>;
let handles: Map<string, GroupHandle<Counter>>;

const addressOf = (id: string): string => `${id}:${port}`;

/** As a program says it at every start, with the addresses of today. */
async function open(id: string, join: readonly string[]): Promise<void> {
  const start = id === "foo" ? "create" : { join };
  const opening = cluster.host(id).group("counter", counter, { start });
  handles.set(id, await cluster.run(opening));
}

async function stop(id: string): Promise<void> {
  await cluster.run(cluster.host(id).close());
  cluster.hosts.delete(id);
}

async function start(id: string): Promise<void> {
  await cluster.start(id, { storage: storages.get(id)!, listen: addressOf(id) });
}

/** What each member has in its log, whatever it was told besides. */
function addressesIn(id: string): string[] {
  return cluster
    .host(id)
    .memberOf("counter")!
    .membership.members.map((member) => member.address)
    .sort();
}

describe("durable members that come back at other addresses", () => {
  beforeEach(async () => {
    port = 1;
    cluster = new Cluster(17);
    storages = new Map(ids.map((id) => [id, createMemoryStorage({ durable: true })]));
    handles = new Map();
    for (const id of ids) await start(id);
    for (const id of ids) await open(id, ["foo:1"]);
    await cluster.run(handles.get("foo")!.command("inc", 1));
  });

  test("one after the other, each through addresses that are gone, make a group that goes on", async () => {
    for (const [moves, id] of ids.entries()) {
      await stop(id);
      port += 1;
      await start(id);
      await open(id, ["foo:1"]);
      const [leader] = cluster.leaders("counter");
      assert.ok(addressesIn(leader!).includes(addressOf(id)), "opened once its leader has it");
      assert.equal(await cluster.run(handles.get(id)!.command("inc", 1)), moves + 2);
    }
    assert.equal(await cluster.run(handles.get("foo")!.query("get")), 4);
    for (const id of ids) {
      await cluster.until(`${id} knows all`, () => addressesIn(id).join() === "bar:3,baz:4,foo:2");
    }
    await cluster.close();
  });

  test("all at once, find each other through the addresses that they are told to join", async () => {
    for (const id of ids) await stop(id);
    port += 1;
    for (const id of ids) await start(id);
    await Promise.all(ids.map((id) => open(id, ["foo:2", "nobody:1"])));
    assert.equal(await cluster.run(handles.get("baz")!.command("inc", 1)), 2);
    for (const id of ids) {
      await cluster.until(`${id} knows all`, () => addressesIn(id).join() === "bar:2,baz:2,foo:2");
    }
    await cluster.close();
  });

  test("are not looked for while a leader is heard", async () => {
    await stop("bar");
    const dialled: string[] = [];
    const { network } = cluster;
    const transport = network.transport("bar");
    const dial = transport.dial.bind(transport);
    transport.dial = (address, handlers) => {
      dialled.push(address);
      return dial(address, handlers);
    };
    await cluster.start("bar", { storage: storages.get("bar")!, listen: "bar:1", transport });
    await open("bar", ["elsewhere:1"]);
    await cluster.pass(20_000);
    assert.ok(dialled.length > 0);
    assert.ok(!dialled.includes("elsewhere:1"));
    await cluster.close();
  });
});
