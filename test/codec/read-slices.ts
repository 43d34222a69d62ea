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
