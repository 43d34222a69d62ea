import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadValue } from "../../src/cli/load-value.js";
import { counter } from "../../src/cli/values.js";
import { RaftError } from "../../src/errors.js";

const folder = mkdtempSync(join(tmpdir(), "load-value-"));
const library = new URL("../../src/value/define.js", import.meta.url).href;

/** Writes a module that has `value(name)` at hand. */
function module(file: string, code: string): string {
  const path = join(folder, file);
  const value = `const value = (name) => defineValue({ name, version: 1, initial: () => 0,
    commands: { inc: (n) => ({ reply: n, value: n + 1 }) }, queries: {} });`;
  writeFileSync(
    path,
    `import { defineValue } from ${JSON.stringify(library)};\n${value}\n${code}\n`,
  );
  return path;
}

async function refused(path: string, pattern: RegExp): Promise<void> {
  await assert.rejects(
    () => loadValue(path),
    (error) =>
      error instanceof RaftError && error.code === "invalidValue" && pattern.test(error.message),
  );
}

describe("--value", () => {
  after(() => rmSync(folder, { recursive: true }));

  test("takes a built-in name before it looks for a file", async () => {
    assert.equal(await loadValue("counter"), counter);
  });

  test("takes the default export, or the only export that is a value", async () => {
    const main = module(
      "default.mjs",
      `export default value("main"); export const b = value("b");`,
    );
    assert.equal((await loadValue(main)).name, "main");
    const only = module("only.mjs", `export const limit = 3; export const cart = value("cart");`);
    assert.equal((await loadValue(only)).name, "cart");
    const twice = module("twice.mjs", `const a = value("a"); export { a, a as same };`);
    assert.equal((await loadValue(twice)).name, "a");
  });

  test("refuses several values without a default one, and names them", async () => {
    const two = module("two.mjs", `export const a = value("a"); export const b = value("b");`);
    await refused(two, /exports several values \(a, b\); make one the default export/);
  });

  test("refuses a module without a value, and says what it found", async () => {
    const none = module("none.mjs", `export const size = 3; export default { name: "x" };`);
    await refused(
      none,
      /exports no value made by defineValue; found: default \(object\), size \(number\)/,
    );
    await refused(module("empty.mjs", ""), /found: no exports/);
  });

  test("refuses a module that does not load, with the reason and the file", async () => {
    await refused(
      module("throws.mjs", `throw new Error("boom");`),
      /throws\.mjs: does not load: Error: boom/,
    );
    await refused(module("syntax.mjs", "export const = 1;"), /does not load: SyntaxError/);
    await refused(module("lost.mjs", `import "./nowhere.mjs";`), /does not load: .*nowhere/);
    // What no version of Node takes out of TypeScript by itself, as newer ones do with mere types.
    await refused(
      module("typed.ts", "export enum A { b = c }"),
      /compile TypeScript to JavaScript/,
    );
    const invalid = module("invalid.mjs", `export const a = value("no good name");`);
    await refused(invalid, /does not load: the value's name must be/);
  });

  test("refuses what is no file", async () => {
    await refused(
      join(folder, "nothing.mjs"),
      /no such file, nor a built-in value.*queue, counter, kv/,
    );
    await refused(folder, /is not a file/);
  });
});
