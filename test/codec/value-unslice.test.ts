/** What is read slice by slice is what is read at once, and what is refused as well. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCborCodec } from "../../src/codec/values.js";
import type { ArrivingBytes } from "../../src/ports.js";
import { anyValue } from "./any-value.js";
import { readArriving, readSlices } from "./read-slices.js";

const codec = createCborCodec();
const decodeArriving = (arriving: ArrivingBytes) => codec.decodeArriving!(arriving, 0);

test("whatever is read in slices is what is read at once, in containers of all kinds", () => {
  const repeated = fc.tuple(
    anyValue,
    fc.integer({ min: 200, max: 900 }),
    fc.integer({ max: 9, min: 0 }),
  );
  fc.assert(
    fc.property(repeated, ([value, times, shift]) => {
      const items = Array.from({ length: times }, (_, i) =>
        i % 10 === shift ? { i, value } : value,
      );
      const numbered = items.map((item, i) => [`key ${i}`, item] as const);
      const all = [items, Object.fromEntries(numbered), new Map(numbered), new Set(items)];
      for (const container of [...all, { all, value }, new Map([[all, all]])]) {
        const bytes = codec.encode(container);
        const read = readSlices(codec.decodeSlices(bytes, 0)).value;
        // Equal values have equal bytes, and those are compared in no time.
        assert.ok(Buffer.from(bytes).equals(codec.encode(read)));
        const arrived = readArriving(bytes, 1000 * times, decodeArriving).value;
        assert.ok(Buffer.from(bytes).equals(codec.encode(arrived)));
      }
    }),
    // To find a smaller one among containers of this size takes minutes.
    { numRuns: 5, endOnFailure: true },
  );
});

/** The bytes of what was read, or that it was refused. */
function outcome(read: () => unknown): string {
  let value: unknown;
  try {
    value = read();
  } catch {
    return "refused";
  }
  return Buffer.from(codec.encode(value)).toString("latin1");
}

test("what is refused at once is refused in slices, and nothing else is", () => {
  const value = {
    list: Array.from({ length: 1500 }, (_, i) => [`item ${i}`, i, { deep: new Map([[i, -0]]) }]),
    fields: Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`field-${i}`, `é${i}`])),
    text: "x".repeat(40_000),
    big: 2n ** 70_000n,
  };
  const bytes = codec.encode(value);
  const compare = (changed: Uint8Array, what: string): string => {
    const atOnce = outcome(() => codec.decode(changed));
    const inSlices = outcome(() => readSlices(codec.decodeSlices(changed, 0)).value);
    assert.ok(inSlices === atOnce, what);
    const arriving = outcome(() => readArriving(changed, 9001, decodeArriving).value);
    assert.ok(arriving === atOnce, `${what}, as it comes in`);
    return atOnce;
  };
  for (let length = 0; length < bytes.length; length += 4001) {
    assert.equal(compare(bytes.subarray(0, length), `cut at ${length}`), "refused");
  }
  assert.equal(compare(Buffer.concat([bytes, new Uint8Array(1)]), "a byte too many"), "refused");
  let refused = 0;
  let seed = 5;
  for (let i = 0; i < 100; i++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    const changed = bytes.slice();
    const at = i < 40 ? i : seed % bytes.length;
    changed[at]! ^= 1 << (i % 8);
    if (compare(changed, `bit ${i % 8} of byte ${at}`) === "refused") refused += 1;
  }
  assert.ok(refused > 10 && refused < 98, `${refused} of 100 were refused`);
});

test("a big object with the key __proto__, or with a key that is no text, is refused in slices as well", () => {
  const fields = Array.from({ length: 5000 }, (_, i) => [`field-${i}`, i] as const);
  const bytes = Buffer.from(codec.encode(Object.fromEntries([...fields, ["__prot0__", 1]])));
  const at = bytes.indexOf("__prot0__");
  const proto = Buffer.from(bytes);
  proto.write("__proto__", at);
  const noText = Buffer.from(bytes);
  noText[at - 1] = 0x49;
  for (const bad of [proto, noText]) {
    assert.throws(() => codec.decode(bad));
    assert.throws(() => readSlices(codec.decodeSlices(bad, 0)));
  }
  assert.equal(({} as Record<string, unknown>)["field-1"], undefined);
});

test("what comes in is read as far as it is there, and one long text when all of it is", () => {
  const list = Array.from({ length: 20_000 }, (_, i) => `item ${i}`);
  const value = [list, "x".repeat(100_000), list];
  const bytes = codec.encode(value);
  /** Where it stood still, and after how many steps. */
  const stops: (readonly [number, number])[] = [];
  const noteStops = (coming: ArrivingBytes): Iterator<undefined, unknown> => {
    const slices = decodeArriving(coming);
    let steps = 0;
    const next = (): IteratorResult<undefined, unknown> => {
      const slice = slices.next();
      if (slice.done !== true && coming.wanted > coming.arrived) stops.push([coming.wanted, steps]);
      steps += 1;
      return slice;
    };
    return { next };
  };
  // Byte by byte, so that there is no more than it waits for.
  assert.deepStrictEqual(readArriving(bytes, 1, noteStops).value, value);
  assert.equal(stops.at(-1)![0], bytes.length);
  const further = stops.slice(1).map(([wanted], i) => wanted - stops[i]![0]);
  assert.ok(Math.min(...further) > 0, "it goes on with each piece");
  assert.equal(further.filter((bytes) => bytes > 32 * 1024).length, 1, "for the text alone");
  for (let i = 2; i < stops.length; i++) {
    assert.ok(stops[i]![1] > stops[i - 1]![1], "each piece is read before the next is waited for");
  }
  assert.ok(stops.length > 10, `${stops.length} stops`);
});

test("nesting is bounded in slices as well, and so is the work for it", () => {
  const heavy = Array.from({ length: 5000 }, (_, i) => `item ${i}`);
  const deep = (levels: number): unknown => {
    let inner: unknown = heavy;
    for (let i = 0; i < levels; i++) inner = [inner];
    return inner;
  };
  const bytes = codec.encode(deep(127));
  assert.deepStrictEqual(readSlices(codec.decodeSlices(bytes, 0)).value, deep(127));
  const tooDeep = Buffer.concat([Uint8Array.of(0x81), bytes]);
  assert.throws(() => readSlices(codec.decodeSlices(tooDeep, 0)), { message: /deeper than 128/ });
});
