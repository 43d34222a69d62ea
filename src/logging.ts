/** Log lines about what may happen a thousand times a second, at most one per key and span. */
import type { Clock } from "../ports.js";

const spanMs = 10_000;
const maxKeys = 1000;

export class RateLimit {
  readonly #clock: Clock;
  readonly #lastMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True: this one may be told. */
  admits(key: string): boolean {
    const nowMs = this.#clock.nowMs();
    const lastMs = this.#lastMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < spanMs) return false;
    // In order of insertion the oldest key is the first.
    this.#lastMs.delete(key);
    if (this.#lastMs.size >= maxKeys) this.#lastMs.delete(this.#lastMs.keys().next().value!);
    this.#lastMs.set(key, nowMs);
    return true;
  }
}
