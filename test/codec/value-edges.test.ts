/** Values that end where a piece ends, kinds that are rare, and strangers at the borders of what is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCborCodec } from "../../src/codec/values.js";
import { containers, nested } from "./any-value.js";
import { pull, readSlices } from "./read-slices.js";

const codec = createCborCodec();
const pieceBytes = 64 * 1024;

function encodedInSlices(value: unknown): Buffer {
  return Buffer.concat(pull(codec.encodeSlices(value)));
}

function bothWays(value: unknown): void {
  const bytes = codec.encode(value);
  assert.deepStrictEqual(codec.decode(bytes), value);
  assert.deepStrictEqual(readSlices(codec.decodeSlices(bytes, 0)).value, value);
}

test("every kind of typed array comes back as that kind, short or long", () => {
  for (const length of [0, 3, 20_000]) {
    const numbers = Array.from({ length }, (_, i) => i - 5);
    const bigs = numbers.map(BigInt);
    const views = [
      Uint8Array.from(numbers),
      Uint8ClampedArray.from(numbers),
      Uint16Array.from(numbers),
      Uint32Array.from(numbers),
      BigUint64Array.from(bigs),
      Int8Array.from(numbers),
      Int16Array.from(numbers),
      Int32Array.from(numbers),
      BigInt64Array.from(bigs),
      Float32Array.from(numbers),
      Float64Array.from(numbers),
    ];
    for (const view of views) {
      bothWays(view);
      bothWays(view.subarray(2));
    }
    bothWays(views);
  }
});

test("bytes that were decoded are memory of their own, alone and in slices", () => {
  for (const length of [0, 1, 300, 70_000]) {
    const given = new Uint8Array(length).fill(7);
    const bytes = codec.encode(given);
    const read = [codec.decode(bytes), readSlices(codec.decodeSlices(bytes, 0)).value];
    bytes.fill(0);
    assert.deepStrictEqual(read, [given, given]);
  }
});

test("no character of a long text is lost, wherever a piece ends", () => {
  for (let before = 0; before < 5; before++) {
    const text = "x".repeat(before) + "é😀".repeat(40_000);
    const bytes = encodedInSlices([text]);
    assert.deepEqual(bytes, Buffer.from(codec.encode([text])));
    assert.ok((codec.decode(bytes) as string[])[0] === text);
  }
});

test("whatever is written where a piece ends is written whole", () => {
  const at = new Date(8.64e15 - 1);
  const small = [-0, 2n ** 70n, "\ufefftext", at, new Map([[-0, -0]]), new Set([-0]), 2 ** 40];
  const long = ["x".repeat(20_000), new Int16Array(20_000), Array.from({ length: 9000 }, () => -0)];
  for (const rare of [...small, ...long]) {
    for (let room = 0; room < 40; room++) {
      const value = [new Uint8Array(pieceBytes - room), rare, 1];
      const read = codec.decode(encodedInSlices(value)) as unknown[];
      assert.deepStrictEqual(read.slice(1), [rare, 1], `${room} bytes before the end`);
    }
  }
});

test("what was captured is as it was, members of sets and keys of maps included", () => {
  const make = () => {
    const member = { n: [1] };
    return { member, value: [new Set([member]), new Map([[member, member]]), [member]] };
  };
  const { member, value } = make();
  const captured = codec.capture(value);
  member.n.push(2);
  assert.deepEqual(encodedInSlices(captured), Buffer.from(codec.encode(make().value)));
});

test("what is nested too deep to be read is not captured", () => {
  for (const wrap of containers) {
    const deep = nested(128, wrap);
    assert.deepStrictEqual(codec.decode(encodedInSlices(codec.capture(deep))), deep);
    assert.throws(() => codec.capture(nested(129, wrap)));
  }
});

test("what a stranger has nested deeper than this is refused in containers of every kind", () => {
  for (const [open, close] of [
    ["81", ""],
    ["a1 61 61", ""],
    ["d90103 a1 01", ""],
    ["d90103 a1", "01"],
    ["d90102 81", ""],
  ] as const) {
    const of = (levels: number): Uint8Array =>
      Buffer.from(`${open.repeat(levels)}01${close.repeat(levels)}`.replaceAll(" ", ""), "hex");
    codec.decode(of(128));
    for (const levels of [129, 100_000]) {
      assert.throws(() => codec.decode(of(levels)), { message: /deeper than 128 levels/ }, open);
      assert.throws(() => readSlices(codec.decodeSlices(of(levels), 0)), open);
    }
  }
});

test("text that is no UTF-8 is refused, whatever is wrong with it", () => {
  const wrong = [
    "80",
    "c1bf",
    "e09fbf",
    "eda080",
    "f08fbfbf",
    "f4908080",
    "f5808080",
    "e282",
    "f09f98",
  ];
  const right = ["c280", "e0a080", "ed9fbf", "ee8080", "f0908080", "f48fbfbf"];
  for (const [texts, isRight] of [
    [wrong, false],
    [right, true],
  ] as const) {
    for (const text of texts) {
      // Long enough, or not, for the ways that cbor-x has of its own and for the check that Node has.
      for (const before of [0, 5, 44, 45, 46, 47, 48, 100]) {
        const content = Buffer.concat([Buffer.alloc(before, "x"), Buffer.from(text, "hex")]);
        const bytes = Buffer.concat([Buffer.from([0x78, content.length]), content]);
        if (isRight) assert.equal(codec.decode(bytes), content.toString());
        else assert.throws(() => codec.decode(bytes), { message: /not UTF-8/ }, text);
      }
    }
  }
});

test("what a stranger wrote in a longer form, or twice, is read as the codec would have written it", () => {
  const filler = Buffer.from(codec.encode(new Uint8Array(20_000)));
  for (const [longer, value] of [
    ["1800", 0],
    ["1a00000001", 1],
    ["f93c00", 1],
    ["7800", ""],
    ["980101", [1]],
    ["a2616101616102", { a: 2 }],
    ["d90103a201010102", new Map([[1, 2]])],
    ["d90102820101", new Set([1])],
  ] as const) {
    const bytes = Buffer.from(longer, "hex");
    assert.deepStrictEqual(codec.decode(bytes), value);
    const among = Buffer.concat([Buffer.of(0x82), filler, bytes]);
    const inSlices = readSlices(codec.decodeSlices(among, 0)).value as unknown[];
    assert.deepStrictEqual(inSlices[1], value);
    assert.deepEqual(codec.encode(inSlices[1]), codec.encode(value));
  }
});
