/** The explorer finishes a small search of the real core, and finds each deliberate mistake. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { explore } from "../../src/sim/explorer.js";
import { mistakes } from "../../src/sim/explorer-mistakes.js";
import { setupOf } from "../../src/sim/explorer-setups.js";

const limits = { maxStates: 300_000, goOn: () => true };

describe("the explorer", () => {
  test("looks at every state of a small search and finds nothing wrong", () => {
    const report = explore(setupOf("older terms"), limits);
    assert.equal(report.violation, null);
    assert.ok(report.finished);
    assert.ok(report.states > 10_000, `only ${report.states} states`);
  });

  for (const { name, setup, bounds, tamper } of mistakes) {
    test(`finds a core that ${name}`, () => {
      const report = explore(setupOf(setup, tamper, bounds), limits);
      assert.ok(report.violation, `${report.states} states, nothing found`);
      assert.ok(report.violation.trace.length > 0);
    });
  }
});
