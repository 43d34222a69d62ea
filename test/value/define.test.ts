/** What `defineValue` refuses, by name, and that a defined value may be defined anew with changes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defineValue, isDefinedValue, splitArgs } from "../../src/value/define.js";

const good = {
  name: "counter",
  version: 1,
  initial: () => 0,
  commands: { inc: (n: number) => ({ reply: n, value: n + 1 }) },
  queries: { get: (n: number) => n },
};

const define = defineValue as (spec: unknown) => ReturnType<typeof defineValue>;

describe("defineValue", () => {
  const refusals: readonly [object, RegExp][] = [
    [{ name: "a b" }, /^the value's name must be 1 to 64 letters.*"a b"/],
    [{ version: 0 }, /^value "counter": version must be an integer >= 1, got 0/],
    [{ mutable: "yes" }, /^value "counter": mutable must be true or false, got "yes"/],
    [{ mutabel: true }, /^value "counter": mutabel is no field of a value; there are name, /],
    [{ initial: 0 }, /^value "counter": initial must be a function, got 0/],
    [{ commands: { inc: 1 } }, /^value "counter": commands.inc must be a function, got 1/],
    [{ commands: [] }, /^value "counter": commands must be a plain object of .*, got an array/],
    [{ queries: new Map() }, /^value "counter": queries must be a plain object of .*, got a Map/],
    [{ queries: { "a-b": () => 0 } }, /^value "counter": queries.a-b must be named/],
    [{ command: () => 0 }, /^value "counter": command and query are one form/],
    [{ codec: {} }, /^value "counter": codec.encode must be a function, got undefined/],
    ...[
      "encodeSlices",
      "decodeSlices",
      "decodeArriving",
      "encodeBehind",
      "decodeBehind",
      "capture",
    ].map((name): [object, RegExp] => [
      { codec: { encode: () => 0, decode: () => 0, [name]: 7 } },
      new RegExp(`^value "counter": codec\\.${name} must be a function, got 7`),
    ]),
    [{ upgrade: 1 }, /^value "counter": upgrade must be a function, got 1/],
    [{ compatibleVersions: [0] }, /^value "counter": compatibleVersions must be an array/],
  ];
  for (const [change, message] of refusals) {
    test(`refuses ${Object.keys(change)[0]}: ${JSON.stringify(Object.values(change)[0])}`, () => {
      assert.throws(() => define({ ...good, ...change }), { code: "invalidValue", message });
    });
  }

  test("takes what a module exports, which has no prototype", () => {
    const exported = Object.assign(Object.create(null) as object, good.commands);
    assert.deepEqual(Object.keys(define({ ...good, commands: exported }).commands), ["inc"]);
  });

  test("takes undefined for what may be left out", () => {
    const left = { mutable: undefined, codec: undefined, upgrade: undefined };
    const out = { compatibleVersions: undefined, partition: undefined };
    assert.deepEqual(defineValue({ ...good, ...left, ...out }), defineValue(good));
  });

  test("takes a defined value with changes", () => {
    const first = defineValue(good);
    const second = define({ ...first, version: 2, compatibleVersions: [1] });
    assert.ok(isDefinedValue(second));
    assert.deepEqual(second, { ...first, version: 2, compatibleVersions: [1] });
  });
});

describe("what looks like options", () => {
  const value = define({
    ...good,
    commands: {
      none: () => ({ reply: 0, value: 0 }),
      one: (n: number, _arg: unknown) => ({ reply: n, value: n }),
    },
  });
  const given = { timeoutMs: 5 };

  test("is the argument of a handler that declares one", () => {
    const split = splitArgs(value, "command", "one", [given]);
    assert.deepEqual(split, { hasArg: true, arg: given, options: undefined });
  });

  test("is the options of a handler that declares none", () => {
    const split = splitArgs(value, "command", "none", [given]);
    assert.deepEqual(split, { hasArg: false, arg: undefined, options: given });
  });
});
