/** Says what in a value has no encoding, and where. Slow and thorough: it runs after a refusal. */
import { checkKey, formOf, maxDepth } from "./value-forms.js";

/** One line, without the name of the value itself. */
export function explain(root: unknown): string {
  return find(root, "", [], 0) ?? "it has no encoding";
}

/** What the codec carries: one that it refuses comes from another realm, as in a test runner's sandbox. */
const ofOurs: ReadonlySet<string> = new Set(["Map", "Set", "Date"]);

/** The first offender below `value`, or null. */
function find(value: unknown, path: string, above: object[], depth: number): string | null {
  if (typeof value === "function") return `a function${at(path)} has no encoding`;
  if (typeof value === "symbol") return `a symbol${at(path)} has no encoding`;
  if (typeof value !== "object" || value === null) return null;
  if (above.includes(value)) return `a cycle: the value${at(path)} contains itself`;
  const form = formOf(value);
  if (form === null) {
    const name = classOf(value);
    if (ofOurs.has(name)) {
      return `a ${name} of another realm${at(path)} has no encoding; make one here, with new ${name}(...)`;
    }
    return `an object of class ${name}${at(path)} has no encoding; use a plain object`;
  }
  if (form === "date" || form === "bytes") return null;
  // A cycle shows itself a little deeper at the latest, unless it is very long.
  if (depth >= maxDepth * 2) return `nesting is deeper than ${maxDepth} levels${at(shorten(path))}`;
  above.push(value);
  const found = findInside(value, form, path, above, depth + 1);
  above.pop();
  if (found !== null) return found;
  if (depth < maxDepth) return null;
  return `nesting is deeper than ${maxDepth} levels${at(shorten(path))}`;
}

function findInside(
  value: object,
  form: "array" | "object" | "map" | "set",
  path: string,
  above: object[],
  depth: number,
): string | null {
  switch (form) {
    case "array":
      return firstOf(value as unknown[], (item, i) => find(item, `${path}[${i}]`, above, depth));
    case "set":
      return firstOf(value as Set<unknown>, (item, i) =>
        find(item, `${path}<item ${i}>`, above, depth),
      );
    case "map":
      return firstOf(value as Map<unknown, unknown>, ([key, item], i) => {
        return (
          find(key, `${path}<key ${i}>`, above, depth) ??
          find(item, `${path}${mapStep(key, i)}`, above, depth)
        );
      });
    case "object":
      return firstOf(Object.keys(value), (key) => {
        if (!isKey(key)) return `the key ${JSON.stringify(key)}${at(path)} is refused`;
        return find((value as Record<string, unknown>)[key], `${path}.${key}`, above, depth);
      });
  }
}

function firstOf<T>(
  items: Iterable<T>,
  look: (item: T, position: number) => string | null,
): string | null {
  let position = 0;
  for (const item of items) {
    const found = look(item, position);
    if (found !== null) return found;
    position += 1;
  }
  return null;
}

function isKey(key: string): boolean {
  try {
    checkKey(key);
    return true;
  } catch {
    return false;
  }
}

function mapStep(key: unknown, position: number): string {
  const short = typeof key === "string" || typeof key === "number";
  return short ? `.get(${JSON.stringify(key)})` : `<value ${position}>`;
}

function classOf(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  return typeof constructor === "function" && constructor.name !== ""
    ? constructor.name
    : "unknown";
}

function at(path: string): string {
  return path === "" ? "" : ` at ${path}`;
}

function shorten(path: string): string {
  return path.length <= 60 ? path : `${path.slice(0, 60)}...`;
}
