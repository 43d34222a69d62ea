/** The map from the thesis to the code names functions and scenarios that exist. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = process.cwd();
const rows = readFileSync(join(root, "docs", "raft-map.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| section"))
  .map((line) => line.split("|").map((cell) => cell.trim()));

test("every function that docs/raft-map.md names is exported by the file that it names", () => {
  const named = rows.flatMap((cells) =>
    [...cells[3]!.matchAll(/((?:`\w+` ?)+)\(([\w-]+\.ts)\)/g)].flatMap(([, names, file]) =>
      [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => ({ name: name!, file: file! })),
    ),
  );
  assert.ok(named.length > 40, `only ${named.length} functions`);
  const all = rows.flatMap((cells) => [...cells[3]!.matchAll(/`(\w+)`/g)]);
  assert.equal(named.length, all.length, "a function without a file");
  const missing = named.filter(({ name, file }) => {
    const path = join(root, "src", "core", file);
    if (!existsSync(path)) return true;
    return !readFileSync(path, "utf8").includes(`export function ${name}(`);
  });
  assert.deepEqual(missing, []);
});

test("every scenario that docs/raft-map.md names is there", () => {
  const named = rows.flatMap((cells) => cells[4]!.split(", "));
  assert.ok(named.length > 40, `only ${named.length} scenarios`);
  const missing = named.filter(
    (name) => !existsSync(join(root, "test", "scenarios", `${name}.txt`)),
  );
  assert.deepEqual(missing, []);
});
