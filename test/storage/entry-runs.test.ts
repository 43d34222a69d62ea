/** Entries of a log that is read back, packed as they come, against a plain map. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Entry } from "../../src/core/types.js";
import { type PackedList, packEntries, packedRun } from "../../src/packed-entries.js";
import { EntryRuns } from "../../src/storage/file/entry-runs.js";
import { entriesOf, plain } from "./support.js";

type Step =
  | { readonly type: "append" | "read" | "drop" | "forget"; readonly by: number }
  | { readonly type: "gap" | "place"; readonly by: number; readonly count: number };

const some = fc.nat(900);
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant("append" as const), by: some }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("read" as const), by: some }) },
  fc.record({ type: fc.constant("drop" as const), by: some }),
  fc.record({ type: fc.constant("forget" as const), by: fc.nat(3000) }),
  fc.record({ type: fc.constant("gap" as const), by: fc.nat(20), count: fc.nat(300) }),
  fc.record({ type: fc.constant("place" as const), by: some, count: fc.nat(300) }),
);

/** Does the same to both; gives the lowest index that is still meant to be there. */
function apply(runs: EntryRuns, model: Map<number, Entry>, step: Step, first: number): number {
  const last = Math.max(first - 1, ...model.keys());
  const place = (entries: readonly Entry[]): void => {
    runs.place(entries);
    for (const entry of entries) model.set(entry.index, entry);
  };
  switch (step.type) {
    case "append":
      place(entriesOf(last + 1, step.by, step.by + 1));
      return first;
    case "read": {
      // As the log has it: in columns, of which the snapshot may cover the beginning.
      const covered = step.by % 3;
      const entries = entriesOf(last + 1 - covered, step.by + 1 + covered, step.by + 1);
      runs.placePacked(packEntries(entries, 0, entries.length), covered);
      for (const entry of entries.slice(covered)) model.set(entry.index, entry);
      return first;
    }
    case "gap":
      place(entriesOf(last + 1 + step.by, step.count, 7));
      return first;
    case "place":
      place(entriesOf(Math.max(first, last - step.by), step.count, step.by + 1));
      return first;
    case "drop":
      runs.dropFrom(last - step.by);
      for (const index of [...model.keys()]) if (index >= last - step.by) model.delete(index);
      return first;
    case "forget": {
      const to = Math.min(first + step.by, last);
      runs.forgetBefore(to);
      return Math.max(first, to);
    }
  }
}

test("entries that are read back are the same, packed or not, with holes and without", () => {
  let compared = 0;
  fc.assert(
    fc.property(fc.array(stepArbitrary, { minLength: 1, maxLength: 14 }), (steps) => {
      const runs = new EntryRuns(5);
      const model = new Map<number, Entry>();
      let first = 5;
      for (const step of steps) first = apply(runs, model, step, first);
      const last = Math.max(first - 1, ...model.keys());
      let end = first;
      for (let index = first; index <= last + 1; index++) {
        assert.equal(runs.termAt(index), model.get(index)?.term ?? null, `term at ${index}`);
        if (end === index && model.has(index)) end += 1;
      }
      const terms = new Set([...model.values()].map(({ term }) => term));
      for (const term of terms) {
        let other = first;
        while (other <= last && model.get(other)?.term === term) other += 1;
        assert.equal(runs.firstOtherThan(first, last, term), other > last ? 0 : other);
      }
      const expected = Array.from({ length: end - first }, (_, at) => model.get(first + at)!);
      const list = runs.list(first, end);
      assert.equal(list.length, expected.length);
      assert.deepEqual(plain([...list]), expected);
      for (const at of [0, 300, expected.length - 1]) {
        assert.deepEqual(plain([list.at(at)]), plain([expected[at]]));
      }
      assert.deepEqual(plain([list.at(-1)]), plain([expected.at(-1)]));
      assert.equal(list.at(expected.length), undefined);
      compared += expected.length;
    }),
    { numRuns: 150 },
  );
  assert.ok(compared > 10_000, `only ${compared} entries were compared`);
});

/** How many entries (and runs) `work` goes through, again and again: what it iterates or spreads. */
function walked(work: () => void): number {
  let count = 0;
  const { values } = Array.prototype;
  const own = Object.getOwnPropertyDescriptor(Array.prototype, Symbol.iterator)!;
  const counting = function (this: unknown[]): IterableIterator<unknown> {
    count += this.length;
    return values.call(this);
  };
  Reflect.defineProperty(Array.prototype, Symbol.iterator, { ...own, value: counting });
  try {
    work();
  } finally {
    Reflect.defineProperty(Array.prototype, Symbol.iterator, own);
  }
  return count;
}

const many = 100 * packedRun + 10;

function readMany(): EntryRuns {
  const runs = new EntryRuns(1);
  runs.placePacked(packEntries(entriesOf(1, many), 0, many), 0);
  return runs;
}

for (const [what, from, most] of [
  ["all of it", 0, 0],
  ["what is behind a run", 3 * packedRun + 1, 0],
  ["what is behind the middle of a run", 3 * packedRun + 101, packedRun + 1],
] as const) {
  test(`dropping ${what} of a long log goes through no more than a run`, () => {
    const runs = readMany();
    const count = walked(() => runs.dropFrom(from));
    assert.ok(count <= most, `${count} entries`);
    const left = Math.max(from - 1, 0);
    assert.deepEqual(plain([...runs.list(1, left + 1)]), entriesOf(1, left));
    assert.equal(runs.termAt(left + 1), null);
    runs.place(entriesOf(left + 1, 10, 2));
    assert.equal(runs.firstOtherThan(left + 1, left + 10, 2), 0);
    assert.equal(runs.termAt(left + 11), null);
  });
}

test("an entry put before a long log goes through each of the others a few times at most", () => {
  const runs = new EntryRuns(1);
  runs.placePacked(packEntries(entriesOf(101, many), 0, many), 0);
  const count = walked(() => runs.place(entriesOf(1, 100)));
  assert.ok(count <= 4 * many, `${count} of ${many} entries`);
  assert.deepEqual(plain([...runs.list(1, many + 101)]), entriesOf(1, many + 100));
});

test("an entry of another term is found at the edges of runs, and none where terms change as they should", () => {
  for (const change of [2, 300, packedRun, packedRun + 1, packedRun + 2, 3 * packedRun]) {
    const all = [...entriesOf(1, change - 1, 1), ...entriesOf(change, 1001 - change, 2)];
    const runs = new EntryRuns(1);
    runs.placePacked(packEntries(all, 0, all.length), 0);
    assert.equal(runs.firstOtherThan(1, change - 1, 1), 0, `${change}`);
    assert.equal(runs.firstOtherThan(change, 1000, 2), 0, `${change}`);
    assert.equal(runs.firstOtherThan(1, 1000, 1), change);
    assert.deepEqual(plain([...runs.list(1, change)]), entriesOf(1, change - 1, 1));
    runs.place(entriesOf(change + 1, 1000 - change, 1));
    assert.equal(runs.firstOtherThan(1, 1000, 1), change, "the only one");
    assert.equal(runs.firstOtherThan(change + 1, 1001, 1), 1001, "behind the last one");
  }
});

/** Entries 1 to 570 without ten of them. */
function withGap(): EntryRuns {
  const runs = new EntryRuns(1);
  runs.place(entriesOf(1, 550));
  runs.place(entriesOf(561, 10));
  return runs;
}

function dropped(from: number): EntryRuns {
  const runs = withGap();
  runs.dropFrom(from);
  return runs;
}

function filled(): EntryRuns {
  const runs = withGap();
  runs.place(entriesOf(551, 10));
  return runs;
}

function forgotten(): EntryRuns {
  const runs = new EntryRuns(1);
  runs.place(entriesOf(1, 10));
  runs.place(entriesOf(1500, 10));
  runs.forgetBefore(1505);
  return runs;
}

function beganLate(): EntryRuns {
  const runs = new EntryRuns(1);
  runs.place(entriesOf(1001, 1));
  return runs;
}

for (const [what, makeRuns, first, next] of [
  ["all was dropped", () => dropped(1), 1, 1],
  ["all behind a run was dropped", () => dropped(packedRun + 1), 1, packedRun + 1],
  ["some behind a run was dropped", () => dropped(packedRun + 20), 1, packedRun + 20],
  ["what was missing has come", filled, 1, 571],
  ["what was missing is not needed", forgotten, 1505, 1510],
  ["a log has begun late", beganLate, 1001, 1002],
] as const) {
  test(`when ${what}, no entry is missing, and what comes is packed`, () => {
    const runs = makeRuns();
    runs.placePacked(packEntries(entriesOf(next, many), 0, many), 0);
    const list = runs.list(first, next + many) as PackedList;
    assert.deepEqual(plain([...list]), entriesOf(first, next + many - first));
    assert.ok(list.tail.length < 2 * packedRun, `${list.tail.length} are not packed`);
  });
}
