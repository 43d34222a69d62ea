/**
 * The session under which a client's commands are applied exactly once (thesis 6.3).
 *
 * It is registered through the log when the first command needs it; until the servers have named it
 * (`id` is the index of its registration) its commands wait. A sequence number once given to a command
 * stays with it over every retry.
 */
import type { Random } from "../ports.js";

export class Session {
  /**
   * 53 random bits, by which the servers know who waits for a registration. One that is repeated because
   * its answer was lost may leave a session behind that nobody uses; it expires like any other.
   */
  readonly nonce: number;
  /** 0: not registered yet. */
  id = 0;
  /** The servers do not know it any more: no new command may join it. */
  expired = false;
  #next = 1;
  #lowest = 1;
  /** Settled sequences above the lowest outstanding one. */
  readonly #settled = new Set<number>();

  constructor(random: Random) {
    this.nonce = Math.floor(random.next() * (Number.MAX_SAFE_INTEGER - 1)) + 1;
  }

  /** Every sequence below it is settled: the servers may forget those replies. */
  get lowestOutstanding(): number {
    return this.#lowest;
  }

  take(): number {
    return this.#next++;
  }

  /** The caller has its answer, whatever it was: this sequence is never sent again. */
  settle(sequence: number): void {
    if (sequence !== this.#lowest) {
      this.#settled.add(sequence);
      return;
    }
    this.#lowest += 1;
    while (this.#settled.size > 0 && this.#settled.delete(this.#lowest)) this.#lowest += 1;
  }
}
