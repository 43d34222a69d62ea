/** What many idle groups cost a host: turns that do not grow with their number. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster, counter } from "./cluster.js";

const groups = 60;
const seconds = 10;
/** Heartbeats of 200 ms on a grid of two steps. */
const beatTurns = seconds * 5 * 2;

test("the beats of idle groups share their turns, and replies that bring nothing new need none", async () => {
  const cluster = new Cluster();
  const turns = new Map<string, number>();
  for (const id of ["foo", "bar", "baz"]) {
    await cluster.start(id);
    const clock = cluster.clocks.get(id)!;
    const soon = clock.soon.bind(clock);
    clock.soon = (callback) => {
      turns.set(id, (turns.get(id) ?? 0) + 1);
      soon(callback);
    };
  }
  for (let at = 0; at < groups; at++) {
    // Not all at the same moment: each has its own phase.
    await cluster.group(`group-${at}`, counter, ["foo", "bar", "baz"]);
  }
  await cluster.pass(2000);
  const led = Array.from({ length: groups }, (_, at) => cluster.leaders(`group-${at}`));
  assert.ok(led.every((ids) => ids.length === 1 && ids[0] === "foo"));
  turns.clear();
  await cluster.pass(seconds * 1000);
  // A few more for pings.
  const most = beatTurns + 5 * seconds;
  for (const id of ["foo", "bar", "baz"]) {
    const count = turns.get(id) ?? 0;
    assert.ok(count >= 5 * seconds && count <= most, `${id}: ${count} turns, at most ${most}`);
  }
  await cluster.close();
});
