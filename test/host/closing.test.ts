/** The end of a host of which something does not close in order, and what comes to it afterwards. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupHandle } from "../../src/host/handle.js";
import type { ConnectionHandlers, Transport } from "../../src/ports.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, type Counter, counter, createLogBook, type LogLine } from "./cluster.js";

const gone = new Error("the port is gone");

/** Its listener closes as told. */
function closingBy(cluster: Cluster, close: () => Promise<void>): Transport {
  const transport = cluster.network.transport("foo");
  return {
    ...transport,
    listen: async (address, accept) => ({ ...(await transport.listen(address, accept)), close }),
  };
}

function complaints(lines: readonly LogLine[]): string[] {
  return lines.filter(({ level }) => level === "error").map(({ message }) => message);
}

describe("a host whose listener does not close", () => {
  const ways = {
    "and rejects": () => Promise.reject(gone),
    "and throws": () => {
      throw gone;
    },
  };
  for (const [how, close] of Object.entries(ways)) {
    test(`${how} closes everything else, and says so`, async () => {
      const cluster = new Cluster();
      const storage = createMemoryStorage();
      const closing: string[] = [];
      storage.close = () => Promise.resolve(void closing.push("the storage"));
      const book = createLogBook();
      const transport = closingBy(cluster, close);
      await cluster.start("foo", { transport, storage, logger: book.logger });
      const [foo] = await cluster.group("counter", counter, ["foo", "bar"]);
      const closed = cluster.host("foo").close();
      await assert.rejects(cluster.run(closed), gone);
      await cluster.run(Promise.all([foo!.closed, cluster.host("foo").closed]));
      assert.deepEqual(closing, ["the storage"]);
      assert.deepEqual(complaints(book.lines), [
        "host foo did not close in order: the port is gone",
      ]);
      await cluster.stop("bar");
    });
  }

  test("nor its storage tells of both, and rejects with what came first", async () => {
    const cluster = new Cluster();
    const storage = createMemoryStorage();
    storage.close = () => Promise.reject(new Error("the disk is gone"));
    const book = createLogBook();
    const transport = closingBy(cluster, () => Promise.reject(gone));
    const host = await cluster.start("foo", { transport, storage, logger: book.logger });
    await assert.rejects(cluster.run(host.close()), gone);
    assert.equal(complaints(book.lines).length, 2);
  });
});

test("a host that cannot listen says so, also if its storage does not close", async () => {
  const cluster = new Cluster();
  await cluster.start("foo");
  const storage = createMemoryStorage();
  storage.close = () => Promise.reject(new Error("the disk is gone"));
  const second = cluster.start("bar", { listen: "foo:1", storage });
  await assert.rejects(second, { code: "listenFailed" });
  await cluster.close();
});

test("a connection within the process to a host that is closed is closed, and was told why", async () => {
  const cluster = new Cluster();
  const host = await cluster.start("foo");
  await cluster.stop("foo");
  const heard: string[] = [];
  const handlers: ConnectionHandlers = {
    onOpen: () => void heard.push("open"),
    onPayload: (payload) => void heard.push(new TextDecoder().decode(payload)),
    onDrain: () => undefined,
    onClose: (error) => void heard.push(`closed: ${error}`),
  };
  host.dialLocal(handlers);
  await cluster.until("it is closed", () => heard.length === 3);
  assert.equal(heard[0], "open");
  assert.match(heard[1]!, /host foo is closing/);
  assert.equal(heard[2], "closed: null");
});

describe("what is asked through a handle for the first time when its host closes", () => {
  type Handle = GroupHandle<Counter>;
  const calls: Readonly<Record<string, (handle: Handle) => Promise<unknown>>> = {
    command: (handle) => handle.command("inc", 1),
    query: (handle) => handle.query("get"),
    queryStale: (handle) => handle.queryStale("get"),
    status: (handle) => handle.status(),
    changeConfig: (handle) => handle.changeConfig({ heartbeatMs: 111 }),
    removeMember: (handle) => handle.removeMember("bar"),
    snapshot: (handle) => handle.snapshot(),
  };
  const began = async (): Promise<{ cluster: Cluster; handle: Handle }> => {
    const cluster = new Cluster();
    const [handle] = await cluster.group("counter", counter, ["foo"]);
    return { cluster, handle: handle! };
  };
  for (const [name, call] of Object.entries(calls)) {
    test(`${name} is refused as closed, and had no effect`, async () => {
      const { cluster, handle } = await began();
      const asked = call(handle);
      const closing = cluster.host("foo").close();
      await assert.rejects(cluster.run(asked), { code: "closed", applied: "no" });
      await cluster.run(closing);
    });
  }

  test("events end as closed", async () => {
    const { cluster, handle } = await began();
    const next = handle.events().next();
    const closing = cluster.host("foo").close();
    assert.deepEqual(await cluster.run(next), { done: false, value: { type: "closed" } });
    await cluster.run(closing);
  });
});
