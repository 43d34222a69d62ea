/** Lists of addresses to join through in which not every one is another member. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RaftError } from "../../src/errors.js";
import type { GroupHandle } from "../../src/host/handle.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter } from "./cluster.js";

function join(cluster: Cluster, id: string, addresses: readonly string[], timeoutMs = 1000) {
  const start = { join: addresses };
  const joining = cluster.host(id).group("counter", counter, { start, timeoutMs });
  return cluster.run<GroupHandle<Counter>>(joining);
}

describe("a list of addresses to join through", () => {
  test("with this host's own alone is refused at once, and the host may begin the group", async () => {
    const cluster = new Cluster();
    await cluster.start("foo");
    await assert.rejects(join(cluster, "foo", ["foo:1", "foo:1"]), {
      code: "invalidArgument",
      message: /^start.join: .* an address to join is needed, and foo:1 is this host's own$/,
    });
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    assert.equal(await cluster.run(foo!.command("inc", 1)), 1);
    await cluster.close();
  });

  test("may hold this host's own, dead ones, and the same twice", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    await cluster.start("bar");
    const bar = await join(cluster, "bar", ["bar:1", "dead:1", "foo:1", "dead:1", "foo:1"]);
    assert.equal(await cluster.run(foo!.command("inc", 1)), 1);
    assert.equal(await cluster.run(bar.query("get")), 1);
    await cluster.close();
  });

  test("in which nobody answers is told without this host's own, each address once", async () => {
    const cluster = new Cluster();
    await cluster.start("foo");
    await assert.rejects(
      join(cluster, "foo", ["foo:1", "dead:1", "dead:1"]),
      (error: RaftError) => {
        assert.equal(error.code, "connectFailed");
        assert.match(error.message, /^join of group "counter" through dead:1: /);
        assert.doesNotMatch(error.message, /foo/);
        return true;
      },
    );
    await cluster.close();
  });

  test("with this host's own alone leaves a damaged copy where it is", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage({ durable: true });
    await cluster.start("foo", { storage });
    await cluster.group("counter", counter, ["foo"]);
    await cluster.stop("foo");
    storage.damage("counter", "a record does not match its checksum");
    const host = await cluster.start("foo", { storage });
    const open = (onDamage: "refuse" | "rejoin") =>
      cluster.run(host.group("counter", counter, { start: { join: ["foo:1"] }, onDamage }));
    await assert.rejects(open("rejoin"), { code: "invalidArgument" });
    await assert.rejects(open("refuse"), { code: "storageCorrupt" });
    await cluster.close();
  });
});
