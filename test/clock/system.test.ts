/** The clock of a Node process. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSystemClock } from "../../src/clock/system.js";

describe("the system clock", () => {
  test("nowMs never goes back, wallMs is the time of day", () => {
    const clock = createSystemClock();
    let lastMs = clock.nowMs();
    for (let i = 0; i < 10_000; i++) {
      const nowMs = clock.nowMs();
      assert.ok(nowMs >= lastMs);
      lastMs = nowMs;
    }
    const [before, wall, after] = [Date.now(), clock.wallMs(), Date.now()];
    assert.ok(before <= wall && wall <= after);
  });

  test("the time of day may jump by years, and nowMs knows nothing of it", (t) => {
    const clock = createSystemClock();
    for (const dayMs of [0, 2 ** 42]) {
      const before = clock.nowMs();
      const { mock } = t.mock.method(Date, "now", () => dayMs);
      assert.equal(clock.wallMs(), dayMs);
      const passedMs = clock.nowMs() - before;
      mock.restore();
      assert.ok(passedMs >= 0 && passedMs < 60_000, `${passedMs} ms at ${dayMs}`);
    }
  });

  test("a timer never calls back before its time, and not within the call", async () => {
    const clock = createSystemClock();
    for (const delayMs of [0, 0.4, 1, 1.5, 7.9, 20]) {
      const fromMs = clock.nowMs();
      let called = false;
      await new Promise<void>((resolve) => {
        clock.after(delayMs, () => {
          called = true;
          resolve();
        });
        assert.equal(called, false);
      });
      const passedMs = clock.nowMs() - fromMs;
      assert.ok(passedMs >= delayMs, `${passedMs} ms of ${delayMs}`);
    }
  });

  test("an early wake-up of the platform is waited out", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 1000;
    t.mock.method(performance, "now", () => nowMs);
    const clock = createSystemClock();
    let calls = 0;
    clock.after(10, () => calls++);
    nowMs = 1009.5;
    t.mock.timers.tick(10);
    assert.equal(calls, 0);
    nowMs = 1010;
    t.mock.timers.tick(1);
    assert.equal(calls, 1);
  });

  test("a delay longer than the platform's timers is waited for in parts", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 0;
    t.mock.method(performance, "now", () => nowMs);
    const clock = createSystemClock();
    let calls = 0;
    const longest = 2 ** 31 - 1;
    clock.after(longest + 1000, () => calls++);
    nowMs = longest;
    t.mock.timers.tick(longest);
    assert.equal(calls, 0);
    nowMs = longest + 1000;
    t.mock.timers.tick(1000);
    assert.equal(calls, 1);
  });

  test("a cancelled timer does not call back, also while it is being waited out", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 0;
    t.mock.method(performance, "now", () => nowMs);
    const clock = createSystemClock();
    let calls = 0;
    const first = clock.after(10, () => calls++);
    const second = clock.after(10, () => calls++);
    first.cancel();
    first.cancel();
    nowMs = 9;
    t.mock.timers.tick(10);
    second.cancel();
    nowMs = 100;
    t.mock.timers.tick(100);
    assert.equal(calls, 0);
  });

  test("soon calls back in order, after what the event loop has read, not within the call", async () => {
    const clock = createSystemClock();
    const log: string[] = [];
    await new Promise<void>((resolve) => {
      clock.soon(() => log.push("one"));
      clock.soon(() => {
        log.push("two");
        resolve();
      });
      void Promise.resolve().then(() => log.push("microtask"));
      log.push("call");
    });
    assert.deepEqual(log, ["call", "microtask", "one", "two"]);
  });
});
