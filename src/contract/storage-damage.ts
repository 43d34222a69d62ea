/** Groups of which something stored does not read back: said by `open`, and set aside when asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../core/types.js";
import { RaftError } from "../errors.js";
import type { RecoveredGroup } from "../ports.js";
import {
  entries,
  entry,
  hardState,
  identityOf,
  OpenStorage,
  plain,
  type StorageFactory,
  type StorageHarness,
} from "./storage-harness.js";

function entriesOf(group: string, from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) =>
    entry(from + at, 1, `${group} ${from + at}`),
  );
}

/** Two groups with ten entries each, the first of them damaged since; null: this storage knows no damage. */
async function damaged(harness: StorageHarness): Promise<OpenStorage | null> {
  if (harness.damage === undefined) return null;
  const opened = await OpenStorage.open(harness);
  for (const name of ["queue", "stack"]) {
    opened.storage.createGroup(identityOf(name));
    opened.store(name, { hardState: hardState(1) });
    for (let at = 1; at <= 10; at++) opened.store(name, { entries: entriesOf(name, at, at) });
    await opened.stored(name, opened.store(name, { hardState: hardState(2) }));
  }
  await opened.storage.close();
  await harness.damage("queue");
  return OpenStorage.open(harness);
}

/** The same with what sets a group aside; null: this storage cannot. */
async function damagedToSetAside(harness: StorageHarness) {
  const opened = await damaged(harness);
  const setAside = opened?.storage.setAside?.bind(opened.storage);
  if (opened !== null && setAside !== undefined) return { opened, setAside };
  await opened?.storage.close();
  return null;
}

function damageOf(opened: OpenStorage, name: string): string | null | undefined {
  const isIt = ({ identity }: RecoveredGroup): boolean => identity.group === name;
  return opened.recovered.find(isIt)?.damage;
}

function isInvalidArgument(error: unknown): boolean {
  return error instanceof RaftError && error.code === "invalidArgument";
}

export function testDamage(make: StorageFactory): void {
  test("a damaged group says where in one line without its name; others are whole", async (t) => {
    const harness = await make(t);
    const opened = await damaged(harness);
    if (opened === null) return t.skip("this storage finds no damage");
    const damage = damageOf(opened, "queue");
    assert.match(damage ?? "", /^[^\n]+$/);
    assert.doesNotMatch(damage!, /queue/);
    assert.deepEqual(plain(opened.group("stack").entries), entriesOf("stack", 1, 10));
    const again = await opened.reopen(harness);
    assert.equal(damageOf(again, "queue"), damage);
    await again.storage.close();
  });

  test("a damaged group that is set aside is gone, and its name is free; others go on", async (t) => {
    const harness = await make(t);
    const ready = await damagedToSetAside(harness);
    if (ready === null) return t.skip("this storage sets nothing aside");
    const { opened, setAside } = ready;
    const elsewhere = opened.store("stack", { entries: entriesOf("stack", 11, 12) });
    const where = await setAside("queue");
    assert.match(where, /^[^\n]+$/);
    await opened.stored("stack", elsewhere);
    await assert.rejects(setAside("queue"), isInvalidArgument);
    const without = await opened.reopen(harness);
    assert.equal(damageOf(without, "queue"), undefined);
    const newcomer = { ...identityOf("queue"), memberId: "foo#2" };
    without.storage.createGroup(newcomer);
    await without.stored("queue", without.store("queue", { entries: entries(1, 2, 3) }));
    const again = await without.reopen(harness);
    assert.deepEqual(again.group("queue").identity, newcomer);
    assert.deepEqual(plain(again.group("queue").entries), entries(1, 2, 3));
    assert.deepEqual(plain(again.group("stack").entries), entriesOf("stack", 1, 12));
    await again.storage.close();
  });

  test("a group that is good, or not there, is never set aside", async (t) => {
    const harness = await make(t);
    const ready = await damagedToSetAside(harness);
    if (ready === null) return t.skip("this storage sets nothing aside");
    const { opened, setAside } = ready;
    await assert.rejects(setAside("stack"), isInvalidArgument);
    await assert.rejects(setAside("other"), isInvalidArgument);
    await opened.stored("stack", opened.store("stack", { entries: entriesOf("stack", 11, 11) }));
    const again = await opened.reopen(harness);
    assert.deepEqual(plain(again.group("stack").entries), entriesOf("stack", 1, 11));
    assert.notEqual(damageOf(again, "queue"), null);
    await again.storage.close();
  });
}
