/** A clock that stands still until told, and randomness from a seed: for tests and simulation. */
import type { Clock, Random, TimerHandle } from "../ports.js";

type Timer = {
  readonly dueMs: number;
  /** Order of creation; breaks ties. */
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
};

export type VirtualClockOptions = {
  /** Where `nowMs` begins. Default 0. */
  readonly nowMs?: number;
  /** What `wallMs` shows at the beginning. Default 2020-01-01. */
  readonly wallMs?: number;
};

/**
 * Time for one process or many. `soon` callbacks run before time moves; timers run in the order of
 * their due time, equal ones in the order of their creation.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock();
 * clock.after(50, () => console.log("at", clock.nowMs()));
 * clock.advance(100); // prints: at 50
 * ```
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #order = 0;
  #soon: (() => void)[] = [];
  /** A binary heap, the next timer first. */
  readonly #heap: Timer[] = [];
  #cancelledCount = 0;

  constructor(options: VirtualClockOptions = {}) {
    this.#nowMs = options.nowMs ?? 0;
    this.#wallOffsetMs = (options.wallMs ?? Date.UTC(2020, 0, 1)) - this.#nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs);
  }

  /** Moves the wall clock alone, as an operator or NTP would. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const timer: Timer = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      cancelled: false,
    };
    this.#push(timer);
    return { cancel: () => this.#cancel(timer) };
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Timers and `soon` callbacks that wait. */
  get pending(): number {
    return this.#soon.length + this.#heap.length - this.#cancelledCount;
  }

  /** When the next timer is due, or null. */
  nextDueMs(): number | null {
    this.#dropCancelled();
    return this.#heap[0]?.dueMs ?? null;
  }

  /** Runs `soon` callbacks until none is left, also those that they ask for; time stands still. */
  runSoon(): void {
    while (this.#soon.length > 0) {
      const round = this.#soon;
      this.#soon = [];
      for (const callback of round) callback();
    }
  }

  /** Lets `byMs` pass: everything due meanwhile runs, each at its own time. */
  advance(byMs: number): void {
    this.advanceTo(this.#nowMs + byMs);
  }

  advanceTo(untilMs: number): void {
    this.runSoon();
    while (this.#fireNext(untilMs)) this.runSoon();
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /**
   * Runs everything that waits, moving time from timer to timer, until nothing waits or `limitMs`
   * have passed (default one virtual hour: periodic timers never end). True: nothing waits.
   */
  runUntilIdle(limitMs = 3_600_000): boolean {
    const untilMs = this.#nowMs + limitMs;
    this.runSoon();
    while (this.#fireNext(untilMs)) this.runSoon();
    return this.pending === 0;
  }

  /** Runs the next timer alone, moving time to it; `soon` callbacks wait. False: no timer is set. */
  step(): boolean {
    return this.#fireNext(Infinity);
  }

  #fireNext(untilMs: number): boolean {
    this.#dropCancelled();
    const next = this.#heap[0];
    if (next === undefined || next.dueMs > untilMs) return false;
    this.#pop();
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    // A handle kept by its owner may still be cancelled: then there is nothing left to count.
    next.cancelled = true;
    next.callback();
    return true;
  }

  #cancel(timer: Timer): void {
    if (timer.cancelled) return;
    timer.cancelled = true;
    this.#cancelledCount += 1;
    if (this.#cancelledCount > 64 && this.#cancelledCount * 2 > this.#heap.length) this.#rebuild();
  }

  /** Timers that were set and cancelled by the thousand must not pile up until they are due. */
  #rebuild(): void {
    const live = this.#heap.filter((timer) => !timer.cancelled);
    this.#heap.length = 0;
    this.#cancelledCount = 0;
    for (const timer of live) this.#push(timer);
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) {
      this.#pop();
      this.#cancelledCount -= 1;
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * Reproducible randomness (the generator sfc32: 128 bits of state, by Chris Doty-Humphrey).
 * `seed` is 64 bits as two 32-bit words; a single number stands for its low and high words.
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c = 0;
  #counter = 1;

  constructor(seed: number | readonly [low: number, high: number]) {
    const [low, high] =
      typeof seed === "number" ? [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0] : seed;
    this.#a = low | 0;
    this.#b = high | 0;
    // Mixes the seed over the whole state, so that neighbouring seeds go different ways at once.
    for (let i = 0; i < 15; i++) this.word();
  }

  /** Uniform unsigned 32-bit integer. */
  word(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  next(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform integer from 0 to `bound - 1`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  id(): string {
    let id = "";
    for (let i = 0; i < 20; i++) id += alphabet[this.word() >>> 27]!;
    return id;
  }

  /** An independent stream that begins from here. */
  fork(): SeededRandom {
    return new SeededRandom([this.word(), this.word()]);
  }
}
