/** Durable members that come back at other addresses: one after the other, or all at once. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { GroupHandle } from "../../src/host/handle.js";
import type { Transport } from "../../src/ports.js";
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

async function start(id: string, transport = cluster.network.transport(id)): Promise<void> {
  const storage = storages.get(id)!;
  await cluster.start(id, { storage, listen: addressOf(id), transport });
}

/** A host's transport; what it dials is noted, as `bar>foo:1`. */
function noted(id: string, dials: string[]): Transport {
  const transport = cluster.network.transport(id);
  const dial = transport.dial.bind(transport);
  transport.dial = (address, handlers) => {
    dials.push(`${id}>${address}`);
    return dial(address, handlers);
  };
  return transport;
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
      await cluster.stop(id);
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
    for (const id of ids) await cluster.stop(id);
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
    await cluster.stop("bar");
    const dials: string[] = [];
    await start("bar", noted("bar", dials));
    await open("bar", ["elsewhere:1"]);
    await cluster.pass(20_000);
    assert.ok(dials.length > 0);
    assert.ok(!dials.includes("bar>elsewhere:1"));
    await cluster.close();
  });

  test("are found where the log has them, whatever one says whose log ends before that", async () => {
    await cluster.stop("foo");
    await cluster.stop("bar");
    port = 2;
    await start("bar");
    await open("bar", ["baz:1"]);
    // foo, which knows nothing of it, is the one that baz asks; bar knows nobody's new address.
    await cluster.stop("baz");
    await start("foo");
    await open("foo", []);
    await start("baz");
    await open("baz", ["foo:2"]);
    for (const id of ids) {
      await cluster.until(`${id} knows all`, () => addressesIn(id).join() === "bar:2,baz:2,foo:2");
    }
    await cluster.close();
  });

  test("are dialled at the address that the membership has by now", async () => {
    const dials: string[] = [];
    await cluster.stop("bar");
    await start("bar", noted("bar", dials));
    await open("bar", ["foo:1"]);
    const bar = cluster.host("bar").memberOf("counter")!;
    await cluster.until("bar follows", () => bar.leader !== null);
    for (const other of ["foo", "baz"]) cluster.network.cut("bar", other);
    await cluster.until("bar dials baz", () => dials.includes("bar>baz:1"));
    cluster.network.heal("bar", "foo");
    await cluster.stop("baz");
    port = 2;
    await start("baz", noted("baz", dials));
    await open("baz", ["foo:1"]);
    await cluster.until("bar has that in its log", () => addressesIn("bar").includes("baz:2"));
    cluster.network.healAll();
    dials.length = 0;
    await cluster.run(handles.get("foo")!.transferLeadership("bar"));
    const baz = cluster.host("baz").memberOf("counter")!;
    await cluster.until("baz follows bar", () => baz.leader === bar.id);
    assert.deepEqual(dials, ["bar>baz:2", "baz>bar:1"], "and not because baz told bar");
    await cluster.close();
  });

  test("may be learners, which never dial by themselves", async () => {
    const storage = createMemoryStorage({ durable: true });
    // It acknowledges one write, from which the leader hears where it is, and so stays a learner.
    storage.holdAnswers();
    storages.set("qux", storage);
    await start("qux");
    open("qux", ["foo:1"]).catch(() => undefined);
    await cluster.until("it is a learner that has heard of the leader", () => {
      const member = cluster.host("qux").memberOf("counter");
      return member?.role === "learner" && member.leader !== null;
    });
    storage.releaseAnswers(1);
    await cluster.pass(5);
    cluster.kill("qux");
    storage.releaseAnswers();
    await storage.close();
    cluster.network.healAll();
    port = 2;
    await start("qux");
    await open("qux", ["foo:1"]);
    const qux = cluster.host("qux").memberOf("counter")!;
    await cluster.until("it is a voter", () => qux.membership.voters.includes(qux.id));
    assert.ok(addressesIn("foo").includes("qux:2"));
    await cluster.close();
  });

  test("may lead, at an address that their own host does not reach", async () => {
    for (const id of ["bar", "baz"]) {
      await cluster.run(handles.get("foo")!.removeMember(id));
      await cluster.stop(id);
    }
    await cluster.stop("foo");
    port = 2;
    await start("foo");
    cluster.network.cut("foo", "foo");
    await open("foo", []);
    assert.deepEqual(addressesIn("foo"), ["foo:2"]);
    await cluster.close();
  });
});
