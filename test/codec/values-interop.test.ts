/**
 * The codec beside the whole of cbor-x in one process. Loading that turns on its native part, for the
 * codec as well, and nothing may change by it: another member may run without.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode as cborDecode, encode as cborEncode } from "cbor-x";
import fc from "fast-check";
import { createCborCodec } from "../../src/codec/values.js";
import { anyValue, plain } from "./any-value.js";

const codec = createCborCodec();

test("what comes back is the same with cbor-x's native part", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      assert.deepStrictEqual(codec.decode(codec.encode(value)), plain(value));
    }),
    { numRuns: 300 },
  );
  const text = "\ufeff" + "x".repeat(100);
  assert.deepEqual(codec.decode(codec.encode([text, text])), [text, text]);
});

test("cbor-x, asked as a stranger, reads what the codec writes and is read by it", () => {
  const value = { a: [1, -1, 1.5, "é", null, true], m: new Map([["k", { n: 5n }]]) };
  assert.deepStrictEqual(cborDecode(codec.encode(value)), value);
  assert.deepStrictEqual(codec.decode(Uint8Array.from(cborEncode(value))), value);
});

test("simple values have the bytes that cbor-x gives them", () => {
  const simple = [0, 1, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, null, undefined, true, false];
  for (const value of [...simple, 2 ** 32, -1, "", "a", "short word", "a".repeat(23)]) {
    assert.deepEqual(Buffer.from(codec.encode(value)), Buffer.from(cborEncode(value)));
    assert.deepStrictEqual(codec.decode(codec.encode(value)), value);
  }
});
