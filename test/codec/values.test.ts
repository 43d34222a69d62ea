/** The default codec: what goes in comes out, and what a stranger sends does no harm. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { createCborCodec } from "../../src/codec/values.js";
import { anyValue, containers, nested, plain } from "./any-value.js";
import { pull, readSlices } from "./read-slices.js";

const codec = createCborCodec();

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

function roundTrip(value: unknown): unknown {
  return codec.decode(codec.encode(value));
}

test("whatever the codec carries comes back as it was, and its bytes are always the same", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = codec.encode(value);
      const copy = codec.decode(bytes);
      assert.deepStrictEqual(copy, plain(value));
      assert.deepEqual(createCborCodec().encode(copy), bytes);
      assert.deepEqual(Buffer.concat(pull(codec.encodeSlices(value))), Buffer.from(bytes));
      const captured = codec.capture(value);
      assert.deepEqual(Buffer.concat(pull(codec.encodeSlices(captured))), Buffer.from(bytes));
      const behind = codec.encodeBehind(Uint8Array.of(1, 2, 3), value);
      assert.deepEqual(behind, Uint8Array.of(1, 2, 3, ...bytes));
      assert.deepStrictEqual(codec.decodeBehind(behind, 3), copy);
      assert.deepStrictEqual(readSlices(codec.decodeSlices(behind, 3)).value, copy);
    }),
    { numRuns: 500 },
  );
});

test("negative zero, NaN, undefined and an invalid date survive", () => {
  assert.ok(Object.is(roundTrip(-0), -0));
  const zeros = [1, { a: -0 }, new Map([[-1, -0]])];
  assert.deepStrictEqual(roundTrip(zeros), zeros);
  assert.ok(Number.isNaN(roundTrip(NaN)));
  assert.deepStrictEqual(roundTrip({ a: undefined }), { a: undefined });
  const date = roundTrip(new Date(NaN));
  assert.ok(date instanceof Date && Number.isNaN(date.getTime()));
});

test("BigInts come back on both sides of where 64 bits end", () => {
  for (const edge of [2n ** 63n, 2n ** 64n, -(2n ** 63n), -(2n ** 64n)]) {
    for (const big of [edge - 2n, edge - 1n, edge, edge + 1n, edge + 2n]) {
      assert.deepStrictEqual(roundTrip([big]), [big]);
    }
  }
});

test("dates keep their milliseconds to the ends of time", () => {
  for (const ms of [0, 1, -1, 999, 8.64e15, -8.64e15, 8.64e15 - 1, -8.64e15 + 1, 2 ** 51 + 1]) {
    assert.equal((roundTrip(new Date(ms)) as Date).getTime(), ms);
  }
});

test("every NaN has the same bytes, whatever bits it was computed with", () => {
  const odd = new Float64Array(new Uint32Array([1, 0xfff80001]).buffer)[0]!;
  assert.ok(Number.isNaN(odd));
  assert.deepEqual(codec.encode(odd), codec.encode(NaN));
  assert.deepEqual(codec.encode([odd]), hex("81 fb 7ff8000000000000"));
});

test("a byte order mark at the beginning of a long string stays", () => {
  for (const text of ["\ufeff", "\ufeff" + "x".repeat(100), "\ufeff\ufeff" + "é".repeat(70)]) {
    assert.equal(roundTrip(text), text);
    assert.deepEqual(roundTrip([text, { text }]), [text, { text }]);
  }
});

test("a lone surrogate becomes U+FFFD, in short and in long strings alike", () => {
  assert.equal(roundTrip("a\ud800b"), "a\ufffdb");
  assert.equal(roundTrip("\udc00".padEnd(200, "x")), "\ufffd".padEnd(200, "x"));
});

test("typed arrays and Buffers come back as the plain kind, on memory of their own", () => {
  const source = { a: Uint8Array.from([1, 2, 3]), b: Uint16Array.from([1, 2, 65535]) };
  const bytes = codec.encode(source);
  const copy = codec.decode(bytes);
  bytes.fill(0);
  assert.deepEqual(copy, source);
  assert.ok(roundTrip(Buffer.from("abc")) instanceof Uint8Array);
  assert.ok(!Buffer.isBuffer(roundTrip(Buffer.from("abc"))));
  assert.deepEqual(codec.encode(Buffer.from("abc")), codec.encode(new Uint8Array([97, 98, 99])));
});

test("an object in two places comes back as two, and what has content without what hangs on it", () => {
  const shared = { n: 1 };
  const list = Object.assign([1], { extra: 2 });
  const value = { a: shared, b: shared, list, map: Object.assign(new Map(), { extra: 2 }) };
  const copy = roundTrip(value) as typeof value;
  assert.notEqual(copy.a, copy.b);
  assert.deepEqual(copy, { a: { n: 1 }, b: { n: 1 }, list: [1], map: new Map() });
});

test("encode returns bytes of its own that later calls leave alone", () => {
  const first = codec.encode({ a: "first", n: [1, 2, 3] });
  const before = Uint8Array.from(first);
  for (let i = 0; i < 100; i++) codec.encode({ a: "later", n: [i, i, i] });
  assert.deepEqual(first, before);
  assert.equal(first.byteLength, first.buffer.byteLength);
});

test("what is encoded behind a head stays as it is, and only what is short shares a buffer of 16 KiB", () => {
  const head = Uint8Array.of(9, 8);
  const bodies: [Uint8Array, unknown][] = [];
  for (let i = 0; i < 400; i++) {
    const given = [new Uint8Array(i * 7).fill(i), { text: "x".repeat(i), i }, i][i % 3];
    bodies.push([codec.encodeBehind(head, given), given]);
  }
  const buffers = new Set<ArrayBufferLike>();
  for (const [body, given] of bodies) {
    assert.deepEqual(body, Uint8Array.of(9, 8, ...codec.encode(given)));
    const isOfItsOwn = body.byteLength === body.buffer.byteLength;
    assert.equal(isOfItsOwn, body.length <= 64 || body.length > 2048, `${body.length} bytes`);
    if (isOfItsOwn) continue;
    assert.equal(body.buffer.byteLength, 16 * 1024);
    buffers.add(body.buffer);
  }
  assert.ok(buffers.size > 1);
});

test("decode leaves no trace on the bytes that it was given", () => {
  for (const value of [{ a: 1 }, { a: "long".repeat(1000) }]) {
    const bytes = codec.encode([value]);
    codec.decode(bytes);
    assert.deepEqual(Reflect.ownKeys(bytes), Reflect.ownKeys(Uint8Array.from(bytes)));
  }
});

test("a value that ends too early is refused, whatever was read before it", () => {
  const whole = codec.encode({ a: "x".repeat(60), b: [1, 2, "yy", 3.5], c: { d: null } });
  for (let cut = 0; cut < whole.length; cut++) {
    codec.decode(whole);
    assert.throws(() => codec.decode(whole.subarray(0, cut)), { message: /ends too early/ });
  }
});

test("bytes do not depend on what was encoded before", () => {
  const value = {
    kind: "order",
    lines: [
      { sku: "a", n: 1 },
      { sku: "b", n: 2 },
    ],
  };
  const fresh = createCborCodec().encode(value);
  const used = createCborCodec();
  for (let i = 0; i < 300; i++) used.encode({ [`key${i}`]: i, kind: "other", lines: [] });
  assert.deepEqual(used.encode(value), fresh);
});

test("functions, symbols, cycles and foreign classes are refused with their place", () => {
  class Account {
    balance = 1;
  }
  const cycle: { items: unknown[] } = { items: [] };
  cycle.items.push({ back: cycle });
  const refused: [unknown, RegExp][] = [
    [() => 1, /^a function has no encoding$/],
    [{ a: [1, { call: () => 1 }] }, /^a function at \.a\[1\]\.call has no encoding$/],
    [new Map([["k", Symbol("s")]]), /^a symbol at \.get\("k"\) has no encoding$/],
    [new Set([[Symbol("s")]]), /^a symbol at <item 0>\[0\]/],
    [cycle, /^a cycle: the value at \.items\[0\]\.back contains itself$/],
    [
      [runInNewContext("new Map()")],
      /^a Map of another realm at \[0\] has no encoding; .* new Map/,
    ],
    [{ account: new Account() }, /^an object of class Account at \.account .* plain object$/],
    [Promise.resolve(1), /class Promise/],
    [/x/, /class RegExp/],
    [new Error("x"), /class Error/],
    [new DataView(new ArrayBuffer(1)), /class DataView/],
    [new WeakMap(), /class WeakMap/],
  ];
  for (const [value, message] of refused) {
    assert.throws(() => codec.encode(value), { message });
    assert.throws(() => pull(codec.encodeSlices(value)), { message });
  }
});

test("a refusal names the place in a big value as well", () => {
  const items: unknown[] = Array.from({ length: 50_000 }, (_, i) => ({ i }));
  items[40_000] = { i: () => 1 };
  assert.throws(() => codec.encode({ items }), { message: /a function at \.items\[40000\]\.i/ });
});

test("the key __proto__ is refused on the way in and on the way out", () => {
  assert.throws(() => codec.encode(JSON.parse('{"__proto__": {"admin": true}}')), {
    message: /the key "__proto__" is refused/,
  });
  const hostile = hex("a1 69 5f5f70726f746f5f5f a1 65 61646d696e f5");
  assert.throws(() => codec.decode(hostile), { message: /__proto__/ });
  assert.equal(({} as Record<string, unknown>)["admin"], undefined);
  assert.deepEqual(roundTrip(new Map([["__proto__", 1]])), new Map([["__proto__", 1]]));
});

test("nesting is bounded alike when writing and when reading", () => {
  for (const wrap of containers) {
    const deep = nested(128, wrap);
    assert.deepEqual(roundTrip(deep), deep);
    assert.throws(() => codec.encode(nested(129, wrap)), { message: /deeper than 128 levels/ });
  }
  assert.throws(() => codec.decode(new Uint8Array(200).fill(0x81)), { message: /deeper than 128/ });
});

test("a map of a million entries is encoded in pieces of about 64 KiB", () => {
  const map = new Map<string, unknown>();
  for (let i = 0; i < 1_000_000; i++) map.set(`key ${i}`, i);
  const sizes: number[] = [];
  const slices = codec.encodeSlices(map);
  const pieces: Uint8Array[] = [];
  for (let next = slices.next(); next.done !== true; next = slices.next()) {
    sizes.push(next.value.length);
    pieces.push(next.value);
  }
  assert.ok(Math.max(...sizes) <= 64 * 1024);
  assert.ok(sizes.length < 1000, `${sizes.length} pieces`);
  const copy = codec.decode(Buffer.concat(pieces)) as Map<string, unknown>;
  assert.equal(copy.size, 1_000_000);
  assert.equal(copy.get("key 999999"), 999_999);
});

test("big arrays, objects, sets, strings and typed arrays go in pieces, nested ones too", () => {
  const bigs: unknown[] = [
    Array.from({ length: 30_000 }, (_, i) => `item ${i}`),
    Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i])),
    new Set(Array.from({ length: 70_000 }, (_, i) => i)),
    "é".repeat(200_000),
    new Uint8Array(200_000).fill(7),
    new Float64Array(30_000).fill(1.5),
  ];
  for (const value of [...bigs, { bigs, small: [-0, { x: 1 }] }]) {
    const pieces = pull(codec.encodeSlices(value));
    assert.ok(pieces.length > 1);
    assert.ok(pieces.every((piece) => piece.length <= 64 * 1024));
    assert.deepStrictEqual(codec.decode(Buffer.concat(pieces)), value);
    assert.deepEqual(Buffer.from(codec.encode(value)), Buffer.concat(pieces));
    const read = readSlices(codec.decodeSlices(Buffer.concat(pieces), 0));
    assert.deepStrictEqual(read.value, value);
    const inOnePiece = typeof value === "string" || ArrayBuffer.isView(value);
    assert.ok(inOnePiece || read.pauses > 5, `${read.pauses} pauses`);
  }
});

test("what was captured is encoded as it was, whatever becomes of the value", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const make = () => ({
    map: new Map<unknown, unknown>([["a", { list: [1, 2] }]]),
    set: new Set<unknown>(["x"]),
    at: new Date(5),
    bytes: Uint8Array.from(bytes),
    buffer: Buffer.from(bytes),
  });
  const value = make();
  const slices = codec.encodeSlices(codec.capture(value));
  (value.map.get("a") as { list: number[] }).list.push(3);
  value.map.set("b", 1);
  value.set.clear();
  value.at.setTime(6);
  value.bytes[0] = 9;
  value.buffer[0] = 9;
  assert.deepEqual(Buffer.concat(pull(slices)), Buffer.from(codec.encode(make())));
});

test("what has no encoding cannot be captured either", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  const bad = [() => 1, Symbol("s"), circle, new WeakMap(), JSON.parse(`{"__proto__":1}`), /x/];
  for (const value of bad) assert.throws(() => codec.capture(new Map([["k", [value]]])));
});

test("pieces are of their own", () => {
  const value = Array.from({ length: 100_000 }, (_, i) => i);
  const pieces = pull(codec.encodeSlices(value));
  assert.equal(new Set(pieces.map((piece) => piece.buffer)).size, pieces.length);
});

test("bytes from a stranger are refused before anything is allocated for them", () => {
  const refused: [string, string][] = [
    ["", "no bytes at all"],
    ["9a ffffffff", "an array of four thousand million items"],
    ["ba 7fffffff", "a map of two thousand million entries"],
    ["d90103 ba 7fffffff", "the same with a Map"],
    ["7a ffffffff 61", "a string of four gigabytes"],
    ["5b 0000000100000000", "a length of 64 bits"],
    ["9f 01 ff", "an array of indefinite length"],
    ["7f 61 61 ff", "a string of indefinite length"],
    ["d81c 81 d81d 00", "a shared reference: a cycle"],
    ["d9dfff 83 19e000 81 61 61 01", "a record definition"],
    ["d9e000 81 01", "a record of an earlier message"],
    ["d833 84 81 61 61 80 80 c6 00", "a packed table"],
    ["d81b 82 66 526567457870 61 61", "a regular expression"],
    ["c2 41 01", "a BigInt of bytes, which takes quadratic time"],
    ["c0 6a 323032302d30312d3031", "a date as text"],
    ["c1 61 61", "a date that is no number"],
    ["d90102 a0", "a Set that is a map"],
    ["d84e 01", "a typed array that is a number"],
    ["d8 4e 43 010203", "a typed array of a broken length"],
    ["d9 a029 01", "a marked text that is a number"],
    ["d9 a02a 62 7a7a", "a BigInt that is not hexadecimal"],
    ["f8 20", "an unknown simple value"],
    ["e0", "another one"],
    ["01 02", "bytes after the end"],
    ["61", "a text that ends too early"],
    ["a1 01 01", "an object with a number as a key"],
    ["62 c328", "a text that is not UTF-8"],
    ["63 eda080", "a surrogate in UTF-8"],
    ["62 c080", "an overlong form"],
    ["fb 00", "a number that ends too early"],
    ["1a 000000", "another one"],
  ];
  for (const [bytes, what] of refused) {
    assert.throws(() => codec.decode(hex(bytes)), Error, what);
  }
  assert.deepEqual(roundTrip({ still: "works" }), { still: "works" });
});

test("random and mutated bytes are decoded to something that the codec carries, or refused", () => {
  let refusals = 0;
  let values = 0;
  const attempt = (bytes: Uint8Array): void => {
    let value: unknown;
    try {
      value = codec.decode(bytes);
    } catch (error) {
      assert.ok(error instanceof Error);
      refusals += 1;
      return;
    }
    values += 1;
    codec.decode(codec.encode(value));
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => attempt(bytes)),
    { numRuns: 2000 },
  );
  const flip = fc.tuple(anyValue, fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(flip, ([value, at, byte]) => {
      const bytes = codec.encode(value);
      bytes[at % bytes.length] = byte;
      attempt(bytes);
    }),
    { numRuns: 1000 },
  );
  assert.ok(refusals > 100 && values > 100, `${refusals} refused, ${values} read`);
});

test("what one message defines is not there for the next", () => {
  const own = createCborCodec();
  assert.throws(() => own.decode(hex("d9dfff 83 19e000 81 61 61 01")));
  assert.throws(() => own.decode(hex("d9e000 81 05")));
});
