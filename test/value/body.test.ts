/** What a hostile client may write in the place of a command. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCommandBody } from "../../src/value/body.js";

const name = [1, "a".charCodeAt(0)];

test("a body with a flag that nobody knows is none", () => {
  assert.deepEqual(decodeCommandBody(Uint8Array.of(0, ...name)), {
    name: "a",
    argAt: null,
    id: null,
  });
  assert.equal(decodeCommandBody(Uint8Array.of(4, ...name)), null);
});

test("an id is kept, so its bytes are bounded by what 256 characters may take", () => {
  const withId = (size: number) => {
    const id = new Array<number>(size).fill("x".charCodeAt(0));
    return decodeCommandBody(Uint8Array.of(2, ...name, size >> 8, size & 0xff, ...id));
  };
  assert.equal(withId(768)?.id?.length, 768);
  assert.deepEqual([withId(0), withId(769)], [null, null]);
});
