/**
 * The numbers of the channels on one link. The other side keeps what was opened for as long as the connection lasts, and
 * only so much of it (`maxChannelsPerConnection`): so the number of a channel that was let go is another one's later.
 */

/** Before that, something may still be on its way that was said of the channel before. */
const restMs = 1000;

export class ChannelNumbers {
  /** Let go, in the order in which they were. */
  readonly #free: { readonly number: number; readonly sinceMs: number }[] = [];
  #next = 1;

  take(nowMs: number): number {
    const oldest = this.#free[0];
    if (oldest === undefined || nowMs - oldest.sinceMs < restMs) return this.#next++;
    this.#free.shift();
    return oldest.number;
  }

  letGo(number: number, nowMs: number): void {
    this.#free.push({ number, sinceMs: nowMs });
  }
}
