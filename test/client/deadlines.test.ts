/** The wheel that times all calls of a client. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DeadlineWheel, type Timed, wheelStepMs } from "../../src/client/deadlines.js";
import { SeededRandom, VirtualClock } from "../../src/clock/virtual.js";

type Entry = Timed & { firedAtMs: number; cancelled: boolean };

function entry(deadlineMs: number): Entry {
  const links = { slot: -1, before: null, after: null };
  return { deadlineMs, firedAtMs: -1, cancelled: false, ...links };
}

function create(nowMs = 0) {
  const clock = new VirtualClock({ nowMs });
  const fired: Entry[] = [];
  const wheel = new DeadlineWheel<Entry>(clock, (due) => {
    assert.equal(due.firedAtMs, -1, "fired once");
    due.firedAtMs = clock.nowMs();
    fired.push(due);
  });
  return { clock, wheel, fired };
}

describe("the deadline wheel", () => {
  test("is never early and at most one step late, whatever comes and goes", () => {
    for (const seed of [1, 2, 3]) {
      const random = new SeededRandom(seed);
      const { clock, wheel } = create(12_345.6);
      const entries: Entry[] = [];
      for (let i = 0; i < 3000; i += 1) {
        // Half of them within a turn of the wheel, others several turns away.
        const delay = random.next() < 0.5 ? random.below(5000) : random.next() * 40_000;
        const added = entry(clock.nowMs() + delay);
        entries.push(added);
        wheel.add(added);
        if (random.next() < 0.3) {
          const victim = entries[random.below(entries.length)]!;
          if (victim.firedAtMs < 0) {
            victim.cancelled = true;
            wheel.remove(victim);
          }
        }
        if (random.next() < 0.2) clock.advance(random.next() * 200);
      }
      clock.advance(60_000);
      for (const { firedAtMs, deadlineMs, cancelled } of entries) {
        if (cancelled) assert.equal(firedAtMs, -1);
        else assert.ok(firedAtMs >= deadlineMs && firedAtMs <= deadlineMs + wheelStepMs + 1);
      }
      assert.ok(entries.some(({ cancelled }) => cancelled));
      assert.equal(clock.pending, 0, "no timer is left when nothing is timed");
    }
  });

  test("asks the clock for one timer, and none for what has no deadline", () => {
    const { clock, wheel } = create();
    wheel.add(entry(Infinity));
    assert.equal(clock.pending, 0);
    for (let i = 0; i < 1000; i += 1) wheel.add(entry(5000 + i));
    assert.equal(clock.pending, 1);
    for (let i = 0; i < 1000; i += 1) {
      const short = entry(clock.nowMs() + 1000);
      wheel.add(short);
      wheel.remove(short);
    }
    assert.equal(clock.pending, 1);
  });

  test("leaves the clock no timer for long, however far the deadline was of what is settled", () => {
    const { clock, wheel } = create();
    const hour = entry(3_600_000);
    wheel.add(hour);
    assert.equal(clock.pending, 1);
    wheel.remove(hour);
    clock.advance(6000);
    assert.equal(clock.pending, 0);
  });

  test("meets deadlines late that ran out while the process stood still", () => {
    const { clock, wheel, fired } = create();
    wheel.add(entry(100));
    wheel.add(entry(9000));
    wheel.add(entry(90_000));
    clock.nowMs = () => 20_000;
    clock.advance(100);
    assert.deepEqual(
      fired.map(({ deadlineMs }) => deadlineMs),
      [100, 9000],
    );
  });

  test("is quiet once closed", () => {
    const { clock, wheel, fired } = create();
    wheel.add(entry(100));
    wheel.close();
    wheel.add(entry(200));
    clock.advance(1000);
    assert.equal(fired.length, 0);
    assert.equal(clock.pending, 0);
  });
});
