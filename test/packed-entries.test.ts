/** Runs of entries that are put together from parts of others, of which some keep their entries whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../src/core/types.js";
import {
  largestCopiedBytes,
  packEntries,
  RunBuilder,
  unpackAll,
  unpackEntry,
} from "../src/packed-entries.js";

/** Every third one is too large to be copied. */
function entriesFrom(first: number, count: number): Entry[] {
  return Array.from({ length: count }, (_, at) => ({
    index: first + at,
    term: 1,
    kind: "command" as const,
    session: 1,
    sequence: first + at,
    lowestOutstanding: 0,
    timeMs: 1000.5,
    body: new Uint8Array((first + at) % 3 === 0 ? largestCopiedBytes + 1 : 5).fill(first + at),
    payload: null,
  }));
}

const plain = (entries: readonly Entry[]): Entry[] => entries.map((entry) => ({ ...entry }));

test("a part of a run that is appended to another brings its own large entries, and only these", () => {
  const builder = new RunBuilder();
  const before = entriesFrom(1, 10);
  builder.append(packEntries(before, 0, 10), 0);
  const overlapping = entriesFrom(6, 15);
  builder.append(packEntries(overlapping, 0, 15), 5);
  assert.deepEqual(plain(unpackAll(builder.take())), [...before, ...overlapping.slice(5)]);
});

test("a run that was taken leaves none of its large entries to the next", () => {
  const builder = new RunBuilder();
  for (const first of [1, 21, 42]) {
    const entries = entriesFrom(first, 10);
    builder.append(packEntries(entries, 0, 10), 0);
    assert.deepEqual(plain(unpackAll(builder.take())), entries);
  }
});

test("an entry that a run does not hold is not made up from what lies behind its end", () => {
  const packed = packEntries(entriesFrom(7, 2), 0, 2);
  for (const index of [6, 9]) {
    assert.throws(() => unpackEntry(packed, index), /is not in this run/);
  }
});
