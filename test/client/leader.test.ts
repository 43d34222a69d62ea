/** What a client believes about the leader. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Gate } from "../../src/client/gate.js";
import { LeaderCache } from "../../src/client/leader.js";
import { SeededRandom, VirtualClock } from "../../src/clock/virtual.js";
import { World } from "./world.js";

const hint = (term: number, leader: string | null) => ({
  term,
  leader,
  address: leader === null ? null : `${leader}:1`,
});

describe("the leader cache", () => {
  test("follows terms upwards only", () => {
    const cache = new LeaderCache();
    assert.equal(cache.learn(hint(3, "a"), "b"), true);
    assert.equal(cache.learn(hint(2, "c"), "c"), false);
    assert.deepEqual([cache.term, cache.member, cache.address], [3, "a", "a:1"]);
    assert.equal(cache.learn(hint(4, "c"), "b"), true);
    assert.equal(cache.member, "c");
  });

  test("does not go back to an older term when nobody leads in this one", () => {
    const cache = new LeaderCache();
    cache.learn(hint(3, "a"), "b");
    cache.deny("a");
    assert.equal(cache.learn(hint(2, "c"), "c"), false);
    assert.deepEqual([cache.term, cache.member], [3, null]);
  });

  test("believes in a later term in whoever denied an earlier one, also as the second leader", () => {
    const cache = new LeaderCache();
    cache.learn(hint(3, "a"), "c");
    cache.deny("b");
    cache.learn(hint(4, "a"), "a");
    cache.deny("a");
    assert.equal(cache.learn(hint(4, "b"), "c"), true);
  });

  test("does not take an older word of a leader for its end", () => {
    const cache = new LeaderCache();
    cache.learn(hint(3, "a"), "b");
    cache.learn(hint(2, null), "a");
    assert.equal(cache.member, "a");
  });

  test("is no news when the same member leads in a later term", () => {
    const cache = new LeaderCache();
    cache.learn(hint(3, "a"), "b");
    assert.equal(cache.learn(hint(5, "a"), "b"), false);
    assert.equal(cache.term, 5);
  });

  test("takes a leader's word that it leads no more, and nobody else's", () => {
    const cache = new LeaderCache();
    cache.learn(hint(3, "a"), "b");
    cache.learn(hint(9, null), "b");
    assert.equal(cache.member, "a");
    cache.learn(hint(3, null), "a");
    assert.equal(cache.member, null);
    assert.equal(cache.learn(hint(3, "a"), "b"), false, "b has not heard of it yet");
  });

  test("believes within a term in nobody who has denied it, except on its own word", () => {
    const cache = new LeaderCache();
    cache.learn(hint(3, "a"), "b");
    cache.deny("a");
    assert.equal(cache.learn(hint(3, "a"), "b"), false);
    assert.equal(cache.learn(hint(3, "b"), "a"), true);
    cache.deny("b");
    assert.equal(cache.learn(hint(3, "b"), "a"), false);
    assert.equal(cache.learn(hint(3, "a"), "a"), true, "its denial was older than its election");
    cache.deny("a");
    assert.equal(cache.learn(hint(4, "a"), "b"), true, "a later term is a new election");
  });
});

describe("the gate before the leader", () => {
  test("lets a few redirections through at once, then makes each wait", () => {
    const clock = new VirtualClock();
    let opened = 0;
    const gate = new Gate(clock, new SeededRandom(1), () => (opened += 1));
    const closed = [1, 2, 3, 4, 5, 6].map(() => {
      gate.refused(true);
      return gate.isClosed();
    });
    assert.deepEqual(closed, [false, false, false, false, true, true]);
    clock.advance(1000);
    assert.equal(opened, 1);
    assert.equal(gate.isClosed(), false);
    gate.answered();
    gate.refused(true);
    assert.equal(gate.isClosed(), false);
  });

  test("follows news of a leader only so often without an answer", () => {
    const clock = new VirtualClock();
    const gate = new Gate(clock, new SeededRandom(1), () => undefined);
    const closed = [1, 2, 3].map(() => {
      gate.refused(false);
      gate.leaderChanged();
      return gate.isClosed();
    });
    assert.deepEqual(closed, [false, false, true]);
    clock.advance(1000);
    assert.equal(gate.isClosed(), false);
    gate.leaderChanged();
    assert.equal(gate.isClosed(), true, "leaders that change for ever are none");
  });

  test("is shut for no longer because of news that comes meanwhile", () => {
    const clock = new VirtualClock();
    const gate = new Gate(clock, new SeededRandom(1), () => undefined);
    for (let i = 1; i <= 5; i += 1) gate.refused(true);
    const opensAtMs = clock.nextDueMs();
    clock.advance(1);
    gate.leaderChanged();
    assert.deepEqual([gate.isClosed(), clock.nextDueMs()], [true, opensAtMs]);
  });

  test("pauses between 5 and 500 ms, twice as long each time, never the same", () => {
    const clock = new VirtualClock();
    const pauses: number[] = [];
    const gate = new Gate(clock, new SeededRandom(7), () => undefined);
    for (let i = 0; i < 12; i += 1) {
      gate.refused(false);
      const began = clock.nowMs();
      while (gate.isClosed()) clock.advance(0.5);
      pauses.push(clock.nowMs() - began);
    }
    assert.ok(
      pauses.every((pause) => pause >= 5 && pause <= 500.5),
      pauses.join(" "),
    );
    assert.ok(pauses[5]! > pauses[0]! * 8, pauses.join(" "));
    assert.ok(new Set(pauses.slice(7)).size > 3, "jittered");
  });

  test("counts no news that comes while nobody waits", async () => {
    const world = await World.create(2);
    const client = world.client();
    const events = client.events();
    await world.value(client.command("push", 1));
    await world.value(events.next());
    for (let i = 1; i <= 10; i += 1) {
      world.group.elect(i % 2);
      await world.settle();
    }
    const asked = world.group.leaderHost!.requests.length;
    const call = client.command("push", 2);
    await world.settle();
    assert.equal(world.group.leaderHost!.requests.length, asked + 1);
    assert.equal(await world.value(call), 2);
  });

  test("opens at once when another leader is heard of during a pause", async () => {
    const world = await World.create(2);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => ({ status: "unavailable" });
    const call = client.command("push", 2);
    await world.settle();
    const began = world.clock.nowMs();
    world.group.elect(1);
    const outcome = world.watch(call);
    await world.settle();
    assert.deepEqual(outcome.outcome, { type: "value", value: 2, atMs: began });
  });

  test("pauses no longer for refusals before one that is the caller's answer", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 0));
    let final = true;
    world.host("a").answer = () => {
      final = !final;
      return { status: final ? "commandTooLarge" : "overloaded" };
    };
    const began = world.clock.nowMs();
    for (let item = 1; item <= 20; item += 1) await world.error(client.command("push", item));
    assert.ok(world.clock.nowMs() - began < 20 * 30);
  });
});
