/** A few minutes' worth of the search is `npm run explore`; here is what takes seconds. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { explore, type Report, type Setup } from "../../src/sim/explorer.js";
import { mistakes } from "../../src/sim/explorer-mistakes.js";
import { setupNames, setupOf } from "../../src/sim/explorer-setups.js";
import type { Bounds } from "../../src/sim/explorer-actions.js";

function search(setup: Setup, maxStates = Infinity): Report {
  return explore(setup, { maxStates, goOn: () => true });
}

function explain({ violation }: Report): string {
  return violation === null ? "" : [...violation.what, ...violation.trace].join("\n");
}

/** Smaller bounds than the named configurations have. */
const small: Readonly<Record<string, Partial<Bounds>>> = {
  "older terms": { terms: 4 },
  campaigns: { terms: 2 },
  elections: { messages: 1, crashes: 0 },
  removal: { terms: 2 },
  snapshot: { crashes: 0, snapshots: 1 },
  "late storage": { terms: 2, messages: 1 },
  reads: { terms: 2, crashes: 0 },
  replication: { terms: 2 },
  transfer: { messages: 1 },
};

describe("the explorer", () => {
  for (const [name, bounds] of Object.entries(small)) {
    test(`sees every state of ${name} within small bounds, and nothing wrong`, () => {
      const report = search(setupOf(name, null, bounds));
      assert.equal(explain(report), "");
      assert.ok(report.finished);
      assert.ok(report.states > 100, `only ${report.states} states`);
      assert.ok(report.transitions > report.states);
    });
  }

  for (const { name, hazard, setup, bounds, tamper } of mistakes) {
    test(`finds a member that ${name} (hazard ${hazard}), by a shortest way`, () => {
      const report = search(setupOf(setup, tamper, bounds), 50_000);
      assert.ok(report.violation !== null, `not found among ${report.states} states`);
      const actions = report.violation.trace.filter((line) => !line.startsWith(" "));
      assert.equal(actions.length, report.depth);
      // It is the mistake that is found, and nothing that would be there without it.
      const honest = search(setupOf(setup, {}, bounds), report.states);
      assert.equal(explain(honest), "");
    });
  }

  test("takes states that differ by the names of members alone for one", () => {
    const setup = setupOf("replication", null, { terms: 2, commands: 1 });
    const named = search({ ...setup, alike: [] });
    const unnamed = search(setup);
    assert.ok(named.finished && unnamed.finished);
    // From a start with a leader, two followers are each other's equals.
    assert.ok(unnamed.states < named.states * 0.6, `${unnamed.states} of ${named.states}`);
  });

  test("goes the same way twice", () => {
    const once = search(setupOf("removal", null, { terms: 2 }));
    assert.deepEqual(search(setupOf("removal", null, { terms: 2 })), once);
  });

  test("says that it has not finished when it was stopped", () => {
    const report = search(setupOf("replication"), 50);
    assert.equal(report.finished, false);
    assert.equal(report.violation, null);
  });

  test("refuses a name that it does not know", () => {
    assert.ok(setupNames.length > 8);
    assert.throws(() => setupOf("weather"), /no configuration "weather"/);
  });
});
