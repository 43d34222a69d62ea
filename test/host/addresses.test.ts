/** What a host remembers of where members listen, and whom it believes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../src/clock/virtual.js";
import { Addresses } from "../../src/host/addresses.js";

class Book {
  readonly clock = new VirtualClock();
  readonly connected = new Set<string>();
  /** Members whose connections were ended because they are elsewhere now. */
  readonly moved: string[] = [];
  readonly addresses = new Addresses(this.clock, () => ({
    isConnected: (id) => this.connected.has(id),
    moved: (id, address) => void this.moved.push(`${id} ${address}`),
  }));

  /** Whether who looked something up before has to look again. */
  hasChanged(work: () => void): boolean {
    const before = this.addresses.version;
    work();
    return this.addresses.version !== before;
  }
}

describe("what a member says of its own address", () => {
  test("is believed at once, and ends the connections on which it said another one", () => {
    const { addresses, moved } = new Book();
    assert.equal(addresses.set("a", "a:1"), true);
    assert.equal(addresses.set("a", "a:1"), false);
    assert.equal(addresses.set("a", "a:2"), true);
    assert.deepEqual([addresses.get("a"), moved], ["a:2", ["a a:1", "a a:2"]]);
  });

  test("outweighs hearsay for ten seconds, and for as long as it is connected", () => {
    const { addresses, clock, connected } = new Book();
    addresses.set("a", "a:1");
    connected.add("a");
    clock.advance(9999);
    connected.clear();
    assert.equal(addresses.suggest("a", "a:2"), false, "it has just said so");
    connected.add("a");
    clock.advance(60_000);
    assert.equal(addresses.suggest("a", "a:2"), false, "it is there");
    connected.clear();
    assert.equal(addresses.suggest("a", "a:2"), true);
    assert.equal(addresses.get("a"), "a:2");
  });

  test("counts from the last time that it said so", () => {
    const { addresses, clock } = new Book();
    addresses.set("a", "a:1");
    clock.advance(9000);
    addresses.set("a", "a:1");
    clock.advance(9000);
    assert.equal(addresses.suggest("a", "a:2"), false);
  });
});

describe("what others say of a member's address", () => {
  test("is believed until somebody says something else, also where the member is connected", () => {
    const { addresses, connected } = new Book();
    addresses.suggest("a", "a:1");
    connected.add("a");
    assert.equal(addresses.suggest("a", "a:2"), true);
    assert.equal(addresses.suggest("a", "a:2"), false);
    assert.equal(addresses.get("a"), "a:2");
  });

  test("in the place of what it said long ago is hearsay, and no more", () => {
    const { addresses, clock, connected } = new Book();
    addresses.set("a", "a:1");
    clock.advance(20_000);
    addresses.suggest("a", "a:2");
    connected.add("a");
    assert.equal(addresses.suggest("a", "a:3"), true);
  });
});

describe("an address that the log names another one after", () => {
  test("is forgotten, unless the member is connected or has said another one since", () => {
    const book = new Book();
    const { addresses, connected } = book;
    addresses.set("a", "a:1");
    assert.ok(!book.hasChanged(() => addresses.hasLeft("a", "a:0")));
    connected.add("a");
    assert.ok(!book.hasChanged(() => addresses.hasLeft("a", "a:1")));
    assert.equal(addresses.get("a"), "a:1");
    connected.clear();
    assert.ok(book.hasChanged(() => addresses.hasLeft("a", "a:1")));
    assert.equal(addresses.get("a"), null);
    assert.equal(addresses.suggest("a", "a:2"), true, "nor does it outweigh anything");
  });
});

test("of members that nobody knows nothing is kept, not even that they spoke for themselves", () => {
  const book = new Book();
  const { addresses } = book;
  for (const id of ["a", "b"]) addresses.set(id, `${id}:1`);
  assert.ok(book.hasChanged(() => addresses.keepOnly(new Set(["a"]))));
  assert.deepEqual([addresses.size, addresses.get("a"), addresses.get("b")], [1, "a:1", null]);
  assert.equal(addresses.suggest("b", "b:2"), true);
  assert.equal(addresses.suggest("a", "a:2"), false);
});

test("every change is one for those who looked before, and what was known already is none", () => {
  const book = new Book();
  const { addresses } = book;
  assert.ok(book.hasChanged(() => addresses.set("a", "a:1")));
  assert.ok(!book.hasChanged(() => addresses.set("a", "a:1")));
  assert.ok(book.hasChanged(() => addresses.suggest("b", "b:1")));
  assert.ok(!book.hasChanged(() => addresses.suggest("b", "b:1")));
});
