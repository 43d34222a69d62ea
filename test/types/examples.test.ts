/** Whoever copies an example is to find that it compiles, today as well. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import {
  createExampleCheck,
  examplesOfDocument,
  examplesOfSource,
  readExamples,
} from "./examples.js";

const examples = readExamples();
const checkExamples = createExampleCheck();

describe("the examples of docstrings and documents", () => {
  let findings = new Map<string, string[]>();
  before(() => {
    findings = checkExamples(examples);
  });

  test("are found in both", () => {
    assert.ok(examples.some(({ place }) => place.startsWith("README.md:")));
    assert.ok(examples.some(({ place }) => place.startsWith("src/value/define.ts:")));
  });

  for (const { place } of examples) {
    test(`${place} compiles`, () => {
      assert.equal((findings.get(place) ?? []).join("\n"), "");
    });
  }
});

describe("the check of examples", () => {
  const source = (...lines: string[]): string =>
    ["/**", " * ```ts", ...lines.map((line) => ` * ${line}`), " * ```", " */"].join("\n");
  const said = (text: string): string[] =>
    [...checkExamples(examplesOfSource("x.ts", text)).values()].flat();

  test("takes what is right, with what the context gives", () => {
    const text = source(
      'const n: number = await group.command("enqueue", "a");',
      "console.log(n);",
    );
    assert.deepEqual(said(text), []);
  });

  test("names the line of what is wrong", () => {
    const [wrong, ...more] = said(source("", 'await group.command("enqueue", 1);'));
    assert.match(wrong!, /^line 2: .*not assignable to parameter of type 'string'/);
    assert.deepEqual(more, []);
    assert.match(
      said(source("group.enqueue();"))[0]!,
      /^line 1: Property 'enqueue' does not exist/,
    );
    assert.match(said(source("nobodyKnows();"))[0]!, /Cannot find name 'nobodyKnows'/);
  });

  test("checks JavaScript as JavaScript", () => {
    const document =
      "# T\n\n```js\nconst a = []; a.push(1);\n```\n\n```js\nstartHost({ id: 1 });\n```\n";
    const findings = checkExamples(examplesOfDocument("y.md", document));
    assert.deepEqual([...findings.keys()], ["y.md:7"]);
  });
});
