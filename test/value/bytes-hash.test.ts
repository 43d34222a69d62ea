/** A hash of bytes in pieces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addBytes, createBytesHash, hashOf } from "../../src/value/bytes-hash.js";

function hashed(...pieces: readonly Uint8Array[]): number {
  const state = createBytesHash();
  for (const piece of pieces) addBytes(state, piece);
  return hashOf(state);
}

test("however bytes are cut into pieces, their hash is the same", () => {
  const cuts = fc.array(fc.nat(40), { maxLength: 8 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), cuts, (bytes, at) => {
      const ends = [0, ...at.map((cut) => Math.min(cut, bytes.length)), bytes.length];
      ends.sort((a, b) => a - b);
      const pieces = ends.slice(1).map((end, i) => bytes.subarray(ends[i], end));
      assert.equal(hashed(...pieces), hashed(bytes));
    }),
  );
});

test("a byte more, less or changed makes another hash", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(39), (bytes, at) => {
      const hash = hashed(bytes);
      const changed = bytes.slice();
      changed[at % bytes.length]! ^= 1;
      assert.notEqual(hashed(changed), hash);
      assert.notEqual(hashed(bytes, Uint8Array.of(0)), hash);
      assert.notEqual(hashed(bytes.subarray(1)), hash);
    }),
  );
});
