/** Which hashes of its outcomes a member tells another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleHashes } from "../../src/value/hash-comparison.js";
import { addOutcome, createReplyHashes } from "../../src/value/reply-hashes.js";

test("samples are few, begin where they are asked for and always end with the newest", () => {
  const hashes = createReplyHashes(0, 0);
  for (let index = 1; index <= 1000; index += 1) addOutcome(hashes, index, null);
  for (let to = 1; to <= 1000; to += 1) {
    const { indices } = sampleHashes(hashes, 1, 1, to)!;
    assert.deepEqual([indices[0], indices.at(-1)], [1, to]);
    assert.ok(indices.length <= 64, `${indices.length} up to ${to}`);
  }
});
