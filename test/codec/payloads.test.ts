/** Membership, configuration, snapshot meta and hard state as JSON. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { utf8 } from "../../src/codec/bytes.js";
import * as payloads from "../../src/codec/payloads.js";
import { defaultGroupConfig } from "../../src/core/config.js";
import { RaftError } from "../../src/errors.js";
import { config, hardState, membership, snapshotMeta } from "./arbitraries.js";

function refused(decode: (bytes: Uint8Array) => unknown, content: unknown, why: RegExp): void {
  const bytes = content instanceof Uint8Array ? content : utf8(JSON.stringify(content));
  assert.throws(
    () => decode(bytes),
    (error: unknown) => {
      assert.ok(error instanceof RaftError && error.code === "protocolMismatch", String(error));
      assert.match(error.message, why);
      return true;
    },
  );
}

const goodMembership = { voters: ["a"], outgoing: [], learners: [], members: [["a", "x:1"]] };

describe("payloads", () => {
  test("each comes back as it was", () => {
    const run = <T>(
      arbitrary: fc.Arbitrary<T>,
      encode: (value: T) => Uint8Array,
      decode: (bytes: Uint8Array) => T,
    ): void =>
      fc.assert(fc.property(arbitrary, (given) => assert.deepEqual(decode(encode(given)), given)));
    run(membership, payloads.encodeMembership, payloads.decodeMembership);
    run(config, payloads.encodeConfig, payloads.decodeConfig);
    run(snapshotMeta, payloads.encodeSnapshotMeta, payloads.decodeSnapshotMeta);
    run(hardState, payloads.encodeHardState, payloads.decodeHardState);
  });

  test("who differs from another in the first letters only is another, at the same address too", () => {
    for (const id of ["foo-12345678", "bar-12345678"]) {
      const given = { ...goodMembership, members: [{ id, address: "x:1" }] };
      assert.deepEqual(payloads.decodeMembership(payloads.encodeMembership(given)), given);
    }
  });

  test("the same configuration gives the same bytes, whatever the order of its keys", () => {
    const turned = Object.fromEntries(Object.entries(defaultGroupConfig).reverse());
    assert.deepEqual(
      payloads.encodeConfig(turned as typeof defaultGroupConfig),
      payloads.encodeConfig(defaultGroupConfig),
    );
  });

  test("every setting of a group travels", () => {
    const decoded = payloads.decodeConfig(payloads.encodeConfig(defaultGroupConfig));
    assert.deepEqual(Object.keys(decoded).sort(), Object.keys(defaultGroupConfig).sort());
  });

  test("what nobody asked for does not come in", () => {
    const evil = { ...goodMembership, extra: 1, ["__proto__"]: { polluted: true } };
    const bytes = utf8(JSON.stringify(evil).replace("{", '{"__proto__":{"polluted":true},'));
    const decoded = payloads.decodeMembership(bytes);
    assert.deepEqual(Object.keys(decoded).sort(), ["learners", "members", "outgoing", "voters"]);
    assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
    assert.equal("polluted" in decoded, false);
  });

  test("a wrong shape is refused by the name of its field", () => {
    const { decodeMembership, decodeConfig, decodeHardState, decodeSnapshotMeta } = payloads;
    refused(decodeMembership, utf8("{"), /membership is not JSON/);
    refused(decodeMembership, new Uint8Array([0xff]), /membership is not UTF-8/);
    for (const odd of [null, 1, "x", [], true]) {
      refused(decodeMembership, odd, /membership is not an object/);
      refused(decodeHardState, odd, /hardState is not an object/);
    }
    const wrong = (fields: object): object => ({ ...goodMembership, ...fields });
    refused(decodeMembership, wrong({ voters: [1] }), /membership\.voters is not a string/);
    refused(decodeMembership, wrong({ outgoing: {} }), /membership\.outgoing is not a list/);
    refused(decodeMembership, wrong({ members: [["a"]] }), /members\.address is not a string/);
    refused(decodeMembership, wrong({ learners: [["a", 1, null]] }), /promote is not a boolean/);
    refused(decodeMembership, wrong({ learners: [["a", true]] }), /replaces is not a string/);
    refused(decodeMembership, wrong({ learners: ["a"] }), /membership\.learners is not a list/);
    refused(decodeConfig, { ...defaultGroupConfig, heartbeatMs: "5" }, /config\.heartbeatMs/);
    const endless = JSON.stringify({ ...defaultGroupConfig, heartbeatMs: 0 }).replace("0", "1e999");
    refused(decodeConfig, utf8(endless), /config\.heartbeatMs is not a finite number/);
    refused(decodeConfig, {}, /config\.heartbeatMs is not a finite number/);
    const state = { currentTerm: 1, votedFor: null, forcedRemovals: [] };
    refused(decodeHardState, { ...state, currentTerm: -1 }, /hardState\.currentTerm/);
    refused(decodeHardState, { ...state, currentTerm: 1.5 }, /hardState\.currentTerm/);
    refused(decodeHardState, { ...state, votedFor: 3 }, /hardState\.votedFor/);
    refused(decodeHardState, { currentTerm: 1, votedFor: null }, /forcedRemovals is not a list/);
    refused(decodeSnapshotMeta, { index: 1, term: 1, timeMs: 1 }, /snapshot\.membership/);
  });

  test("any bytes give a payload or a refusal", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.json({ maxDepth: 3 }).map(utf8),
      fc
        .array(fc.constantFrom("[", "{", '"', ":", "1", "]", "}"), { maxLength: 60 })
        .map((parts) => utf8(parts.join(""))),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        for (const decode of [
          payloads.decodeMembership,
          payloads.decodeConfig,
          payloads.decodeSnapshotMeta,
          payloads.decodeHardState,
        ]) {
          try {
            decode(given);
          } catch (error) {
            assert.ok(error instanceof RaftError && error.code === "protocolMismatch");
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a payload larger than any honest one is refused before it is parsed", () => {
    const deep = utf8(`${"[".repeat(600_000)}${"]".repeat(600_000)}`);
    refused(payloads.decodeMembership, deep, /membership has 1200000 bytes, at most 1048576/);
  });
});
