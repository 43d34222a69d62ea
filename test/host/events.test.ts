/** Events, hooks and the end: what a program hears of its group. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupEvent } from "../../src/client/types.js";
import { defineValue } from "../../src/value/define.js";
import { Cluster, counter, createLogBook } from "./cluster.js";
import { RawClient } from "./raw-client.js";

const ids = ["foo", "bar", "baz"];

describe("events()", () => {
  test("gives the role, members and configuration of now first, then what changes", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const seen: GroupEvent[] = [];
    const reading = (async () => {
      for await (const event of foo!.events()) seen.push(event);
    })();
    await cluster.pass(100);
    assert.deepEqual(
      seen.map((event) => event.type),
      ["role", "members", "config"],
    );
    assert.deepEqual(seen[0], { type: "role", role: "leader", term: 2, leader: foo!.id });
    await cluster.start("bar");
    const start = { join: ["foo:1"] };
    await cluster.run(cluster.host("bar").group("counter", counter, { start }));
    await cluster.run(foo!.changeConfig({ heartbeatMs: 150 }));
    await cluster.pass(500);
    const last = (type: string): GroupEvent | undefined =>
      seen.findLast((event) => event.type === type);
    const members = last("members") as Extract<GroupEvent, { type: "members" }>;
    assert.deepEqual(members.voters.length, 2);
    const config = last("config") as Extract<GroupEvent, { type: "config" }>;
    assert.equal(config.config.heartbeatMs, 150);
    await cluster.close();
    await reading;
    assert.equal(seen.at(-1)?.type, "closed");
  });
});

test("clients are told at once where the group is, when a member has left it", async () => {
  const cluster = new Cluster();
  const [foo] = await cluster.group("counter", counter, ids);
  const transport = cluster.network.transport("raw");
  const client = new RawClient((handlers) => transport.dial("foo:1", handlers), "counter");
  await cluster.pass(1000);
  await cluster.run(foo!.removeMember("baz"));
  await cluster.pass(20);
  const hints = client.frames.filter((frame) => frame.type === "leaderHint");
  assert.deepEqual(hints.at(-1)?.hosts, ["foo:1", "bar:1"]);
  await cluster.close();
});

describe("hooks", () => {
  test("are called on the leader, with copies, and a throw in them is reported only", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    const calls: unknown[] = [];
    const hooks = {
      onCommandCommitted: (call: unknown) => void calls.push(["command", call]),
      onQueryAnswered: (call: unknown) => void calls.push(["query", call]),
      onFollowerAdded: (call: unknown) => void calls.push(["added", call]),
      onFollowerRemoved: (call: unknown) => void calls.push(["removed", call]),
      onElected: (call: unknown) => {
        calls.push(["elected", call]);
        throw new Error("the user's own trouble");
      },
    };
    await cluster.start("foo", { logger: book.logger });
    const foo = await cluster.run(
      cluster.host("foo").group("counter", counter, { start: "create", hooks }),
    );
    await cluster.start("bar");
    const start = { join: ["foo:1"] };
    const bar = await cluster.run(cluster.host("bar").group("counter", counter, { start }));
    await cluster.run(bar.command("inc", 2));
    await cluster.run(foo.query("get"));
    await cluster.pass(1000);
    await cluster.run(foo.removeMember(bar.id));
    const of = (kind: string): unknown[] =>
      (calls as [string, unknown][]).filter(([each]) => each === kind).map(([, call]) => call);
    assert.deepEqual(of("elected"), [{ term: 2 }]);
    assert.deepEqual(of("added"), [{ id: bar.id }]);
    assert.deepEqual(of("removed"), [{ id: bar.id }]);
    assert.deepEqual(of("query"), [{ name: "get", arg: undefined, answer: 2 }]);
    const [command] = of("command") as { name: string; arg: number; reply: number }[];
    assert.deepEqual([command!.name, command!.arg, command!.reply], ["inc", 2, 2]);
    const lines = book.lines.filter((line) => line.level === "error");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.message, /hook onElected failed: .*the user's own trouble/);
    await cluster.close();
  });
});

describe("a handler that is not deterministic", () => {
  test("is reported with the index, in the log, the events and the status", async () => {
    const cluster = new Cluster();
    let draws = 0;
    const dice = defineValue({
      name: "dice",
      version: 1,
      initial: () => 0,
      // As Math.random would: every member draws its own number.
      commands: { roll: (n) => ({ reply: (draws += 1), value: n }) },
      queries: { get: (n) => n },
    });
    const book = createLogBook();
    for (const id of ids) await cluster.start(id, { logger: book.logger });
    const [group] = await cluster.group("dice", dice, ids);
    await cluster.pass(1000);
    await cluster.run(group!.command("roll"));
    const index = cluster.host("foo").memberOf("dice")!.replica.core.lastApplied;
    await cluster.until(
      "somebody has noticed",
      () => book.lines.some((line) => line.message.startsWith("divergence")),
      120_000,
    );
    const line = book.lines.find((each) => each.message.startsWith("divergence"))!;
    assert.match(line.message, new RegExp(`at index ${index} .*value "dice" is not deterministic`));
    await cluster.close();
  });

  for (const mutable of [false, true]) {
    const kind = mutable ? "mutable" : "pure";
    test(`is reported when only its ${kind} value drifts and every reply is the same`, async () => {
      const cluster = new Cluster();
      let draws = 0;
      const draw = (): number => (draws += 1);
      const pure = defineValue({
        name: "notes",
        version: 1,
        initial: () => ({ count: 0, tag: 0 }),
        commands: {
          note: ({ count }) => ({ reply: count, value: { count: count + 1, tag: draw() } }),
        },
        queries: { get: ({ count }) => count },
      });
      const inPlace = defineValue({
        name: "notes",
        version: 1,
        mutable: true,
        initial: () => ({ count: 0, tag: 0 }),
        commands: {
          note: (value) => {
            value.tag = draw();
            value.count += 1;
            return value.count - 1;
          },
        },
        queries: { get: ({ count }) => count },
      });
      const notes = mutable ? (inPlace as unknown as typeof pure) : pure;
      const book = createLogBook();
      for (const id of ids) await cluster.start(id, { logger: book.logger });
      const config = { minSnapshotLogBytes: 2000, snapshotLogFactor: 1 };
      const handles = await cluster.group("notes", notes, ids, { config });
      await cluster.pass(1000);
      for (let i = 0; i < 40; i++) {
        assert.equal(await cluster.run(handles[i % 3]!.command("note")), i);
      }
      await cluster.pass(1000);
      const members = ids.map((id) => cluster.host(id).memberOf("notes")!);
      const indices = members.map((member) => member.replica.comparison.marks.own[0]?.index ?? 0);
      const [index] = indices;
      assert.ok(index! > 0);
      const lines = book.lines.filter(({ message }) => message.startsWith("divergence: after"));
      assert.equal(lines.length, 2, "both followers have noticed");
      for (const { message } of lines) {
        assert.match(
          message,
          new RegExp(
            `after index ${index} the value of .* differs from that of .*, though no reply`,
          ),
        );
      }
      const followers = handles.filter(({ id }) => !id.startsWith(cluster.leaders("notes")[0]!));
      for (const handle of followers) {
        assert.equal((await cluster.run(handle.status())).divergedAt, index);
      }
      await cluster.close();
    });
  }
});

describe("closing", () => {
  test("a leader's host hands leadership over first", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ids);
    await cluster.pass(1000);
    const [leader] = cluster.leaders("counter");
    const { term } = await cluster.run(handles[0]!.status());
    await cluster.stop(leader!);
    const [next] = cluster.leaders("counter");
    assert.ok(next !== undefined, "somebody leads without an election timeout");
    assert.equal(cluster.host(next).memberOf("counter")!.term, term + 1);
    await cluster.close();
  });

  test("hands leadership over to a member that answers, not to the first of them", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ids);
    await cluster.pass(1000);
    if (!cluster.leaders("counter").includes("baz")) {
      await cluster.run(handles[0]!.transferLeadership("baz"));
    }
    const { term } = await cluster.run(handles[2]!.status());
    cluster.kill("foo");
    await cluster.pass(1500);
    await cluster.stop("baz");
    assert.deepEqual(cluster.leaders("counter"), ["bar"]);
    assert.equal(cluster.host("bar").memberOf("counter")!.term, term + 1);
    await cluster.close();
  });

  test("waits for no successor as long as an election timeout may be", async () => {
    const cluster = new Cluster();
    const config = { electionTimeoutMs: 60_000 };
    const [foo] = await cluster.group("counter", counter, ["foo", "bar"], { config });
    cluster.clocks.get("bar")!.freeze();
    await cluster.run(foo!.close(), 2000);
    cluster.clocks.get("bar")!.thaw();
    await cluster.close();
  });

  test("twice hands leadership over all the same, also to one that lags", async () => {
    const cluster = new Cluster();
    const handles = await cluster.group("counter", counter, ids);
    await cluster.pass(1000);
    const [leader] = cluster.leaders("counter");
    const handle = handles[ids.indexOf(leader!)]!;
    const { term } = await cluster.run(handle.status());
    await cluster.run(handle.command("inc", 1));
    const others = ids.filter((id) => id !== leader).map((id) => cluster.clocks.get(id)!);
    for (const clock of others) clock.freeze();
    const lag = Promise.allSettled([handle.command("inc", 1)]);
    await cluster.pass(50);
    const closing = Promise.all([handle.close(), handle.close(), cluster.host(leader!).close()]);
    await cluster.pass(50);
    for (const clock of others) clock.thaw();
    await cluster.run(closing);
    assert.deepEqual(await lag, [{ status: "fulfilled", value: 2 }]);
    cluster.hosts.delete(leader!);
    const [next] = cluster.leaders("counter");
    assert.ok(next !== undefined, "somebody leads without an election timeout");
    assert.equal(cluster.host(next).memberOf("counter")!.term, term + 1);
    await cluster.close();
  });

  test("is idempotent, resolves `closed`, and answers every caller", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo", "bar"]);
    await cluster.run(foo!.command("inc", 1));
    await cluster.run(foo!.transferLeadership("foo").catch(() => undefined));
    cluster.kill("bar");
    const stuck = foo!.command("inc", 1, { timeoutMs: 60_000 });
    const asked = foo!.query("get", { timeoutMs: 60_000 });
    const outcomes = Promise.allSettled([stuck, asked]);
    await cluster.pass(50);
    const host = cluster.host("foo");
    await cluster.run(Promise.all([host.close(), host.close(), host.closed, foo!.closed]));
    const [command, query] = await outcomes;
    assert.equal(command.status, "rejected");
    assert.deepEqual([command.reason.code, command.reason.applied], ["closed", "maybe"]);
    assert.equal(query.status, "rejected");
    assert.deepEqual([query.reason.code, query.reason.applied], ["closed", "no"]);
    await assert.rejects(cluster.run(foo!.command("inc", 1)), {
      code: "closed",
      message: 'command "inc": the handle of group "counter" is closed',
    });
    cluster.hosts.delete("foo");
    await cluster.close();
  });

  test("a handle ends its member alone; the host serves on", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const other = await cluster.run(
      cluster.host("foo").group("other", counter, { start: "create" }),
    );
    await cluster.run(foo!.close());
    assert.equal(cluster.host("foo").memberOf("counter"), null);
    assert.equal(await cluster.run(other.command("inc", 1)), 1);
    await cluster.close();
  });

  test("while joining ends the join", async () => {
    const cluster = new Cluster();
    const host = await cluster.start("foo");
    const start = { join: ["nobody:1"] };
    const joining = host.group("counter", counter, { start, timeoutMs: 60_000 });
    const outcome = assert.rejects(joining, { code: "closed" });
    await cluster.pass(100);
    await cluster.run(host.close());
    await outcome;
    cluster.hosts.delete("foo");
    await cluster.close();
  });
});
