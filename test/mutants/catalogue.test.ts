/** The catalogue of deliberate bugs must not rot while the code changes under it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setupNames } from "../../src/sim/explorer-setups.js";
import { parseOptions } from "../../src/sim/main-options.js";
import { catalogue } from "./catalogue.js";
import { findProblem, mutate } from "./mutate.js";
import type { Catcher, Mutant } from "./types.js";

/** Rooms that hold what can go wrong between members, disks and callers, and on the way. */
const rooms =
  /^src\/(core|value|member|host|client|transport|codec|storage\/file)\/|^src\/(replica|integer-map)\.ts$/;
const hazardRows = 98;

function missing(catcher: Catcher): string | null {
  switch (catcher.type) {
    case "scenario": {
      const file = `test/scenarios/${catcher.name}.txt`;
      return existsSync(file) ? null : `there is no ${file}`;
    }
    case "test":
      return existsSync(`${catcher.file}.ts`) ? null : `there is no ${catcher.file}.ts`;
    case "explorer":
      return setupNames.includes(catcher.name) ? null : `no configuration "${catcher.name}"`;
    case "simulator": {
      const parsed = parseOptions([...catcher.args]);
      return typeof parsed === "string" ? parsed : null;
    }
    default:
      return catcher satisfies never;
  }
}

function problemsOf(mutant: Mutant): string[] {
  const { id, file, hazards, catchers } = mutant;
  if (!existsSync(file)) return [`${id}: there is no ${file}`];
  const problems = [findProblem(mutant, readFileSync(file, "utf8")), ...catchers.map(missing)];
  if (catchers.length === 0) problems.push("nobody is asked to catch it");
  if (!rooms.test(file)) problems.push(`${file} is in no room that the catalogue is about`);
  if (!/^[a-z]+(-[a-z]+)*$/.test(id)) problems.push("the id is not kebab case");
  if (hazards.some((row) => !(row >= 1 && row <= hazardRows))) problems.push("no such hazard");
  return problems.filter((problem) => problem !== null).map((problem) => `${id}: ${problem}`);
}

describe("the catalogue of deliberate bugs", () => {
  test("fits the sources: each is found exactly once, and its catchers exist", () => {
    assert.equal(catalogue.flatMap(problemsOf).join("\n"), "");
  });

  test("has at least forty, each with an id and a change of its own", () => {
    assert.ok(catalogue.length >= 40, `only ${catalogue.length}`);
    assert.equal(new Set(catalogue.map(({ id }) => id)).size, catalogue.length);
    const changes = catalogue.map(({ file, find, replace }) => `${file}\n${find}\n${replace}`);
    assert.equal(new Set(changes).size, catalogue.length);
  });

  test("would notice what does not fit", () => {
    const [first] = catalogue;
    const strange = { ...first!, find: "no such text in any file" };
    assert.match(problemsOf(strange).join(), /is not in/);
    assert.match(problemsOf({ ...first!, find: "e" }).join(), /more than once/);
    assert.match(problemsOf({ ...first!, replace: first!.find }).join(), /changes nothing/);
    const scenario = { type: "scenario", name: "no-such-scenario" } as const;
    assert.match(problemsOf({ ...first!, catchers: [scenario] }).join(), /there is no/);
    const simulator = { type: "simulator", args: ["--no-such-option", "1"] } as const;
    assert.match(problemsOf({ ...first!, catchers: [simulator] }).join(), /no such option/);
  });

  test("changes just that place, dollar signs included", () => {
    const mutant = { ...catalogue[0]!, find: "b()", replace: "$& $1" };
    assert.equal(mutate(mutant, "a();\nb();\nc();\n"), "a();\n$& $1;\nc();\n");
  });
});
