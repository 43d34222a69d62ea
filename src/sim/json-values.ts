/**
 * Arguments and replies in JSON. What JSON has, stays as it is; what it lacks becomes an object with
 * one key that begins with `$`, so that a history of any value can be written and read back.
 */

/** undefined at the top stays undefined: `JSON.stringify` then leaves the field out. */
export function toJson(value: unknown): unknown {
  return value === undefined ? undefined : tagged(value);
}

export function fromJson(json: unknown): unknown {
  return json === undefined ? undefined : untagged(json);
}

function tagged(value: unknown): unknown {
  if (value === undefined) return { $undefined: true };
  if (typeof value === "bigint") return { $bigint: value.toString() };
  if (typeof value === "number") return taggedNumber(value);
  return typeof value === "object" && value !== null ? taggedObject(value) : value;
}

function taggedNumber(value: number): unknown {
  if (Object.is(value, -0)) return { $number: "-0" };
  return Number.isFinite(value) ? value : { $number: String(value) };
}

function taggedObject(value: object): unknown {
  if (Array.isArray(value)) return value.map(tagged);
  if (value instanceof Map) return { $map: [...value].map(([k, v]) => [tagged(k), tagged(v)]) };
  if (value instanceof Set) return { $set: [...value].map(tagged) };
  if (value instanceof Date) return { $date: value.getTime() };
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { $bytes: toHex(bytes), type: value.constructor.name };
  }
  const entries = Object.entries(value).map(([key, item]) => [key, tagged(item)] as const);
  return entries.some(([key]) => key.startsWith("$"))
    ? { $object: entries }
    : Object.fromEntries(entries);
}

function untagged(json: unknown): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(untagged);
  const fields = json as Record<string, unknown>;
  if ("$undefined" in fields) return undefined;
  if ("$bigint" in fields) return BigInt(fields["$bigint"] as string);
  if ("$number" in fields) return Number(fields["$number"]);
  if ("$map" in fields) return new Map(pairs(fields["$map"]));
  if ("$set" in fields) return new Set((fields["$set"] as unknown[]).map(untagged));
  if ("$date" in fields) return new Date(fields["$date"] as number);
  if ("$bytes" in fields) return bytesOf(fields["$bytes"] as string, String(fields["type"]));
  if ("$object" in fields)
    return Object.fromEntries(pairs(fields["$object"]) as [string, unknown][]);
  return Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, untagged(item)]));
}

function pairs(json: unknown): [unknown, unknown][] {
  return (json as [unknown, unknown][]).map(([key, item]) => [untagged(key), untagged(item)]);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const viewTypes = {
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
};

function bytesOf(hex: string, type: string): unknown {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  // A Buffer comes back as the plain bytes that it is.
  const View = type in viewTypes ? viewTypes[type as keyof typeof viewTypes] : Uint8Array;
  return new View(bytes.buffer);
}
