/** The map from the thesis to the code names functions and scenarios that exist. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = process.cwd();
const rows = readFileSync(join(root, "docs", "raft-map.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| section"))
  .map((line) => line.split("|").map((cell) => cell.trim()));

test("every function that docs/raft-map.md names is exported by the core", () => {
  const core = join(root, "src", "core");
  const sources = readdirSync(core).map((file) => readFileSync(join(core, file), "utf8"));
  const named = rows.flatMap((cells) =>
    [...cells[3]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!),
  );
  assert.ok(named.length > 40, `only ${named.length} functions`);
  const missing = named.filter(
    (name) => !sources.some((source) => source.includes(`export function ${name}(`)),
  );
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
