/** docs/hazards.md names each hazard once, and only tests and scenarios that exist. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = process.cwd();
const rows = readFileSync(join(root, "docs", "hazards.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));

test("docs/hazards.md has each of the 98 hazards once, each covered or said not to be", () => {
  const numbers = rows.map((cells) => Number(cells[1]));
  assert.deepEqual(
    numbers,
    Array.from({ length: 98 }, (_, at) => at + 1),
  );
  const bare = rows.filter((cells) => cells[3] === "" && cells[4] === "");
  assert.deepEqual(bare, []);
});

test("every scenario that docs/hazards.md names is there", () => {
  const named = rows.flatMap((cells) => cells[3]!.split(", ")).filter((name) => name !== "");
  assert.ok(named.length > 90, `only ${named.length} scenarios`);
  const missing = named.filter(
    (name) => !existsSync(join(root, "test", "scenarios", `${name}.txt`)),
  );
  assert.deepEqual(missing, []);
});

test("every test that docs/hazards.md names is there, in the file that it names", () => {
  const named = rows.flatMap((cells) => [...cells[4]!.matchAll(/(test\/\S+\.ts) "([^"]+)"/g)]);
  assert.ok(named.length > 40, `only ${named.length} tests`);
  const missing = named.filter(([, file, title]) => {
    const path = join(root, file!);
    return !existsSync(path) || !readFileSync(path, "utf8").includes(title!);
  });
  assert.deepEqual(
    missing.map(([text]) => text),
    [],
  );
});
