/** Hosts that close while they are still opening a durable group: what it holds is there at the next start. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { GroupHandle } from "../../src/host/handle.js";
import type { GroupStart } from "../../src/host/options.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import { exposedGc } from "../../src/transport/collections.js";
import { Cluster, type Counter, counter } from "./cluster.js";

const ids = ["foo", "bar", "baz"];
let cluster: Cluster;
let storages: Map<string, MemoryStorage>;

async function start(id: string, port: number): Promise<void> {
  await cluster.start(id, { storage: storages.get(id)!, listen: `${id}:${port}` });
}

function open(id: string, begin: GroupStart): Promise<GroupHandle<Counter>> {
  const opening = cluster.host(id).group("counter", counter, { start: begin });
  opening.catch(() => undefined);
  return opening;
}

async function isClosedWhileOpening(id: string, opening: Promise<unknown>): Promise<void> {
  const stopping = cluster.stop(id);
  await assert.rejects(cluster.run(opening), { code: "closed" });
  await stopping;
}

describe("a host that closes while it opens a durable group", () => {
  beforeEach(() => {
    cluster = new Cluster(23);
    storages = new Map(ids.map((id) => [id, createMemoryStorage({ durable: true })]));
  });

  test("keeps what a member holds that came back at another address", async () => {
    const joins = { join: ["foo:1"] };
    for (const id of ids) await start(id, 1);
    const handles = new Map<string, GroupHandle<Counter>>();
    for (const id of ids) {
      handles.set(id, await cluster.run(open(id, id === "foo" ? "create" : joins)));
    }
    await cluster.run(handles.get("foo")!.command("inc", 5));
    const before = ids.map((id) => handles.get(id)!.id);
    for (const id of ids) await cluster.stop(id);
    // Each waits for a leader that takes its new address, and there is none: the others are down.
    for (const id of ids) {
      await start(id, 2);
      const opening = open(id, { join: ["nobody:1"] });
      await cluster.pass(100);
      await isClosedWhileOpening(id, opening);
    }
    for (const id of ids) await start(id, 1);
    const again = await cluster.run(Promise.all(ids.map((id) => open(id, joins))));
    assert.deepEqual(
      again.map(({ id }) => id),
      before,
    );
    assert.equal(await cluster.run(again[1]!.query("get")), 5);
    await cluster.close();
  });

  test("keeps what a member holds that ends by itself before its group has its address", async () => {
    await start("foo", 1);
    const first = await cluster.run(open("foo", "create"));
    await start("bar", 1);
    await cluster.run(open("bar", { join: ["foo:1"] }));
    await cluster.run(first.command("inc", 5));
    await cluster.stop("bar");
    await cluster.stop("foo");
    await start("foo", 2);
    const opening = open("foo", { join: ["nobody:1"] });
    await cluster.pass(100);
    cluster.host("foo").memberOf("counter")!.stop();
    await cluster.run(Promise.allSettled([opening]));
    await cluster.stop("foo");
    await start("foo", 1);
    const again = await cluster.run(open("foo", "create"));
    assert.equal(again.id, first.id);
    await cluster.close();
  });

  test("keeps what a newcomer holds on which the others count already", async () => {
    const joins = { join: ["foo:1"] };
    await start("foo", 1);
    const foo = await cluster.run(open("foo", "create"));
    await cluster.run(foo.command("inc", 5));
    await start("bar", 1);
    const opening = open("bar", joins);
    const voters = () => cluster.host("foo").memberOf("counter")!.membership.voters;
    await cluster.until("bar votes", () => voters().length === 2);
    const newcomer = cluster.host("bar").memberOf("counter")!.id;
    await isClosedWhileOpening("bar", opening);
    // Without it foo is no majority.
    await start("bar", 1);
    const bar = await cluster.run(open("bar", joins));
    assert.equal(bar.id, newcomer);
    assert.equal(await cluster.run(foo.command("inc", 2)), 7);
    await cluster.close();
  });

  test("keeps what a newcomer holds that ends by itself when it votes already", async () => {
    const joins = { join: ["foo:1"] };
    await start("foo", 1);
    const foo = await cluster.run(open("foo", "create"));
    await start("bar", 1);
    const opening = open("bar", joins);
    const voters = () => cluster.host("foo").memberOf("counter")!.membership.voters;
    await cluster.until("bar votes", () => voters().length === 2);
    const newcomer = cluster.host("bar").memberOf("counter")!;
    newcomer.stop();
    await assert.rejects(cluster.run(opening), { code: "closed" });
    await cluster.stop("bar");
    await start("bar", 1);
    const bar = await cluster.run(open("bar", joins));
    assert.equal(bar.id, newcomer.id);
    assert.equal(await cluster.run(foo.command("inc", 2)), 2);
    await cluster.close();
  });

  test("keeps nothing of a member that had ended by itself when its handle was made", async () => {
    await start("foo", 1);
    await cluster.run(open("foo", "create"));
    await start("bar", 1);
    await cluster.run(open("bar", { join: ["foo:1"] }));
    await cluster.stop("bar");
    await cluster.stop("foo");
    await start("foo", 2);
    const collect = exposedGc();
    const endOfOne = async (): Promise<WeakRef<object>> => {
      const opening = open("foo", { join: ["nobody:1"] });
      await cluster.pass(100);
      const member = cluster.host("foo").memberOf("counter")!;
      member.stop();
      await (
        await cluster.run(opening)
      ).closed;
      return new WeakRef(member);
    };
    const member = await endOfOne();
    await cluster.pass(10_000);
    collect();
    collect();
    assert.equal(member.deref(), undefined);
    await cluster.stop("foo");
  });
});
