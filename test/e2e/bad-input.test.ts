/** Bad input by name: each ends with its exit code and one line that names the field and the remedy. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { queue } from "../../src/cli/values.js";
import { runCli, TestGroup, waitFor } from "./processes.js";

/** One line on stderr that matches, nothing on stdout, and the exit code. */
async function refused(args: readonly string[], code: 1 | 2, pattern: RegExp): Promise<void> {
  const result = await runCli(args);
  const said = `${args.join(" ")}\n${result.stdout}${result.stderr}`;
  assert.equal(result.code, code, said);
  assert.equal(result.stdout, "", said);
  assert.match(result.stderr, /^rafted-value[^\n]*\n$/, said);
  assert.match(result.stderr, pattern, said);
}

describe("usage (exit code 2)", { concurrency: 2 }, () => {
  const start = ["start", "--id", "x", "--group", "g", "--value", "queue"];
  const to = ["--group", "g", "--hosts", "127.0.0.1:1"];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["strat"], /no verb "strat"; see: rafted-value help/],
    [["help", "strat"], /no verb "strat"/],
    [[...start], /--listen ADDR is missing/],
    [["start", "--listen", "127.0.0.1:0"], /--id ID is missing/],
    [[...start, "--listen", "nowhere"], /--listen must be HOST:PORT/],
    [[...start, "--listen", "127.0.0.1:99999"], /--listen must be HOST:PORT/],
    [[...start, "--listen", "127.0.0.1:0", "--advertise", "x"], /--advertise must be HOST:PORT/],
    [[...start, "--listen", "127.0.0.1:0", "--join", "x"], /--join must be HOST:PORT/],
    [[...start, "--listen", "127.0.0.1:0", "--heartbeat-ms", "fast"], /--heartbeat-ms must be/],
    [[...start, "--listen", "127.0.0.1:0", "--config", "{"], /--config is not JSON/],
    [[...start, "--listen", "127.0.0.1:0", "--config", "[1]"], /--config must be a JSON object/],
    [
      [...start, "--listen", "127.0.0.1:0", "--config", "{}", "--heartbeat-ms", "9"],
      /exclude each other/,
    ],
    [["command", ...to], /NAME of the command is missing/],
    [["command", "a b", ...to], /cannot be the name of a command/],
    [["command", "enqueue", "abc", ...to], /not JSON: "abc"; a string needs quotes/],
    [["command", "enqueue", "1", "2", ...to], /unexpected argument "2"/],
    [["query", "length", "--group", "g"], /--hosts ADDR,\.\.\. is missing/],
    [["query", "length", "--hosts", "127.0.0.1:1"], /--group NAME is missing/],
    [["query", "length", ...to, "--timeout-ms", "0"], /--timeout-ms must be a whole number/],
    [["status", ...to, "--verbose"], /--verbose/],
    [["remove", ...to], /ID of the member is missing/],
    [["transfer", ...to], /ID of the new leader is missing/],
    [["transfer", "bar", "--cancel", ...to], /either ID or --cancel, not both/],
    [["force-remove", ...to], /ID of the lost member is missing/],
    [["status", "--group", "g", "--hosts", ","], /--hosts needs addresses/],
  ];
  for (const [args, pattern] of cases) {
    test(args.join(" "), () => refused(args, 2, pattern));
  }

  test("no verb at all prints the help on stderr", async () => {
    const { code, stdout, stderr } = await runCli([]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /rafted-value VERB/);
  });
});

test("help, --help and version are no errors", async () => {
  const verbs = ["demo", "start", "repl", "command", "query", "status", "members", "remove"];
  const rest = ["transfer", "force-remove", "snapshot", "version", "help"];
  const offline = ["inspect", "doctor", "backup", "restore", "recover"];
  const all = await runCli(["help"]);
  assert.equal(all.code, 0);
  for (const verb of [...verbs, ...rest, ...offline]) {
    assert.match(all.stdout, new RegExp(`^  ${verb} `, "m"));
    for (const args of [
      ["help", verb],
      [verb, "--help"],
    ]) {
      const { code, stdout } = await runCli(args);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^rafted-value ${verb} `));
      assert.match(stdout, /--json/);
    }
  }
  const version = await runCli(["--version"]);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

describe("start (exit code 1)", () => {
  const group = new TestGroup("queue", "queue", queue);
  const folder = mkdtempSync(join(tmpdir(), "bad-input-"));
  const servers: Server[] = [];
  const start = (...args: readonly string[]) => [
    ...["start", "--id", "bar", "--listen", "127.0.0.1:0"],
    ...args,
  ];
  const queueGroup = ["--group", "queue", "--value", "queue"];

  /** A server of somebody else's protocol. */
  function foreign(greeting: string | null): Promise<string> {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      if (greeting !== null) socket.end(greeting);
    });
    servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" ? `127.0.0.1:${address!.port}` : "");
      });
    });
  }

  before(async () => {
    await group.start("foo");
  });
  after(async () => {
    await group.end();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });

  test("a listen address that is in use", async () => {
    const [address] = group.addresses;
    const args = ["start", "--id", "x", "--listen", address!, ...queueGroup];
    await refused(args, 1, new RegExp(`listenFailed.*${address}.*in use; choose another port`));
  });

  test("a group or host name that is none", async () => {
    await refused(start("--group", "a b", "--value", "queue"), 1, /invalidArgument: group name/);
    const args = ["start", "--id", "a b", "--listen", "127.0.0.1:0", ...queueGroup];
    await refused(args, 1, /invalidArgument: id/);
  });

  test("a configuration that is out of range or contradicts itself", async () => {
    const slow = start(...queueGroup, "--heartbeat-ms", "500", "--election-timeout-ms", "400");
    await refused(slow, 1, /invalidConfig: config\.heartbeatMs: 500 must be below/);
    const tiny = start(...queueGroup, "--heartbeat-ms", "1");
    await refused(tiny, 1, /invalidConfig: config\.heartbeatMs: 1 is out of range/);
    const drift = start(...queueGroup, "--config", '{"clockDriftMarginMs":5000}');
    await refused(drift, 1, /invalidConfig: config\.clockDriftMarginMs/);
    const unknown = start(...queueGroup, "--config", '{"heartbeat":5}');
    await refused(unknown, 1, /invalidConfig: config\.heartbeat: no such setting/);
  });

  test("a value file that does not load, or holds no value", async () => {
    const broken = join(folder, "broken.mjs");
    writeFileSync(broken, "export const = 1;");
    await refused(start("--group", "g", "--value", broken), 1, /invalidValue.*does not load/);
    const empty = join(folder, "empty.mjs");
    writeFileSync(empty, "export const size = 1;");
    await refused(
      start("--group", "g", "--value", empty),
      1,
      /invalidValue.*found: size \(number\)/,
    );
    await refused(start("--group", "g", "--value", "stack"), 1, /invalidValue.*queue, counter, kv/);
  });

  test("a join address where nobody listens", async () => {
    const args = start(...queueGroup, "--join", "127.0.0.1:1", "--timeout-ms", "1500");
    await refused(args, 1, /(connectFailed|unavailable|timeout).*127\.0\.0\.1:1\b/);
  });

  test("a join address that speaks another protocol", async () => {
    const address = await foreign("HTTP/1.1 400 Bad Request\r\n\r\n");
    const args = start(...queueGroup, "--join", address, "--timeout-ms", "1500");
    await refused(args, 1, new RegExp(`protocolMismatch.*${address}`));
  });

  test("a join address that never answers", async () => {
    const address = await foreign(null);
    const args = start(...queueGroup, "--join", address, "--timeout-ms", "1500");
    await refused(args, 1, new RegExp(`(timeout|connectFailed|unavailable).*${address}`));
  });

  test("a join address that serves another group, or another value", async () => {
    const [address] = group.addresses;
    const other = start("--group", "stack", "--value", "queue", "--join", address!);
    await refused(other, 1, /unknownGroup.*stack/);
    const value = start("--group", "queue", "--value", "counter", "--join", address!);
    await refused(value, 1, /groupMismatch.*counter/);
  });

  test("the id of a member that lives", async () => {
    const [address] = group.addresses;
    const args = ["start", "--id", "foo", "--listen", "127.0.0.1:0", ...queueGroup];
    await refused([...args, "--join", address!], 1, /alreadyMember.*foo/);
  });

  test("hostile bytes on its port: that connection ends, with one line on stderr", async () => {
    const member = group.members.get("foo")!;
    const said = (): string[] =>
      member
        .complaints()
        .split("\n")
        .filter((line) => line.startsWith("warn: host foo lost the connection"));
    const before = said().length;
    const [, port] = member.address.split(":");
    const socket = dial(Number(port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
    await waitFor("the line", () => said().length > before);
    assert.equal(said().length, before + 1);
  });

  test("none of it has hurt the group", async () => {
    const status = await group.status("foo");
    assert.equal(status.role, "leader");
    assert.equal(status.members.length, 1);
    assert.equal(await group.client("foo").command("enqueue", "a"), 0);
  });
});

describe("talking to a group (exit code 1)", () => {
  const group = new TestGroup("queue", "queue", queue);
  before(() => group.startAll("foo"));
  after(() => group.end());

  test("a host where nobody listens, or a group that it does not serve", async () => {
    const nobody = ["--hosts", "127.0.0.1:1", "--timeout-ms", "700"];
    for (const verb of [["status"], ["members"], ["query", "length"], ["remove", "x"]]) {
      const args = [...verb, "--group", "queue", ...nobody];
      await refused(args, 1, /(connectFailed|unavailable|timeout)/);
    }
    const elsewhere = ["--group", "stack", "--hosts", group.addresses.join(",")];
    await refused(["status", ...elsewhere, "--timeout-ms", "700"], 1, /unknownGroup.*--group/);
  });
});
