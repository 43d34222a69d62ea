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
  test("tell only of another earliest one, and give each out once", () => {
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
        if (timer === "heartbeat") continue;
        const deadlines = createDeadlines();
        setDeadline(deadlines, timer, 7.3, delayMs);
        assert.ok(deadlines.earliestMs >= 7.3 + delayMs);
        assert.ok(deadlines.earliestMs < 7.3 + delayMs + 5);
      }
    }
  });

  test("that are far away fall together, and near ones keep their moment", () => {
    const dueAt = (delayMs: number): number => {
      const deadlines = createDeadlines();
      setDeadline(deadlines, "election", 7.3, delayMs);
      return deadlines.earliestMs;
    };
    assert.deepEqual([dueAt(1001), dueAt(1002)], [1010, 1010]);
    assert.equal(dueAt(39), 46.3);
  });

  test("of heartbeats never come later than asked, nor earlier than after half of it", () => {
    for (const delayMs of [0.1, 10, 50, 200, 1234.5]) {
      for (const nowMs of [0, 7.3, 199.9, 123_456.7]) {
        const deadlines = createDeadlines();
        setDeadline(deadlines, "heartbeat", nowMs, delayMs);
        const waitMs = deadlines.earliestMs - nowMs;
        assert.ok(waitMs <= delayMs + 1e-9, `${waitMs} of ${delayMs}`);
        assert.ok(waitMs >= delayMs / 2 - 1e-9, `${waitMs} of ${delayMs}`);
      }
    }
  });

  test("of heartbeats that were set at different times soon fall together, and keep their pace", () => {
    const beatsAt = new Set<number>();
    for (let since = 0; since < 200; since++) {
      const deadlines = createDeadlines();
      setDeadline(deadlines, "heartbeat", since, 200);
      for (let beat = 0; beat < 3; beat++) {
        const dueMs = deadlines.earliestMs;
        // Acted upon a little late, as timers are.
        setDeadline(deadlines, "heartbeat", dueMs + 1.5, 200);
        assert.equal(deadlines.earliestMs, dueMs + 200);
      }
      beatsAt.add(deadlines.earliestMs % 200);
    }
    assert.equal(beatsAt.size, 2);
  });

  test("tell the exact earliest one after another was moved on or cleared", () => {
    const deadlines = createDeadlines();
    setDeadline(deadlines, "election", 0, 1000);
    setDeadline(deadlines, "transfer", 0, 1500);
    assert.equal(setDeadline(deadlines, "election", 200, 1000), true);
    assert.equal(deadlines.earliestMs, 1200);
    assert.equal(clearDeadline(deadlines, "election"), true);
    assert.equal(deadlines.earliestMs, 1500);
    assert.equal(clearDeadline(deadlines, "heartbeat"), false);
  });
});
