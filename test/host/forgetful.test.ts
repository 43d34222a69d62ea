/** A member that was started from an older copy of its directory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Storage } from "../../src/ports.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter, createLogBook } from "./cluster.js";

test("the leader says who has forgotten what it acknowledged, and what cures it, now and then", async () => {
  const cluster = new Cluster();
  const book = createLogBook();
  const storage = createMemoryStorage({ durable: true });
  const { logger } = book;
  const others = { logger };
  await cluster.start("foo", others);
  await cluster.start("bar", { ...others, storage });
  await cluster.start("baz", others);
  const [foo] = await cluster.group("counter", counter, ["foo", "bar", "baz"]);
  if (!cluster.leaders("counter").includes("foo")) {
    await cluster.run(foo!.transferLeadership("foo"));
  }
  for (let i = 0; i < 20; i++) await cluster.run(foo!.command("inc", 1));
  await cluster.pass(1000);
  const lines = (): string[] =>
    book.lines
      .filter(({ message }) => /has acknowledged entries/.test(message))
      .map((l) => l.message);
  assert.deepEqual(lines(), []);
  await cluster.run(cluster.host("bar").close());
  const older: Storage = Object.create(storage) as Storage;
  older.open = async (id, handlers) =>
    (await storage.open(id, handlers)).map((group) => ({
      ...group,
      entries: [...group.entries].slice(0, -10),
    }));
  for (const name of ["createGroup", "deleteGroup", "append", "flush", "close"] as const) {
    (older as unknown as Record<string, unknown>)[name] = (storage[name] as () => void).bind(
      storage,
    );
  }
  await cluster.start("bar", { ...others, storage: older });
  const opening = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
  await cluster.pass(30_000);
  await cluster.run(opening);
  assert.match(lines()[0] ?? "", /^host foo: member bar#\w+ of group "counter" .* empty directory/);
  assert.ok(lines().length <= 4, `${lines().length} lines in half a minute`);
  await cluster.close();
});
