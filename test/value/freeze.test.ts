/** The guard of development: nobody changes what a pure handler was given. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defineValue } from "../../src/value/define.js";
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
  runOne,
  show,
} from "./log.js";

test("what resists freezing is left as it is: a handler's outcome does not depend on it", () => {
  const resisting: (() => unknown)[] = [
    () => Object.defineProperty({}, "x", { enumerable: true, get: () => assert.fail("looked at") }),
    () => new Proxy({}, { preventExtensions: () => false }),
    () => new Proxy({}, { ownKeys: () => assert.fail("looked at") }),
  ];
  for (const make of resisting) {
    const definition = defineValue({
      name: "resisting",
      version: 1,
      initial: (): unknown => 0,
      commands: { put: () => ({ reply: "put", value: make() }) },
      queries: {},
    });
    assert.equal(runOne(definition, "put").shown, "put");
  }
});

test("freezing makes a pure handler that changes its value or argument fail at once", () => {
  const changes: ((v: { list: number[]; map: Map<string, number>; set: Set<number> }) => void)[] = [
    (v) => v.list.push(1),
    (v) => void (v.list[0] = 9),
    (v) => v.map.set("x", 1),
    (v) => v.map.clear(),
    (v) => v.set.add(1),
    (v) => v.set.delete(1),
    (v) => Object.assign(v, { extra: 1 }),
  ];
  const definition = defineValue({
    name: "nested",
    version: 1,
    initial: () => ({ list: [0], map: new Map<string, number>(), set: new Set<number>() }),
    commands: {
      change: (v, which: number) => {
        changes[which]!(v);
        return { reply: null, value: v };
      },
      changeArg: (v, arg: { list: number[] }) => {
        arg.list.push(1);
        return { reply: null, value: v };
      },
      renew: (v) => ({
        reply: null,
        value: {
          list: [...v.list, 1],
          map: new Map(v.map).set("k", 1),
          set: new Set(v.set).add(2),
        },
      }),
    },
    queries: {
      change: (v, which: number) => changes[which]!(v),
    },
  });
  const log = new LogBuilder(definition);
  const applier = newApplier(definition);
  const session = log.register().index;
  let sequence = 0;
  for (const renewed of [false, true]) {
    const before = codec.encode(applier.value);
    for (let which = 0; which < changes.length; which++) {
      log.command(session, ++sequence, "change", which);
      assert.match(show(catchUp(applier, log)) as string, /^commandFailed\/no: /);
      assert.match(ask(applier, "change", which) as string, /^queryFailed: /);
    }
    log.command(session, ++sequence, "changeArg", { list: [] });
    assert.match(show(catchUp(applier, log)) as string, /^commandFailed\/no: /);
    assert.deepEqual(codec.encode(applier.value), before);
    if (renewed) break;
    log.command(session, ++sequence, "renew");
    assert.equal(show(catchUp(applier, log)), null);
  }
});

test("a restored value is frozen too; a mutable one never, nor anything in production", () => {
  const { applier } = runOne(counter, "keep", { a: [1] });
  const copy = copyBySnapshot(applier).value as { seen: { a: number[] }[] };
  assert.ok(Object.isFrozen(copy) && Object.isFrozen(copy.seen[0]!.a));
  const map = newApplier(mutableWith((v) => v.size)).value as Map<string, number>;
  assert.equal(map.set("x", 1).size, 1);
  const open = newApplier(counter, { freeze: false });
  assert.ok(!Object.isFrozen(open.value));
});

test("frozen values are still what the codec carries", () => {
  const { applier, log, session } = runOne(counter, "keep", new Map([["k", new Set([1])]]));
  log.command(session, 2, "inc", 1);
  catchUp(applier, log);
  assert.deepEqual(ask(applier, "seen"), [new Map([["k", new Set([1])]])]);
  assert.deepEqual(fingerprint(copyBySnapshot(applier)), fingerprint(applier));
});
