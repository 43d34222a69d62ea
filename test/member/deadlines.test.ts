/** A member's timers as stored deadlines. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TimerName } from "../../src/core/types.js";
import {
  clearDeadline,
  createDeadlines,
  setDeadline,
  takeDue,
  timerNames,
} from "../../src/member/deadlines.js";

describe("deadlines", () => {
  test("tell only of an earlier one, and give each out once", () => {
    const deadlines = createDeadlines();
    assert.equal(setDeadline(deadlines, "election", 0, 1000), true);
    assert.equal(setDeadline(deadlines, "heartbeat", 0, 200), true);
    assert.equal(setDeadline(deadlines, "transfer", 0, 500), false);
    const due: TimerName[] = [];
    takeDue(deadlines, 199, due);
    assert.deepEqual(due, []);
    takeDue(deadlines, 600, due);
    assert.deepEqual(due.sort(), ["heartbeat", "transfer"]);
    assert.equal(deadlines.earliestMs, 1000);
    due.length = 0;
    takeDue(deadlines, 600, due);
    assert.deepEqual(due, []);
  });

  test("that were moved or cleared do not fire at their old time", () => {
    const deadlines = createDeadlines();
    setDeadline(deadlines, "election", 0, 1000);
    setDeadline(deadlines, "election", 900, 1000);
    setDeadline(deadlines, "heartbeat", 0, 100);
    clearDeadline(deadlines, "heartbeat");
    const due: TimerName[] = [];
    takeDue(deadlines, 1500, due);
    assert.deepEqual(due, []);
    takeDue(deadlines, 1900, due);
    assert.deepEqual(due, ["election"]);
    assert.equal(deadlines.earliestMs, Infinity);
  });

  test("never fire early, however they are rounded", () => {
    for (const delayMs of [0.1, 3.7, 39.9, 40, 41.3, 200, 1234.5]) {
      for (const timer of timerNames) {
        const deadlines = createDeadlines();
        setDeadline(deadlines, timer, 7.3, delayMs);
        assert.ok(deadlines.earliestMs >= 7.3 + delayMs);
        assert.ok(deadlines.earliestMs < 7.3 + delayMs + 5);
      }
    }
  });
});
