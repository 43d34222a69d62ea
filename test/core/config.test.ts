/** What a group's configuration may be, and what a refusal says. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { defaultGroupConfig, validateGroupConfig } from "../../src/core/index.js";
import type { GroupConfig } from "../../src/core/types.js";
import { RaftError } from "../../src/errors.js";

const fields = Object.keys(defaultGroupConfig) as (keyof GroupConfig)[];

function refusal(change: unknown, base?: GroupConfig): RaftError {
  try {
    validateGroupConfig(change as Partial<GroupConfig>, base);
  } catch (error) {
    assert.ok(error instanceof RaftError);
    assert.equal(error.code, "invalidConfig");
    return error;
  }
  return assert.fail(`${JSON.stringify(change)} was taken`);
}

describe("a group's configuration", () => {
  test("is as given, or refused by the name of a field, whatever the number", () => {
    const number = fc.oneof(fc.integer(), fc.nat(5000), fc.double(), fc.constant(NaN));
    fc.assert(
      fc.property(fc.constantFrom(...fields), number, (field, value) => {
        let config: GroupConfig;
        try {
          config = validateGroupConfig({ [field]: value });
        } catch (error) {
          assert.ok(error instanceof RaftError, String(error));
          assert.match(error.message, /^config\.\w+: /);
          return;
        }
        assert.equal(config[field], value);
        assert.deepEqual(Object.keys(config), fields);
        assert.ok(Object.isFrozen(config));
        // What was taken once is taken again, and changes nothing.
        assert.deepEqual(validateGroupConfig({}, config), config);
        assert.deepEqual(validateGroupConfig(config), config);
      }),
    );
  });

  test("keeps what a change does not name", () => {
    const base = validateGroupConfig({ heartbeatMs: 50, maxSessions: 7 });
    const changed = validateGroupConfig({ maxSessions: 8 }, base);
    assert.deepEqual(changed, { ...base, maxSessions: 8 });
    assert.deepEqual(validateGroupConfig({ heartbeatMs: undefined }, base), base);
  });

  test("keeps lease reads off when only the election timeout changes", () => {
    const off = validateGroupConfig({ electionTimeoutMs: 3000 });
    assert.equal(off.clockDriftMarginMs, 3000);
    const on = validateGroupConfig({ clockDriftMarginMs: 200 });
    assert.equal(validateGroupConfig({ electionTimeoutMs: 3000 }, on).clockDriftMarginMs, 200);
  });

  test("says which field is wrong and what would be right", () => {
    assert.match(
      refusal({ heartbeat: 5 }).message,
      /config\.heartbeat: no such setting; known are/,
    );
    assert.match(
      refusal({ heartbeatMs: 1 }).message,
      /config\.heartbeatMs: 1 is out of range; from/,
    );
    assert.match(refusal({ heartbeatMs: 10.5 }).message, /heartbeatMs: expected a whole number/);
    assert.match(refusal({ heartbeatMs: "50" }).message, /expected a whole number, not "50"$/);
    assert.match(
      refusal({ heartbeatMs: 1000 }).message,
      /must be below electionTimeoutMs \(1000\)/,
    );
    assert.match(refusal({ clockDriftMarginMs: 1001 }).message, /clockDriftMarginMs: 1001/);
    assert.match(refusal({ maxInflightBytes: 2048 }).message, /at least maxAppendBytes/);
    assert.match(refusal({ maxSnapshotLogBytes: 2048 }).message, /minSnapshotLogBytes/);
    assert.match(refusal([]).message, /expected an object/);
    assert.match(refusal(null).message, /expected an object/);
    // Not a field that every object has.
    assert.match(refusal({ toString: 1 }).message, /config\.toString: no such setting/);
  });
});
