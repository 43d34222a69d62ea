/** Randomness: reproducible from a seed, and the system's own. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSystemRandom } from "../../src/clock/system.js";
import { SeededRandom } from "../../src/clock/virtual.js";
import type { Random } from "../../src/ports.js";

function words(random: SeededRandom, count = 8): number[] {
  return Array.from({ length: count }, () => random.word());
}

/** Chi-squared over 16 bins; 60 is passed once in three million times. */
function unevenness(random: Random, draws = 16_000): number {
  const bins = new Array<number>(16).fill(0);
  for (let i = 0; i < draws; i++) bins[Math.floor(random.next() * 16)]! += 1;
  const expected = draws / 16;
  return bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe("seeded randomness", () => {
  test("the same seed gives the same numbers, for ever", () => {
    assert.deepEqual(words(new SeededRandom(42)), words(new SeededRandom(42)));
    assert.deepEqual(words(new SeededRandom([42, 0])), words(new SeededRandom(42)));
    assert.deepEqual(words(new SeededRandom([7, 1])), words(new SeededRandom(2 ** 32 + 7)));
    // Fixed, because seeds of found bugs are kept: a change here would make them worthless.
    assert.deepEqual(words(new SeededRandom(1), 3), [3387734806, 1080862987, 3546521498]);
    assert.equal(new SeededRandom(1).id(), "zi2vducbvby2qr7er6lp");
  });

  test("neighbouring seeds go different ways at once", () => {
    const first = new Set<number>();
    for (let seed = 0; seed < 2000; seed++) first.add(new SeededRandom(seed).word());
    assert.ok(first.size >= 1999, `${first.size} different first words of 2000`);
  });

  test("next is in [0, 1) and even, below is in range", () => {
    const random = new SeededRandom(7);
    for (let i = 0; i < 10_000; i++) {
      const next = random.next();
      assert.ok(next >= 0 && next < 1);
      const below = random.below(3);
      assert.ok(below === 0 || below === 1 || below === 2);
    }
    assert.ok(unevenness(random) < 60);
  });

  test("a fork goes its own way and leaves the original reproducible", () => {
    const [a, b] = [new SeededRandom(9), new SeededRandom(9)];
    const [forkA, forkB] = [a.fork(), b.fork()];
    assert.deepEqual(words(forkA, 100), words(forkB, 100));
    assert.deepEqual(words(a), words(b));
    assert.notDeepEqual(words(new SeededRandom(9)), words(new SeededRandom(9).fork()));
  });
});

describe("any randomness", () => {
  for (const [name, random] of [
    ["seeded", new SeededRandom(3)],
    ["the system's", createSystemRandom()],
  ] as const) {
    test(`${name}: ids are 20 lower-case letters and digits and never repeat`, () => {
      const ids = new Set<string>();
      for (let i = 0; i < 5000; i++) {
        const id = random.id();
        assert.match(id, /^[a-z2-7]{20}$/);
        ids.add(id);
      }
      assert.equal(ids.size, 5000);
    });

    test(`${name}: next is in [0, 1) and even`, () => {
      for (let i = 0; i < 1000; i++) {
        const next = random.next();
        assert.ok(next >= 0 && next < 1);
      }
      assert.ok(unevenness(random) < 60);
    });
  }
});
