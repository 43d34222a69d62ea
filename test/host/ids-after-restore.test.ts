/** Callers' own ids where a group was made anew, of a backup or of what a survivor had: what was applied is not done again. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  backup,
  connect,
  defineValue,
  fileStorage,
  recover,
  restore,
  startHost,
} from "../../src/index.js";

const shared = {
  name: "total",
  initial: () => 0,
  commands: { add: (n: number, by: number) => ({ reply: n + by, value: n + by }) },
  queries: { get: (n: number) => n },
};
const total = defineValue({ ...shared, version: 1 });

/** The same in another shape. */
type Sum = { readonly sum: number };
const sum = defineValue({
  ...{ name: "total", version: 2, compatibleVersions: [1] },
  initial: (): Sum => ({ sum: 0 }),
  upgrade: (old): Sum => ({ sum: old as number }),
  commands: {
    add: ({ sum: n }, by: number) => ({ reply: n + by, value: { sum: n + by } }),
  },
  queries: { get: ({ sum: n }) => n },
});

const config = { heartbeatMs: 20, electionTimeoutMs: 100, maxRetainedCommandIds: 3 };

describe("a group made anew", () => {
  const folder = mkdtempSync(join(tmpdir(), "ids-"));
  after(() => rmSync(folder, { recursive: true }));
  const dirOf = (name: string): string => join(folder, name);

  /** One member on the directory, and a client that knows nothing of any other. */
  async function serve<T>(
    dir: string,
    value: typeof total | typeof sum,
    use: (client: ReturnType<typeof connect<typeof total>>, address: string) => Promise<T>,
  ): Promise<T> {
    const host = await startHost({ id: "foo", listen: "127.0.0.1:0", storage: fileStorage(dir) });
    await host.group("total", value as typeof total, { start: "create", config });
    const client = connect(value as typeof total, { group: "total", hosts: [host.address] });
    try {
      return await use(client, host.address);
    } finally {
      await client.close();
      await host.close();
    }
  }

  /** "one" is asked before the backup, "two" after it. */
  async function begun(name: string): Promise<string> {
    const file = dirOf(`${name}.backup`);
    await serve(dirOf(name), total, async (client, address) => {
      assert.equal(await client.command("add", 1, { id: "one" }), 1);
      await client.command("add", 10);
      await backup({ group: "total", hosts: [address], file });
      assert.equal(await client.command("add", 100, { id: "two" }), 111);
    });
    return file;
  }

  for (const [value, what] of [
    [total, "the same version"],
    [sum, "the next version"],
  ] as const) {
    test(`of a backup, by ${what}, knows the ids from before it, and does anew what it has nothing of`, async () => {
      const name = `restored by ${what}`;
      const file = await begun(name);
      const dir = dirOf(`${name} anew`);
      await restore({ file, id: "foo", dir, definition: value });
      await serve(dir, value, async (client) => {
        assert.equal(await client.command("add", 1, { id: "one" }), 1);
        assert.equal(await client.query("get"), 11);
        assert.equal(await client.command("add", 100, { id: "two" }), 111);
        assert.equal(await client.command("add", 100, { id: "two" }), 111);
        assert.equal(await client.query("get"), 111);
      });
      // Once more from its own directory.
      await serve(dir, value, async (client) => {
        assert.equal(await client.command("add", 1, { id: "one" }), 1);
        assert.equal(await client.command("add", 100, { id: "two" }), 111);
        assert.equal(await client.query("get"), 111);
      });
    });
  }

  for (const [value, what] of [
    [total, "the same version"],
    [sum, "the next version"],
  ] as const) {
    test(`of a survivor, by ${what}, knows the ids of its snapshot and of its log`, async () => {
      const name = `recovered by ${what}`;
      await begun(name);
      const out = dirOf(`${name} anew`);
      await recover({ dirs: [dirOf(name)], group: "total", id: "foo", out });
      assert.ok(existsSync(out));
      await serve(out, value, async (client) => {
        assert.equal(await client.command("add", 1, { id: "one" }), 1);
        assert.equal(await client.command("add", 100, { id: "two" }), 111);
        // A session that is new there is nobody's of before.
        assert.equal(await client.command("add", 1000), 1111);
        assert.equal(await client.query("get"), 1111);
      });
    });
  }

  test("keeps as many ids as the group did: one that was forgotten before the backup is done again", async () => {
    const file = dirOf("many.backup");
    await serve(dirOf("many"), total, async (client, address) => {
      for (const id of ["a", "b", "c", "d"]) await client.command("add", 1, { id });
      await backup({ group: "total", hosts: [address], file });
    });
    await restore({ file, id: "foo", dir: dirOf("many anew") });
    await serve(dirOf("many anew"), total, async (client) => {
      assert.equal(await client.command("add", 1, { id: "b" }), 2);
      assert.equal(await client.command("add", 1, { id: "a" }), 5);
    });
  });

  test("refuses a client of the group of before: its command is not applied a second time there", async () => {
    const name = "mixed up";
    const file = dirOf(`${name}.backup`);
    const dir = dirOf(`${name} anew`);
    const first = await startHost({
      id: "foo",
      listen: "127.0.0.1:0",
      storage: fileStorage(dirOf(name)),
    });
    await first.group("total", total, { start: "create", config });
    const listen = first.address;
    const client = connect(total, { group: "total", hosts: [listen] });
    assert.equal(await client.command("add", 1), 1);
    await backup({ group: "total", hosts: [listen], file });
    await first.close();
    await restore({ file, id: "foo", dir });
    const second = await startHost({ id: "foo", listen, storage: fileStorage(dir) });
    const group = await second.group("total", total, { start: "create" });
    await assert.rejects(client.command("add", 1, { timeoutMs: 1500 }), {
      code: "groupMismatch",
      applied: "no",
    });
    assert.equal(await group.query("get"), 1);
    await client.close();
    await second.close();
  });
});
