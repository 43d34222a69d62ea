/** Snapshots of value and sessions: what was captured, versions, damage. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { defineValue } from "../../src/value/define.js";
import { encodeSnapshot, restoreSnapshot } from "../../src/value/snapshot.js";
import { catchUp, counter, fingerprint, LogBuilder, metaOf, newApplier, pull } from "./log.js";

function refusal(code: RaftErrorCode, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof RaftError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

const bigMap = defineValue({
  name: "bigMap",
  version: 1,
  mutable: true,
  initial: () => new Map<string, string>(),
  commands: { put: (v, key: string) => void v.set(key, "x".repeat(100)) },
  queries: { size: (v) => v.size },
});

const bigList = defineValue({
  name: "bigList",
  version: 1,
  initial: () => [] as readonly string[],
  commands: {
    fill: (_v, count: number) => ({
      reply: null,
      value: Array.from({ length: count }, (_, i) => `item ${i}`),
    }),
    clear: () => ({ reply: null, value: [] }),
  },
  queries: { length: (v) => v.length },
});

test("a pure value's snapshot is what it was when it began, though commands go on meanwhile", () => {
  const log = new LogBuilder(bigList);
  const applier = newApplier(bigList);
  const session = log.register().index;
  log.command(session, 1, "fill", 50_000, { id: "fill" });
  catchUp(applier, log);
  const expected = fingerprint(applier);
  const meta = metaOf(applier);
  const pieces = encodeSnapshot(applier).pieces;
  const pulled: Uint8Array[] = [];
  for (let sequence = 2; ; sequence++) {
    const next = pieces.next();
    if (next.done === true) break;
    pulled.push(next.value);
    log.command(session, sequence, sequence % 2 === 0 ? "clear" : "fill", 10);
    log.register();
    catchUp(applier, log);
  }
  assert.ok(pulled.length > 5, `${pulled.length} pieces`);
  assert.deepEqual(Buffer.concat(pulled), expected);
  const copy = newApplier(bigList);
  restoreSnapshot(copy, meta, pulled);
  assert.equal((copy.value as string[]).length, 50_000);
  assert.deepEqual([...copy.sessions.byId.keys()], [session]);
});

test("a mutable value's snapshot is taken between two commands as well", () => {
  const log = new LogBuilder(bigMap);
  const applier = newApplier(bigMap);
  const session = log.register().index;
  for (let i = 1; i <= 2000; i++) log.command(session, i, "put", `key ${i}`);
  catchUp(applier, log);
  const pieces = encodeSnapshot(applier).pieces;
  const meta = metaOf(applier);
  log.command(session, 2001, "put", "later");
  catchUp(applier, log);
  const copy = newApplier(bigMap);
  restoreSnapshot(copy, meta, pull(pieces));
  assert.equal((copy.value as Map<string, string>).size, 2000);
});

test("a value without an encoding fails when its piece is pulled, for pure and mutable alike", () => {
  for (const mutable of [false, true]) {
    const applier = newApplier(mutable ? bigMap : bigList, { freeze: false });
    applier.value = mutable ? new Map([["k", () => 1]]) : [() => 1];
    const pieces = encodeSnapshot(applier).pieces;
    assert.throws(() => pull(pieces), /a function at .* has no encoding/);
  }
});

function counterVersion(version: number, more: object) {
  return defineValue({
    name: "counter",
    version,
    initial: () => ({ total: 0 }),
    commands: {
      inc: (v, by: number) => ({ reply: v.total + by, value: { total: v.total + by } }),
    },
    queries: { get: (v) => v.total },
    ...more,
  });
}

function oldSnapshot() {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  log.command(session, 1, "inc", 7);
  catchUp(applier, log);
  return { meta: metaOf(applier), pieces: pull(encodeSnapshot(applier).pieces), log, session };
}

test("upgrade turns the value of an older version's snapshot into this version's", () => {
  const { meta, pieces, log, session } = oldSnapshot();
  const upgrade = (old: unknown, from: number) => ({ total: (old as { n: number }).n * from });
  const applier = newApplier(counterVersion(3, { upgrade }));
  restoreSnapshot(applier, meta, pieces);
  assert.deepEqual(applier.value, { total: 7 });
  assert.ok(Object.isFrozen(applier.value));
  log.command(session, 2, "inc", 1);
  catchUp(applier, log);
  assert.deepEqual(applier.value, { total: 8 });
});

test("an older version's snapshot without upgrade is refused with the remedy", () => {
  const { meta, pieces } = oldSnapshot();
  const applier = newApplier(counterVersion(2, {}));
  assert.throws(
    () => restoreSnapshot(applier, meta, pieces),
    refusal("invalidValue", /version 1 of value "counter" .* "upgrade", or name 1 in "compatible/),
  );
  assert.equal(applier.lastApplied, 0);
  const compatible = newApplier(counterVersion(2, { compatibleVersions: [1] }));
  restoreSnapshot(compatible, meta, pieces);
  assert.equal(compatible.lastApplied, 3);
});

test("a newer version's snapshot, and an upgrade that throws or is late, are refused", () => {
  const { meta, pieces } = oldSnapshot();
  assert.throws(
    () => restoreSnapshot(newApplier(), { ...meta, valueVersion: 4 }, pieces),
    refusal("storageMismatch", /version 4 of value "counter" wrote .* run version 4 or newer/),
  );
  const upgrade = (): never => {
    throw new Error("no n");
  };
  assert.throws(
    () => restoreSnapshot(newApplier(counterVersion(2, { upgrade })), meta, pieces),
    refusal("invalidValue", /upgrade of value "counter" from version 1 to 2 threw: no n/),
  );
  const late = (old: unknown) => Promise.resolve(old);
  assert.throws(
    () => restoreSnapshot(newApplier(counterVersion(2, { upgrade: late })), meta, pieces),
    refusal("invalidValue", /upgrade of value "counter" .* returned a promise; it must be sync/),
  );
});

test("damaged bytes are storageCorrupt and leave the applier as it was", () => {
  const { meta, pieces } = oldSnapshot();
  const bytes = Buffer.concat(pieces);
  const damaged: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /end too early/],
    [bytes.subarray(0, bytes.length - 3), /snapshot of value "counter" at index 3 cannot be read/],
    [Uint8Array.from([9, ...bytes.subarray(1)]), /form 9 is not known/],
    [Uint8Array.from([1, 2, ...bytes.subarray(2)]), /taken at index 2/],
    [Uint8Array.from([...bytes, 0]), /cannot be read/],
    [new Uint8Array(1000).fill(255), /form 255/],
  ];
  for (const [damage, message] of damaged) {
    const applier = newApplier(counter);
    assert.throws(
      () => restoreSnapshot(applier, meta, [damage]),
      refusal("storageCorrupt", message),
    );
    assert.deepEqual(fingerprint(applier), fingerprint(newApplier(counter)));
  }
});
