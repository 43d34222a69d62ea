/** When a host acts on its timers: after its sockets were read, and not too long after (hazard 94). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type TurnTaker, Turns, type TurnsOptions } from "../../src/host/turns.js";
import type { Clock, Storage, Transport } from "../../src/ports.js";

/** A loop whose rounds are run by hand. */
class Loop implements Clock {
  now = 0;
  #soon: (() => void)[] = [];
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  nowMs(): number {
    return this.now;
  }

  wallMs(): number {
    return this.now;
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { dueMs: this.now + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((one) => one !== timer)) };
  }

  get hasWork(): boolean {
    return this.#soon.length > 0;
  }

  /** Timers, then `sockets`, then what was wanted soon: a round of Node's event loop. */
  round(sockets: () => void = () => undefined): void {
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.now);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.now);
    for (const { callback } of due) callback();
    sockets();
    for (const callback of this.#soon.splice(0)) callback();
  }
}

class Taker implements TurnTaker {
  woken = false;
  unfinished = false;
  place = -1;
  earliestMs: number;
  readonly stallMs = 50;
  readonly fired: number[] = [];

  constructor(earliestMs = 100) {
    this.earliestMs = earliestMs;
  }

  /** Nothing to do unless a test says so: most are about timers. */
  turn = (): void => undefined;
  finishTurn = (): void => undefined;

  fireTimers(_nowMs: number, lateMs: number): void {
    this.fired.push(lateMs);
    this.earliestMs = Infinity;
  }
}

/** What is done is noted; `change` takes the place of some of it. */
function start(
  done: string[] = [],
  change: Partial<TurnsOptions> = {},
): { loop: Loop; turns: Turns; taker: Taker } {
  const loop = new Loop();
  const turns = new Turns({
    clock: loop,
    storage: { flush: () => void done.push("stored") } as Partial<Storage> as Storage,
    transport: { flush: () => void done.push("left") } as Partial<Transport> as Transport,
    onDefect: (error) => assert.fail(String(error)),
    onTurnEnd: () => undefined,
    ...change,
  });
  const taker = new Taker();
  turns.add(taker);
  loop.round();
  return { loop, turns, taker };
}

describe("the turns of a host", () => {
  test("act on a timer that is on time at once", () => {
    const { loop, taker } = start();
    loop.now = 101;
    loop.round();
    assert.deepEqual(taker.fired, [1]);
  });

  test("read the sockets dry before they act on a timer that is late", () => {
    const { loop, turns, taker } = start();
    loop.now = 1100;
    for (let round = 0; round < 3; round++) {
      loop.round(() => turns.payloadArrived());
      assert.deepEqual(taker.fired, [], `round ${round + 1}: there may be more to read`);
    }
    loop.round();
    assert.deepEqual(taker.fired, [1000], "as late as it was when the loop came back");
  });

  test("act on it nevertheless when the sockets never fall silent", () => {
    const { loop, turns, taker } = start();
    loop.now = 1100;
    let rounds = 0;
    while (taker.fired.length === 0 && rounds < 100) {
      rounds += 1;
      loop.round(() => turns.payloadArrived());
    }
    assert.ok(rounds >= 3 && rounds <= 20, `after ${rounds} rounds`);
  });

  test("fire those whose time has come, and nobody who was moved on or has gone", () => {
    const { loop, turns, taker } = start();
    const others = Array.from({ length: 40 }, (_, at) => new Taker(100 + (at % 2) * 300));
    for (const other of others) turns.add(other);
    const [moved, , gone] = others;
    turns.remove(gone!);
    moved!.earliestMs = 500;
    turns.deadlineSet(moved!, 500);
    loop.round();
    loop.now = 101;
    loop.round();
    const isDue = (one: Taker, at: number): boolean =>
      at % 2 === 0 && one !== moved && one !== gone;
    assert.deepEqual(taker.fired, [1]);
    others.forEach((one, at) => assert.equal(one.fired.length, isDue(one, at) ? 1 : 0, `${at}`));
    loop.now = 401;
    loop.round();
    others.forEach((one, at) => assert.equal(one.fired.length, isDue(one, at) || at % 2 ? 1 : 0));
    loop.now = 501;
    loop.round();
    assert.deepEqual([moved!.fired.length, gone!.fired.length], [1, 0]);
  });

  test("tell all of a stall, whoever had a timer to fire", () => {
    const { loop, turns, taker } = start();
    const idle = new Taker(Infinity);
    turns.add(idle);
    loop.now = 140;
    loop.round();
    loop.round();
    assert.deepEqual([taker.fired, idle.fired], [[40], []], "less late than its stallMs");
    taker.earliestMs = 200;
    turns.deadlineSet(taker, 200);
    loop.round();
    loop.now = 260;
    for (let round = 0; round < 3; round++) loop.round();
    assert.deepEqual([taker.fired, idle.fired], [[40, 60], [60]]);
  });

  test("let what was sent leave before they do what nobody waits for", () => {
    const done: string[] = [];
    const { loop, turns } = start(done);
    const follower = new Taker(Infinity);
    follower.turn = () => {
      done.push("turn");
      turns.storageTouched();
      turns.finishLater(follower);
      turns.atEnd({ flushTurn: () => void done.push("sent") });
    };
    follower.finishTurn = () => {
      done.push("finished");
      turns.atEnd({ flushTurn: () => void done.push("sent of it") });
    };
    turns.add(follower);
    turns.wake(follower);
    loop.round();
    const whole = ["turn", "stored", "sent", "left", "finished", "sent of it"];
    assert.deepEqual(done, whole);
    turns.wake(follower);
    loop.round();
    assert.deepEqual(done, [...whole, ...whole]);
    assert.equal(loop.hasWork, false);
  });

  test("go on when the transport cannot let it leave", () => {
    const defects: string[] = [];
    const flush = (): void => assert.fail("no memory");
    const { loop, turns } = start([], {
      transport: { flush } as Partial<Transport> as Transport,
      onDefect: (error) => void defects.push(String(error)),
    });
    const follower = new Taker(Infinity);
    let finished = 0;
    follower.turn = () => turns.finishLater(follower);
    follower.finishTurn = () => void (finished += 1);
    turns.add(follower);
    for (let turn = 1; turn <= 2; turn++) {
      turns.wake(follower);
      loop.round();
      assert.deepEqual([finished, defects.length], [turn, turn]);
    }
  });

  test("go on when whoever is told of a defect throws as well", () => {
    const { loop, turns } = start([], { onDefect: () => assert.fail("the logger is broken") });
    const taker = new Taker(Infinity);
    let turnsTaken = 0;
    taker.turn = () => {
      turnsTaken += 1;
      if (turnsTaken === 1) throw new Error("a defect");
    };
    turns.add(taker);
    turns.wake(taker);
    assert.throws(() => loop.round(), /the logger is broken/);
    turns.wake(taker);
    loop.round();
    assert.equal(turnsTaken, 2);
  });

  test("are had by everybody, whoever throws in them, and one defect is told of as one", () => {
    const defects: string[] = [];
    const done: string[] = [];
    const { loop, turns } = start([], { onDefect: (error) => void defects.push(String(error)) });
    const broken = (what: string) => (): never => {
      throw new Error(what);
    };
    const [first, second] = [new Taker(100), new Taker(100)];
    first.turn = broken("turn");
    first.finishTurn = broken("finish");
    first.fireTimers = broken("timer");
    second.turn = () => void done.push("turn");
    second.finishTurn = () => void done.push("finish");
    for (const taker of [first, second]) turns.add(taker);
    for (let turn = 1; turn <= 2; turn++) {
      for (const taker of [first, second]) {
        turns.wake(taker);
        turns.finishLater(taker);
      }
      for (const when of ["atStart", "atEnd", "afterEnd"] as const) {
        turns[when]({ flushTurn: broken(when) });
        turns[when]({ flushTurn: () => void done.push(when) });
      }
      loop.round();
      assert.deepEqual(done.splice(0), ["atStart", "turn", "atEnd", "afterEnd", "finish"]);
      const told = ["atStart", "turn", "atEnd", "afterEnd", "finish"].map(
        (what) => `Error: ${what}`,
      );
      assert.deepEqual(defects.splice(0), told);
    }
    loop.now = 101;
    loop.round();
    assert.deepEqual(second.fired, [1]);
    assert.deepEqual(defects, ["Error: timer"]);
  });

  test("tell of a stall also when what came meanwhile has moved all deadlines, and then rest", () => {
    const { loop, turns, taker } = start();
    loop.now = 1100;
    loop.round(() => turns.payloadArrived());
    taker.earliestMs = 2000;
    turns.deadlineSet(taker, 2000);
    let rounds = 0;
    while (loop.hasWork && rounds < 20) {
      rounds += 1;
      loop.round();
    }
    assert.deepEqual(taker.fired, [1000]);
    assert.ok(rounds < 20, "nothing is left to do");
  });
});
