/**
 * A leader whose followers answer within a fraction of a millisecond waits for them awake: an event loop that goes
 * to sleep takes half as long to wake up as such an answer is on its way, and finds its caches cold (decision 41).
 *
 *     entries leave -> begin -> look, look, look ... -> answered -> sleep until somebody speaks
 *
 * How long answers take is known from those before. Where they take longer than it may be awake, as from other
 * sites or with a disk in between, it sleeps at once.
 */
import { doubleZero } from "../numbers.js";
import type { Clock } from "../ports.js";

/** The share of the newest answer in what is usual. */
const newestShare = 1 / 8;
/** What is learnt asleep takes longer than what is waited for awake: so many times as long, here. */
const usualTimes = 1.5;
/** One that came this many times too late counts no more than that: it was lost, or somebody stood still. */
const mostTimes = 8;

export class Vigil {
  readonly #clock: Clock;
  readonly #longestMs: number;
  #sinceMs = doubleZero;
  /** What is waited for says that it was sent then. */
  #sentAtMs = doubleZero;
  #waiting = false;
  #awake = false;
  /** How long answers take. */
  #usualMs = doubleZero;

  /** Awake for `longestUs` microseconds at a time; 0: never. */
  constructor(clock: Clock, longestUs: number) {
    this.#clock = clock;
    this.#longestMs = longestUs / 1000;
  }

  /** Something is sent that followers answer at once. */
  begin(sentAtMs: number): void {
    if (this.#waiting || this.#longestMs === 0 || this.#clock.poll === undefined) return;
    this.#waiting = true;
    this.#sinceMs = this.#clock.nowMs();
    this.#sentAtMs = sentAtMs;
    if (this.#awake || this.#usualMs > usualTimes * this.#longestMs) return;
    this.#awake = true;
    this.#clock.poll(this.#look);
  }

  /**
   * A follower has answered what was sent then. From far away, answers to what was sent before come as often as
   * anything is sent: they say nothing about how long one takes.
   */
  answered(sentAtMs: number): void {
    if (!this.#waiting || sentAtMs < this.#sentAtMs) return;
    this.#waiting = false;
    const tookMs = Math.min(this.#clock.nowMs() - this.#sinceMs, mostTimes * this.#longestMs);
    this.#usualMs += (tookMs - this.#usualMs) * newestShare;
  }

  readonly #look = (): void => {
    this.#awake = this.#waiting && this.#clock.nowMs() - this.#sinceMs < this.#longestMs;
    if (this.#awake) this.#clock.poll!(this.#look);
  };
}
