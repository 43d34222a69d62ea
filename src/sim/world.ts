/**
 * The simulated world: one time, one seed, one queue of events. Everything that happens in a run is a
 * callback of `world.after`, one at a time, so the seed alone decides the run.
 */
import { SeededRandom, VirtualClock } from "../clock/virtual.js";
import type { TimerHandle } from "../ports.js";
import { Trace } from "./trace.js";

export type WorldOptions = {
  /** 64 bits: a whole number of 0 or more, up to 2^53, or two 32-bit words. */
  readonly seed: number | readonly [low: number, high: number];
  readonly trace?: (line: string) => void;
};

export class World {
  readonly trace: Trace;
  /** Streams for what is drawn: forked in a fixed order, so that one does not disturb another. */
  readonly random: SeededRandom;
  /** How often each fault was injected, by kind. */
  readonly faults = new Map<string, number>();
  /** The first thing that went wrong in a way that no fault explains. */
  failure: Error | null = null;
  /** Machines whose code has run since somebody looked. */
  readonly touched = new Set<string>();
  readonly #clock = new VirtualClock();

  constructor(options: WorldOptions) {
    this.random = new SeededRandom(options.seed);
    this.trace = new Trace(options.trace ?? null);
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Wall time of the world; hosts have their own, which may be wrong. */
  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    return this.#clock.after(delayMs, callback);
  }

  /** Runs the next event. False: nothing will ever happen again. */
  step(): boolean {
    return this.#clock.step();
  }

  nextDueMs(): number | null {
    return this.#clock.nextDueMs();
  }

  countFault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  /** Keeps the first failure; the run ends at the next chance. */
  fail(error: Error): void {
    this.failure ??= error;
    this.trace.note(this.nowMs(), "world", () => `FAILURE ${error.message}`);
  }
}

/** Uniform in [min, max). */
export function between(random: SeededRandom, min: number, max: number): number {
  return min + random.next() * (max - min);
}

export function pick<T>(random: SeededRandom, items: readonly T[]): T {
  return items[random.below(items.length)]!;
}

export function shuffled<T>(random: SeededRandom, items: readonly T[]): T[] {
  const copy = [...items];
  for (let at = copy.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [copy[at], copy[other]] = [copy[other]!, copy[at]!];
  }
  return copy;
}

/**
 * Lets every promise that can settle do so. Nothing but the simulator's own callbacks runs in between,
 * so what follows is as reproducible as what came before.
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** As deep as chains of promises mostly are; a longer one goes on after the next event. */
const usualDepth = 6;
const eventsPerSettle = 64;

/** Cheaper than `settle` after each event, and just as reproducible: it counts instead of waiting. */
export async function settleMostly(event: number): Promise<void> {
  if (event % eventsPerSettle === 0) return settle();
  for (let depth = 0; depth < usualDepth; depth++) await Promise.resolve();
}
