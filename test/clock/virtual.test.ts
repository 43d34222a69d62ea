/** A clock that stands still until told. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock/virtual.js";

describe("the virtual clock", () => {
  test("stands still by itself and moves exactly as far as it is told", () => {
    const clock = new VirtualClock({ nowMs: 5, wallMs: 1000 });
    assert.deepEqual([clock.nowMs(), clock.wallMs()], [5, 1000]);
    clock.advance(2.5);
    assert.deepEqual([clock.nowMs(), clock.wallMs()], [7.5, 1002]);
    clock.advanceTo(3);
    assert.equal(clock.nowMs(), 7.5, "never back");
  });

  test("the wall clock jumps alone", () => {
    const clock = new VirtualClock({ wallMs: 1000 });
    const fired: number[] = [];
    clock.after(10, () => fired.push(clock.nowMs()));
    clock.jumpWall(-500);
    assert.deepEqual([clock.nowMs(), clock.wallMs()], [0, 500]);
    clock.jumpWall(3_600_000);
    assert.deepEqual(fired, []);
    clock.advance(10);
    assert.deepEqual(fired, [10]);
  });

  test("timers run at their own time, in the order of due time and then of creation", () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    const note = (name: string) => (): void => void log.push(`${name}@${clock.nowMs()}`);
    clock.after(20, note("late"));
    clock.after(10, note("first"));
    clock.after(10, note("second"));
    clock.after(0, note("now"));
    clock.after(-5, note("overdue"));
    clock.advance(9);
    assert.deepEqual(log, ["now@0", "overdue@0"]);
    clock.advance(91);
    assert.deepEqual(log.slice(2), ["first@10", "second@10", "late@20"]);
    assert.equal(clock.nowMs(), 100);
  });

  test("a timer may set timers, which run in the same advance if they are due", () => {
    const clock = new VirtualClock();
    const at: number[] = [];
    const again = (): void => {
      at.push(clock.nowMs());
      clock.after(30, again);
    };
    clock.after(30, again);
    clock.advance(100);
    assert.deepEqual(at, [30, 60, 90]);
    assert.equal(clock.nextDueMs(), 120);
  });

  test("soon runs before time moves, in order, with what it asks for in turn", () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    clock.after(0, () => log.push("timer"));
    clock.soon(() => {
      log.push("one");
      clock.soon(() => log.push("three"));
    });
    clock.soon(() => log.push("two"));
    clock.advance(0);
    assert.deepEqual(log, ["one", "two", "three", "timer"]);
  });

  test("what a timer puts off with soon runs before the next timer", () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    clock.after(10, () => clock.soon(() => log.push(`soon@${clock.nowMs()}`)));
    clock.after(10, () => log.push("second timer"));
    clock.advance(50);
    assert.deepEqual(log, ["soon@10", "second timer"]);
  });

  test("a cancelled timer never runs, however often and late it is cancelled", () => {
    const clock = new VirtualClock();
    let runs = 0;
    const handle = clock.after(10, () => runs++);
    const other = clock.after(20, () => runs++);
    handle.cancel();
    handle.cancel();
    assert.equal(clock.pending, 1);
    clock.advance(30);
    other.cancel();
    assert.equal(runs, 1);
    assert.equal(clock.pending, 0);
    assert.equal(clock.nextDueMs(), null);
  });

  test("runUntilIdle says whether anything is left", () => {
    const clock = new VirtualClock();
    clock.after(500, () => clock.after(500, () => undefined));
    assert.equal(clock.runUntilIdle(), true);
    assert.equal(clock.nowMs(), 1000);
    const forever = (): void => void clock.after(10, forever);
    forever();
    assert.equal(clock.runUntilIdle(100), false);
    assert.equal(clock.nowMs(), 1100);
  });

  test("a throw leaves the clock usable", () => {
    const clock = new VirtualClock();
    let runs = 0;
    clock.after(10, () => {
      throw new Error("a bug in a callback");
    });
    clock.after(10, () => runs++);
    assert.throws(() => clock.advance(20), /a bug in a callback/);
    clock.advance(20);
    assert.equal(runs, 1);
    assert.equal(clock.pending, 0);
  });

  test("timers set and cancelled by the thousand do not pile up", () => {
    const clock = new VirtualClock();
    for (let i = 0; i < 100_000; i++) clock.after(1000 + (i % 7), () => undefined).cancel();
    assert.equal(clock.pending, 0);
    let runs = 0;
    for (let i = 0; i < 10; i++) clock.after(i, () => runs++);
    clock.advance(10);
    assert.equal(runs, 10);
  });

  test("any mix of timers and cancellations runs as a sorted list would", () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant("after" as const), delayMs: fc.nat(50) }),
      fc.record({ type: fc.constant("cancel" as const), which: fc.nat(200) }),
      fc.record({ type: fc.constant("advance" as const), byMs: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const clock = new VirtualClock();
        const ran: number[] = [];
        const expected: number[] = [];
        const timers: { dueMs: number; open: boolean; cancel: () => void }[] = [];
        for (const each of steps) {
          if (each.type === "after") {
            const id = timers.length;
            const handle = clock.after(each.delayMs, () => ran.push(id));
            const dueMs = clock.nowMs() + each.delayMs;
            timers.push({ dueMs, open: true, cancel: () => handle.cancel() });
          } else if (each.type === "cancel") {
            const timer = timers[each.which % Math.max(1, timers.length)];
            timer?.cancel();
            if (timer !== undefined) timer.open = false;
          } else {
            const untilMs = clock.nowMs() + each.byMs;
            const due = timers
              .map((timer, id) => ({ timer, id }))
              .filter(({ timer }) => timer.open && timer.dueMs <= untilMs)
              .sort((a, b) => a.timer.dueMs - b.timer.dueMs || a.id - b.id);
            for (const { timer, id } of due) {
              timer.open = false;
              expected.push(id);
            }
            clock.advance(each.byMs);
          }
        }
        assert.deepEqual(ran, expected);
        assert.equal(clock.pending, timers.filter(({ open }) => open).length);
      }),
      { numRuns: 200 },
    );
  });
});
