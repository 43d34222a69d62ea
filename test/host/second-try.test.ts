/** What `host.group` refuses may be tried again on the same host, with what was wrong put right. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileStorage, startHost } from "../../src/index.js";
import type { Storage } from "../../src/ports.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { defineValue } from "../../src/value/define.js";
import { Cluster, counter } from "./cluster.js";

const loopback = "127.0.0.1:0";

const number = (initial: () => unknown, version = 1) =>
  defineValue({
    name: "number",
    version,
    initial: initial as () => number,
    commands: { inc: (n) => ({ reply: n + 1, value: n + 1 }) },
    queries: { get: (n) => n },
  });

async function makeDirectory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "rafted-value-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

describe("a group whose initial value is refused", () => {
  for (const kind of ["memory", "durable memory", "file"] as const) {
    test(`is created by the next try, and kept (${kind} storage)`, async (t) => {
      const dir = await makeDirectory(t);
      const memory = createMemoryStorage({ durable: kind === "durable memory" });
      const makeStorage = (): Storage => (kind === "file" ? fileStorage(dir) : memory);
      const host = await startHost({ id: "foo", listen: loopback, storage: makeStorage() });
      const bad = number(() => ({ f: () => 1 }));
      const refused = { code: "invalidValue" };
      await assert.rejects(host.group("number", bad, { start: "create" }), refused);
      await assert.rejects(host.group("number", bad, { start: "create" }), refused);
      const group = await host.group(
        "number",
        number(() => 7),
        { start: "create" },
      );
      assert.equal(await group.command("inc"), 8);
      await host.close();
      if (kind === "memory") return;
      const again = await startHost({ id: "foo", listen: loopback, storage: makeStorage() });
      const restored = await again.group(
        "number",
        number(() => 7),
        { start: "create" },
      );
      assert.equal(restored.id, group.id);
      assert.equal(await restored.query("get"), 8);
      await again.close();
    });
  }
});

describe("a group whose restoring is refused", () => {
  for (const kind of ["memory", "file"] as const) {
    test(`is restored by the next try (${kind} storage)`, async (t) => {
      const dir = await makeDirectory(t);
      const memory = createMemoryStorage({ durable: true });
      const makeStorage = (): Storage => (kind === "file" ? fileStorage(dir) : memory);
      const start = async () => startHost({ id: "foo", listen: loopback, storage: makeStorage() });
      const first = number(() => 0);
      let host = await start();
      const group = await host.group("number", first, { start: "create" });
      for (let i = 0; i < 5; i++) await group.command("inc");
      await group.snapshot();
      await group.command("inc");
      await host.close();
      host = await start();
      const second = number(() => 0, 2);
      const refused = { code: "invalidValue", message: /upgrade/ };
      await assert.rejects(host.group("number", second, { start: "create" }), refused);
      await assert.rejects(host.group("number", second, { start: "create" }), refused);
      const restored = await host.group("number", first, { start: "create" });
      assert.equal(restored.id, group.id);
      assert.equal(await restored.query("get"), 6);
      await host.close();
    });
  }
});

test("a group of which the storage knows only the name may be created when nobody is there to join", async () => {
  const cluster = new Cluster();
  const storage = createMemoryStorage({ durable: true });
  await cluster.start("foo", { storage });
  const identity = { memberId: "foo#1", address: "foo:1", valueName: "counter" };
  storage.createGroup({ group: "counter", groupId: "id", ...identity });
  await cluster.run(cluster.host("foo").close());
  const host = await cluster.start("foo", { storage });
  await assert.rejects(cluster.run(host.group("counter", counter, { start: { join: [] } })), {
    code: "invalidArgument",
    message: /start\.join/,
  });
  const group = await cluster.run(host.group("counter", counter, { start: "create" }));
  assert.equal(await cluster.run(group.command("inc", 1)), 1);
  await cluster.close();
});

test("a group that is created over a newcomer's empty copy is not taken for the one it was to join", async () => {
  const cluster = new Cluster();
  const [foo] = await cluster.group("counter", counter, ["foo"]);
  const { groupId } = await cluster.run(foo!.status());
  const storage = createMemoryStorage({ durable: true });
  await cluster.start("bar", { storage });
  // As a crash leaves it right after the newcomer has heard of its group.
  const identity = { memberId: "bar#1", address: "bar:1", valueName: "counter" };
  storage.createGroup({ group: "counter", groupId, ...identity });
  await cluster.run(cluster.host("bar").close());
  const host = await cluster.start("bar", { storage });
  const bar = await cluster.run(host.group("counter", counter, { start: "create" }));
  const created = await cluster.run(bar.status());
  assert.notEqual(created.groupId, groupId);
  assert.notEqual(bar.id, "bar#1");
  await cluster.run(bar.command("inc", 1));
  await cluster.run(host.close());
  const again = await cluster.start("bar", { storage });
  const restored = await cluster.run(again.group("counter", counter, { start: "create" }));
  assert.equal(restored.id, bar.id);
  assert.equal((await cluster.run(restored.status())).groupId, created.groupId);
  assert.equal(await cluster.run(restored.query("get")), 1);
  await cluster.close();
});
