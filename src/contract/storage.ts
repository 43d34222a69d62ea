/**
 * What every Storage owes its host, as tests. Run it for an adapter with
 * `storageContract("memory", makeHarness)`; a harness stands for one place (a directory, an object).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RaftError, type RaftErrorCode } from "../errors.js";
import { patterned } from "./peer.js";
import {
  entries,
  entry,
  hardState,
  identityOf,
  OpenStorage,
  plain,
  special,
  type StorageFactory,
} from "./storage-harness.js";
import { testDamage } from "./storage-damage.js";
import { testSnapshots } from "./storage-snapshots.js";

function hasCode(error: unknown, code: RaftErrorCode): boolean {
  assert.ok(error instanceof RaftError, `not a RaftError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return true;
}

function testOpening(make: StorageFactory): void {
  test("an empty place holds no groups", async (t) => {
    const opened = await OpenStorage.open(await make(t));
    assert.deepEqual(opened.recovered, []);
    await opened.storage.close();
  });

  test("a place that is open already is refused", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    await assert.rejects(OpenStorage.open(harness), (error) => hasCode(error, "storageLocked"));
    opened.storage.createGroup(identityOf("queue"));
    await opened.stored("queue", opened.store("queue", { entries: entries(1, 1, 1) }));
    await opened.storage.close();
  });

  test("a place that belongs to another host is refused, and is as it was", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness, "foo");
    opened.storage.createGroup(identityOf("queue"));
    await opened.stored("queue", opened.store("queue", { hardState: hardState(2) }));
    await opened.storage.close();
    await assert.rejects(OpenStorage.open(harness, "bar"), (error) =>
      hasCode(error, "storageMismatch"),
    );
    const again = await OpenStorage.open(harness, "foo");
    assert.deepEqual(again.group("queue").hardState, hardState(2));
    await again.storage.close();
  });

  test("a group that was only just created is there", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    const again = await opened.reopen(harness);
    assert.equal(again.recovered.length, 1);
    assert.deepEqual(again.group("queue"), {
      identity: identityOf("queue"),
      hardState: { currentTerm: 0, votedFor: null, forcedRemovals: [] },
      snapshot: null,
      entries: [],
      damage: null,
    });
    assert.deepEqual(await again.loaded("queue"), Buffer.alloc(0));
    await again.storage.close();
  });

  test("close is idempotent, writes what was appended, and then nobody is called", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    opened.append("queue", { entries: entries(1, 3, 1) });
    await Promise.all([opened.storage.close(), opened.storage.close()]);
    await opened.storage.close();
    const { length } = opened.answers;
    opened.store("queue", { entries: entries(4, 4, 1) });
    opened.storage.compactLog("queue", 2);
    opened.storage.readSnapshotChunk("queue", "bar#1", 1, 0, 10);
    const again = await OpenStorage.open(harness);
    assert.equal(opened.answers.length, length);
    assert.deepEqual(plain(again.group("queue").entries), entries(1, 3, 1));
    await again.storage.close();
  });
}

function testHardState(make: StorageFactory): void {
  test("term, vote and forced removals come back as last stored", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    opened.store("queue", { hardState: hardState(1, "foo#1") });
    opened.store("queue", { hardState: hardState(2 ** 40, "bar#1") });
    const last = { currentTerm: 2 ** 40, votedFor: null, forcedRemovals: ["bar#1", "baz#2"] };
    opened.store("queue", { hardState: last });
    await opened.stored("queue", opened.store("queue", { entries: entries(1, 1, 1) }));
    const again = await opened.reopen(harness);
    assert.deepEqual(again.group("queue").hardState, last);
    await again.storage.close();
  });
}

function testLog(make: StorageFactory): void {
  test("entries of every kind come back whole, small and large", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    const list = [
      special(1, 1, "config"),
      special(2, 1, "membership"),
      special(3, 2, "noop"),
      { ...special(4, 2, "register"), sequence: 2 ** 50 + 1 },
      entry(5, 2, ""),
      { ...entry(6, 2), body: patterned(1_500_000), timeMs: 1_700_000_000_000.25 },
      { ...entry(7, 2 ** 40), session: 2 ** 45, lowestOutstanding: 2 ** 44 },
    ];
    await opened.stored("queue", opened.store("queue", { entries: list }));
    const again = await opened.reopen(harness);
    assert.deepEqual(plain(again.group("queue").entries), list);
    await again.storage.close();
  });

  test("many batches of many turns come back in one piece", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    let ticket = 0;
    for (let from = 1; from < 1500; from += 15) {
      opened.append("queue", { entries: entries(from, from + 4, 1) });
      opened.append("queue", { entries: entries(from + 5, from + 9, 1) });
      ticket = opened.store("queue", { entries: entries(from + 10, from + 14, 1) });
      if (from % 10 === 1) await new Promise(setImmediate);
    }
    await opened.stored("queue", ticket);
    const again = await opened.reopen(harness);
    assert.deepEqual(plain(again.group("queue").entries), entries(1, 1500, 1));
    const next = again.store("queue", { entries: entries(1501, 1501, 1) });
    await again.stored("queue", next);
    const third = await again.reopen(harness);
    assert.equal(third.group("queue").entries.length, 1501);
    await third.storage.close();
  });

  test("nothing is acknowledged before it is flushed", async (t) => {
    const opened = await OpenStorage.open(await make(t));
    opened.storage.createGroup(identityOf("queue"));
    await opened.stored("queue", opened.store("queue", { entries: entries(1, 1, 1) }));
    const { length } = opened.answers;
    const ticket = opened.append("queue", { entries: entries(2, 2, 1) });
    opened.storage.createGroup(identityOf("other"));
    await new Promise(setImmediate);
    assert.equal(opened.answers.length, length);
    opened.storage.flush();
    await opened.stored("queue", ticket);
    await opened.storage.close();
  });
}

function testTruncation(make: StorageFactory): void {
  test("a cut suffix stays away, and what was appended in its place stays (hazard 81)", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    opened.store("queue", { entries: entries(1, 10, 1) });
    opened.store("queue", { truncateFrom: 5, entries: entries(5, 6, 2) });
    await opened.stored("queue", opened.store("queue", { hardState: hardState(2) }));
    const again = await opened.reopen(harness);
    const expected = [...entries(1, 4, 1), ...entries(5, 6, 2)];
    assert.deepEqual(plain(again.group("queue").entries), expected);
    await again.storage.close();
  });

  test("a cut without entries, a cut of all and a cut behind the end are exact", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    for (const group of ["some", "all", "none", "twice"]) {
      opened.storage.createGroup(identityOf(group));
      opened.store(group, { entries: entries(1, 5, 1) });
    }
    opened.store("some", { truncateFrom: 3 });
    opened.store("all", { truncateFrom: 1 });
    opened.store("none", { truncateFrom: 6 });
    opened.append("twice", { truncateFrom: 4, entries: entries(4, 8, 2) });
    const last = opened.store("twice", { truncateFrom: 2, entries: entries(2, 2, 3) });
    await opened.stored("twice", last);
    const again = await opened.reopen(harness);
    assert.deepEqual(plain(again.group("some").entries), entries(1, 2, 1));
    assert.deepEqual(again.group("all").entries, []);
    assert.deepEqual(plain(again.group("none").entries), entries(1, 5, 1));
    const twice = [...entries(1, 1, 1), ...entries(2, 2, 3)];
    assert.deepEqual(plain(again.group("twice").entries), twice);
    await again.storage.close();
  });
}

function testGroups(make: StorageFactory): void {
  test("groups do not touch each other", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    const names = ["queue", "a/b", "Ümlaut 1", "__proto__"];
    for (const name of names) opened.storage.createGroup(identityOf(name));
    names.forEach((name, i) => {
      opened.append(name, { hardState: hardState(i + 1), entries: entries(1, 4, i + 1) });
    });
    opened.store("queue", { truncateFrom: 2 });
    await opened.stored("queue", opened.store("queue", { hardState: hardState(9) }));
    const again = await opened.reopen(harness);
    assert.deepEqual(again.recovered.map(({ identity }) => identity.group).sort(), names.sort());
    assert.deepEqual(plain(again.group("queue").entries), entries(1, 1, 1));
    assert.deepEqual(plain(again.group("a/b").entries), entries(1, 4, 2));
    assert.deepEqual(again.group("__proto__").hardState, hardState(4));
    await again.storage.close();
  });

  test("a group that is created after a restart does not touch those of before", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("first"));
    await opened.stored("first", opened.store("first", { entries: entries(1, 3, 1) }));
    const again = await opened.reopen(harness);
    again.storage.createGroup(identityOf("second"));
    await again.stored("second", again.store("second", { entries: entries(1, 2, 5) }));
    await again.stored("first", again.store("first", { entries: entries(4, 4, 2) }));
    const third = await again.reopen(harness);
    const first = [...entries(1, 3, 1), ...entries(4, 4, 2)];
    assert.deepEqual(plain(third.group("first").entries), first);
    assert.deepEqual(plain(third.group("second").entries), entries(1, 2, 5));
    await third.storage.close();
  });

  test("a deleted group is gone, and a new one of its name begins empty", async (t) => {
    const harness = await make(t);
    const opened = await OpenStorage.open(harness);
    opened.storage.createGroup(identityOf("queue"));
    opened.storage.createGroup(identityOf("other"));
    opened.store("queue", { hardState: hardState(3), entries: entries(1, 4, 3) });
    opened.storage.deleteGroup("queue");
    await opened.stored("other", opened.store("other", { entries: entries(1, 1, 1) }));
    const second = await opened.reopen(harness);
    assert.deepEqual(
      second.recovered.map(({ identity }) => identity.group),
      ["other"],
    );
    second.storage.createGroup(identityOf("queue", "2"));
    await second.stored("queue", second.store("queue", { entries: entries(1, 2, 7) }));
    const third = await second.reopen(harness);
    assert.deepEqual(third.group("queue").identity, identityOf("queue", "2"));
    assert.deepEqual(third.group("queue").hardState, hardState(0));
    assert.deepEqual(plain(third.group("queue").entries), entries(1, 2, 7));
    await third.storage.close();
  });

  test("what was asked for a deleted group is not answered to the next of its name", async (t) => {
    const opened = await OpenStorage.open(await make(t));
    opened.storage.createGroup(identityOf("queue"));
    for (let i = 1; i <= 5; i++) opened.append("queue", { entries: entries(i, i, 1) });
    const late = opened.append("queue", { hardState: hardState(3) });
    opened.storage.deleteGroup("queue");
    opened.storage.createGroup(identityOf("queue", "2"));
    opened.storage.createGroup(identityOf("other"));
    const early = opened.append("other", { entries: entries(1, 1, 1) });
    opened.storage.flush();
    await opened.stored("other", early);
    const answered = opened.of("stored").filter(({ group }) => group === "queue");
    assert.deepEqual(answered, [], `tickets up to ${late} are of the member before`);
    await opened.storage.close();
  });

  test("tickets of each group are acknowledged in order, the last one too", async (t) => {
    const opened = await OpenStorage.open(await make(t));
    const names = ["a", "b", "c"];
    for (const name of names) opened.storage.createGroup(identityOf(name));
    const last = new Map<string, number>();
    for (let i = 1; i <= 60; i++) {
      const name = names[i % 3]!;
      last.set(
        name,
        opened.append(name, { entries: entries(Math.ceil(i / 3), Math.ceil(i / 3), 1) }),
      );
      if (i % 7 === 0) opened.storage.flush();
      if (i % 20 === 0) await new Promise(setImmediate);
    }
    opened.storage.flush();
    for (const name of names) await opened.stored(name, last.get(name)!);
    for (const name of names) {
      const tickets = opened.of("stored").filter(({ group }) => group === name);
      const numbers = tickets.map(({ ticket }) => ticket);
      assert.deepEqual(
        numbers,
        [...new Set(numbers)].sort((a, b) => a - b),
      );
      assert.equal(numbers.at(-1), last.get(name));
    }
    assert.deepEqual(opened.of("failed"), []);
    await opened.storage.close();
  });
}

/** Defines the suite; `make` is called anew for each test and cleans up by `t.after`. */
export function storageContract(name: string, make: StorageFactory): void {
  describe(`storage contract: ${name}`, () => {
    testOpening(make);
    testHardState(make);
    testLog(make);
    testTruncation(make);
    testGroups(make);
    testDamage(make);
    testSnapshots(make);
  });
}
