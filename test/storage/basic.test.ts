import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { EntryRuns } from "../../src/storage/file/entry-runs.js";
import { createGroupState } from "../../src/storage/file/group-state.js";
import { applySection, createReplay } from "../../src/storage/file/replay.js";
import {
  Opened,
  entriesOf,
  entryOf,
  hardStateOf,
  identityOf,
  imageOf,
  noise,
  textsOf,
  inDirectory,
} from "./support.js";

test("what was acknowledged is there after a restart: identity, hard state and entries", () =>
  inDirectory(async (dir) => {
    const first = await Opened.open(dir);
    assert.deepEqual(first.recovered, []);
    first.storage.createGroup(identityOf("queue"));
    first.store("queue", entriesOf(1, 3), { hardState: hardStateOf(1, "foo#1") });
    const ticket = first.store("queue", entriesOf(4, 2, 2), { hardState: hardStateOf(2) });
    await first.stored("queue", ticket);
    await first.close();

    const second = await Opened.open(dir);
    const group = second.group("queue")!;
    assert.deepEqual(group.identity, identityOf("queue"));
    assert.deepEqual(group.hardState, hardStateOf(2));
    assert.deepEqual(group.entries, [...entriesOf(1, 3), ...entriesOf(4, 2, 2)]);
    assert.equal(group.snapshot, null);
    assert.equal(group.damage, null);
    await second.close();
  }));

test("a truncated suffix does not come back, also when less is appended in its place (hazard 81)", () =>
  inDirectory(async (dir) => {
    const first = await Opened.open(dir);
    first.storage.createGroup(identityOf("queue"));
    first.store("queue", entriesOf(1, 8, 1, "old"));
    const ticket = first.store("queue", [entryOf(5, 2, "new")], { truncateFrom: 5 });
    await first.stored("queue", ticket);
    await first.close();

    const second = await Opened.open(dir);
    const texts = textsOf(second.group("queue")!.entries);
    assert.deepEqual(texts, ["old 1", "old 2", "old 3", "old 4", "new"]);
    await second.close();
  }));

test("a truncation without entries is remembered", () =>
  inDirectory(async (dir) => {
    const first = await Opened.open(dir);
    first.storage.createGroup(identityOf("queue"));
    first.store("queue", entriesOf(1, 8));
    await first.stored("queue", first.store("queue", [], { truncateFrom: 6 }));
    await first.close();
    const second = await Opened.open(dir);
    assert.equal(second.group("queue")!.entries.at(-1)!.index, 5);
    await second.stored("queue", second.store("queue", [], { truncateFrom: 1 }));
    await second.close();
    const third = await Opened.open(dir);
    assert.deepEqual(third.group("queue")!.entries, []);
    await third.stored("queue", third.store("queue", entriesOf(1, 1, 7)));
    await third.close();
  }));

test("opening and closing changes no byte and no name", () =>
  inDirectory(async (dir) => {
    const first = await Opened.open(dir);
    first.storage.createGroup(identityOf("queue"));
    await first.stored("queue", first.store("queue", entriesOf(1, 100)));
    await first.snapshot("queue", 50, 1, noise(200_000));
    await first.close();
    const before = imageOf(dir);
    for (let round = 0; round < 2; round++) {
      await (await Opened.open(dir)).close();
      assert.deepEqual(imageOf(dir), before);
    }
  }));

test("groups share one log and one sync, and a deleted one leaves nothing behind", () =>
  inDirectory(async (dir) => {
    const first = await Opened.open(dir);
    for (const name of ["a", "b", "c"]) first.storage.createGroup(identityOf(name));
    for (const name of ["a", "b", "c"]) {
      first.storage.append({
        group: name,
        ticket: 1,
        hardState: hardStateOf(1),
        truncateFrom: 0,
        entries: entriesOf(1, 4, 1, name),
      });
    }
    first.storage.flush();
    for (const name of ["a", "b", "c"]) await first.stored(name, 1);
    await first.snapshot("b", 3, 1, noise(1000));
    first.storage.deleteGroup("b");
    first.storage.createGroup(identityOf("b"));
    await first.stored("c", first.store("c", entriesOf(5, 1, 1, "c")));
    await first.close();
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.endsWith(".snap")),
      [],
    );
    const second = await Opened.open(dir);
    assert.deepEqual(textsOf(second.group("a")!.entries), ["a 1", "a 2", "a 3", "a 4"]);
    assert.equal(second.group("c")!.entries.length, 5);
    assert.deepEqual(second.group("b")!.entries, []);
    assert.equal(second.group("b")!.snapshot, null);
    await second.close();
  }));

test("a record of a type that is not known is not passed over", () => {
  const replay = createReplay();
  const state = createGroupState(1, identityOf("queue"));
  const entries = new EntryRuns(1);
  replay.groups.set(1, { state, entries, suspect: null, formerSuspect: null });
  const section = { group: 1, type: 99 };
  assert.throws(
    () => applySection(replay, section, new Uint8Array(0), 1, "here"),
    /unknown type 99/,
  );
});
