/** Backups of running groups over real sockets, and new groups from them, by the public module alone. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import {
  backup,
  connectAdmin,
  fileStorage,
  type GroupHandle,
  type Host,
  RaftError,
  restore,
  startHost,
} from "../../src/index.js";
import { kv } from "../../src/cli/values.js";
import { createGroupClient } from "../../src/client/client.js";
import { createSystemClock, createSystemRandom } from "../../src/clock/system.js";
import { createCborCodec } from "../../src/codec/values.js";
import type { SnapshotPiece } from "../../src/codec/types.js";
import { silentLogger } from "../../src/host/options.js";
import { nodeFileSystem } from "../../src/storage/file/fs.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import { counter, type Counter } from "./cluster.js";

const config = { heartbeatMs: 50, electionTimeoutMs: 500 };
const loopback = "127.0.0.1:0";

describe("a backup of a running group", () => {
  const folder = mkdtempSync(join(tmpdir(), "backup-"));
  const hosts: Host[] = [];
  const handles: GroupHandle<Counter>[] = [];
  let number = 0;
  const newFile = (): string => join(folder, `${++number}.backup`);

  before(async () => {
    for (const id of ["foo", "bar", "baz"]) {
      hosts.push(await startHost({ id, listen: loopback }));
      const start = hosts.length === 1 ? "create" : { join: [hosts[0]!.address] };
      handles.push(await hosts.at(-1)!.group("counter", counter, { start, config }));
    }
  });
  after(async () => {
    await Promise.all([...hosts, ...restored].map((host) => host.close()));
    rmSync(folder, { recursive: true });
  });

  const restored: Host[] = [];
  async function startRestored(file: string): Promise<Host> {
    const dir = join(folder, `data-${++number}`);
    await restore({ file, id: "new", dir, definition: counter });
    const host = await startHost({ id: "new", listen: loopback, storage: fileStorage(dir) });
    restored.push(host);
    return host;
  }

  test("of any member has all that was acknowledged before, and no command twice", async () => {
    for (const [at, source] of hosts.entries()) {
      await handles[0]!.command("inc", 1, { id: `key-${at}` });
      const sum = await handles[0]!.command("inc", 1);
      const file = newFile();
      const taken = await backup({ group: "counter", hosts: [source.address], file });
      assert.equal(taken.memberId, handles[at]!.id);
      assert.deepEqual([taken.valueName, taken.valueVersion], ["counter", 1]);
      const host = await startRestored(file);
      const group = await host.group("counter", counter, { start: "create" });
      assert.equal(await group.query("get"), sum);
      // A repeat of what was done before the backup is known after it.
      assert.equal(await group.command("inc", 1, { id: `key-${at}` }), sum - 1);
      assert.equal(await group.query("get"), sum);
      assert.equal(await group.command("inc", 1), sum + 1);
      const { groupId, members } = await group.status();
      assert.notEqual(groupId, taken.groupId);
      assert.equal(members.length, 1);
    }
  });

  test("goes to a host that answers when the first does not", async () => {
    const hostsGiven = ["127.0.0.1:1", hosts[1]!.address];
    const taken = await backup({ group: "counter", hosts: hostsGiven, file: newFile() });
    assert.equal(taken.memberId, handles[1]!.id);
  });

  test("refuses by name: nobody there, no such group, a file that exists, an address that is none", async () => {
    const [foo] = hosts as [Host];
    const refusal = (code: string, pattern: RegExp) => (error: unknown) => {
      assert.ok(error instanceof RaftError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, pattern);
      return true;
    };
    const file = newFile();
    const to = { group: "counter", hosts: [foo.address], file };
    await assert.rejects(
      backup({ ...to, hosts: ["127.0.0.1:1"], timeoutMs: 300 }),
      refusal("timeout", /127\.0\.0\.1:1/),
    );
    await assert.rejects(backup({ ...to, group: "stack" }), refusal("unknownGroup", /stack/));
    await assert.rejects(
      backup({ ...to, hosts: ["nowhere"] }),
      refusal("invalidArgument", /hosts\[0\]/),
    );
    await assert.rejects(backup({ ...to, file: "" }), refusal("invalidArgument", /file/));
    await backup(to);
    await assert.rejects(backup(to), refusal("invalidArgument", /exists/));
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith(".partial")),
      [],
    );
  });

  test("can be aborted, and leaves nothing then", async () => {
    const file = newFile();
    const signal = AbortSignal.abort(new Error("enough"));
    const to = { group: "counter", hosts: [hosts[0]!.address], file, signal };
    await assert.rejects(
      backup(to),
      (error) => error instanceof RaftError && error.code === "aborted",
    );
    assert.ok(!readdirSync(folder).some((name) => file.endsWith(name)));
  });

  test("is made of pieces that are refused, or null, when nobody can have asked for them", async (context) => {
    const transport = createTcpTransport({});
    const client = createGroupClient({
      definition: null,
      group: "counter",
      hosts: [hosts[0]!.address],
      dial: (address, handlers) => transport.dial(address, handlers),
      clock: createSystemClock(),
      random: createSystemRandom(),
      codec: createCborCodec(),
      logger: silentLogger,
    });
    context.after(() => client.close());
    const { index, sizeBytes } = await client.admin("snapshot", null);
    const read = (body: object): Promise<SnapshotPiece> =>
      client.admin("readSnapshot", body) as Promise<SnapshotPiece>;
    const whole = await read({ index, offset: 0, maxBytes: 1e9 });
    assert.equal(whole.data!.length, sizeBytes);
    assert.equal(whole.snapshot!.sizeBytes, sizeBytes);
    const end = await read({ index, offset: sizeBytes, maxBytes: 10 });
    assert.equal(end.data!.length, 0);
    const missing = await read({ index: index + 1000, offset: 0, maxBytes: 10 });
    assert.deepEqual(missing, { snapshot: null, data: null });
    for (const body of [
      {},
      { index: -1, offset: 0, maxBytes: 1 },
      { index, offset: 0.5, maxBytes: 1 },
      { index, offset: 0, maxBytes: "1" },
    ]) {
      await assert.rejects(
        read(body),
        (error) => error instanceof RaftError && error.code === "invalidArgument",
      );
    }
  });
});

/** Hosts and a folder that are gone when the test has ended, well or not. */
function scene(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "backup-"));
  const hosts: Host[] = [];
  context.after(async () => {
    await Promise.all(hosts.map((host) => host.close()));
    rmSync(folder, { recursive: true });
  });
  const start = async (id: string, dir: string | null): Promise<Host> => {
    const storage = dir === null ? {} : { storage: fileStorage(dir) };
    const host = await startHost({ id, listen: loopback, ...storage });
    hosts.push(host);
    return host;
  };
  return { folder, start };
}

test("a value of many pieces comes back whole, from memory and from a directory", async (context) => {
  const { folder, start } = scene(context);
  const big = "x".repeat(100_000);
  for (const durable of [false, true]) {
    const host = await start("foo", durable ? join(folder, "first") : null);
    const group = await host.group("kv", kv, { start: "create", config });
    for (let at = 0; at < 30; at++) await group.command("put", { key: `k${at}`, value: big + at });
    const file = join(folder, `${durable}.backup`);
    const { sizeBytes } = await backup({ group: "kv", hosts: [host.address], file });
    assert.ok(sizeBytes > 30 * 100_000);
    const dir = join(folder, `data-${durable}`);
    await restore({ file, id: "bar", dir, group: "other" });
    const next = await start("bar", dir);
    const again = await next.group("other", kv, { start: "create" });
    for (let at = 0; at < 30; at++) assert.equal(await again.query("get", `k${at}`), big + at);
  }
});

test("a backup gets through a moment of too many open files, and the host lives on", async (context) => {
  const { folder } = scene(context);
  const refusals: string[] = [];
  const fs: typeof nodeFileSystem = {
    ...nodeFileSystem,
    async open(path, mode) {
      if (mode !== "read" || !path.endsWith(".snap") || refusals.length === 2) {
        return nodeFileSystem.open(path, mode);
      }
      refusals.push(path);
      throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    },
  };
  const storage = fileStorage(join(folder, "data"), { fs });
  const host = await startHost({ id: "foo", listen: loopback, storage });
  context.after(() => host.close());
  const group = await host.group("counter", counter, { start: "create", config });
  await group.command("inc", 5);
  const file = join(folder, "counter.backup");
  await backup({ group: "counter", hosts: [host.address], file });
  assert.equal(refusals.length, 2);
  assert.equal(await group.command("inc", 1), 6);
});

test("a restored group takes members in, also when it was not told where it listens", async (context) => {
  const { folder, start } = scene(context);
  const first = await start("foo", null);
  const old = await first.group("counter", counter, { start: "create", config });
  await old.command("inc", 5);
  const file = join(folder, "counter.backup");
  await backup({ group: "counter", hosts: [first.address], file });
  const dir = join(folder, "data");
  await restore({ file, id: "bar", dir });
  const bar = await start("bar", dir);
  const group = await bar.group("counter", counter, { start: "create" });
  const baz = await start("baz", null);
  const joined = await baz.group("counter", counter, { start: { join: [bar.address] } });
  assert.equal(await joined.command("inc", 1), 6);
  assert.equal(await group.query("get"), 6);
  // A client of one of the two groups is refused by the other.
  const client = connectAdmin({ group: "counter", hosts: [bar.address, first.address] });
  context.after(() => client.close());
  const { groupId } = await client.status({ host: bar.address });
  await assert.rejects(
    client.status({ host: first.address, timeoutMs: 500 }),
    (error) => error instanceof RaftError && error.message.includes(groupId),
  );
});
