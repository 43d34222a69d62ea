/** Log entries as bytes, narrow and wide. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter, concatenate } from "../../src/codec/bytes.js";
import {
  encodeEntries,
  EntriesCache,
  entriesSizeHint,
  narrowEntryBytes,
  readEntries,
  readEntry,
  readPackedEntries,
  wideEntryBytes,
  writeEntry,
} from "../../src/codec/entries.js";
import type { Entry } from "../../src/core/types.js";
import { RaftError } from "../../src/errors.js";
import { unpackAll } from "../../src/packed-entries.js";
import { entries } from "./arbitraries.js";

function command(fields: Partial<Entry> = {}): Entry {
  return {
    index: 1,
    term: 1,
    kind: "command",
    session: 1,
    sequence: 1,
    lowestOutstanding: 1,
    timeMs: 1,
    body: new Uint8Array([1, 2, 3]),
    payload: null,
    ...fields,
  };
}

function bytesOf(list: readonly Entry[]): Uint8Array {
  return concatenate(encodeEntries(list));
}

function sizeOf(entry: Entry): number {
  return bytesOf([entry]).length;
}

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof RaftError && error.code === "protocolMismatch", String(error));
    return error.message;
  }
  return assert.fail("not refused");
}

/** The entries that `read` gives, or why it gives none. */
function outcome(read: () => readonly Entry[]): readonly Entry[] | string {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof RaftError && error.code === "protocolMismatch", String(error));
    return error.message;
  }
}

function readInColumns(bytes: Uint8Array, count: number): readonly Entry[] {
  const packed = readPackedEntries(new ByteReader(bytes), count, 1);
  return unpackAll(packed).map((entry) => ({ ...entry }));
}

describe("entries as bytes", () => {
  test("any run comes back with the indices of its place", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const reader = new ByteReader(bytesOf(list));
        const first = list[0]?.index ?? 1;
        assert.deepEqual(readEntries(reader, list.length, first), list);
        reader.finish("entries");
      }),
      { numRuns: 500 },
    );
  });

  test("read in columns, a run is what it is when read one by one; and so is what is no run", () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.nat(7), (list, at, bit) => {
        const bytes = bytesOf(list);
        const flipped = bytes.slice();
        if (bytes.length > 0) flipped[at % bytes.length]! ^= 1 << bit;
        const cut = bytes.subarray(0, at % (bytes.length + 1));
        for (const given of [bytes, flipped, cut]) {
          assert.deepEqual(
            outcome(() => readInColumns(given, list.length)),
            outcome(() => readEntries(new ByteReader(given), list.length, 1)),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test("written one by one into a writer that has to grow, the bytes are the same", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const writer = new ByteWriter(1);
        for (const entry of list) writeEntry(writer, entry);
        assert.deepEqual(writer.finish(), bytesOf(list));
      }),
    );
  });

  test("the hint is an upper bound wherever there is no payload", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const plain = list.filter(({ payload }) => payload === null);
        assert.ok(bytesOf(plain).length <= entriesSizeHint(plain));
      }),
    );
  });

  test("one number above 32 bits makes an entry wide, the largest of 32 bits does not", () => {
    assert.equal(sizeOf(command()), narrowEntryBytes + 3);
    for (const field of ["term", "session", "sequence", "lowestOutstanding"] as const) {
      assert.equal(sizeOf(command({ [field]: 2 ** 32 - 1 })), narrowEntryBytes + 3, field);
      assert.equal(sizeOf(command({ [field]: 2 ** 32 })), wideEntryBytes + 3, field);
    }
    assert.equal(sizeOf(command({ timeMs: 1e300 })), narrowEntryBytes + 3);
  });

  test("a body is a view, and an empty one costs nothing", () => {
    const bytes = bytesOf([command(), command({ body: new Uint8Array(0) })]);
    const [first, second] = readEntries(new ByteReader(bytes), 2, 1);
    assert.equal(first!.body.buffer, bytes.buffer);
    assert.equal(second!.body.length, 0);
    assert.notEqual(second!.body.buffer, bytes.buffer);
  });

  test("what is no entry is refused by the name of its field", () => {
    const good = bytesOf([command({ term: 2 ** 33 })]);
    const change = (at: number, ...bytes: number[]): Uint8Array => {
      const changed = good.slice();
      changed.set(bytes, at);
      return changed;
    };
    const read = (bytes: Uint8Array) => (): Entry => readEntry(new ByteReader(bytes), 1);
    assert.match(refusal(read(change(0, 5))), /entry kind 5 is unknown/);
    assert.match(refusal(read(change(0, 0x7f))), /entry kind 127 is unknown/);
    assert.match(refusal(read(change(1, 4))), /entry body needs 4 bytes, 3 are left/);
    assert.match(refusal(read(change(1, 255, 255, 255, 255))), /entry body needs 4294967295/);
    assert.match(refusal(read(change(11, 0xf0, 0x7f))), /entry term is not an integer/);
    assert.match(refusal(read(change(12, 0xbf))), /entry term is not an integer/);
    assert.match(refusal(read(change(11, 0xf0, 0xbf))), /entry term is not an integer/);
    assert.match(refusal(read(change(43, 0xf0, 0x7f))), /entry timeMs is not a finite number/);
    assert.match(refusal(read(good.subarray(0, 20))), /entry header needs/);
    assert.match(refusal(read(good.subarray(0, 40))), /entry header needs/);
  });

  test("more entries than the bytes can hold, or than indices exist, are refused at once", () => {
    const bytes = bytesOf([command()]);
    const read = (count: number, first: number) => (): Entry[] =>
      readEntries(new ByteReader(bytes), count, first);
    assert.match(refusal(read(4_000_000_000, 1)), /4000000000 entries declared/);
    const tooLong = bytesOf([command(), command({ body: new Uint8Array(60) })]);
    tooLong[1] = 3 + 60 + narrowEntryBytes;
    assert.match(
      refusal(() => readInColumns(tooLong, 2)),
      /entry header needs 29 bytes, 0 are left/,
    );
    assert.match(refusal(read(1, Number.MAX_SAFE_INTEGER)), /entry index exceeds 2\^53 - 1/);
  });

  test("a large body is a part of its own, where it lies; the bytes are the same", () => {
    const large = new Uint8Array(10_000).fill(7);
    const list = [command(), command({ index: 2, body: large }), command({ index: 3 })];
    const parts = encodeEntries(list);
    assert.equal(parts.length, 3);
    assert.equal(parts[1], large);
    const writer = new ByteWriter(1);
    for (const entry of list) writeEntry(writer, entry);
    assert.deepEqual(concatenate(parts), writer.finish());
  });

  test("a cache hands out the same bytes for the same run and no others", () => {
    const cache = new EntriesCache();
    const list = [1, 2, 3].map((index) => command({ index, body: new Uint8Array([index]) }));
    const whole = cache.partsOf(list);
    assert.equal(cache.partsOf([...list]), whole);
    assert.deepEqual(cache.partsOf(list.slice(1)), encodeEntries(list.slice(1)));
    assert.deepEqual(cache.partsOf(list.slice(0, 2)), encodeEntries(list.slice(0, 2)));
    const other = [command({ term: 9 }), list[1]!, list[2]!];
    assert.deepEqual(cache.partsOf(other), encodeEntries(other));
    assert.equal(cache.partsOf(list), whole);
    assert.equal(cache.partsOf([]).length, 0);
    cache.clear();
    assert.notEqual(cache.partsOf(list), whole);
  });

  test("a cache keeps the last four runs", () => {
    const cache = new EntriesCache();
    const runs = [1, 2, 3, 4, 5].map((index) => [command({ index })]);
    const [first, ...others] = runs.map((run) => cache.partsOf(run));
    for (const [at, parts] of others.entries()) assert.equal(cache.partsOf(runs[at + 1]!), parts);
    assert.notEqual(cache.partsOf(runs[0]!), first);
  });

  test("read in columns too, a time that is no number is refused", () => {
    for (const timeMs of [NaN, Infinity, -Infinity]) {
      const bytes = bytesOf([command({ timeMs })]);
      assert.equal(
        refusal(() => readInColumns(bytes, 1)),
        "malformed bytes: entry timeMs is not a finite number",
      );
    }
  });
});
