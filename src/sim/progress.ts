/** The live line of a long run, and its sums. */
import type { Clock } from "../ports.js";
import type { SimulationResult } from "./simulation.js";

/** Between two lines where nobody watches. */
const quietMs = 10_000;
const liveMs = 200;

export class Progress {
  seeds = 0;
  readonly faults = new Map<string, number>();
  readonly #clock: Clock;
  readonly #out: { write(text: string): unknown };
  readonly #live: boolean;
  readonly #beganMs: number;
  #events = 0;
  #virtualMs = 0;
  #calls = 0;
  #shownMs: number;

  constructor(clock: Clock, out: { write(text: string): unknown }, live: boolean) {
    this.#clock = clock;
    this.#out = out;
    this.#live = live;
    this.#beganMs = clock.nowMs();
    this.#shownMs = this.#beganMs;
  }

  add(result: SimulationResult): void {
    this.seeds += 1;
    this.#events += result.events;
    this.#virtualMs += result.virtualMs;
    const { ok, failed, unknown, stale } = result.counts;
    this.#calls += ok + failed + unknown + stale;
    for (const [kind, count] of result.faults) {
      this.faults.set(kind, (this.faults.get(kind) ?? 0) + count);
    }
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#shownMs < (this.#live ? liveMs : quietMs)) return;
    this.#shownMs = nowMs;
    this.#out.write(this.#live ? `\r\u001b[K${this.#line()}` : `${this.#line()}\n`);
  }

  /** The last line, then the faults by kind. */
  end(): void {
    this.#out.write(`${this.#live ? "\r\u001b[K" : ""}${this.#line()}\n`);
    const kinds = [...this.faults].sort(([a], [b]) => (a < b ? -1 : 1));
    const text = kinds.map(([kind, count]) => `${kind} ${count}`).join(", ");
    this.#out.write(`faults: ${text || "none"}\n`);
  }

  #line(): string {
    const seconds = Math.max(0.001, (this.#clock.nowMs() - this.#beganMs) / 1000);
    const faults = [...this.faults.values()].reduce((sum, count) => sum + count, 0);
    const virtualSeconds = this.#virtualMs / 1000;
    return (
      `${this.seeds} seeds, ${(this.seeds / seconds).toFixed(1)} seeds/s, ` +
      `${Math.round(this.#events / seconds)} events/s, ` +
      `${(virtualSeconds / 3600).toFixed(2)} virtual hours ` +
      `(${(virtualSeconds / 3600 / seconds).toFixed(3)} per second, ` +
      `${Math.round(virtualSeconds / seconds)}x), ${this.#calls} calls, ${faults} faults`
    );
  }
}
