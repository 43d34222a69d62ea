/** Hosts that come back with their storage. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupHandle } from "../../src/host/handle.js";
import { createMemoryStorage, type MemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter, queue } from "./cluster.js";

const ids = ["foo", "bar", "baz"];

async function durableTrio(): Promise<{
  cluster: Cluster;
  storages: Map<string, MemoryStorage>;
  handles: GroupHandle<Counter>[];
}> {
  const cluster = new Cluster(11);
  const storages = new Map(ids.map((id) => [id, createMemoryStorage({ durable: true })]));
  for (const id of ids) await cluster.start(id, { storage: storages.get(id)! });
  const handles = await cluster.group("counter", counter, ids);
  await cluster.pass(1000);
  return { cluster, storages, handles };
}

/** What a program says at every start, whether its storage is new or not. */
function open(cluster: Cluster, id: string): Promise<GroupHandle<Counter>> {
  const start = id === "foo" ? "create" : { join: ["foo:1"] };
  return cluster.run(cluster.host(id).group("counter", counter, { start } as never));
}

describe("a group whose hosts all restart", () => {
  test("goes on as the same members with the same value and sessions", async () => {
    const { cluster, storages, handles } = await durableTrio();
    for (let i = 0; i < 10; i++) await cluster.run(handles[i % 3]!.command("inc", 1));
    await cluster.run(handles[1]!.command("inc", 5, { id: "once" }));
    await cluster.run(handles[0]!.snapshot());
    await cluster.run(handles[2]!.command("inc", 1));
    await cluster.close();
    cluster.hosts.clear();
    for (const id of ids) await cluster.start(id, { storage: storages.get(id)! });
    const again: GroupHandle<Counter>[] = [];
    for (const id of ids) again.push(await open(cluster, id));
    assert.deepEqual(
      again.map((handle) => handle.id),
      handles.map((handle) => handle.id),
    );
    assert.equal(await cluster.run(again[1]!.query("get")), 16);
    assert.equal(await cluster.run(again[2]!.command("inc", 5, { id: "once" })), 15);
    assert.equal(await cluster.run(again[2]!.query("get")), 16);
    await cluster.close();
  });
});

describe("a member that comes back with its storage", () => {
  test("at another address is found by the others", async () => {
    const { cluster, storages, handles } = await durableTrio();
    await cluster.stop("baz");
    for (let i = 0; i < 5; i++) await cluster.run(handles[0]!.command("inc", 1));
    await cluster.start("baz", { storage: storages.get("baz")!, listen: "baz:2" });
    const baz = await open(cluster, "baz");
    assert.equal(baz.id, handles[2]!.id);
    await cluster.until("it has caught up", () => {
      return cluster.host("baz").memberOf("counter")!.replica.applier.value === 5;
    });
    const { members } = await cluster.run(handles[0]!.status());
    assert.equal(members.find((member) => member.id === baz.id)?.address, "baz:2");
    await cluster.close();
  });

  test("hears who joined since, although its snapshot holds all that was there before", async () => {
    const cluster = new Cluster(12);
    const storage = createMemoryStorage({ durable: true });
    await cluster.start("foo", { storage });
    const config = { trailingLogBytes: 0 };
    const [before] = await cluster.group("counter", counter, ["foo"], { config });
    await cluster.run(before!.snapshot());
    await cluster.stop("foo");
    await cluster.start("foo", { storage });
    const added: string[] = [];
    const hooks = { onFollowerAdded: ({ id }: { id: string }): void => void added.push(id) };
    const again = cluster.host("foo").group("counter", counter, { start: "create", hooks });
    await cluster.run((await cluster.run(again)).query("get"));
    await cluster.start("bar");
    const bar = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
    assert.deepEqual(added, [(await cluster.run(bar)).id]);
    await cluster.close();
  });

  test("waits for the others: one of three alone answers nothing but stale queries", async () => {
    const { cluster, storages, handles } = await durableTrio();
    await cluster.run(handles[0]!.command("inc", 3));
    await cluster.run(handles[0]!.snapshot());
    await cluster.close();
    cluster.hosts.clear();
    await cluster.start("foo", { storage: storages.get("foo")! });
    const foo = await open(cluster, "foo");
    assert.equal(await cluster.run(foo.queryStale("get")), 3);
    await assert.rejects(cluster.run(foo.query("get", { timeoutMs: 1000 })), { applied: "no" });
    await cluster.start("bar", { storage: storages.get("bar")! });
    // Whoever has a storage needs nobody to join through.
    await cluster.run(cluster.host("bar").group("counter", counter, { start: { join: [] } }));
    assert.equal(await cluster.run(foo.query("get", { timeoutMs: 20_000 })), 3);
    await cluster.close();
  });

  test("is refused another value than the one that is stored", async () => {
    const { cluster, storages } = await durableTrio();
    await cluster.close();
    cluster.hosts.clear();
    await cluster.start("foo", { storage: storages.get("foo")! });
    const wrong = cluster.host("foo").group("counter", queue, { start: "create" });
    await assert.rejects(cluster.run(wrong), {
      code: "storageMismatch",
      message: /holds group "counter" of value "counter", not of "queue"/,
    });
    assert.equal(typeof (await open(cluster, "foo")).id, "string");
    await cluster.close();
  });

  test("under another host id is refused by the storage", async () => {
    const { cluster, storages } = await durableTrio();
    await cluster.close();
    cluster.hosts.clear();
    const other = cluster.start("qux", { storage: storages.get("foo")! });
    await assert.rejects(other, { code: "storageMismatch" });
  });

  test("and whose handle was closed is not opened again before the host restarts", async () => {
    const { cluster, handles } = await durableTrio();
    await cluster.run(handles[2]!.close());
    await assert.rejects(open(cluster, "baz"), { code: "closed", message: /start the host anew/ });
    await cluster.close();
  });
});

test("one of three that is left is forced to go on alone, and does", async () => {
  const { cluster, storages, handles } = await durableTrio();
  assert.equal(await cluster.run(handles[0]!.command("inc", 3)), 3);
  await cluster.close();
  cluster.hosts.clear();
  await cluster.start("foo", { storage: storages.get("foo")! });
  const foo = await open(cluster, "foo");
  await cluster.pass(5000);
  const host = cluster.host("foo");
  // Its log begins with the group of one that it once was.
  await cluster.run(host.forceRemoveMember("counter", "bar"));
  await cluster.run(host.forceRemoveMember("counter", "baz"));
  assert.equal(await cluster.run(foo.command("inc", 1)), 4);
  assert.deepEqual(host.memberOf("counter")!.membership.voters.length, 1);
  await cluster.close();
});

describe("a member without durable storage", () => {
  test("whose handle was closed may join again, as a new one", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ids);
    await cluster.run(handles[2]!.close());
    const again = await open(cluster, "baz");
    assert.notEqual(again.id, handles[2]!.id);
    await cluster.until("it is a voter", () => {
      const { voters } = cluster.host("foo").memberOf("counter")!.membership;
      return voters.includes(again.id) && !voters.includes(handles[2]!.id);
    });
    await cluster.close();
  });
});

describe("hosts that start in any order", () => {
  test("a newcomer that comes a moment before the group is created gets in", async () => {
    const cluster = new Cluster();
    await cluster.start("foo");
    await cluster.start("bar");
    const joining = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
    await cluster.pass(300);
    await open(cluster, "foo");
    const bar = await cluster.run(joining);
    assert.equal(await cluster.run(bar.command("inc", 1)), 1);
    await cluster.close();
  });

  test("a newcomer that comes before its host is up gets in as well", async () => {
    const cluster = new Cluster();
    await cluster.start("bar");
    const joining = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
    await cluster.pass(1500);
    await cluster.start("foo");
    await open(cluster, "foo");
    const bar = await cluster.run(joining);
    assert.equal(await cluster.run(bar.command("inc", 1)), 1);
    await cluster.close();
  });
});

describe("a newcomer whose storage knows its name and nothing else", () => {
  test("gets in at the second try, when nobody was there at the first", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage({ durable: true });
    const nobody = {
      onStored: () => undefined,
      onSnapshotChunkWritten: () => undefined,
      onSnapshotSaved: () => undefined,
      onSnapshotChunkRead: () => undefined,
      onFailed: () => undefined,
      onWarning: () => undefined,
    };
    await storage.open("bar", nobody);
    storage.createGroup({
      group: "counter",
      groupId: "a group that is gone",
      memberId: "bar#first",
      address: "bar:1",
      valueName: "counter",
    });
    storage.flush();
    await storage.close();
    await cluster.start("bar", { storage });
    const join = { start: { join: ["foo:1"] }, timeoutMs: 500 };
    await assert.rejects(cluster.run(cluster.host("bar").group("counter", counter, join)));
    await cluster.start("foo");
    await open(cluster, "foo");
    const bar = await open(cluster, "bar");
    assert.equal(await cluster.run(bar.command("inc", 1)), 1);
    assert.notEqual(bar.id, "bar#first");
    await cluster.close();
  });
});
