import assert from "node:assert/strict";
import type { ArrivingBytes } from "../../src/ports.js";

/** All slices of a decoding, one after the other, and how often it paused. */
export function readSlices<T>(slices: Iterator<undefined, T>): {
  readonly value: T;
  readonly pauses: number;
} {
  for (let pauses = 0; ; pauses++) {
    const slice = slices.next();
    if (slice.done === true) return { value: slice.value, pauses };
  }
}

/**
 * As `readSlices`, of bytes that come in so many at a time: each step only when as many as it waits for are there, and
 * what is not there yet looks like something else.
 */
export function readArriving<T>(
  bytes: Uint8Array,
  stepBytes: number,
  read: (arriving: ArrivingBytes) => Iterator<undefined, T>,
): { readonly value: T; readonly waits: number } {
  const coming = { bytes: bytes.map((byte) => byte ^ 0xff), arrived: 0, wanted: 0 };
  const slices = read(coming);
  for (let waits = 0; ;) {
    const slice = slices.next();
    if (slice.done === true) return { value: slice.value, waits };
    if (coming.wanted <= coming.arrived) continue;
    waits += 1;
    assert.ok(coming.wanted <= bytes.length, "it waits for what will never come");
    while (coming.arrived < coming.wanted) {
      const to = Math.min(bytes.length, coming.arrived + stepBytes);
      coming.bytes.set(bytes.subarray(coming.arrived, to), coming.arrived);
      coming.arrived = to;
    }
  }
}

/** All pieces of an encoding, one after the other. */
export function pull(slices: Iterator<Uint8Array>): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let next = slices.next(); next.done !== true; next = slices.next()) pieces.push(next.value);
  return pieces;
}
