import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { evaluate, isOpen, type Scope } from "../../src/cli/evaluate.js";

const valueOf = async (code: string, scope: Scope = {}): Promise<unknown> => {
  const result = await evaluate(code, scope);
  assert.equal(result.type, "value", `${code}: ${JSON.stringify(result)}`);
  return (result as { value: unknown }).value;
};

describe("a line at the prompt", () => {
  test("is an expression whose promise is awaited", async () => {
    const scope = { command: (name: string, arg: unknown) => Promise.resolve([name, arg]) };
    assert.deepEqual(await valueOf('command("enqueue", "a")', scope), ["enqueue", "a"]);
    assert.deepEqual(await valueOf('await command("enqueue", "b");', scope), ["enqueue", "b"]);
    assert.equal(await valueOf("1 + 1 // two"), 2);
  });

  test("makes plain objects of this realm, so that the library knows options when it sees them", async () => {
    const made = await valueOf("{ timeoutMs: 5 }");
    assert.equal(Object.getPrototypeOf(made), Object.prototype);
    assert.deepEqual(made, { timeoutMs: 5 });
  });

  test("keeps what it declares for the lines to come", async () => {
    const scope: Scope = { command: () => Promise.resolve("item") };
    assert.deepEqual(await evaluate("const item = await command()", scope), { type: "nothing" });
    assert.equal(await valueOf("item.length", scope), 4);
    assert.deepEqual(await evaluate("let item = { a: 1 };", scope), { type: "nothing" });
    assert.deepEqual(await valueOf("item", scope), { a: 1 });
  });

  test("may be a statement", async () => {
    const seen: number[] = [];
    const scope: Scope = { take: (n: number) => Promise.resolve(seen.push(n)) };
    const loop = await evaluate("for (const n of [1, 2]) await take(n);", scope);
    assert.deepEqual(loop, { type: "nothing" });
    assert.deepEqual(seen, [1, 2]);
  });

  test("goes on in the next line while a bracket or template is open", async () => {
    assert.deepEqual(await evaluate('command("enqueue",', {}), { type: "incomplete" });
    assert.ok(isOpen("[1, (2)"));
    assert.ok(isOpen("`a\n"));
    assert.ok(!isOpen('")"'));
    assert.ok(!isOpen("'(' + \"[\" + `{` // ("));
    assert.ok(!isOpen("'\\'(' "));
    assert.ok(!isOpen("a)"));
    assert.ok(isOpen("1 + // one\n(2"), "a comment ends with its line");
    assert.ok(!isOpen("['a\n]"), "and so does a string that nobody closes");
  });

  test("gives what it throws as a result, be it by rejection or by syntax", async () => {
    const failing = { command: () => Promise.reject(new Error("no leader")) };
    const rejected = await evaluate("command()", failing);
    assert.ok(rejected.type === "thrown" && (rejected.error as Error).message === "no leader");
    for (const code of ["a b", "command(", ")", "'open", "nobody()", "const a = nobody()"]) {
      const { type } = await evaluate(code, {});
      assert.equal(type, code === "command(" ? "incomplete" : "thrown", code);
    }
  });

  test("may be empty", async () => {
    for (const code of ["", "  ", ";"]) {
      assert.deepEqual(await evaluate(code, {}), { type: "nothing" });
    }
  });
});
