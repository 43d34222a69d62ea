import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Checksum, crc32 } from "../../src/codec/crc32.js";
import { patterned } from "../../src/contract/peer.js";
import { packFrames, type Payload } from "../../src/transport/pack.js";
import { SharedSums, sharedFromBytes } from "../../src/transport/shared-sums.js";

const large = [1, 2, 3].map((seed) => patterned(sharedFromBytes + seed, seed));
const heads = [patterned(40, 4), patterned(41, 5)];

/** Sums that tell how many large parts were read. */
function counting() {
  let reads = 0;
  const checksum: Checksum = (bytes, before) => {
    if (bytes.length >= sharedFromBytes) reads += 1;
    return crc32(bytes, before);
  };
  return { sums: new SharedSums(checksum), reads: () => reads };
}

function packed(checksum: Checksum, payloads: readonly Payload[]): Buffer {
  return Buffer.concat(packFrames(payloads, null, checksum));
}

test("parts that two peers are sent in one turn are summed once, and both frames are right", () => {
  const { sums, reads } = counting();
  const payloads = heads.map((head) => [head, ...large]);
  payloads.forEach(() => sums.expect());
  for (const payload of payloads) {
    const frame = sums.pack((checksum) => packed(checksum, [payload]));
    assert.deepEqual(frame, packed(crc32, [payload]));
  }
  assert.equal(reads(), large.length);
  assert.equal(sums.size, 0, "nothing is held on to after the turn");
});

test("who sends alone has nothing remembered", () => {
  const { sums, reads } = counting();
  for (let turn = 0; turn < 2; turn++) {
    sums.expect();
    sums.pack((checksum) => {
      packed(checksum, [[heads[0]!, ...large]]);
      assert.equal(sums.size, 0);
    });
  }
  assert.equal(reads(), 2 * large.length);
});

test("the next turn reads anew: the same buffer may hold something else", () => {
  const { sums } = counting();
  const part = large[0]!.slice();
  for (let turn = 0; turn < 2; turn++) {
    part[7] = turn;
    for (let peer = 0; peer < 2; peer++) sums.expect();
    for (let peer = 0; peer < 2; peer++) {
      const frame = sums.pack((checksum) => packed(checksum, [part]));
      assert.deepEqual(frame, packed(crc32, [part]));
    }
  }
});

test("parts of one buffer are told apart, whether or not they are as long as each other", () => {
  const { sums } = counting();
  const buffer = patterned(3 * sharedFromBytes);
  const parts = [0, 1, 2].map((at) =>
    buffer.subarray(at * sharedFromBytes).subarray(0, sharedFromBytes),
  );
  for (let peer = 0; peer < 2; peer++) sums.expect();
  for (let peer = 0; peer < 2; peer++) {
    const frames = sums.pack((checksum) => packed(checksum, [parts, [...parts].reverse()]));
    assert.deepEqual(frames, packed(crc32, [parts, [...parts].reverse()]));
  }
});

test("whatever each peer is sent, in whatever order, its frames are right", () => {
  const pool = [...large, ...heads, patterned(sharedFromBytes, 6), patterned(0)];
  const payload = fc.array(fc.nat(pool.length - 1), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(fc.array(payload, { maxLength: 3 }), { maxLength: 4 }), (peers) => {
      const { sums } = counting();
      const sent = peers.map((payloads) => payloads.map((parts) => parts.map((at) => pool[at]!)));
      sent.forEach(() => sums.expect());
      for (const payloads of sent) {
        const frames = sums.pack((checksum) => packed(checksum, payloads));
        assert.deepEqual(frames, packed(crc32, payloads));
      }
      assert.equal(sums.size, 0);
    }),
  );
});

test("more parts than are remembered are summed all the same, and a failure lets go as well", () => {
  const { sums } = counting();
  const many = Array.from({ length: 300 }, (_, seed) => patterned(sharedFromBytes, seed));
  for (let peer = 0; peer < 2; peer++) sums.expect();
  const frames = sums.pack((checksum) => packed(checksum, [many]));
  assert.deepEqual(frames, packed(crc32, [many]));
  assert.equal(sums.size, 256);
  assert.throws(() =>
    sums.pack(() => {
      throw new Error("of no consequence");
    }),
  );
  assert.equal(sums.size, 0);
});
