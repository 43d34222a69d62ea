/**
 * Objects that every command passes keep their shape while a host does what it does once in a while: V8 throws
 * away the code of all that uses a shape when it changes (docs/decisions/0039). No figure of time: V8 is asked.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInThisContext } from "node:vm";
import { ByteReader, ByteWriter } from "../src/codec/bytes.js";
import { appendEntry, compactTo, createLog, packApplied } from "../src/core/log.js";
import type { Entry } from "../src/core/types.js";
import { Turns } from "../src/host/turns.js";
import { IntegerMap } from "../src/integer-map.js";
import { compact } from "../src/numbers.js";
import { packedRun, packEntries, unpackEntry } from "../src/packed-entries.js";
import type { Clock, Storage, Transport } from "../src/ports.js";

setFlagsFromString("--allow-natives-syntax");
const haveSameShape = runInThisContext("(a, b) => %HaveSameMap(a, b)") as (
  a: object,
  b: object,
) => boolean;
const isSmall = runInThisContext("(value) => %IsSmi(value)") as (value: number) => boolean;

/** The integer as a double: the sum of two doubles is one, whatever it amounts to. */
function asDouble(value: number): number {
  return value + 0.5 - 0.5;
}

function entryOf(index: number): Entry {
  return {
    ...{ index, term: 3, kind: "command", session: 7, sequence: index, lowestOutstanding: 1 },
    ...{ timeMs: 1e12 + 0.5, body: new Uint8Array(5), payload: null },
  };
}

describe("numbers", () => {
  test("an integer that comes as a double becomes a small one, others stay as they are", () => {
    const largest = 2 ** 31 - 1;
    for (const value of [0, 1, 42, largest]) {
      assert.equal(isSmall(asDouble(value)), false);
      assert.equal(compact(asDouble(value)), value);
      assert.equal(isSmall(compact(asDouble(value))), true);
    }
    for (const value of [largest + 1, 2 ** 32, 2 ** 53 - 1, 0.5]) {
      assert.equal(compact(value), value);
    }
    assert.equal(compact(-0), 0);
  });

  test("what is read from bytes is small", () => {
    const writer = new ByteWriter(8);
    writer.f64(12);
    assert.equal(isSmall(new ByteReader(writer.bytes).integer("it")), true);
  });

  test("what is taken out of a packed run is small", () => {
    const run = packEntries([entryOf(1), entryOf(2)], 0, 2);
    const { term, session, sequence, lowestOutstanding } = unpackEntry(run, 2);
    assert.deepEqual([term, session, sequence, lowestOutstanding], [3, 7, 2, 1]);
    for (const value of [term, session, sequence, lowestOutstanding]) {
      assert.equal(isSmall(value), true);
    }
  });
});

describe("shapes", () => {
  test("a log that is compacted has that of one that is not", () => {
    const untouched = createLog(0, 0, []);
    const log = createLog(0, 0, []);
    const count = 3 * packedRun;
    for (let index = 1; index <= count; index++) appendEntry(log, entryOf(index));
    packApplied(log, count);
    assert.ok(log.packed.length > 0);
    compactTo(log, packedRun);
    assert.equal(log.offset, packedRun);
    assert.equal(haveSameShape(log, untouched), true);
  });

  test("turns that were held up have that of those that were not", () => {
    let now = 0;
    const clock: Partial<Clock> = {
      nowMs: () => now,
      soon: () => undefined,
      after: () => ({ cancel: () => undefined }),
    };
    const start = (): Turns =>
      new Turns({
        clock: clock as Clock,
        storage: {} as Storage,
        transport: {} as Transport,
        onDefect: (error) => assert.fail(String(error)),
        onTurnEnd: () => undefined,
      });
    const untouched = start();
    const turns = start();
    // Over the spans in which delays are kept.
    for (const atMs of [0.25, 40_000.25, 80_000.75, 200_000.5]) {
      now = atMs;
      turns.noteDelay(0.125, now);
      turns.schedule();
      assert.equal(turns.loopDelayMs, 0.125);
    }
    assert.equal(haveSameShape(turns, untouched), true);
  });

  test("a map by numbers has one shape, empty or not", () => {
    const untouched = new IntegerMap<string>();
    const map = new IntegerMap<string>();
    for (let key = 1; key < 100; key++) map.set(key, "x");
    for (let key = 1; key < 90; key++) map.delete(key);
    map.clear();
    map.set(1, "x");
    assert.equal(haveSameShape(map, untouched), true);
  });
});
