/**
 * One coarse wheel for the deadlines of all calls of a client: to add and to remove one is to link
 * and unlink it, and the clock is asked for one timer at a time.
 */
import type { Clock, TimerHandle } from "../ports.js";

/** What the wheel keeps in the things that it times. */
export interface Timed {
  /** Infinity: never due; the wheel does not take it in. */
  readonly deadlineMs: number;
  /** Slot number, or -1 while it is in no wheel. */
  slot: number;
  before: Timed | null;
  after: Timed | null;
}

/** A deadline is met at most so many milliseconds late, and never early. */
export const wheelStepMs = 10;
/** One turn of the wheel is a little longer than the default timeout. */
const slotCount = 512;

export class DeadlineWheel<T extends Timed> {
  readonly #clock: Clock;
  readonly #onDue: (timed: T) => void;
  /** Made for the first deadline: many clients never have one. */
  #heads: (Timed | null)[] = [];
  #count = 0;
  /** The last step that was looked at. */
  #step: number;
  #timer: TimerHandle | null = null;
  #timerStep = Infinity;
  #closed = false;

  constructor(clock: Clock, onDue: (timed: T) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.#step = Math.floor(clock.nowMs() / wheelStepMs);
  }

  add(timed: T): void {
    if (this.#closed || timed.deadlineMs === Infinity) return;
    if (this.#count === 0) this.#step = Math.floor(this.#clock.nowMs() / wheelStepMs);
    const step = Math.max(this.#step + 1, Math.ceil(timed.deadlineMs / wheelStepMs));
    const slot = step % slotCount;
    if (this.#heads.length === 0) this.#heads = new Array<Timed | null>(slotCount).fill(null);
    const head = this.#heads[slot]!;
    timed.slot = slot;
    timed.before = null;
    timed.after = head;
    if (head !== null) head.before = timed;
    this.#heads[slot] = timed;
    this.#count += 1;
    // No further than one turn of the wheel: the timer stays when its call is settled, and keeps the process alive.
    const due = Math.min(step, this.#step + slotCount);
    if (due < this.#timerStep) this.#arm(due);
  }

  /** The timer stays: at worst it finds nothing to do, which is cheaper than clearing it. */
  remove(timed: T): void {
    const { slot, before, after } = timed;
    if (slot < 0) return;
    if (before === null) this.#heads[slot] = after;
    else before.after = after;
    if (after !== null) after.before = before;
    timed.slot = -1;
    timed.before = null;
    timed.after = null;
    this.#count -= 1;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(step: number): void {
    this.#timer?.cancel();
    this.#timerStep = step;
    const delayMs = Math.max(0, step * wheelStepMs - this.#clock.nowMs());
    // What waits in the sockets is read first: a process that stood still must not take its own
    // absence for the silence of others.
    this.#timer = this.#clock.after(delayMs, () => this.#clock.soon(() => this.#turn()));
  }

  #turn(): void {
    if (this.#closed) return;
    this.#timer = null;
    this.#timerStep = Infinity;
    const nowMs = this.#clock.nowMs();
    const until = Math.floor(nowMs / wheelStepMs);
    const steps = Math.min(until - this.#step, slotCount);
    for (let i = 1; i <= steps; i += 1) this.#empty((this.#step + i) % slotCount, nowMs);
    this.#step = Math.max(this.#step, until);
    if (this.#count > 0) this.#arm(this.#nextStep());
  }

  #empty(slot: number, nowMs: number): void {
    let timed = this.#heads[slot]!;
    while (timed !== null) {
      const { after } = timed;
      // Others in this slot are for a later turn of the wheel.
      if (timed.deadlineMs <= nowMs) {
        this.remove(timed as T);
        this.#onDue(timed as T);
      }
      timed = after as Timed;
    }
  }

  /** The next step whose slot holds something, be it for a later turn. */
  #nextStep(): number {
    for (let i = 1; i <= slotCount; i += 1) {
      if (this.#heads[(this.#step + i) % slotCount] !== null) return this.#step + i;
    }
    return this.#step + slotCount;
  }
}
