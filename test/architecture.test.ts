/**
 * The house as ARCHITECTURE.md draws it, read from the sources: directions, bans, sizes. Every rule is also
 * shown a sample that breaks it, so that a rule which has gone blind fails as well.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { checkModuleState, checkPurity, checkStyle, findTooLong } from "./architecture/code.js";
import { checkImports, findCycles, rooms } from "./architecture/imports.js";
import { readSource, type SourceFacts, sourcePaths } from "./architecture/source.js";

/**
 * What may be longer than the limits, how long at most, and why. Only ever shortened: an entry that is
 * not needed any more, or allows more than there is, fails.
 */
const tooLongButAccepted: Readonly<Record<string, { lines: number; reason: string }>> = {};

/** State of a module that cannot be seen from outside of one call, by its finding. */
const acceptedState: Readonly<Record<string, string>> = {
  "src/codec/interned.ts: texts is a collection of the module that can only be there to change":
    "which of two equal strings somebody gets cannot be seen",
  "src/codec/interned.ts: infos is a collection of the module that can only be there to change":
    "which of two equal objects, both never written to, somebody gets cannot be seen",
  "src/storage/file/segment-reader.ts: zeros is a collection of the module that can only be there to change":
    "compared with and never written: a page of zeros",
};

function readSources(...folders: readonly string[]): readonly SourceFacts[] {
  return sourcePaths(...folders).map((path) => readSource(path, readFileSync(path, "utf8")));
}

function none(findings: readonly string[]): void {
  assert.equal(findings.join("\n"), "");
}

describe("the house", () => {
  const src = readSources("src");
  const all = [...src, ...readSources("test", "bench", "examples")];

  test("has the rooms that the table of directions knows, and code in them", () => {
    const found = new Set(src.map(({ path }) => path.split("/")[1]!.replace(/\.ts$/, "")));
    none([...found].filter((room) => rooms[room] === undefined));
    none(Object.keys(rooms).filter((room) => !found.has(room)));
  });

  test("imports in one direction, Node's modules and packages only where they belong", () => {
    none(src.flatMap(checkImports));
  });

  test("has no cycle of imports that run code", () => {
    none(findCycles(src));
  });

  test("keeps clock, chance and promises out of the pure rooms", () => {
    none(src.flatMap(checkPurity));
  });

  test("has no state that all users of a module would share", () => {
    const findings = src.flatMap(checkModuleState);
    const known = (finding: string): boolean =>
      Object.hasOwn(acceptedState, finding.replace(/:\d+:/, ":"));
    none(findings.filter((finding) => !known(finding)));
    const seen = findings.map((finding) => finding.replace(/:\d+:/, ":"));
    none(Object.keys(acceptedState).filter((accepted) => !seen.includes(accepted)));
  });

  test("has no enum, namespace, decorator, default export or inheritance, and kebab-case names", () => {
    none(all.flatMap(checkStyle));
  });

  test("has short functions and files, but for named exceptions that only shrink", () => {
    const found = all.flatMap(findTooLong);
    none(
      found
        .filter(({ name, lines }) => lines > (tooLongButAccepted[name]?.lines ?? 0))
        .map(({ name, lines, limit }) => `${name}: ${lines} lines, ${limit} are the limit`),
    );
    none(
      Object.entries(tooLongButAccepted)
        .filter(([name, { lines }]) => found.find((one) => one.name === name)?.lines !== lines)
        .map(([name]) => `${name}: is shorter than its exception says; lower or remove that`),
    );
  });
});

describe("the rules can fail:", () => {
  const check = (rule: (facts: SourceFacts) => readonly string[], path: string, text: string) =>
    rule(readSource(path, text)).join("\n");

  test("an import upwards, and a type import where code of that room may not run", () => {
    const upward = `import { a } from "../member/member.js";`;
    assert.match(check(checkImports, "src/core/a.ts", upward), /core must not import from member/);
    const ports = `import { a } from "../ports.js";`;
    assert.match(check(checkImports, "src/value/a.ts", ports), /types only/);
    assert.equal(check(checkImports, "src/value/a.ts", ports.replace("{ a", "type { a")), "");
    assert.equal(check(checkImports, "src/value/a.ts", ports.replace("{ a", "{ type a")), "");
    const adapter = `export { a } from "../host/host.js";`;
    assert.match(check(checkImports, "src/storage/a.ts", adapter), /must not import from host/);
    const lazy = `const a = await import("../cli/main.js");`;
    assert.match(check(checkImports, "src/host/a.ts", lazy), /must not import from cli/);
    const type = `let a: import("../sim/world.js").World;`;
    assert.match(check(checkImports, "src/member/a.ts", type), /must not import from sim/);
    assert.match(check(checkImports, "src/attic/a.ts", ""), /does not know/);
  });

  test("Node's modules and packages in other places than theirs", () => {
    const node = `import { readFileSync } from "node:fs";`;
    assert.match(check(checkImports, "src/host/a.ts", node), /node:fs may not be used here/);
    assert.match(check(checkImports, "src/storage/memory.ts", node), /node:fs/);
    assert.equal(check(checkImports, "src/storage/file/wal.ts", node), "");
    assert.match(
      check(checkImports, "src/codec/a.ts", `import x from "lodash";`),
      /package lodash/,
    );
    assert.match(check(checkImports, "src/host/a.ts", `import "cbor-x";`), /package cbor-x/);
  });

  test("a cycle over three files, but not one of types", () => {
    const cycle = (word: string) => [
      readSource("src/core/a.ts", `import { b } from "./b.js";`),
      readSource("src/core/b.ts", `export * from "./c.js";`),
      readSource("src/core/c.ts", `import ${word} { a } from "./a.js";`),
    ];
    assert.match(findCycles(cycle("")).join(), /a\.ts -> src\/core\/b\.ts -> src\/core\/c\.ts ->/);
    assert.deepEqual(findCycles(cycle("type")), []);
  });

  test("clock, chance and promises in a pure room", () => {
    const impure = [
      ["const a = Date.now();", /Date/],
      ["const a = new Date();", /Date/],
      ["const a = Math.random();", /Math\.random/],
      ["export async function f() { return 1; }", /async/],
      ["const f = async () => 1;", /async/],
      ["const a = performance.now();", /performance/],
      ["const a = structuredClone({});", /structuredClone/],
      ["const a = Promise.resolve();", /Promise/],
      ["setTimeout(() => 1, 1);", /setTimeout/],
    ] as const;
    for (const [text, finding] of impure) {
      for (const path of ["src/core/a.ts", "src/value/b.ts", "src/replica.ts"]) {
        assert.match(check(checkPurity, path, text), finding);
      }
      assert.equal(check(checkPurity, "src/clock/system.ts", text), "");
    }
    const free = `const a = { performance: 1 }; type B = { Date: string }; a.performance;`;
    assert.equal(check(checkPurity, "src/core/a.ts", free), "");
  });

  test("state of a module", () => {
    const state = [
      ["let count = 0;", /count is a variable/],
      ["export var count = 0;", /count is a variable/],
      ["const cache = new Map();", /cache is a collection/],
      ["const seen: string[] = [];", /seen is a collection/],
      ["const scratch = new Uint8Array(8);", /scratch is a collection/],
      ["export const table = { a: 1 };", /table is exported/],
      ["export const table: Record<string, number> = { a: 1 };", /table is exported/],
      ["export const list: string[] = ['a'];", /list is exported/],
      ["class A { static count = 0; }", /count is static/],
      ["class A { static readonly all = new Set(); }", /all is static/],
    ] as const;
    for (const [text, finding] of state) {
      assert.match(check(checkModuleState, "src/host/a.ts", text), finding);
    }
    const constant = [
      "export const table = Object.freeze({ a: 1 });",
      "export const list = ['a'] as const;",
      "export const list: readonly string[] = ['a'];",
      "export const none = new Uint8Array(0);",
      "const known: ReadonlySet<string> = new Set(['a']);",
      "function f() { let count = 0; return count; }",
    ];
    for (const text of constant) assert.equal(check(checkModuleState, "src/host/a.ts", text), "");
  });

  test("files and functions that are too long", () => {
    const lines = (count: number) => "  f();\n".repeat(count);
    const long = (text: string) =>
      findTooLong(readSource("src/core/a.ts", text)).map(({ name, lines }) => `${name} ${lines}`);
    assert.deepEqual(long(`function f() {\n${lines(68)}}\n`), []);
    assert.deepEqual(long(`function f() {\n${lines(69)}}\n`), ["src/core/a.ts: f 71"]);
    assert.deepEqual(long(`const g = () => {\n${lines(69)}};\n`), ["src/core/a.ts: g 71"]);
    assert.deepEqual(long(`class A {\n  m() {\n${lines(69)}}\n}\n`), ["src/core/a.ts: m 71"]);
    assert.deepEqual(long(`describe("x", () => {\n${lines(69)}});\n`), []);
    const suite = `function suite() {\n  test("y", () => 1);\n${lines(68)}}\n`;
    assert.deepEqual(long(suite), []);
    assert.deepEqual(long(`test("x", () => {\n${lines(69)}});\n`), ['src/core/a.ts: test("x") 71']);
    assert.deepEqual(long(lines(400)), []);
    assert.deepEqual(long(lines(401)), ["src/core/a.ts 401"]);
  });

  test("what the style leaves out", () => {
    const bad = [
      ["src/core/A.ts", "", /kebab-case/],
      ["src/core/a_b.ts", "", /kebab-case/],
      ["src/core/a.ts", "export default function f() {}", /default export/],
      ["src/core/a.ts", "export default 1;", /default export/],
      ["src/core/a.ts", "enum A { B }", /enum/],
      ["src/core/a.ts", "namespace A {}", /namespace/],
      ["src/core/a.ts", "@d class A {}", /decorator/],
      ["src/core/a.ts", "class A extends B {}", /inheritance/],
    ] as const;
    for (const [path, text, finding] of bad) assert.match(check(checkStyle, path, text), finding);
    const good = "class A extends Error {} interface B extends C {} class D implements B {}";
    assert.equal(check(checkStyle, "src/core/a-b.ts", good), "");
    assert.equal(check(checkStyle, "src/core/a.ts", "switch (1) { default: f(); }"), "");
  });
});
