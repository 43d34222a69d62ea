/** Values for properties of the codec. */
import fc from "fast-check";

/** Everything that the codec promises to give back as it was. */
export const anyValue = fc.letrec<{ value: unknown; leaf: unknown }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(null, undefined, true, false, -0, NaN, Infinity, -Infinity, ""),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme", maxLength: 90 }),
    fc.string({ unit: fc.constantFrom("\ufeff", "é", "x", "😀"), maxLength: 90 }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.int16Array(),
    fc.uint32Array(),
    fc.float64Array(),
    fc.bigInt64Array(),
  ),
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(key(), tie("value"), { maxKeys: 6 }),
    fc
      .array(fc.tuple(tie("value"), tie("value")), { maxLength: 5 })
      .map((entries) => new Map(entries)),
    fc.array(tie("value"), { maxLength: 5 }).map((items) => new Set(items)),
  ),
})).value;

function key() {
  return fc
    .oneof(fc.string(), fc.constantFrom("constructor", "toString", "hasOwnProperty", "length", "0"))
    .filter((name) => name !== "__proto__");
}

/** fast-check makes objects without a prototype; they come back with one. */
export function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) {
    return new Map([...(value as Map<unknown, unknown>)].map(([k, v]) => [plain(k), plain(v)]));
  }
  if (value instanceof Set) return new Set([...(value as Set<unknown>)].map(plain));
  if (ArrayBuffer.isView(value) || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
}

/** Whatever can hold another value. */
export const containers: readonly ((inner: unknown) => unknown)[] = [
  (inner) => [inner],
  (inner) => ({ inner }),
  (inner) => new Map([[1, inner]]),
  (inner) => new Map([[inner, 1]]),
  (inner) => new Set([inner]),
];

export function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = wrap(value);
  return value;
}
