/** Bad input by name: every refusal has its code, names the field and says what to do. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSystemClock } from "../../src/clock/system.js";
import type { RaftError } from "../../src/errors.js";
import type { GroupOptions, HostOptions } from "../../src/host/options.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { defineValue } from "../../src/value/define.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { Cluster, counter, createLogBook, queue } from "./cluster.js";

async function refused(
  promise: Promise<unknown>,
  code: string,
  message: RegExp,
): Promise<RaftError> {
  let caught: unknown = null;
  await assert.rejects(promise, (error) => {
    caught = error;
    return true;
  });
  const error = caught as RaftError;
  assert.equal(error.name, "RaftError", String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
}

describe("startHost refuses", () => {
  const cases: readonly (readonly [string, Partial<HostOptions>, string, RegExp])[] = [
    ["an id with a hash", { id: "a#b" }, "invalidArgument", /^id: expected/],
    ["no id", { id: "" }, "invalidArgument", /^id: expected/],
    ["an empty address", { listen: "" }, "invalidArgument", /^listen: expected/],
    ["an empty advertise", { advertise: "" }, "invalidArgument", /^advertise: expected/],
    ["a wildcard alone", { listen: "0.0.0.0:0" }, "invalidArgument", /^advertise: .*10\.0\.0\.7/],
    ...["[::0]:0", "[::]:7", "[0:0:0:0:0:0:0:0]:7", "[::ffff:0.0.0.0]:7", "0:7", "*:7", ":7"].map(
      (listen): [string, Partial<HostOptions>, string, RegExp] => [
        `the wildcard ${listen}`,
        { listen },
        "invalidArgument",
        /^advertise: listen .* names every address/,
      ],
    ),
    ["an unknown limit", { limits: { maxFoo: 1 } as object }, "invalidArgument", /limits\.maxFoo/],
    [
      "a limit of zero",
      { limits: { maxConnections: 0 } },
      "invalidArgument",
      /limits\.maxConnections: expected a whole number of 1 or more, got 0$/,
    ],
    [
      "a longest pause below the shortest",
      { limits: { maxDialPauseMs: 10 } },
      "invalidArgument",
      /^limits\.maxDialPauseMs: 10 must be at least minDialPauseMs \(20\)$/,
    ],
    ["a storage that is none", { storage: {} as never }, "invalidArgument", /^storage: .*"open"/],
    [
      "a misspelt option",
      { storge: 1 } as object,
      "invalidArgument",
      /^storge: no such option; there are id, listen, .*storage/,
    ],
    ["a freeze that is none", { freeze: "yes" as never }, "invalidArgument", /^freeze: .*"yes"/],
    ["a logger that is none", { logger: {} as never }, "invalidArgument", /^logger: .*"debug"/],
    [
      "a clock whose poll is none",
      { clock: { ...createSystemClock(), poll: null as never } },
      "invalidArgument",
      /^clock: .*"poll"/,
    ],
  ];
  for (const [what, options, code, message] of cases) {
    test(what, async () => {
      const cluster = new Cluster();
      await refused(cluster.start("foo", options), code, message);
    });
  }

  test("an address that is in use, and the first host goes on", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const storage = createMemoryStorage();
    let closed = 0;
    storage.close = () => Promise.resolve(void (closed += 1));
    await refused(
      cluster.start("bar", { listen: "foo:1", storage }),
      "listenFailed",
      /foo:1 is in use; choose another/,
    );
    assert.equal(closed, 1, "its storage is let go");
    assert.equal(await cluster.run(foo!.command("inc", 1)), 1);
    await cluster.close();
  });
});

describe("host.group refuses", () => {
  const cases: readonly (readonly [string, string, unknown, unknown, string, RegExp])[] = [
    ["a bad name", "a b", counter, { start: "create" }, "invalidArgument", /^group name: expected/],
    ["no value", "g", {}, { start: "create" }, "invalidValue", /^value: expected what defineValue/],
    ["no options", "g", counter, undefined, "invalidArgument", /^options: expected/],
    [
      "a misspelt option",
      "g",
      counter,
      { start: "create", onDamaged: "rejoin" },
      "invalidArgument",
      /^onDamaged: no such option; there are start, .*onDamage/,
    ],
    ["no start", "g", counter, {}, "invalidArgument", /^start: expected "create" or/],
    [
      "no address",
      "g",
      counter,
      { start: { join: [] } },
      "invalidArgument",
      /^start\.join: the st/,
    ],
    [
      "an empty address",
      "g",
      counter,
      { start: { join: ["a:1", ""] } },
      "invalidArgument",
      /^start\.join\[1\]: expected an address/,
    ],
    [
      "an address that is in no array",
      "g",
      counter,
      { start: { join: "a:1" } },
      "invalidArgument",
      /^start\.join: expected an array of addresses, such as \["a:1"\]$/,
    ],
    [
      "a misspelt option beside the addresses",
      "g",
      counter,
      { start: { join: ["a:1"], timeout: 1 } },
      "invalidArgument",
      /^start\.timeout: no such option; there are join$/,
    ],
    [
      "an unknown hook",
      "g",
      counter,
      { start: "create", hooks: { onFoo: () => 1 } },
      "invalidArgument",
      /^hooks\.onFoo: no such hook/,
    ],
    [
      "a timeout of zero",
      "g",
      counter,
      { start: "create", timeoutMs: 0 },
      "invalidArgument",
      /^timeoutMs: expected/,
    ],
    [
      "a policy that is none",
      "g",
      counter,
      { start: { join: ["a:1"] }, onDamage: "repair" },
      "invalidArgument",
      /^onDamage: expected "refuse" or "rejoin", got "repair"/,
    ],
    [
      "to rejoin where a group begins",
      "g",
      counter,
      { start: "create", onDamage: "rejoin" },
      "invalidArgument",
      /^onDamage: "rejoin" needs an address to rejoin through, in start/,
    ],
    [
      "to rejoin through nobody",
      "g",
      counter,
      { start: { join: [] }, onDamage: "rejoin" },
      "invalidArgument",
      /^onDamage: "rejoin" needs an address/,
    ],
    [
      "an unknown setting",
      "g",
      counter,
      { start: "create", config: { heartbeat: 1 } },
      "invalidConfig",
      /^config\.heartbeat: no such setting/,
    ],
    [
      "a heartbeat not below the election timeout",
      "g",
      counter,
      { start: "create", config: { heartbeatMs: 1000, electionTimeoutMs: 1000 } },
      "invalidConfig",
      /^config\.heartbeatMs: 1000 must be below/,
    ],
    [
      "a margin over the election timeout",
      "g",
      counter,
      { start: "create", config: { clockDriftMarginMs: 1001 } },
      "invalidConfig",
      /^config\.clockDriftMarginMs: 1001 must not be over/,
    ],
  ];
  for (const [what, name, value, options, code, message] of cases) {
    test(what, async () => {
      const cluster = new Cluster();
      const host = await cluster.start("foo");
      const given = options as GroupOptions;
      await refused(cluster.run(host.group(name, value as never, given)), code, message);
      const good = await cluster.run(host.group("g", counter, { start: "create" }));
      assert.equal(await cluster.run(good.command("inc", 1)), 1);
      await cluster.close();
    });
  }

  test("a group that it serves already, and anything once it is closed", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo"]);
    const host = cluster.host("foo");
    const again = (): Promise<unknown> => host.group("counter", counter, { start: "create" });
    await refused(cluster.run(again()), "invalidArgument", /serves group "counter" already/);
    await cluster.close();
    await refused(again(), "closed", /host foo is closed/);
    await refused(host.forceRemoveMember("counter", "bar"), "closed", /host foo is closed/);
  });
});

describe("joining refuses", () => {
  const join = async (
    cluster: Cluster,
    address: string,
    name = "counter",
    timeoutMs = 2000,
  ): Promise<unknown> => {
    if (!cluster.hosts.has("new")) await cluster.start("new");
    const start = { join: [address] };
    return cluster.run(cluster.host("new").group(name, counter, { start, timeoutMs }));
  };

  test("an address where nobody listens", async () => {
    const cluster = new Cluster();
    await refused(join(cluster, "nobody:1"), "connectFailed", /through nobody:1: .*nobody:1/);
    await cluster.close();
  });

  test("an address that takes the connection and says nothing", async () => {
    const cluster = new Cluster();
    await cluster.network.transport("mute").listen("mute:1", () => ({
      onOpen: () => undefined,
      onPayload: () => undefined,
      onDrain: () => undefined,
      onClose: () => undefined,
    }));
    await refused(join(cluster, "mute:1"), "connectFailed", /through mute:1/);
    await cluster.close();
  });

  test("a port of another protocol version", async () => {
    const cluster = new Cluster();
    const version = protocolVersion + 1;
    await cluster.network.transport("old").listen("old:1", (connection) => ({
      onOpen: () => undefined,
      onPayload(payload) {
        if (decodeFrame(payload).type !== "hello") return;
        connection.send(encodeFrame({ type: "welcome", protocol: version, hostId: "old" }));
      },
      onDrain: () => undefined,
      onClose: () => undefined,
    }));
    await refused(
      join(cluster, "old:1"),
      "protocolMismatch",
      /through old:1: .*protocol version 3/,
    );
    await cluster.close();
  });

  test("a host that serves no such group", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo"]);
    const joining = join(cluster, "foo:1", "other");
    await refused(joining, "unknownGroup", /foo:1.*serves no group "other"; it serves: "counter"/);
    await cluster.close();
  });

  test("a group of another value, in the log of both sides", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    await cluster.start("foo", { logger: book.logger });
    await cluster.group("things", queue, ["foo"]);
    const joining = join(cluster, "foo:1", "things");
    await refused(joining, "groupMismatch", /value "queue".* has value "counter"/);
    await cluster.close();
  });

  test("a group of a version that neither side lists as compatible", async () => {
    const cluster = new Cluster();
    await cluster.group("counter", counter, ["foo"]);
    const newer = defineValue({
      name: "counter",
      version: 2,
      initial: () => 0,
      commands: {},
      queries: {},
    });
    await cluster.start("new");
    const start = { join: ["foo:1"] };
    const joining = cluster.host("new").group("counter", newer, { start });
    await refused(cluster.run(joining), "groupMismatch", /compatibleVersions/);
    await cluster.close();
  });

  test("leaves the host free to join elsewhere", async () => {
    const cluster = new Cluster();
    await refused(join(cluster, "nobody:1"), "connectFailed", /nobody/);
    await cluster.group("counter", counter, ["foo"]);
    await join(cluster, "foo:1");
    await cluster.close();
  });
});

describe("calls refuse", () => {
  test("unknown names, arguments and replies without an encoding; nothing is applied", async () => {
    const cluster = new Cluster();
    const odd = defineValue({
      name: "odd",
      version: 1,
      initial: () => 0,
      commands: {
        set: (_n, arg: unknown) => ({ reply: arg !== undefined, value: 1 }),
        leak: (n) => ({ reply: () => n, value: n }),
      },
      queries: { get: (n) => n, leak: (n) => () => n, echo: (_n, arg: unknown) => arg },
    });
    const host = await cluster.start("foo");
    const group = await cluster.run(host.group("odd", odd, { start: "create" }));
    const loose = group as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    await refused(cluster.run(loose.command!("nope")), "unknownCommand", /"nope"; it has: set/);
    await refused(cluster.run(loose.query!("nope")), "unknownQuery", /"nope"; it has: get/);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const arg of [() => 1, Symbol("x"), cycle]) {
      await refused(cluster.run(group.command("set", arg)), "encodeFailed", /argument of command/);
    }
    await refused(cluster.run(group.command("leak")), "encodeFailed", /reply/);
    await refused(cluster.run(group.query("leak")), "encodeFailed", /answer|reply/);
    await refused(cluster.run(group.query("echo", cycle)), "encodeFailed", /argument of query/);
    assert.equal(await cluster.run(group.query("get")), 0);
    await cluster.close();
  });

  test("a command over maxCommandBytes", async () => {
    const cluster = new Cluster();
    const config = { maxCommandBytes: 1000 };
    const [foo] = await cluster.group("queue", queue, ["foo"], { config });
    const big = foo!.command("enqueue", "x".repeat(2000));
    const error = await refused(cluster.run(big), "commandTooLarge", /maxCommandBytes \(1000\)/);
    assert.equal(error.applied, "no");
    assert.equal(await cluster.run(foo!.command("enqueue", "small")), 0);
    await cluster.close();
  });

  test("an answer and a reply over the frame limit, and say whether anything was applied", async () => {
    const cluster = new Cluster();
    const long = defineValue({
      name: "long",
      version: 1,
      initial: () => 0,
      commands: { say: (n, length: number) => ({ reply: "x".repeat(length), value: n + 1 }) },
      queries: { say: (_n, length: number) => "x".repeat(length), get: (n) => n },
    });
    const limits = { maxFrameBytes: 100_000 };
    const host = await cluster.start("foo", { limits });
    const group = await cluster.run(host.group("long", long, { start: "create" }));
    const why = /^the answer has \d+ bytes, and limits\.maxFrameBytes of host foo is 100000: ask/;
    const answer = await refused(cluster.run(group.query("say", 100_001)), "encodeFailed", why);
    assert.equal(answer.applied, "no");
    const reply = await refused(cluster.run(group.command("say", 100_001)), "encodeFailed", why);
    assert.equal(reply.applied, "maybe");
    assert.equal(await cluster.run(group.query("get")), 1);
    assert.equal((await cluster.run(group.query("say", 90_000))).length, 90_000);
    await cluster.close();
  });

  test("a bad change of configuration", async () => {
    const cluster = new Cluster();
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const bad = foo!.changeConfig({ heartbeatMs: 5000 });
    await refused(cluster.run(bad), "invalidConfig", /config\.heartbeatMs: 5000 must be below/);
    await cluster.close();
  });
});
