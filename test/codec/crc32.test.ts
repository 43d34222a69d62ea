/** Our CRC-32 is zlib's, in plain JavaScript. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as zlib from "node:zlib";
import fc from "fast-check";
import { utf8 } from "../../src/codec/bytes.js";
import { crc32, makeCrc32Combine } from "../../src/codec/crc32.js";
import { platformChecksum } from "../../src/transport/checksum.js";
import { patterned } from "../../src/contract/peer.js";

/** Bit by bit, straight from the definition, for platforms whose zlib has no crc32. */
function reference(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = (c & 1) === 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

describe("CRC-32", () => {
  test("the check value of the standard", () => {
    assert.equal(crc32(utf8("123456789")), 0xcbf43926);
    assert.equal(crc32(new Uint8Array(0)), 0);
  });

  test("every length around the step of four, at every alignment", () => {
    const bytes = patterned(200);
    for (let from = 0; from < 8; from++) {
      for (let to = from; to < from + 40; to++) {
        const part = bytes.subarray(from, to);
        assert.equal(crc32(part), reference(part), `${from} to ${to}`);
      }
    }
  });

  test("any bytes, whole or in parts", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, at) => {
        const whole = crc32(bytes);
        assert.equal(whole, reference(bytes));
        const cut = at % (bytes.length + 1);
        assert.equal(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), whole);
      }),
    );
  });

  test("two checksums combined are that of the bytes one behind the other", () => {
    const combine = makeCrc32Combine();
    const lengths = [0, 1, 2, 3, 63, 64, 65, 4096, 70_000, 1_048_577];
    for (const first of [0, 1, 5000]) {
      for (const second of lengths) {
        const bytes = patterned(first + second, second);
        const sums = [bytes.subarray(0, first), bytes.subarray(first)].map((part) => crc32(part));
        const combined = combine(sums[0]!, sums[1]!, second);
        assert.equal(combined, crc32(bytes), `${first} and ${second} bytes`);
      }
    }
  });

  test("the platform's, where it has one, is the same, on both sides of the change-over", (t) => {
    const checksum = platformChecksum();
    for (const size of [0, 1, 100, 159, 160, 161, 5000, 100_000]) {
      const bytes = patterned(size, size);
      assert.equal(checksum(bytes), crc32(bytes), `${size} bytes`);
      assert.equal(checksum(bytes, 77), crc32(bytes, 77), `${size} bytes, going on`);
    }
    if (!("crc32" in zlib)) t.diagnostic("this platform's zlib has no crc32");
  });
});
