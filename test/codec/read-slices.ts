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

/** All pieces of an encoding, one after the other. */
export function pull(slices: Iterator<Uint8Array>): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let next = slices.next(); next.done !== true; next = slices.next()) pieces.push(next.value);
  return pieces;
}
