/**
 * The guard of development: what a pure handler is given cannot be changed, so that one which tries
 * fails at once and on every member, instead of forking the value one day.
 */

export type Freezer = {
  /** What was frozen before, so that a new value costs no more than what is new in it. */
  readonly known: WeakSet<object>;
};

export function createFreezer(): Freezer {
  return { known: new WeakSet() };
}

/**
 * Freezes everything that can be reached. Typed arrays and dates cannot be frozen and stay open, and so does
 * what resists (a getter that throws, a proxy): outcomes must not depend on whether a member freezes.
 */
export function freezeDeep(freezer: Freezer, value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const open: object[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (freezer.known.has(next)) continue;
    freezer.known.add(next);
    try {
      freezeOne(next, open);
    } catch {
      // It stays as it is.
    }
  }
}

function freezeOne(value: object, open: object[]): void {
  if (ArrayBuffer.isView(value)) return;
  if (value instanceof Map) {
    for (const [key, item] of value as Map<unknown, unknown>) {
      push(open, key);
      push(open, item);
    }
    close(value, mapMethods);
  } else if (value instanceof Set) {
    for (const item of value as Set<unknown>) push(open, item);
    close(value, setMethods);
  } else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) push(open, value[i]);
  } else {
    for (const item of Object.values(value)) push(open, item);
  }
  Object.freeze(value);
}

function push(open: object[], item: unknown): void {
  if (typeof item === "object" && item !== null) open.push(item);
}

const mapMethods: readonly string[] = ["set", "delete", "clear"];
const setMethods: readonly string[] = ["add", "delete", "clear"];

/** Freezing leaves the content of a Map and a Set open: their methods have to go. */
function close(value: object, methods: readonly string[]): void {
  if (!Object.isExtensible(value)) return;
  for (const method of methods) Object.defineProperty(value, method, { value: refuseChange });
}

function refuseChange(): never {
  throw new TypeError(
    "a pure handler must not change a Map or Set that it was given; make a new one from it",
  );
}
