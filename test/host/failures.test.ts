/** What a group survives, and how it behaves when it does not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { defineValue } from "../../src/value/define.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter, createLogBook } from "./cluster.js";

describe("failures that a group tolerates", () => {
  for (const [size, failures] of [
    [3, 1],
    [4, 1],
    [5, 2],
    [6, 2],
    [7, 3],
  ] as const) {
    test(`${failures} of ${size} members, leaders among them, one after the other`, async () => {
      const cluster = new Cluster(size);
      const ids = ["a", "b", "c", "d", "e", "f", "g"].slice(0, size);
      const handles = await cluster.group("counter", counter, ids);
      await cluster.pass(1000);
      let expected = 0;
      const alive = new Set(ids);
      for (let i = 0; i < failures; i++) {
        const [leader] = cluster.leaders("counter");
        assert.ok(leader !== undefined);
        cluster.kill(leader);
        alive.delete(leader);
        const survivor = handles.find((each) => alive.has(each.id.split("#")[0]!))!;
        expected += 1;
        assert.equal(
          await cluster.run(survivor.command("inc", 1, { timeoutMs: 20_000 })),
          expected,
        );
        const [next] = cluster.leaders("counter");
        assert.ok(next !== undefined && next !== leader);
      }
      await cluster.close();
    });
  }

  test("a leader cut off from its majority steps down, and its caller is answered elsewhere", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    await cluster.pass(500);
    const [leader] = cluster.leaders("counter");
    for (const id of ["foo", "bar", "baz"]) if (id !== leader) cluster.network.cut(leader!, id);
    await cluster.until("the old leader gave up", () => {
      return cluster.host(leader!).memberOf("counter")!.role !== "leader";
    });
    await cluster.until("a new one leads", () => cluster.leaders("counter").length === 1);
    assert.notDeepEqual(cluster.leaders("counter"), [leader]);
    const cutOff = handles.find((each) => each.id.startsWith(`${leader}#`))!;
    const stuck = cutOff.command("inc", 1, { timeoutMs: 30_000 });
    await cluster.pass(2000);
    cluster.network.healAll();
    assert.equal(await cluster.run(stuck), 1);
    await cluster.close();
  });

  test("a command under way at a leader that dies is applied once", async () => {
    const cluster = new Cluster(5);
    const handles = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
    await cluster.pass(500);
    const [leader] = cluster.leaders("counter");
    const caller = handles.find((each) => !each.id.startsWith(`${leader}#`))!;
    const calls = Array.from({ length: 64 }, () => caller.command("inc", 1, { timeoutMs: 20_000 }));
    cluster.clock.advance(1);
    cluster.kill(leader!);
    const replies = await cluster.run(Promise.all(calls));
    assert.deepEqual(
      [...replies].sort((a, b) => a - b),
      replies.map((_, at) => at + 1),
    );
    assert.equal(await cluster.run(caller.query("get")), 64);
    await cluster.close();
  });
});

describe("a member that finds itself broken", () => {
  const poisoned = defineValue({
    name: "poisoned",
    version: 1,
    initial: () => 0,
    commands: { inc: (n, by: number) => ({ reply: n + by, value: n + by }) },
    queries: { get: (n) => n },
  });

  test("stops alone: its callers hear `internal`, other groups of the host go on", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    await cluster.start("foo", { logger: book.logger });
    const host = cluster.host("foo");
    const bad = await cluster.run(host.group("bad", poisoned, { start: "create" }));
    const good = await cluster.run(host.group("good", counter, { start: "create" }));
    assert.equal(await cluster.run(bad.command("inc", 1)), 1);
    // As a defect would: value and log do not agree any more on what is applied.
    host.memberOf("bad")!.replica.applier.lastApplied += 1;
    const lost = bad.command("inc", 1);
    await assert.rejects(cluster.run(lost), { code: "internal", applied: "maybe" });
    await cluster.run(bad.closed);
    assert.equal(host.memberOf("bad"), null);
    assert.equal(await cluster.run(good.command("inc", 2)), 2);
    const lines = book.lines.filter((line) => line.level === "error");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.message, /member foo#.* of group "bad" found itself broken and stopped/);
    await cluster.close();
  });
});

describe("storage", () => {
  test("that throws into a turn is logged, be it what has no text, and the host goes on", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    const storage = createMemoryStorage({ durable: true });
    await cluster.start("foo", { storage, logger: book.logger });
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    await cluster.run(foo!.command("inc", 1));
    const flush = storage.flush.bind(storage);
    storage.flush = () => {
      storage.flush = flush;
      throw Object.create(null) as Error;
    };
    const first = foo!.command("inc", 1);
    await cluster.pass(100);
    // The next flush takes along what that one left.
    assert.equal(await cluster.run(foo!.command("inc", 1)), 3);
    assert.equal(await cluster.run(first), 2);
    const lines = book.lines.filter((line) => line.level === "error");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.message, /^host foo: a turn failed: .* has no text$/);
    await cluster.close();
  });

  test("a member restored from storage is the same member with the same value", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage({ durable: true });
    await cluster.start("foo", { storage });
    const first = await cluster.run(
      cluster.host("foo").group("counter", counter, { start: "create" }),
    );
    await cluster.run(first.command("inc", 5));
    await cluster.run(first.snapshot());
    await cluster.run(first.command("inc", 6));
    await cluster.run(cluster.host("foo").close());
    await cluster.start("foo", { storage });
    const again = await cluster.run(
      cluster.host("foo").group("counter", counter, { start: "create" }),
    );
    assert.equal(again.id, first.id);
    assert.equal(await cluster.run(again.query("get")), 11);
    await cluster.close();
  });

  test("a group reported as damaged is refused in one line that says which and where", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage({ durable: true });
    await cluster.start("foo", { storage });
    await cluster.group("counter", counter, ["foo"]);
    await cluster.run(cluster.host("foo").close());
    storage.damage("counter", "wal-00000001.log at offset 7: no sense");
    const host = await cluster.start("foo", { storage });
    const damaged = new RaftError(
      "storageCorrupt",
      `group "counter" is damaged in this storage: wal-00000001.log at offset 7: no sense`,
    );
    for (const onDamage of [undefined, "refuse"] as const) {
      const more = onDamage === undefined ? {} : { onDamage };
      const opening = host.group("counter", counter, { start: "create", ...more });
      await assert.rejects(cluster.run(opening), damaged);
    }
    await cluster.close();
  });

  test("that does not close makes close reject, and the host is closed all the same", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage();
    storage.close = () => Promise.reject(new Error("the disk is gone"));
    const host = await cluster.start("foo", { storage });
    await cluster.group("counter", counter, ["foo"]);
    await assert.rejects(cluster.run(host.close()), /the disk is gone/);
    await cluster.run(host.closed);
  });

  test("a leader whose disk hangs makes way, and comes back when the disk does (hazard 83)", async () => {
    const cluster = new Cluster();
    const ids = ["foo", "bar", "baz"];
    const disks = new Map(ids.map((id) => [id, createMemoryStorage({ durable: true })] as const));
    for (const [id, storage] of disks) await cluster.start(id, { storage });
    const handles = await cluster.group("counter", counter, ids);
    await cluster.pass(1000);
    const [leader] = cluster.leaders("counter");
    const disk = disks.get(leader!)!;
    const member = cluster.host(leader!).memberOf("counter")!;
    const { term } = member;
    const other = handles.find((each) => !each.id.startsWith(`${leader}#`))!;
    disk.holdAnswers();
    assert.equal(await cluster.run(other.command("inc", 1)), 1, "a majority stores without it");
    await cluster.until("it gave up", () => member.role === "follower", 3000);
    await cluster.until("another leads", () => cluster.leaders("counter").length === 1, 3000);
    assert.notDeepEqual(cluster.leaders("counter"), [leader]);
    assert.equal(await cluster.run(other.command("inc", 1)), 2);
    await cluster.pass(10_000);
    const { term: later } = cluster.host(cluster.leaders("counter")[0]!).memberOf("counter")!;
    assert.equal(later, term + 1, "it campaigns for nothing while the disk hangs");
    disk.releaseAnswers();
    await cluster.pass(1000);
    const own = handles.find((each) => each.id === member.id)!;
    assert.equal(await cluster.run(own.queryStale("get")), 2);
    await cluster.close();
  });
});

test("a logger that throws keeps no member from hearing that its storage failed, nor from its end", async () => {
  const broken = (): never => {
    throw new Error("the logger is broken");
  };
  const logger = { debug: broken, info: broken, warn: broken, error: broken };
  const storage = createMemoryStorage({ durable: true });
  const open = storage.open.bind(storage);
  let fail: (error: RaftError) => void = () => undefined;
  storage.open = (id, handlers) => {
    fail = (error) => handlers.onFailed(error);
    return open(id, handlers);
  };
  const cluster = new Cluster();
  await cluster.start("foo", { logger, storage });
  const [foo] = await cluster.group("counter", counter, ["foo"]);
  const member = cluster.host("foo").memberOf("counter")!;
  fail(new RaftError("storageFailed", "the disk is gone"));
  await cluster.pass(10);
  assert.notEqual(member.role, "leader");
  // What no member survives.
  member.receive("bar#1", null as never, 1);
  await cluster.run(foo!.closed);
  await cluster.close();
});
