/**
 * The gate before the leader. Every refusal closes it for a jittered, doubling pause, unless it says
 * who leads instead; an answer resets it. So refusals cost a bounded number of round trips.
 */
import type { Clock, Random, TimerHandle } from "../ports.js";
import { backOffMs } from "./backoff.js";

/** News of a leader is followed at once for so many refusals in a row, then only after the pause. */
const maxHops = 4;
const firstMs = 10;
const mostMs = 500;

export class Gate {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #onOpen: () => void;
  /** Refusals in a row without an answer between them. */
  #hops = 0;
  #untilMs = 0;
  #timer: TimerHandle | null = null;

  constructor(clock: Clock, random: Random, onOpen: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#onOpen = onOpen;
  }

  isClosed(): boolean {
    return this.#timer !== null && this.#clock.nowMs() < this.#untilMs;
  }

  /** `elsewhere`: somebody else is known to lead. */
  refused(elsewhere: boolean): void {
    this.#hops += 1;
    if (elsewhere && this.#hops <= maxHops) this.#open();
    else this.#shut();
  }

  answered(): void {
    this.#hops = 0;
  }

  /** A new leader is known. That counts as a hop as well: leaders that change for ever are none. */
  leaderChanged(): void {
    this.#hops += 1;
    if (this.#hops <= maxHops) this.#open();
    else if (this.#timer === null) this.#shut();
  }

  close(): void {
    this.#open();
  }

  #shut(): void {
    const delayMs = backOffMs(this.#random, this.#hops - 1, firstMs, mostMs);
    this.#timer?.cancel();
    this.#untilMs = this.#clock.nowMs() + delayMs;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null;
      this.#onOpen();
    });
  }

  #open(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
