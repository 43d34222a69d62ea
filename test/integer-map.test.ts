/** The map by whole numbers against Node's own, for numbers that come in order, leap, and stay away. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { IntegerMap } from "../src/integer-map.js";
import { exposedGc } from "../src/transport/collections.js";

type Step = { readonly type: "push" | "drop" | "set" | "delete"; readonly key: number };

/** `push` and `drop` move a window, `set` and `delete` hit anywhere. */
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    type: fc.constantFrom("push", "push", "push", "drop", "drop", "set", "delete"),
    key: fc.oneof(
      fc.nat(40),
      fc.nat(20).map((n) => n * 65_536),
      fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    ),
  }),
  { maxLength: 400 },
);

function same(map: IntegerMap<string>, model: ReadonlyMap<number, string>): void {
  assert.equal(map.size, model.size);
  const sorted = [...model].sort(([a], [b]) => a - b);
  assert.deepEqual(
    map.values(),
    sorted.map(([, value]) => value),
  );
  for (const [key, value] of sorted) {
    assert.equal(map.get(key), value);
    assert.equal(map.get(key + 1), model.get(key + 1));
  }
}

/** Does `work` while `seen` is told of each call of `method`: whose it is, and the first argument. */
function watching(
  prototype: object,
  method: string,
  seen: (owner: unknown, first: unknown) => void,
  work: () => void,
): void {
  const own = Object.getOwnPropertyDescriptor(prototype, method)!;
  const call = own.value as (this: unknown, ...args: unknown[]) => unknown;
  const watched = function (this: unknown, ...args: unknown[]): unknown {
    seen(this, args[0]);
    return call.apply(this, args);
  };
  Reflect.defineProperty(prototype, method, { ...own, value: watched });
  try {
    work();
  } finally {
    Reflect.defineProperty(prototype, method, own);
  }
}

/** How many places each ring has that `work` brings. */
function ringsMadeBy(work: () => void): number[] {
  const made: number[] = [];
  const seen = (owner: unknown, first: unknown): void => {
    if (first === -1) made.push((owner as unknown[]).length);
  };
  watching(Array.prototype, "fill", seen, work);
  return made;
}

/** How often `work` sets an entry of a `Map`. */
function mapSetsBy(work: () => void): number {
  let count = 0;
  watching(Map.prototype, "set", () => void (count += 1), work);
  return count;
}

describe("the map by whole numbers", () => {
  test("holds what a Map would", () => {
    fc.assert(
      fc.property(steps, fc.nat(2 ** 40), (list, first) => {
        const map = new IntegerMap<string>();
        const model = new Map<number, string>();
        let lowest = first;
        let next = first;
        for (const [at, { type, key }] of list.entries()) {
          const value = `${type} ${at}`;
          if (type === "push" || type === "set") {
            const to = type === "push" ? next++ : key;
            map.set(to, value);
            model.set(to, value);
          } else {
            const from = type === "drop" ? lowest++ : key;
            assert.equal(map.delete(from), model.delete(from));
          }
        }
        same(map, model);
        map.clear();
        same(map, new Map());
      }),
    );
  });

  test("holds thousands in a row, and gives their room back when few are left for long", () => {
    const map = new IntegerMap<string>();
    const model = new Map<number, string>();
    for (let key = 0; key < 5000; key++) {
      map.set(key, `v${key}`);
      model.set(key, `v${key}`);
    }
    same(map, model);
    for (let key = 0; key < 40_000; key++) {
      map.delete(key);
      model.delete(key);
      if (key < 4998) continue;
      map.set(key + 2, `v${key + 2}`);
      model.set(key + 2, `v${key + 2}`);
    }
    same(map, model);
    assert.equal(map.size, 2);
  });

  test("is not made large by numbers that all fall into one place of a ring", () => {
    const map = new IntegerMap<number>();
    for (let i = 0; i < 2000; i++) map.set(i * 2 ** 30, i);
    assert.equal(map.size, 2000);
    for (let i = 0; i < 2000; i++) assert.equal(map.get(i * 2 ** 30), i);
  });

  test("what lies beside the ring is still one entry when its place is free", () => {
    const map = new IntegerMap<string>();
    map.set(0, "a");
    map.set(32, "b");
    map.delete(0);
    // Often enough for a ring to shrink that is larger than the least.
    for (let i = 0; i < 200; i++) map.set(32, `c${i}`);
    same(map, new Map([[32, "c199"]]));
    assert.equal(map.delete(32), true);
    same(map, new Map());
  });

  test("those that fall into one place when the ring shrinks are all kept", () => {
    const map = new IntegerMap<string>();
    const model = new Map<number, string>();
    for (let key = 0; key < 5000; key++) map.set(key, `v${key}`);
    for (let key = 0; key < 5000; key++) if (key % 1024 !== 0) map.delete(key);
    for (let key = 0; key < 5000; key += 1024) model.set(key, `v${key}`);
    const made = ringsMadeBy(() => {
      for (let key = 5000; key < 40_000; key++) {
        map.set(key, "passes");
        map.delete(key);
      }
    });
    assert.ok(made.length > 3, `${made.length} rings`);
    same(map, model);
  });

  test("numbers of which every fourth is used need nothing beside the ring", () => {
    const map = new IntegerMap<number>();
    const besides = mapSetsBy(() => {
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 5000; i++) {
          map.set((i + round) * 4, i);
          map.delete((i + round - 1000) * 4);
        }
        map.clear();
      }
      // Twice as large is not enough.
      for (let key = 0; key < 16; key++) map.set(key, key);
      map.set(32, 32);
    });
    assert.equal(besides, 0);
  });

  test("one number at a time takes one place, more take sixteen and then as many as they need", () => {
    const map = new IntegerMap<number>();
    const setAgain = (key: number) => {
      for (let i = 0; i < 100; i++) map.set(key, i);
    };
    const made = ringsMadeBy(() => {
      for (let key = 1; key < 100; key++) {
        setAgain(key);
        map.delete(key);
      }
      for (let key = 100; key < 200; key++) {
        setAgain(key);
        map.delete(key - 20);
      }
    });
    assert.deepEqual(made, [1, 16, 32]);
  });

  test("a ring that empties and fills again and again stays, and so does one that is in use", () => {
    const map = new IntegerMap<number>();
    const burst = (first: number) => {
      for (let key = first; key < first + 64; key++) map.set(key, key);
      for (let key = first; key < first + 64; key++) map.delete(key);
    };
    burst(0);
    const made = ringsMadeBy(() => {
      for (let first = 64; first < 64_000; first += 64) burst(first);
      for (let key = 64_000; key < 70_000; key++) {
        map.set(key, key);
        map.delete(key - 8);
      }
    });
    assert.deepEqual(made, []);
  });

  test("a ring is halved after as many idle entries as it has places, down to sixteen", () => {
    const map = new IntegerMap<number>();
    for (let key = 0; key < 256; key++) map.set(key, key);
    for (let key = 0; key < 256; key++) map.delete(key);
    const at: [number, number][] = [];
    for (let sets = 1; sets < 2000; sets++) {
      const made = ringsMadeBy(() => map.set(1000 + sets, sets));
      for (const places of made) at.push([sets, places]);
      map.delete(1000 + sets);
    }
    assert.deepEqual(at, [
      [257, 128],
      [257 + 129, 64],
      [257 + 129 + 65, 32],
      [257 + 129 + 65 + 33, 16],
    ]);
  });

  test("lets go what is deleted, and all when it is cleared", async () => {
    const collect = exposedGc();
    const map = new IntegerMap<object>();
    const held: WeakRef<object>[] = [];
    const fill = () => {
      for (let key = 0; key < 40; key++) {
        const value = { key };
        map.set(key, value);
        held.push(new WeakRef(value));
      }
    };
    const left = async () => {
      // What a WeakRef has been made for lives until the end of the turn.
      await new Promise(setImmediate);
      collect();
      return held.filter((ref) => ref.deref() !== undefined).length;
    };
    fill();
    for (let key = 0; key < 30; key++) map.delete(key);
    assert.equal(await left(), 10);
    map.clear();
    assert.equal(await left(), 0);
    assert.equal(map.size, 0);
  });
});
