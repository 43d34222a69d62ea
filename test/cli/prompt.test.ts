import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, test } from "node:test";
import type { AnyGroup } from "../../src/cli/open-group.js";
import { complete, type PromptOptions, runPrompt } from "../../src/cli/prompt.js";
import { queue } from "../../src/cli/values.js";
import { RaftError } from "../../src/errors.js";

/** A group of which only some calls are ever made. */
function groupOf(calls: Partial<AnyGroup>): AnyGroup {
  return calls as AnyGroup;
}

function piped(typed: string, calls: Partial<AnyGroup>): PromptOptions {
  return {
    group: groupOf(calls),
    definition: queue,
    input: Readable.from([typed]),
    output: new PassThrough(),
    terminal: false,
    prompt: "queue> ",
    historyFile: null,
    signal: new AbortController().signal,
  };
}

async function converse(
  typed: string,
  calls: Partial<AnyGroup>,
  others: Partial<PromptOptions> = {},
): Promise<{ readonly said: string; readonly good: boolean }> {
  const output = new PassThrough();
  const good = await runPrompt({ ...piped(typed, calls), output, ...others });
  output.end();
  let said = "";
  for await (const chunk of output) said += String(chunk);
  return { said, good };
}

describe("a session that is piped in", () => {
  test("answers line by line, each after the one before is done", async () => {
    const order: string[] = [];
    const command = async (name: string, ...rest: readonly unknown[]): Promise<unknown> => {
      order.push(`begin ${name}`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`end ${name}`);
      return rest[0] ?? name;
    };
    const typed = 'command("enqueue", "a")\ncommand("dequeue")\nconst x = 1\nx + 1\n';
    const { said, good } = await converse(typed, { command });
    assert.equal(said, "'a'\n'dequeue'\n2\n");
    assert.ok(good);
    const expected = ["begin enqueue", "end enqueue", "begin dequeue", "end dequeue"];
    assert.deepEqual(order, expected);
  });

  test("lives on when a call that nobody awaits is refused", async () => {
    const command = () => Promise.reject(new RaftError("unknownCommand", "no such command"));
    const { said, good } = await converse('for (const i of [1, 2]) command("nope", i)\n1\n', {
      command,
    });
    assert.deepEqual([said, good], ["1\n", true]);
  });

  test("shows an error with its code and goes on, but was not good", async () => {
    const command = () =>
      Promise.reject(new RaftError("timeout", "no answer", { applied: "maybe" }));
    const { said, good } = await converse('command("dequeue")\n1\n', { command });
    assert.match(said, /^timeout: no answer; .*may have been applied.*\n1\n$/);
    assert.ok(!good);
  });

  test("ends at .exit, and says when the last line was not finished", async () => {
    assert.equal((await converse("1\n.exit\n2\n", {})).said, "1\n");
    const open = await converse("[1,\n", {});
    assert.match(open.said, /left unfinished/);
    assert.ok(!open.good);
    assert.equal((await converse("[1,\n2]\n", {})).said, "[ 1, 2 ]\n");
  });

  test("takes the words that end it, or ask for help, as they stand where a line goes on", async () => {
    const { said, good } = await converse("`a\nquit\nhelp\n`\n2\n", {});
    assert.deepEqual([said, good], ["'a\\nquit\\nhelp\\n'\n2\n", true]);
  });

  test("runs none of the lines that are left when it is ended from outside", async () => {
    const ending = new AbortController();
    const ran: string[] = [];
    const command = (name: string): Promise<unknown> => {
      ran.push(name);
      ending.abort();
      return Promise.resolve(null);
    };
    const typed = ["first", "second", "third"].map((name) => `command("${name}")\n`).join("");
    await runPrompt({ ...piped(typed, { command }), signal: ending.signal });
    assert.deepEqual(ran, ["first"]);
  });

  test("lists the calls of the value on help", async () => {
    const { said } = await converse("help\n", {});
    assert.match(said, /command\(NAME.*enqueue, dequeue/);
    assert.match(said, /query\(NAME.*length/);
  });

  test("keeps no history unless it is given a file, which only its owner may read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "prompt-"));
    try {
      const file = join(folder, "history");
      await converse("1 + 1\n\n2\n", {}, { historyFile: file });
      assert.equal(readFileSync(file, "utf8"), "1 + 1\n2\n");
      assert.equal(statSync(file).mode & 0o077, 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a session that is typed", () => {
  const [up, enter, interrupt] = ["\x1b[A", "\r", "\x03"];
  const type = async (typed: string, others: Partial<PromptOptions> = {}): Promise<string[]> => {
    const { said } = await converse(typed, {}, { terminal: true, ...others });
    return said.split(/\r?\n/);
  };

  test("brings the line that was typed last before with the first key up", async () => {
    const folder = mkdtempSync(join(tmpdir(), "prompt-"));
    try {
      const historyFile = join(folder, "history");
      const older = Array.from({ length: 1100 }, (_, at) => `${at} * 1`);
      writeFileSync(historyFile, `${[...older, "20 + 3", "40 + 5"].join("\n")}\n`);
      const keys = `${up}${enter}${up}${up}${enter}.exit${enter}`;
      const said = await type(keys, { historyFile });
      assert.ok(said.includes("45"), said.join("\n"));
      assert.ok(said.includes("23"), said.join("\n"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("goes on behind Ctrl-C, without what was typed so far, and ends by it where that was nothing", async () => {
    const output = new PassThrough();
    let said = "";
    output.on("data", (chunk) => (said += String(chunk)));
    async function* keys(): AsyncGenerator<string> {
      for (const [typed, answer] of [
        [`[1,${enter}`, /\.\.\. /],
        [`${interrupt}6 * 7${enter}`, /\n42\r?\n/],
      ] as const) {
        yield typed;
        while (!answer.test(said)) await once(output, "data");
      }
      yield interrupt;
      yield `"never"${enter}`;
    }
    const input = Readable.from(keys());
    const good = await runPrompt({ ...piped("", {}), input, output, terminal: true });
    assert.ok(good);
    assert.ok(!said.includes("'never'"), said);
  });
});

describe("the tab key", () => {
  const words = ["command", "query", "queryStale", "status"];
  const matches = (line: string): readonly string[] => complete(line, queue, words)[0];

  test("completes the value's commands inside command(), and its queries inside query()", () => {
    assert.deepEqual(complete('command("en', queue, words), [['"enqueue"'], '"en']);
    assert.deepEqual(matches("command('"), ["'enqueue'", "'dequeue'"]);
    assert.deepEqual(matches('query("'), ['"length"']);
    assert.deepEqual(matches('await queryStale("l'), ['"length"']);
    assert.deepEqual(matches('query("en'), []);
  });

  test("completes the calls themselves", () => {
    assert.deepEqual(complete("que", queue, words), [["query(", "queryStale("], "que"]);
    assert.deepEqual(matches("const s = sta"), ["status("]);
    assert.equal(matches("").length, words.length);
  });
});
