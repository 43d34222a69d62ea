/** The map by whole numbers against Node's own, for numbers that come in order, leap, and stay away. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { IntegerMap } from "../src/integer-map.js";

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
});
