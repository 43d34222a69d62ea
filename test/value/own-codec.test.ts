/** Codecs that somebody brings along: what they return by mistake is said, and stops no member. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { RaftError } from "../../src/errors.js";
import type { ArrivingBytes, Codec } from "../../src/ports.js";
import { encodeCommandBody } from "../../src/value/body.js";
import { defineValue } from "../../src/value/define.js";
import {
  ask,
  catchUp,
  copyBySnapshot,
  counter,
  LogBuilder,
  newApplier,
  noteUnhandled,
  runOne,
  show,
} from "./log.js";

const json: Codec = {
  encode: (value) => Uint8Array.from(Buffer.from(JSON.stringify({ value }))),
  decode: (bytes) => (JSON.parse(Buffer.from(bytes).toString()) as { value: unknown }).value,
};

function bringing(change: object): Codec {
  return { ...json, ...change };
}

function refusal(code: string, message: RegExp) {
  return (error: unknown): boolean =>
    error instanceof RaftError && error.code === code && message.test(error.message);
}

test("a codec whose encode returns no bytes is refused before anything is founded on it", () => {
  const bad: (readonly [unknown, RegExp])[] = [
    ["[1]", /codec\.encode must return a Uint8Array, got "\[1\]"/],
    [undefined, /got undefined/],
    [Promise.resolve(new Uint8Array(1)), /got a Promise/],
    [new ArrayBuffer(3), /got an ArrayBuffer/],
  ];
  for (const [bytes, message] of bad) {
    const own = bringing({ encode: () => bytes, decode: () => 0 });
    assert.throws(() => newApplier(counter, { own }), refusal("invalidValue", message));
  }
});

test("a promise that encode returns is refused, and its rejection harms nobody", async (t) => {
  const unhandled = noteUnhandled(t);
  const late = bringing({ encode: () => Promise.reject(new Error("late")), decode: () => 0 });
  const refused = refusal("invalidValue", /codec\.encode must return a Uint8Array/);
  assert.throws(() => newApplier(counter, { own: late }), refused);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("a codec that reads or writes with promises is refused before anything is founded on it", async (t) => {
  const unhandled = noteUnhandled(t);
  const late = (): unknown => Promise.reject(new Error("late"));
  const lateSteps = (): unknown => ({ next: late });
  const lateEnd = (): unknown => ({ next: () => ({ done: true, value: late() }) });
  const bad: (readonly [object, RegExp])[] = [
    [{ decode: late }, /codec\.decode must be synchronous, got a promise/],
    ...[late, lateSteps, lateEnd].map(
      (decodeSlices) => [{ decodeSlices }, /codec\.decodeSlices must be synchronous/] as const,
    ),
    ...[late, lateSteps].map(
      (decodeArriving) =>
        [{ decodeArriving }, /codec\.decodeArriving must be synchronous/] as const,
    ),
    ...[late, lateSteps].map(
      (encodeSlices) => [{ encodeSlices }, /codec\.encodeSlices must be synchronous/] as const,
    ),
    [{ encodeSlices: () => ["12"].values() }, /codec\.encodeSlices must return a Uint8Array/],
  ];
  for (const [change, message] of bad) {
    const own = bringing(change);
    assert.throws(() => newApplier(counter, { own }), refusal("invalidValue", message));
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("a codec that waits for more bytes than there are is refused before anything is founded on it", () => {
  for (const wanted of [4096, NaN]) {
    const decodeArriving = (arriving: ArrivingBytes): unknown => {
      arriving.wanted = wanted;
      return { next: () => ({ done: false, value: undefined }) };
    };
    const message = new RegExp(
      `codec\\.decodeArriving waits for ${wanted} bytes, and there are only`,
    );
    const own = bringing({ decodeArriving });
    assert.throws(() => newApplier(counter, { own }), refusal("invalidValue", message));
  }
});

test("an argument that is read as a promise is encodeFailed, and no handler sees it", async (t) => {
  const unhandled = noteUnhandled(t);
  const own = bringing({ decodeBehind: () => Promise.reject(new Error("late")) });
  const { applier, shown } = runOne(counter, "keep", "a", own);
  assert.match(
    shown as string,
    /^encodeFailed\/no: .*"keep": codec\.decodeBehind must be synchron/,
  );
  assert.deepEqual(applier.value, { n: 0, seen: [] });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("a copy that is a promise is none: the value itself is what a snapshot holds", async (t) => {
  const unhandled = noteUnhandled(t);
  const own = bringing({
    encodeSlices: (value: unknown) => [json.encode(value)].values(),
    capture: () => Promise.reject(new Error("late")),
  });
  const tally = defineValue({
    name: "tally",
    version: 1,
    mutable: true,
    initial: () => ({ n: 3 }),
    commands: {},
    queries: {},
  });
  assert.deepEqual(copyBySnapshot(newApplier(tally, { own })).value, { n: 3 });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("a reply or an answer of which the codec makes no bytes is encodeFailed, and the value stays", () => {
  const own = bringing({
    encode: (value: unknown) => (typeof value === "number" ? undefined : json.encode(value)),
  });
  const log = new LogBuilder();
  const applier = newApplier(counter, { own });
  const session = log.register().index;
  const body = Uint8Array.from([1, 3, ...Buffer.from("inc"), ...json.encode(4)]);
  log.add({ kind: "command", session, sequence: 1, lowestOutstanding: 1, body });
  const shown = show(catchUp(applier, log));
  assert.match(shown as string, /^encodeFailed\/no: .*codec\.encode must return a Uint8Array/);
  assert.deepEqual(applier.value, { n: 0, seen: [] });
  assert.match(ask(applier, "get") as string, /^encodeFailed: .*codec\.encode must return/);
});

test("an argument of which the codec makes no bytes is refused to its caller", () => {
  const text = bringing({ encode: () => "12" });
  const behind = bringing({ encodeBehind: () => "12" });
  const odd = bringing({
    encode: () => {
      throw Object.create(null) as Error;
    },
  });
  const refused = [
    [odd, /command "inc" has no encoding: .* has no text/],
    [text, /command "inc" has no encoding: codec\.encode must return a Uint8Array, got "12"/],
    [behind, /codec\.encodeBehind must return a Uint8Array, got "12"/],
  ] as const;
  for (const [own, message] of refused) {
    assert.throws(
      () => encodeCommandBody(counter, own, "inc", true, 1, null),
      refusal("encodeFailed", message),
    );
  }
});

test("bytes of another realm, and Buffers, are bytes", () => {
  const foreign = runInNewContext("Uint8Array.of(1, 7)") as Uint8Array;
  for (const bytes of [foreign, Buffer.from([1, 7])]) {
    const own = bringing({ encode: () => bytes });
    const body = encodeCommandBody(counter, own, "inc", true, 1, null);
    assert.deepEqual([...body.subarray(-2)], [1, 7]);
  }
});

test("a promise that initial returns is refused, whatever the codec would make of it", () => {
  const definition = defineValue({
    name: "late",
    version: 1,
    initial: () => Promise.resolve({ n: 0 }) as unknown,
    commands: {},
    queries: {},
  });
  assert.throws(
    () => newApplier(definition, { own: json }),
    refusal("invalidValue", /initial\(\) returned what has no encoding: a Promise/),
  );
});

test("ids that would become the same bytes are refused", () => {
  for (const id of ["a\ud800", "\udc00b"]) {
    assert.throws(
      () => encodeCommandBody(counter, json, "inc", true, 1, id),
      refusal("invalidArgument", /option id must be well-formed Unicode/),
    );
  }
  assert.ok(encodeCommandBody(counter, json, "inc", true, 1, "a\ud83d\ude00").length > 0);
});
