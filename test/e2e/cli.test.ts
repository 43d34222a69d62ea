/** Every verb against a group of three processes: what it prints, in words and in JSON, and its exit code. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { counter, kv, queue } from "../../src/cli/values.js";
import type { GroupStatus, MemberStatus } from "../../src/client/types.js";
import { type CliResult, hostOf, runCli, TestGroup, waitFor } from "./processes.js";

const quick = ["--heartbeat-ms", "50", "--election-timeout-ms", "300"];

/** The verb is done: the text that it printed, without the end of the line. */
function printed(result: CliResult): string {
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stderr, "");
  return result.stdout.replace(/\n$/, "");
}

/** The verb was refused: exit code 1, nothing on stdout, one line on stderr. */
function refusal(result: CliResult): string {
  assert.equal(result.code, 1, `${result.stdout}${result.stderr}`);
  assert.equal(result.stdout, "");
  assert.match(result.stderr, /^[^\n]+\n$/);
  return result.stderr;
}

describe("the verbs on a queue", () => {
  const group = new TestGroup("queue", "queue", queue, quick);
  const run = (...args: readonly string[]): Promise<CliResult> =>
    runCli([...args, "--group", "queue", "--hosts", group.addresses.join(",")]);

  before(() => group.startAll("foo", "bar", "baz"));
  after(() => group.end());

  test("command and query send JSON and print the reply as JSON", async () => {
    assert.equal(printed(await run("command", "enqueue", '"a"')), "0");
    assert.equal(printed(await run("command", "enqueue", '"b"', "--json")), "1");
    assert.equal(printed(await run("command", "dequeue")), '"a"');
    assert.equal(printed(await run("query", "length")), "1");
    assert.equal(printed(await run("query", "length", "--json")), "1");
    assert.equal(printed(await run("command", "dequeue", "--json")), '"b"');
    assert.equal(printed(await run("command", "dequeue")), "null");
  });

  test("command --id is applied once, however often it is sent", async () => {
    const args = ["command", "enqueue", '"once"', "--id", "order-7"];
    assert.equal(printed(await run(...args)), "0");
    assert.equal(printed(await run(...args)), "0");
    assert.equal(printed(await run("query", "length")), "1");
    assert.equal(printed(await run("command", "dequeue", "--value", "queue")), '"once"');
  });

  test("query --stale is answered by the first host's own copy", async () => {
    const [first] = group.addresses;
    await waitFor("the first host's copy", async () => {
      const args = ["query", "length", "--stale", "--group", "queue", "--hosts", first!];
      return printed(await runCli(args)) === "0";
    });
  });

  test("status prints everything that a member knows", async () => {
    const status = JSON.parse(printed(await run("status", "--json"))) as GroupStatus;
    assert.equal(status.group, "queue");
    assert.equal(status.hostId, "foo");
    assert.equal(status.members.length, 3);
    assert.equal(status.config.heartbeatMs, 50);
    assert.equal(status.config.electionTimeoutMs, 300);
    const lines = printed(await run("status"));
    for (const field of [
      "role",
      "leader",
      "term",
      "commitIndex",
      "members",
      "config.heartbeatMs",
    ]) {
      assert.match(lines, new RegExp(`^${field} +\\S`, "m"));
    }
  });

  test("members prints a line for each, as the leader sees them", async () => {
    const members = JSON.parse(printed(await run("members", "--json"))) as MemberStatus[];
    assert.deepEqual(members.map(({ hostId }) => hostId).sort(), ["bar", "baz", "foo"]);
    assert.ok(members.every(({ matchIndex }) => matchIndex !== null));
    const lines = printed(await run("members")).split("\n");
    assert.equal(lines.length, 4);
    assert.equal(lines.filter((line) => / leader /.test(line)).length, 1);
    for (const address of group.addresses) assert.ok(lines.some((line) => line.includes(address)));
  });

  test("transfer moves the leadership, and is refused to the leader itself and to strangers", async () => {
    const leader = await group.leader();
    const next = ["foo", "bar", "baz"].find((id) => id !== leader)!;
    assert.match(refusal(await run("transfer", leader)), /alreadyLeader/);
    assert.match(refusal(await run("transfer", "nobody")), /notMember/);
    assert.match(printed(await run("transfer", "--cancel")), /^no transfer was pending/);
    assert.match(printed(await run("transfer", next)), new RegExp(`transferred to ${next}`));
    await waitFor("the new leader", async () => (await group.leader()) === next);
  });

  test("snapshot makes the first host take one", async () => {
    const taken = JSON.parse(printed(await run("snapshot", "--json"))) as { index: number };
    assert.ok(taken.index > 0);
    assert.equal((await group.status("foo")).snapshotIndex, taken.index);
    assert.match(printed(await run("snapshot")), /^snapshot at index \d+, \d+ bytes$/);
  });

  test("remove takes a member out, but neither the leader nor a stranger", async () => {
    const leader = await group.leader();
    const other = ["bar", "baz"].find((id) => id !== leader)!;
    assert.match(refusal(await run("remove", leader)), /cannotRemoveLeader.*transfer/);
    assert.match(refusal(await run("remove", "nobody")), /notMember.*"nobody"; it has: /);
    assert.equal(printed(await run("remove", other)), `removed ${other}`);
    const left = await group.status("foo");
    assert.ok(left.members.every(({ id }) => hostOf(id) !== other));
    const { code } = await group.members.get(other)!.exited;
    assert.equal(code, 1, "a member that was taken out says so and ends");
    assert.match(group.members.get(other)!.complaints(), /removed: member .* was taken out of it/);
  });

  test("an unknown command or query is refused with its name", async () => {
    assert.match(refusal(await run("command", "enqeue", '"a"')), /unknownCommand.*enqeue/);
    assert.match(refusal(await run("query", "size")), /unknownQuery.*size/);
    const known = refusal(await run("command", "enqeue", "1", "--value", "queue"));
    assert.match(known, /unknownCommand.*enqueue, dequeue/);
  });

  test("what a handler throws is commandFailed, and --json makes the error JSON", async () => {
    const line = refusal(await run("command", "enqueue", "--json"));
    const { error } = JSON.parse(line) as { error: Record<string, string> };
    assert.equal(error["code"], "commandFailed");
    assert.equal(error["applied"], "no");
    assert.match(error["message"]!, /enqueue needs an item/);
  });
});

describe("the verbs on a counter that loses its majority", () => {
  const group = new TestGroup("counter", "counter", counter, quick);
  before(() => group.startAll("foo", "bar", "baz"));
  after(() => group.end());

  test("force-remove revives what is left, after commands had timed out", async () => {
    const foo = () => ["--group", "counter", "--hosts", group.members.get("foo")!.address];
    assert.equal(printed(await runCli(["command", "inc", "5", ...foo()])), "5");
    await group.kill("bar");
    await group.kill("baz");
    const stuck = await runCli(["command", "inc", "1", ...foo(), "--timeout-ms", "700"]);
    assert.match(refusal(stuck), /timeout|unavailable/);
    assert.equal(printed(await runCli(["force-remove", "bar", ...foo()])), "force-removed bar");
    assert.equal(printed(await runCli(["force-remove", "baz", ...foo()])), "force-removed baz");
    await waitFor("foo to lead alone", async () => (await group.status("foo")).role === "leader");
    // The increment that timed out may have been kept in the log, and is committed now.
    const sum = Number(printed(await runCli(["command", "inc", "1", ...foo()])));
    assert.ok(sum === 6 || sum === 7, String(sum));
  });
});

describe("a value of one's own", () => {
  const folder = mkdtempSync(join(tmpdir(), "value-"));
  const file = join(folder, "cart.mjs");
  const library = fileURLToPath(new URL("../../src/value/define.js", import.meta.url));
  writeFileSync(
    file,
    `import { defineValue } from ${JSON.stringify(library)};
     export const cart = defineValue({
       name: "cart", version: 3, initial: () => ({ lines: [] }),
       commands: { add: (c, line) => ({ reply: c.lines.length + 1, value: { lines: [...c.lines, line] } }) },
       queries: { lines: (c) => c.lines, count: (c) => c.lines.length },
     });\n`,
  );
  const group = new TestGroup("carts", file, kv);
  after(async () => {
    await group.end();
    rmSync(folder, { recursive: true });
  });

  test("is served from its file, and used with or without that file at hand", async () => {
    const { address } = await group.start("foo");
    const target = ["--group", "carts", "--hosts", address];
    const line = '{"sku":"x-1","count":2}';
    assert.equal(printed(await runCli(["command", "add", line, ...target])), "1");
    assert.equal(printed(await runCli(["command", "add", line, ...target, "--value", file])), "2");
    assert.equal(printed(await runCli(["query", "lines", ...target])), `[${line},${line}]`);
    const typed = await runCli(["repl", ...target, "--value", file], 'query("count")\n');
    assert.equal(printed(typed), "2");
    const unknown = refusal(await runCli(["repl", ...target], 'query("count")\n'));
    assert.match(unknown, /invalidValue.*"cart".*--value FILE/);
    const other = await runCli(["query", "get", '"k"', ...target, "--value", "kv"]);
    assert.match(refusal(other), /groupMismatch/);
  });
});

describe("a member with a directory", () => {
  const folder = mkdtempSync(join(tmpdir(), "data-"));
  const group = new TestGroup("kv", "kv", kv);
  after(async () => {
    await group.end();
    rmSync(folder, { recursive: true });
  });

  test("comes back from SIGKILL as itself, with all that it had answered", async () => {
    const data = ["--data", join(folder, "foo")];
    const { address } = await group.start("foo", ...data);
    const target = (at: string) => ["--group", "kv", "--hosts", at];
    const put = ["command", "put", '{"key":"k","value":[1]}', ...target(address)];
    assert.equal(printed(await runCli(put)), "null");
    const { id, durable } = await group.status("foo");
    assert.ok(durable);
    await group.kill("foo");
    const again = await group.start("foo", ...data);
    assert.equal(printed(await runCli(["query", "get", '"k"', ...target(again.address)])), "[1]");
    assert.equal((await group.status("foo")).id, id);
    const second = ["start", "--id", "foo", "--listen", "127.0.0.1:0", ...data];
    const line = refusal(await runCli([...second, "--group", "kv", "--value", "kv"]));
    assert.match(line, /storageLocked: .*foo is in use/);
  });
});
