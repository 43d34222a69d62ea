/** The built-in values, handler by handler. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { builtInValue, builtInValues, counter, kv, queue } from "../../src/cli/values.js";
import { isDefinedValue } from "../../src/value/define.js";

describe("queue", () => {
  test("answers enqueue with the length before and dequeue with the oldest item, then null", () => {
    const { enqueue, dequeue } = queue.commands;
    const one = enqueue(queue.initial(), "a");
    assert.equal(one.reply, 0);
    const two = enqueue(one.value, "b");
    assert.equal(two.reply, 1);
    assert.equal(queue.queries.length(two.value), 2);
    const first = dequeue(two.value);
    assert.equal(first.reply, "a");
    const second = dequeue(first.value);
    assert.equal(second.reply, "b");
    const none = dequeue(second.value);
    assert.equal(none.reply, null);
    assert.equal(queue.queries.length(none.value), 0);
    assert.deepEqual(one.value, { items: ["a"] }, "an older value is as it was");
  });

  test("refuses to enqueue nothing", () => {
    assert.throws(
      () => queue.commands.enqueue(queue.initial(), undefined as unknown as string),
      /enqueue needs an item/,
    );
  });
});

describe("counter", () => {
  test("adds what is given, or one, and answers with the sum", () => {
    const { inc } = counter.commands;
    assert.deepEqual(inc(4, 3), { reply: 7, value: 7 });
    assert.deepEqual(inc(4), { reply: 5, value: 5 });
    assert.deepEqual(inc(4, -6), { reply: -2, value: -2 });
    assert.equal(counter.queries.get(7), 7);
  });

  test("refuses what is not a finite number", () => {
    for (const by of ["1", Number.NaN, Infinity, {}] as unknown as number[]) {
      assert.throws(() => counter.commands.inc(0, by), /inc needs a finite number/);
    }
  });
});

describe("kv", () => {
  test("puts and deletes with what was there before as the reply", () => {
    const map = kv.initial();
    assert.equal(kv.commands.put(map, { key: "k", value: 1 }), null);
    assert.equal(kv.commands.put(map, { key: "k", value: 2 }), 1);
    assert.equal(kv.queries.get(map, "k"), 2);
    assert.equal(kv.commands.delete(map, "k"), 2);
    assert.equal(kv.commands.delete(map, "k"), null);
    assert.equal(kv.queries.get(map, "k"), null);
  });

  test("sets by cas only what still equals from, where null stands for absent", () => {
    const map = kv.initial();
    const cas = (from: unknown, to: unknown) => kv.commands.cas(map, { key: "k", from, to });
    assert.equal(cas(1, 2), false);
    assert.equal(cas(null, { a: [1, { b: 2 }] }), true);
    assert.equal(cas({ a: [1, { b: 3 }] }, 3), false);
    assert.equal(cas({ a: [1] }, 3), false);
    assert.equal(cas({ a: [1, { b: 2 }], c: 3 }, 3), false, "with a field more");
    assert.equal(cas({ a: [1, { c: undefined }] }, 3), false);
    assert.equal(cas({ a: [1, { b: 2 }] }, []), true);
    assert.equal(cas({}, 3), false, "an empty object is no empty array");
    assert.equal(cas([], { a: undefined }), true);
    assert.equal(cas({ b: 1 }, 3), false, "a field that holds nothing is none that is not there");
    assert.equal(cas({ a: undefined }, "x"), true);
    assert.equal(cas("x", null), true);
    assert.equal(map.size, 0, "to set a key to null is to delete it");
  });

  test("never takes two maps or dates for equal by their lack of fields", () => {
    const map = kv.initial();
    kv.commands.put(map, { key: "k", value: new Date(1) });
    const swap = { key: "k", from: new Date(2), to: 3 };
    assert.equal(kv.commands.cas(map, swap), false);
  });

  test("refuses a key that is no string", () => {
    const map = kv.initial();
    const no = 1 as unknown as string;
    assert.throws(() => kv.commands.put(map, { key: no, value: 1 }), /string as key/);
    assert.throws(() => kv.commands.put(map, undefined as never), /string as key/);
    assert.throws(() => kv.commands.delete(map, no), /delete needs a string/);
    assert.throws(() => kv.queries.get(map, no), /get needs a string/);
  });

  test("names the key as the part that a call touches", () => {
    assert.equal(kv.partition?.("put", { key: "a", value: 1 }), "a");
    assert.equal(kv.partition?.("cas", { key: "b", from: 1, to: 2 }), "b");
    assert.equal(kv.partition?.("get", "c"), "c");
    assert.equal(kv.partition?.("delete", "d"), "d");
    assert.equal(kv.partition?.("put", undefined), null);
  });
});

test("built-in values are found by name, and what every object inherits is no value", () => {
  assert.deepEqual(Object.keys(builtInValues), ["queue", "counter", "kv"]);
  for (const value of Object.values(builtInValues)) assert.ok(isDefinedValue(value));
  assert.equal(builtInValue("queue"), queue);
  assert.equal(builtInValue("toString"), null);
  assert.equal(builtInValue("./queue.js"), null);
});
