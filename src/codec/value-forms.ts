/**
 * What the value codec carries, and which of it cbor-x is trusted with.
 *
 * cbor-x is quick on ordinary data and wrong on some rare data: it writes -0 as 0 and the bits of a
 * NaN as it finds them, takes quadratic time for long BigInts, loses a leading U+FEFF and renames
 * `__proto__` when it reads. `weigh` sorts the two apart; `value-slices.ts` writes the rare forms.
 */

/**
 * Nesting beyond this is refused, written or read. The stack would end somewhere too, but at
 * another depth on every member, and then one could read a command that another cannot.
 */
export const maxDepth = 128;

/** A part heavier than this, in bytes or so, is written in pieces and not at once. */
export const wholeWeight = 16 * 1024;

/** `weigh`: too heavy, or of a rare form. */
export const byHand = -1;

/**
 * Tags of this library for what has no form that cbor-x reads rightly. Their content is a text for
 * the first two (a "." and the string; the number in hexadecimal), milliseconds for the third.
 */
export const tagMarkedText = 41_001;
export const tagLongBigInt = 41_002;
export const tagExactDate = 41_003;

/** Something has no encoding; `explain` finds out what and where. */
export class UnencodableError extends Error {
  override readonly name = "UnencodableError";
}

/** What a map or a set held when it was captured (value-capture.ts). */
export class CapturedEntries {
  /** Of a map its keys, of a set its members. */
  readonly keys: readonly unknown[];
  /** Null: a set. */
  readonly values: readonly unknown[] | null;

  constructor(keys: readonly unknown[], values: readonly unknown[] | null) {
    this.keys = keys;
    this.values = values;
  }
}

export function refuse(): never {
  throw new UnencodableError("a value has no encoding");
}

/** What is left of `budget` after `value`, or `byHand`. Throws for what has no encoding. */
export function weigh(value: unknown, depth: number, budget: number): number {
  switch (typeof value) {
    case "number":
      return isOrdinaryNumber(value) ? budget - 5 : byHand;
    case "string":
      return weighText(value, budget);
    case "boolean":
    case "undefined":
      return budget - 1;
    case "bigint":
      return isShortBigInt(value) ? budget - 9 : byHand;
    case "object":
      return value === null ? budget - 1 : weighObject(value, depth, budget);
    case "function":
    case "symbol":
      return refuse();
  }
}

function weighObject(value: object, depth: number, budget: number): number {
  const form = formOf(value);
  if (form === null) return value instanceof CapturedEntries ? byHand : refuse();
  if (depth >= maxDepth && isContainer(form)) refuse();
  switch (form) {
    case "array":
      return value.constructor === Array
        ? weighArray(value as unknown[], depth, budget)
        : weighForeignArray(value as unknown[], depth, budget);
    case "object":
      return weighPlain(value as Record<string, unknown>, depth, budget);
    case "map":
      return weighMap(value as Map<unknown, unknown>, depth, budget);
    case "set":
      return weighSet(value as Set<unknown>, depth, budget);
    case "date":
      return isOrdinaryDate(value as Date) ? budget - 10 : byHand;
    case "bytes":
      return isOrdinaryView(value) ? budget - 8 - (value as ArrayBufferView).byteLength : byHand;
  }
}

function weighArray(value: readonly unknown[], depth: number, budget: number): number {
  let left = budget - 3;
  for (let i = 0; i < value.length && left >= 0; i++) left = weigh(value[i], depth + 1, left);
  return left;
}

/** Of a subclass or another realm: cbor-x would take it for an iterable. */
function weighForeignArray(value: readonly unknown[], depth: number, budget: number): number {
  weighArray(value, depth, budget);
  return byHand;
}

function weighPlain(value: Record<string, unknown>, depth: number, budget: number): number {
  const keys = Object.keys(value);
  let left = budget - 3;
  for (let i = 0; i < keys.length && left >= 0; i++) {
    const key = keys[i]!;
    checkKey(key);
    left = weighText(key, left);
    if (left >= 0) left = weigh(value[key], depth + 1, left);
  }
  return left;
}

function weighMap(value: Map<unknown, unknown>, depth: number, budget: number): number {
  let left = budget - 6;
  for (const [key, item] of value) {
    if (left >= 0) left = weigh(key, depth + 1, left);
    if (left >= 0) left = weigh(item, depth + 1, left);
    if (left < 0) break;
  }
  return left;
}

function weighSet(value: Set<unknown>, depth: number, budget: number): number {
  let left = budget - 6;
  for (const item of value) {
    left = weigh(item, depth + 1, left);
    if (left < 0) break;
  }
  return left;
}

/** Keys that would come back as others, or reach an object's prototype. */
export function checkKey(key: string): void {
  if (key === "__proto__" || startsWithMark(key)) refuse();
}

function weighText(text: string, budget: number): number {
  const left = budget - 2 - text.length;
  if (left < 0) return byHand;
  return startsWithMark(text) || !text.isWellFormed() ? byHand : left;
}

/** A leading byte order mark is what cbor-x drops when it reads a longer string. */
export function startsWithMark(text: string): boolean {
  return text.charCodeAt(0) === 0xfeff;
}

export function isOrdinaryNumber(value: number): boolean {
  return value === 0 ? 1 / value > 0 : value === value;
}

const least = -(2n ** 64n);
const most = 2n ** 64n;

export function isShortBigInt(value: bigint): boolean {
  return value > least && value < most;
}

/** Whether seconds as a double give the same milliseconds back. */
export function isOrdinaryDate(value: Date): boolean {
  const ms = value.getTime();
  return Math.round((ms / 1000) * 1000) === ms;
}

export type Form = "array" | "object" | "map" | "set" | "date" | "bytes";

export function isContainer(form: Form): boolean {
  return form !== "date" && form !== "bytes";
}

/** How an object is written, or null when it is none of what the codec carries. */
export function formOf(value: object): Form | null {
  if (Array.isArray(value)) return "array";
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) return "object";
  if (prototype === Map.prototype) return "map";
  if (prototype === Set.prototype) return "set";
  if (prototype === Date.prototype) return "date";
  if (ArrayBuffer.isView(value)) return typedArrayTag(value) === null ? null : "bytes";
  // Without a prototype, or with the bare Object.prototype of another realm.
  const bare = prototype === null || Object.getPrototypeOf(prototype) === null;
  return bare && !(Symbol.iterator in value) && !isForeignBuiltin(value) ? "object" : null;
}

function isForeignBuiltin(value: object): boolean {
  return Object.prototype.toString.call(value) !== "[object Object]";
}

/** Tags of RFC 8746 for numbers of little-endian order, as cbor-x writes them. */
const typedArrayTags: ReadonlyMap<string, number> = new Map([
  ["Uint8Array", 64],
  ["Uint8ClampedArray", 68],
  ["Uint16Array", 69],
  ["Uint32Array", 70],
  ["BigUint64Array", 71],
  ["Int8Array", 72],
  ["Int16Array", 77],
  ["Int32Array", 78],
  ["BigInt64Array", 79],
  ["Float32Array", 85],
  ["Float64Array", 86],
]);

const nameOfView = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get as (this: unknown) => string | undefined;

/** Null for a DataView. A subclass (Buffer) goes by what it extends and comes back as that. */
export function typedArrayTag(value: ArrayBufferView): number | null {
  const name = nameOfView.call(value);
  return name === undefined ? null : (typedArrayTags.get(name) ?? null);
}

const prototypesOfViews: ReadonlySet<unknown> = new Set([
  Uint8Array.prototype,
  Uint8ClampedArray.prototype,
  Uint16Array.prototype,
  Uint32Array.prototype,
  BigUint64Array.prototype,
  Int8Array.prototype,
  Int16Array.prototype,
  Int32Array.prototype,
  BigInt64Array.prototype,
  Float32Array.prototype,
  Float64Array.prototype,
]);

/** Neither a subclass nor of another realm. */
function isOrdinaryView(value: object): boolean {
  return prototypesOfViews.has(Object.getPrototypeOf(value));
}
