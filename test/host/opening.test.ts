/** Many groups opened at once on one host. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createGroupClient } from "../../src/client/client.js";
import { SeededRandom } from "../../src/clock/virtual.js";
import { createCborCodec } from "../../src/codec/values.js";
import { type GroupStart, silentLogger } from "../../src/host/options.js";
import type { Storage } from "../../src/ports.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter, microtasks } from "./cluster.js";
import { RawClient } from "./raw-client.js";

const count = 40;

async function openMany(cluster: Cluster, id: string, start: GroupStart) {
  const host = cluster.host(id);
  const names = Array.from({ length: count }, (_, at) => `group-${at}`);
  return Promise.allSettled(names.map((name) => host.group(name, counter, { start })));
}

describe("many groups that are opened at once", () => {
  test("are served, and Node finds nothing to warn of", async (t) => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", onWarning);
    t.after(() => process.off("warning", onWarning));
    const cluster = new Cluster();
    for (const id of ["foo", "bar"]) await cluster.start(id);
    const created = await cluster.run(openMany(cluster, "foo", "create"));
    const joined = await cluster.run(openMany(cluster, "bar", { join: ["foo:1"] }));
    await microtasks();
    for (const { status } of [...created, ...joined]) assert.equal(status, "fulfilled");
    assert.deepEqual(warnings, []);
    await cluster.close();
  });

  test("are all refused as closed when the host closes meanwhile", async () => {
    const cluster = new Cluster();
    await cluster.start("bar");
    const joining = openMany(cluster, "bar", { join: ["nobody:1"] });
    await cluster.pass(20);
    const closing = cluster.host("bar").close();
    for (const outcome of await cluster.run(joining)) {
      assert.ok(outcome.status === "rejected");
      assert.equal((outcome.reason as { code: string }).code, "closed");
    }
    await cluster.run(closing);
  });
});

/** Reads the snapshot when it is told to. */
function slowStorage(inner: Storage): { storage: Storage; load: () => void } {
  let load = (): void => undefined;
  const told = new Promise<void>((resolve) => (load = resolve));
  const storage = new Proxy(inner, {
    get(target, name) {
      if (name === "loadSnapshot") {
        return async (group: string) => {
          await told;
          return target.loadSnapshot(group);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { storage, load };
}

describe("clients of a group that its host has not opened yet", () => {
  async function restarted() {
    const cluster = new Cluster();
    const inner = createMemoryStorage({ durable: true });
    await cluster.start("foo", { storage: inner });
    const [first] = await cluster.group("counter", counter, ["foo"]);
    await cluster.run(first!.command("inc", 3));
    await cluster.run(first!.snapshot());
    await cluster.run(cluster.host("foo").close());
    const { storage, load } = slowStorage(inner);
    const host = await cluster.start("foo", { storage });
    const open = () => host.group("counter", counter, { start: "create" });
    const ask = async (group: string) => {
      const transport = cluster.network.transport("raw");
      const client = new RawClient((handlers) => transport.dial("foo:1", handlers), group);
      await cluster.pass(20);
      client.connection.close();
      const frame = client.frames.find(({ type }) => type !== "welcome");
      return frame?.type === "channelRefused" ? frame.code : frame?.type;
    };
    return { cluster, load, open, ask };
  }

  test("are told to come again, before it is opened and while its snapshot is read", async () => {
    const { cluster, load, open, ask } = await restarted();
    assert.equal(await ask("counter"), "unavailable");
    assert.equal(await ask("other"), "unknownGroup");
    const opening = open();
    await cluster.pass(20);
    assert.equal(await ask("counter"), "unavailable");
    load();
    await cluster.run(opening);
    assert.equal(await ask("counter"), "channelOpened");
    await cluster.close();
  });

  test("are answered once it is there", async () => {
    const { cluster, load, open } = await restarted();
    const transport = cluster.network.transport("client");
    const client = createGroupClient<typeof counter>({
      definition: counter,
      group: "counter",
      hosts: ["foo:1"],
      dial: (address, handlers) => transport.dial(address, handlers),
      clock: cluster.clock,
      random: new SeededRandom(5),
      codec: createCborCodec(),
      logger: silentLogger,
    });
    const answer = client.query("get", { timeoutMs: 20_000 });
    await cluster.pass(1000);
    load();
    await cluster.run(open());
    assert.equal(await cluster.run(answer), 3);
    await cluster.run(client.close());
    await cluster.close();
  });
});
