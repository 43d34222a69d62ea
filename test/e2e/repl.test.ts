/** The session of the README: three terminals, three members, one queue. */
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { after, describe, test } from "node:test";
import { mainPath, runCli, waitFor } from "./processes.js";

/** A terminal, but for the keys: lines go in, lines come out. */
class Terminal {
  readonly lines: string[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;

  constructor(...args: readonly string[]) {
    this.#child = spawn(process.execPath, [mainPath, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.lines.push(line));
    this.ended = new Promise((resolve) => void this.#child.once("close", resolve));
  }

  /** Types a line and gives what is answered, which is one line. */
  async type(line: string): Promise<string> {
    const at = this.lines.length;
    this.#child.stdin.write(`${line}\n`);
    return waitFor(`an answer to ${line}`, () => this.lines[at]);
  }

  /** The address of `ready id=... listen=...`. */
  async address(): Promise<string> {
    const line = await waitFor("the ready line", () => this.lines[0]);
    return /^ready id=\w+ listen=(\S+)$/.exec(line)![1]!;
  }

  /** Ctrl-D. */
  endInput(): void {
    this.#child.stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

describe("three terminals", () => {
  const terminals: Terminal[] = [];
  const open = (id: string, ...rest: readonly string[]): Terminal => {
    const options = ["--listen", "127.0.0.1:0", "--group", "queue", "--value", "queue", "--repl"];
    const terminal = new Terminal("start", "--id", id, ...options, ...rest);
    terminals.push(terminal);
    return terminal;
  };
  after(async () => {
    for (const terminal of terminals) terminal.signal("SIGKILL");
    await Promise.all(terminals.map(({ ended }) => ended));
  });

  test("use one queue, lose the leader, and go on", async () => {
    const foo = open("foo");
    const bar = open("bar", "--join", await foo.address());
    await bar.address();
    const baz = open("baz", "--join", `${await foo.address()},${await bar.address()}`);
    await baz.address();

    assert.equal(await foo.type('command("enqueue", "a")'), "0");
    assert.equal(await bar.type('command("enqueue", "b")'), "1");
    assert.equal(await baz.type('await command("enqueue", "c")'), "2");
    assert.equal(await baz.type('command("dequeue")'), "'a'");
    assert.equal(await bar.type('query("length")'), "2");
    const three = "(await members()).filter(({ state }) => state === 'voter').length";
    await waitFor("three voters", async () => (await foo.type(three)) === "3");

    assert.match(await bar.type('command("enqeue")'), /^unknownCommand: .*enqueue, dequeue/);
    assert.equal(await bar.type('[await query("length"),\n"and so on"]'), "[ 2, 'and so on' ]");

    assert.equal(await foo.type("(await status()).role"), "'leader'");
    foo.signal("SIGKILL");
    await foo.ended;
    assert.equal(await bar.type('command("dequeue")'), "'b'");
    assert.equal(await baz.type('const left = await query("length")\nleft + 10'), "11");

    bar.endInput();
    baz.signal("SIGTERM");
    assert.equal(await baz.ended, 0);
    // A mistyped line in a session that is piped in is a failure.
    assert.equal(await bar.ended, 1);
  });

  test("a prompt without a member of its own talks to the group, and its exit code tells of errors", async () => {
    const foo = open("one");
    const target = ["--hosts", await foo.address(), "--group", "queue"];
    const typed = 'command("enqueue", "x")\nquery("length")\n(await status()).hostId\n.exit\nnever';
    const good = await runCli(["repl", ...target], typed);
    assert.deepEqual([good.stdout, good.code], ["0\n1\n'one'\n", 0], good.stderr);
    const bad = await runCli(["repl", ...target], 'query("size")\nquery("length")\n');
    assert.match(bad.stdout, /^unknownQuery: .*\n1\n$/);
    assert.equal(bad.code, 1);
  });
});
