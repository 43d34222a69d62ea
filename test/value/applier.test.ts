/** Handlers: deterministic outcomes, the old value after a failure, and guards for the careless. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
import type { Codec } from "../../src/ports.js";
import { answer, applyEntry } from "../../src/value/applier.js";
import { encodeQueryBody } from "../../src/value/body.js";
import { defineValue } from "../../src/value/define.js";
import { hashAt } from "../../src/value/reply-hashes.js";
import type { AnyDefinedValue } from "../../src/value/types.js";
import { decodeUtf8 } from "../../src/value/utf8.js";
import {
  ask,
  catchUp,
  codec,
  copyBySnapshot,
  counter,
  fingerprint,
  LogBuilder,
  mutableWith,
  newApplier,
  noteUnhandled,
  runOne,
  show,
} from "./log.js";

function pureWith(command: (v: never) => unknown): AnyDefinedValue {
  return defineValue({
    name: "odd",
    version: 1,
    initial: () => ({ n: 1 }),
    commands: { run: command as never },
    queries: { get: (v: { n: number }) => v.n },
  });
}

test("hazard 91: a handler that throws is an outcome with its message, and the value stays", () => {
  const { applier, log, session, shown } = runOne(counter, "fail", "not enough money");
  assert.equal(shown, "commandFailed/no: not enough money");
  log.command(session, 2, "inc", 1);
  assert.equal(show(catchUp(applier, log)), 1);
});

test("of a long text that is thrown no more is kept than is counted for it", () => {
  const { shown } = runOne(counter, "fail", "x".repeat(10_000));
  assert.equal(shown, `commandFailed/no: ${"x".repeat(512)}`);
});

test("whatever is thrown has a text", () => {
  const odd: [unknown, string][] = [
    ["a text", "a text"],
    [undefined, "undefined"],
    [new TypeError(""), "TypeError"],
    [Object.create(null), "something was thrown that has no text"],
    [Symbol("s"), "Symbol(s)"],
    [{ toString: () => 1 / 0 }, "Infinity"],
    [Object.assign(new Error(""), { name: undefined }), "something was thrown that has no text"],
    [Object.assign(new Error(""), { name: 7 }), "7"],
    [
      Object.assign(new Error("x"), { message: undefined, name: "" }),
      "something was thrown that has no text",
    ],
    [Object.assign(new Error("x"), { message: { at: 1 } }), "[object Object]"],
    [Object.assign(new Error("x"), { message: Symbol("s") }), "Symbol(s)"],
  ];
  for (const [thrown, text] of odd) {
    const { shown } = runOne(
      pureWith(() => {
        throw thrown;
      }),
      "run",
    );
    assert.equal(shown, `commandFailed/no: ${text}`);
  }
});

test("whatever a query throws has a text, and costs the member nothing", () => {
  const definition = defineValue({
    name: "odd",
    version: 1,
    initial: () => 0,
    commands: {},
    queries: {
      odd: () => {
        throw Object.assign(new Error(""), { name: undefined });
      },
    },
  });
  const { status, body } = answer(
    newApplier(definition),
    encodeQueryBody(definition, codec, "odd", false, undefined),
  );
  assert.equal(status, "queryFailed");
  assert.equal(new TextDecoder().decode(body), "something was thrown that has no text");
});

test("a mutable value keeps what its handler changed before it threw, and says maybe", () => {
  const definition = mutableWith((map) => {
    map.set("half", 1);
    throw new Error("done by half");
  });
  const { applier, shown } = runOne(definition, "run");
  assert.equal(shown, "commandFailed/maybe: done by half");
  assert.equal(ask(applier, "size"), 1);
});

test("a reply without an encoding is encodeFailed, and a pure value stays", () => {
  const { applier, shown } = runOne(counter, "replyFunction");
  assert.match(
    shown as string,
    /^encodeFailed\/no: the reply of command "replyFunction": a function has no encoding$/,
  );
  assert.equal(ask(applier, "get"), 0);
  const mutable = runOne(
    mutableWith(() => Symbol("x")),
    "run",
  );
  assert.match(mutable.shown as string, /^encodeFailed\/maybe: /);
});

test("a handler that returns a promise fails with the remedy, and its rejection harms nobody", async (t) => {
  const unhandled = noteUnhandled(t);
  const bodies = [
    () => Promise.reject(new Error("late")),
    () => ({ reply: Promise.reject(new Error("late")), value: { n: 2 } }),
    () => ({ reply: 1, value: Promise.reject(new Error("late")) }),
    () => ({ reply: Promise.reject(new Error("one")), value: Promise.reject(new Error("two")) }),
  ];
  for (const body of bodies) {
    const { applier, shown } = runOne(pureWith(body), "run");
    assert.match(shown as string, /^commandFailed\/no: run: the handler returned a promise; /);
    assert.equal(ask(applier, "get"), 1);
  }
  const mutable = runOne(
    mutableWith(() => Promise.reject(new Error("late"))),
    "run",
  );
  assert.match(
    mutable.shown as string,
    /^commandFailed\/maybe: run: the handler returned a promise/,
  );
  // An unhandled rejection is reported once the microtasks are done.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("the then of something that only looks like a promise is not called", () => {
  let calls = 0;
  const lazy = { then: () => (calls += 1) };
  const { shown } = runOne(
    pureWith(() => lazy),
    "run",
  );
  assert.match(shown as string, /^commandFailed\/no: .*promise/);
  assert.equal(calls, 0);
});

test("a pure command that does not return reply and value says so", () => {
  for (const result of [undefined, null, 5, "x", { reply: 1 }]) {
    const { applier, shown } = runOne(
      pureWith(() => result),
      "run",
    );
    assert.match(shown as string, /^commandFailed\/no: run: .* must return \{ reply, value \}/);
    assert.equal(ask(applier, "get"), 1);
  }
});

test("unknown commands, inherited names and malformed bytes are outcomes", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  const bodies: [Uint8Array, RegExp][] = [
    [
      Uint8Array.from([0, 4, ...Buffer.from("nope")]),
      /^unknownCommand\/maybe: .*"nope"; it has: inc, /,
    ],
    [Uint8Array.from([0, 11, ...Buffer.from("constructor")]), /^unknownCommand\/maybe: /],
    [Uint8Array.from([0, 9, ...Buffer.from("__proto__")]), /^unknownCommand\/maybe: /],
    [new Uint8Array(0), /^encodeFailed\/no: the bytes of the command/],
    [Uint8Array.from([255, 255, 255, 255]), /^encodeFailed\/no: the bytes of the command/],
    [Uint8Array.from([2, 3, ...Buffer.from("inc"), 255, 255]), /^encodeFailed\/no: the bytes/],
    [Uint8Array.from([1, 3, ...Buffer.from("inc"), 0xff]), /^encodeFailed\/no: the argument of/],
  ];
  bodies.forEach(([body, expected], i) => {
    log.add({ kind: "command", session, sequence: i + 1, lowestOutstanding: 1, body });
    assert.match(show(catchUp(applier, log)) as string, expected);
  });
  assert.equal(ask(applier, "get"), 0);
  assert.deepEqual(fingerprint(copyBySnapshot(applier)), fingerprint(applier));
});

test("queries fail as data, and unknown ones name the known", () => {
  const applier = newApplier();
  assert.equal(ask(applier, "get"), 0);
  assert.equal(ask(applier, "fail"), "queryFailed: no");
  const bytes = Uint8Array.from([0, 4, ...Buffer.from("nope")]);
  assert.equal(answer(applier, bytes).status, "unknownQuery");
  assert.match(decodeUtf8(answer(applier, bytes).body), /it has: get, seen, fail$/);
  assert.equal(answer(applier, new Uint8Array(0)).status, "encodeFailed");
  assert.equal(answer(applier, Uint8Array.from([1, 1, 103, 255])).status, "encodeFailed");
  const odd = defineValue({
    name: "odd",
    version: 1,
    initial: () => 0,
    commands: {},
    // As JavaScript may: the compiler refuses it.
    queries: { promise: (): unknown => Promise.resolve(1), call: () => () => 1 },
  });
  assert.match(
    ask(newApplier(odd), "promise") as string,
    /^queryFailed: promise: .*promise; handlers are synchronous$/,
  );
  assert.match(ask(newApplier(odd), "call") as string, /^encodeFailed: the answer of query "call"/);
});

test("the only clock is the entry's, and handlers see index, term and time", () => {
  const { log, applier, session } = runOne(counter, "stamp");
  log.command(session, 2, "stamp");
  const entry = log.entries.at(-1)!;
  assert.deepEqual(show(catchUp(applier, log)), {
    index: entry.index,
    term: entry.term,
    timeMs: entry.timeMs,
  });
});

test("arguments come from bytes on every member and alias nothing", () => {
  const given: unknown[] = [];
  const definition = defineValue({
    name: "store",
    version: 1,
    mutable: true,
    initial: () => [] as unknown[],
    commands: {
      put: (v, item: { list: number[] }) => {
        given.push(item);
        v.push(item);
        return item;
      },
    },
    queries: { all: (v) => v },
  });
  const item = { list: [1] };
  const log = new LogBuilder(definition);
  const session = log.register().index;
  log.command(session, 1, "put", item);
  const [one, other] = [newApplier(definition), newApplier(definition)];
  catchUp(one, log);
  catchUp(other, log);
  item.list.push(2);
  (given[0] as { list: number[] }).list.push(3);
  assert.deepEqual(ask(one, "all"), [{ list: [1, 3] }]);
  assert.deepEqual(ask(other, "all"), [{ list: [1] }]);
});

test("what initial returns must have an encoding and is not shared between groups", () => {
  class Board {
    cells = [1];
  }
  const bad: (readonly [() => unknown, RegExp])[] = [
    [() => new Board(), /initial\(\) returned what has no encoding: .*Board/],
    [() => Promise.resolve(1), /initial\(\) returned what has no encoding: .*Promise/],
    [
      () => {
        throw new Error("no board");
      },
      /initial\(\) threw: no board$/,
    ],
  ];
  for (const [initial, message] of bad) {
    const definition = defineValue({
      name: "b",
      version: 1,
      initial,
      commands: {},
      queries: {},
    });
    assert.throws(
      () => newApplier(definition as AnyDefinedValue),
      (error: unknown) =>
        error instanceof RaftError && error.code === "invalidValue" && message.test(error.message),
    );
  }
  const shared = new Map<string, number>();
  const definition = defineValue({
    name: "shared",
    version: 1,
    mutable: true,
    initial: () => shared,
    commands: { put: (v, key: string) => v.set(key, 1).size },
    queries: { size: (v) => v.size },
  });
  runOne(definition, "put", "a");
  assert.equal(runOne(definition, "put", "b").shown, 1);
  assert.equal(shared.size, 0);
});

test("hazard 92: a handler that uses Math.random shows at the first index that differs", () => {
  const definition = defineValue({
    name: "dice",
    version: 1,
    initial: () => 0,
    commands: {
      roll: (v) => ({ reply: Math.random(), value: v }),
      inc: (v) => ({ reply: v + 1, value: v + 1 }),
    },
    queries: {},
  });
  const log = new LogBuilder(definition);
  const [one, other] = [newApplier(definition), newApplier(definition)];
  const session = log.register().index;
  log.command(session, 1, "inc");
  const roll = log.command(session, 2, "roll").index;
  log.command(session, 3, "inc");
  catchUp(one, log);
  catchUp(other, log);
  for (const { index } of log.entries) {
    const same = hashAt(one.hashes, index) === hashAt(other.hashes, index);
    assert.equal(same, index < roll, `index ${index}`);
  }
});

test("messages of errors may differ between engines: the hash leaves them out", () => {
  const failing = (message: string) =>
    runOne(
      pureWith(() => {
        throw new Error(message);
      }),
      "run",
    ).applier.hashes.current;
  assert.equal(failing("Cannot read properties of undefined"), failing("x is undefined"));
  const unencodable = runOne(
    pureWith(() => ({ reply: () => 1, value: 1 })),
    "run",
  );
  assert.notEqual(failing("x"), unencodable.applier.hashes.current);
});

test("hazards 59 and 93: an entry is applied at its place only, never twice, never with a gap", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  log.register();
  catchUp(applier, log);
  assert.throws(() => applyEntry(applier, log.entries[1]!), /does not follow/);
  assert.throws(() => applyEntry(applier, { ...log.entries[1]!, index: 9 }), /does not follow/);
  const copy = copyBySnapshot(applier);
  assert.equal(copy.lastApplied, 2);
  assert.throws(() => applyEntry(copy, log.entries[1]!), /does not follow/);
});

test("hazard 89 and 90: what may have been applied says maybe", () => {
  const log = new LogBuilder(undefined, { maxSessions: 1 });
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 1, "inc", 1);
  log.register();
  log.command(session, 1, "inc", 1);
  const outcome = catchUp(applier, log);
  assert.deepEqual([outcome.status, outcome.applied], ["sessionExpired", "maybe"]);
});

test("a codec of one's own is used for arguments, replies and answers", () => {
  const json: Codec = {
    encode: (value) => Uint8Array.from(Buffer.from(JSON.stringify({ value }))),
    decode: (bytes) => (JSON.parse(Buffer.from(bytes).toString()) as { value: unknown }).value,
  };
  const log = new LogBuilder(counter);
  const applier = newApplier(counter, { own: json });
  const session = log.register().index;
  const body = Uint8Array.from([1, 3, ...Buffer.from("inc"), ...json.encode(4)]);
  log.add({ kind: "command", session, sequence: 1, lowestOutstanding: 1, body });
  assert.equal(json.decode(catchUp(applier, log).body), 4);
  assert.deepEqual(copyBySnapshot(applier).value, { n: 4, seen: [] });
});
