/** The log's window against a plain list, and the rules for what two logs agree on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { defaultGroupConfig } from "../../src/core/config.js";
import {
  allEntries,
  appendEntry,
  bytesBetween,
  cloneLog,
  compactTo,
  createLog,
  entryAt,
  entrySizeBytes,
  findAgreement,
  firstIndex,
  fitEntries,
  isUpToDate,
  lastIndex,
  lastTerm,
  type Log,
  packApplied,
  resetLog,
  sliceEntries,
  specialEntries,
  tailStart,
  termAt,
  truncateFrom,
} from "../../src/core/log.js";
import {
  type PackedEntries,
  PackedList,
  packedRun,
  packEntries,
} from "../../src/packed-entries.js";
import type { Entry } from "../../src/core/types.js";

function entryOf(index: number, term: number, bytes = 0): Entry {
  return {
    ...{ index, term, kind: "command", session: 0, sequence: 0, lowestOutstanding: 0 },
    ...{ timeMs: 0, body: new Uint8Array(bytes), payload: null },
  };
}

type Model = { offset: number; offsetTerm: number; entries: Entry[] };

/** Without the class of entries that were unpacked. */
function plain(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) => ({ ...entry }));
}

function same(log: Log, model: Model): void {
  const { offset, offsetTerm, entries } = model;
  const last = offset + entries.length;
  assert.equal(firstIndex(log), offset + 1);
  assert.equal(lastIndex(log), last);
  assert.equal(lastTerm(log), entries.at(-1)?.term ?? offsetTerm);
  assert.equal(termAt(log, offset), offsetTerm);
  assert.equal(termAt(log, offset - 1), null);
  assert.equal(termAt(log, last + 1), null);
  for (const { index, term } of entries) assert.equal(termAt(log, index), term);
  const bytes = entries.reduce((sum, entry) => sum + entrySizeBytes(entry), 0);
  assert.equal(log.sizeBytes, bytes);
  if (entries.length === 0) return;
  // Twice: readers of one turn share one array.
  assert.deepEqual(plain(sliceEntries(log, offset + 1, last)), entries);
  assert.deepEqual(plain(sliceEntries(log, offset + 1, last)), entries);
  const middle = offset + Math.ceil(entries.length / 2);
  assert.deepEqual(plain(sliceEntries(log, middle, last)), entries.slice(middle - offset - 1));
  assert.deepEqual(plain(allEntries(log)), entries);
  sameSizes(log, model);
  const special = entries.filter(({ payload }) => payload !== null);
  assert.deepEqual(specialEntries(log), special);
  for (const entry of entries) assert.deepEqual(plain([entryAt(log, entry.index)]), [entry]);
}

/** What is counted run by run, against what is counted entry by entry. */
function sameSizes(log: Log, { offset, entries }: Model): void {
  const sizes = entries.map(entrySizeBytes);
  const sum = (from: number, to: number): number =>
    sizes.slice(from - offset, to - offset).reduce((all, one) => all + one, 0);
  const last = offset + entries.length;
  const cuts = [offset, offset + 1, Math.ceil((offset + last) / 2), last - 1, last];
  for (const after of cuts) {
    for (const to of cuts) {
      if (after <= to) assert.equal(bytesBetween(log, after, to), sum(after, to));
    }
  }
  for (const to of cuts) {
    for (const room of [0, sum(offset, to) - 1, sum(offset, to), sum(offset, to) / 2, 1e9]) {
      let expected = to;
      while (expected > offset && sum(expected - 1, to) <= room) expected -= 1;
      assert.equal(tailStart(log, to, room), expected);
    }
  }
}

const stepArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("append"), by: fc.nat(3) }) },
  fc.record({ type: fc.constant("cut"), by: fc.nat(20) }),
  fc.record({ type: fc.constant("compact"), by: fc.nat(20) }),
  fc.record({ type: fc.constant("reset"), by: fc.nat(20) }),
);

function apply(log: Log, model: Model, { type, by }: { type: string; by: number }): void {
  const last = model.offset + model.entries.length;
  if (type === "append") {
    const entry = entryOf(last + 1, lastTerm(log) + by, by * 10);
    appendEntry(log, entry);
    model.entries.push(entry);
  } else if (type === "cut") {
    const from = model.offset + 1 + by;
    truncateFrom(log, from);
    model.entries = model.entries.filter(({ index }) => index < from);
  } else if (type === "compact") {
    const to = Math.min(model.offset + by, last);
    model.offsetTerm = model.entries.find(({ index }) => index === to)?.term ?? model.offsetTerm;
    compactTo(log, to);
    model.entries = model.entries.filter(({ index }) => index > to);
    model.offset = Math.max(model.offset, to);
  } else {
    Object.assign(model, { offset: last + by, offsetTerm: lastTerm(log) + by, entries: [] });
    resetLog(log, model.offset, model.offsetTerm);
  }
}

/** Every kind, bodies of none to many bytes, numbers beyond 32 bits. */
function appendVaried(log: Log, model: Model): void {
  const index = lastIndex(log) + 1;
  const sequence = index % 5 === 0 ? 2 ** 40 + index : index;
  const base = { index, term: lastTerm(log) + (index % 100 === 0 ? 1 : 0), session: index % 9 };
  const body = new Uint8Array(index % 50 === 0 ? 5000 : index % 70).fill(index);
  const numbers = { sequence, lowestOutstanding: sequence - 1, timeMs: index * 1.5 };
  const kinds = ["noop", "command", "register", "command", "command"] as const;
  const entry: Entry =
    index % 77 === 0
      ? {
          ...base,
          ...numbers,
          kind: "config",
          body: new Uint8Array(0),
          payload: defaultGroupConfig,
        }
      : { ...base, ...numbers, kind: kinds[index % 5]!, body, payload: null };
  appendEntry(log, entry);
  model.entries.push(entry);
}

/** As storage gives a long log: runs, and the newest ones as they are. */
function packedList(entries: readonly Entry[]): PackedList {
  const runs: PackedEntries[] = [];
  const last = entries.length - packedRun;
  for (let at = 0; at < last; at += packedRun) runs.push(packEntries(entries, at, packedRun));
  const tail = entries.slice(runs.length * packedRun);
  return new PackedList(entries[0]?.index ?? 1, runs, tail);
}

/** Terms that grow, as increments. */
const termsArbitrary = fc.array(fc.nat(2), { minLength: 1, maxLength: 30 }).map((steps) => {
  let term = 1;
  return steps.map((step) => (term += step));
});

function logOf(terms: readonly number[]): Log {
  return createLog(
    0,
    0,
    terms.map((term, at) => entryOf(at + 1, term, at % 7)),
  );
}

describe("the log", () => {
  test("holds what a plain list would, through appends, cuts, compactions and resets", () => {
    fc.assert(
      fc.property(fc.array(stepArbitrary, { maxLength: 60 }), (steps) => {
        const log = createLog(0, 0, []);
        const model: Model = { offset: 0, offsetTerm: 0, entries: [] };
        for (const step of steps) {
          apply(log, model, step);
          same(log, model);
        }
      }),
    );
  });

  test("holds the same when it is packed, by a restart as well, and so do its copies", () => {
    const arbitrary = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant("append"), by: fc.nat(2 * packedRun) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant("apply"), by: fc.nat(3 * packedRun) }),
      },
      fc.record({ type: fc.constant("compact"), by: fc.nat(2 * packedRun) }),
      fc.record({ type: fc.constant("cut"), by: fc.nat(4 * packedRun) }),
      fc.record({ type: fc.constant("restart"), by: fc.nat(1) }),
    );
    let packedOnce = false;
    let packedCutOnce = false;
    fc.assert(
      fc.property(fc.array(arbitrary, { minLength: 5, maxLength: 25 }), (steps) => {
        let log = createLog(7, 2, []);
        const model: Model = { offset: 7, offsetTerm: 2, entries: [] };
        let applied = 7;
        for (const { type, by } of steps) {
          const last = lastIndex(log);
          if (type === "append") for (let i = 0; i < by; i++) appendVaried(log, model);
          else if (type === "apply") packApplied(log, (applied = Math.min(applied + by, last)));
          else if (type === "compact") {
            apply(log, model, { type, by: Math.min(by, applied - model.offset) });
          } else if (type === "restart") {
            const list = by === 0 ? model.entries : packedList(model.entries);
            log = createLog(model.offset, model.offsetTerm, list);
            applied = model.offset;
          } else {
            packedCutOnce ||= model.offset + 1 + by < log.base;
            apply(log, model, { type, by });
            applied = Math.min(applied, lastIndex(log));
          }
          packedOnce ||= log.packed.length > 1;
          const copy = cloneLog(log);
          appendVaried(log, { ...model, entries: [] });
          log = copy;
        }
        same(log, model);
      }),
      { numRuns: 60 },
    );
    assert.ok(packedOnce, "nothing was ever packed");
    assert.ok(packedCutOnce, "no cut reached what was packed");
  });

  test("is cut between runs, within them and behind them, by a compaction and by a restart", () => {
    const runs = 3;
    const length = (runs + 1) * packedRun + 5;
    for (let run = 0; run <= runs; run++) {
      for (const beside of [-1, 0, 1]) {
        const to = Math.max(1, run * packedRun + beside);
        const log = createLog(0, 0, []);
        const model: Model = { offset: 0, offsetTerm: 0, entries: [] };
        while (model.entries.length < length) appendVaried(log, model);
        packApplied(log, length);
        assert.equal(log.packed.length, runs);
        const list = packedList(model.entries);
        apply(log, model, { type: "compact", by: to });
        same(log, model);
        same(createLog(to, model.offsetTerm, list), model);
        // What is packed later stands behind what is left.
        while (model.entries.length < length) appendVaried(log, model);
        packApplied(log, lastIndex(log));
        same(log, model);
      }
    }
  });

  test("refuses gaps, terms that fall, and cuts of what is compacted", () => {
    const log = logOf([1, 2, 2]);
    assert.throws(() => appendEntry(log, entryOf(5, 2)), /does not follow 3/);
    assert.throws(() => appendEntry(log, entryOf(4, 1)), /below its predecessor's/);
    compactTo(log, 2);
    assert.throws(() => truncateFrom(log, 2), /compacted up to 2/);
    assert.throws(() => compactTo(log, 9), /the last entry is 3/);
  });

  test("fills a packet up to the first entry that does not fit, and always takes one (hazard 29)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(300), { minLength: 1, maxLength: 20 }),
        fc.nat(19),
        fc.integer({ min: 1, max: 2000 }),
        (sizes, start, limit) => {
          const log = createLog(
            0,
            0,
            sizes.map((size, at) => entryOf(at + 1, 1, size)),
          );
          const from = 1 + (start % sizes.length);
          const { to, bytes } = fitEntries(log, from, limit);
          const taken = sliceEntries(log, from, to);
          assert.ok(taken.length >= 1);
          assert.equal(
            bytes,
            taken.reduce((sum, entry) => sum + entrySizeBytes(entry), 0),
          );
          assert.ok(bytes <= limit || taken.length === 1);
          if (to === lastIndex(log)) return;
          assert.ok(bytes + entrySizeBytes(sliceEntries(log, to + 1, to + 1)[0]!) > limit);
        },
      ),
    );
  });

  test("finds the highest index that may agree, and goes back by terms to where logs part", () => {
    fc.assert(
      fc.property(termsArbitrary, termsArbitrary, termsArbitrary, (shared, ours, theirs) => {
        const base = shared.at(-1)!;
        // Behind the common part no entry of one has the term of an entry of the other.
        const leader = logOf([...shared, ...ours.map((term) => base + 2 * term)]);
        const follower = logOf([...shared, ...theirs.map((term) => base + 2 * term + 1)]);
        let prev = lastIndex(leader);
        let rounds = 0;
        while (termAt(follower, prev) !== termAt(leader, prev)) {
          const hint = findAgreement(
            follower,
            Math.min(prev - 1, lastIndex(follower)),
            termAt(leader, prev)!,
          );
          const agreed = findAgreement(leader, hint, termAt(follower, hint)!);
          assert.ok(agreed < prev, "it goes back in every round");
          assert.ok(agreed >= shared.length, "and never past what is common");
          prev = agreed;
          rounds += 1;
        }
        const terms = new Set([...ours, ...theirs]).size;
        assert.ok(rounds <= terms + 1, `${rounds} rounds for ${terms} terms`);
        assert.equal(prev, shared.length);
      }),
    );
  });

  test("calls of two logs at least one up to date, and both only if they end alike (paper 5.4.1)", () => {
    fc.assert(
      fc.property(termsArbitrary, termsArbitrary, (left, right) => {
        const [a, b] = [logOf(left), logOf(right)];
        const over = isUpToDate(a, lastIndex(b), lastTerm(b));
        const under = isUpToDate(b, lastIndex(a), lastTerm(a));
        assert.ok(over || under);
        const alike = lastIndex(a) === lastIndex(b) && lastTerm(a) === lastTerm(b);
        assert.equal(over && under, alike);
        // A later term beats any length (hazard 8).
        if (lastTerm(b) > lastTerm(a)) assert.ok(over && !under);
      }),
    );
  });
});
