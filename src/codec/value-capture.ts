/**
 * A value as it is now, for an encoding that takes its time while the value is changed in place.
 *
 * Copying costs a fraction of encoding, above all for what is large and flat: the entries of a map
 * or a set are taken out as lists, because building a map again would hash every key.
 */
import { CapturedEntries, checkKey, formOf, isContainer, maxDepth, refuse } from "./value-forms.js";

/** Throws UnencodableError for what has no encoding; a captured value always has one. */
export function captureValue(value: unknown, depth: number): unknown {
  if (typeof value === "object" && value !== null) return captureObject(value, depth);
  if (typeof value !== "function" && typeof value !== "symbol") return value;
  return refuse();
}

function captureObject(value: object, depth: number): unknown {
  const form = formOf(value);
  if (form === null || (depth >= maxDepth && isContainer(form))) refuse();
  switch (form) {
    case "array":
      return captureAll(value as unknown[], depth + 1);
    case "object":
      return capturePlain(value as Record<string, unknown>, depth + 1);
    case "map": {
      const map = value as Map<unknown, unknown>;
      return new CapturedEntries(
        captureAll([...map.keys()], depth + 1),
        captureAll([...map.values()], depth + 1),
      );
    }
    case "set":
      return new CapturedEntries(captureAll([...(value as Set<unknown>)], depth + 1), null);
    case "date":
      return new Date((value as Date).getTime());
    case "bytes":
      // Works for every kind of view, and copies where Buffer's own `slice` would not.
      return Uint8Array.prototype.slice.call(value as Uint8Array);
  }
}

/** A list of its own. */
function captureAll(items: readonly unknown[], depth: number): unknown[] {
  const copy = new Array<unknown>(items.length);
  for (let i = 0; i < items.length; i++) copy[i] = captureValue(items[i], depth);
  return copy;
}

function capturePlain(value: Record<string, unknown>, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    checkKey(key);
    copy[key] = captureValue(value[key], depth);
  }
  return copy;
}
