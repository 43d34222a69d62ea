/**
 * Runs test/scenarios/*.txt: each proves the sentence that it opens with. `REWRITE=1` writes what
 * the commands print now; the diff is then the review.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { rewriteScenario } from "./scenario/run.js";

const folder = join(process.cwd(), "test", "scenarios");
const rewrite = process.env["REWRITE"] === "1";

describe("scenarios", () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".txt"))) {
    test(name.slice(0, -".txt".length).replaceAll("-", " "), () => {
      const path = join(folder, name);
      const text = readFileSync(path, "utf8");
      assert.match(
        text,
        /^(# .*\n)*# .*\.\n\n/,
        "a scenario opens with the sentence that it proves",
      );
      const now = rewriteScenario(text);
      if (rewrite) writeFileSync(path, now);
      else assert.equal(now, text);
    });
  }

  test("there are at least forty of them", () => {
    const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));
    assert.ok(files.length >= 40, `only ${files.length}`);
  });

  test("an output that changed is noticed", () => {
    const text = "# Two voters.\n\nmembers a b\n----\nnothing like this";
    assert.notEqual(rewriteScenario(text), `${text}\n`);
  });
});
