/**
 * One process of the simulated world: a clock of its own, which drifts; it can be paused (SIGSTOP) and
 * killed. Everything that its code does happens in `run`.
 */
import type { SeededRandom } from "../clock/virtual.js";
import type { Clock, TimerHandle } from "../ports.js";
import { between, type World } from "./world.js";

/** In the order in which a process that was stopped finds them when it goes on. */
const kinds = ["timer", "network", "disk", "soon"] as const;
export type WorkKind = (typeof kinds)[number];

type Work = {
  readonly kind: WorkKind;
  readonly what: string;
  readonly callback: () => void;
  /** What is delivered, for the trace. */
  readonly bytes: readonly Uint8Array[];
};

const noBytes: readonly Uint8Array[] = Object.freeze([]);

export class SimProcess {
  readonly world: World;
  /** Unique over the whole run: `a.2` is the second process on machine `a`. */
  readonly name: string;
  readonly machine: string;
  readonly random: SeededRandom;
  readonly clock: SimClock;
  alive = true;
  /** So long has it to do before each turn, up to twice as long. */
  busyMs = 0;
  #paused = false;
  #held: Work[] = [];
  /** Told when the process dies, so that its connections break. */
  readonly onDeath: (() => void)[] = [];

  constructor(world: World, machine: string, name: string, random: SeededRandom) {
    this.world = world;
    this.machine = machine;
    this.name = name;
    this.random = random;
    this.clock = new SimClock(this);
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Runs a callback of this process's code now, or when it goes on; never once it is dead. */
  run(
    kind: WorkKind,
    what: string,
    callback: () => void,
    bytes: readonly Uint8Array[] = noBytes,
  ): void {
    if (!this.alive) return;
    if (this.#paused) {
      this.#held.push({ kind, what, callback, bytes });
      return;
    }
    this.world.touched.add(this.machine);
    this.world.trace.event(this.world.nowMs(), this.name, what, bytes);
    try {
      callback();
    } catch (cause) {
      const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      this.world.fail(new Error(`process ${this.name} threw in ${what}: ${why}`, { cause }));
    }
  }

  pause(): void {
    this.#paused = true;
  }

  /** Goes on: first the timers that ran out meanwhile, then what waits in the sockets. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const kind of kinds) {
      for (const work of held) {
        if (work.kind !== kind) continue;
        this.world.after(0, () => this.run(work.kind, work.what, work.callback, work.bytes));
      }
    }
  }

  /** The end: nothing of it runs any more. */
  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    this.#held = [];
    for (const callback of this.onDeath) callback();
  }
}

/** Processes that may wait awake. */
const awakeShare = 1 / 8;

/** Local time runs at `rate` times the world's. Wall time may jump, monotonic time never does. */
export class SimClock implements Clock {
  readonly #process: SimProcess;
  #rate = 1;
  #baseWorldMs: number;
  #baseLocalMs: number;
  #wallOffsetMs: number;
  /** Not all have it: who waits awake takes many events, and there is more to find than that. */
  readonly poll?: (callback: () => void) => void;

  constructor(process: SimProcess) {
    this.#process = process;
    if (process.random.next() < awakeShare) this.poll = (callback) => this.soon(callback);
    this.#baseWorldMs = process.world.nowMs();
    // Monotonic clocks of different processes have nothing in common.
    this.#baseLocalMs = between(process.random, 0, 1_000_000);
    this.#wallOffsetMs = process.world.wallMs() - this.#baseLocalMs;
  }

  nowMs(): number {
    return this.#baseLocalMs + (this.#process.world.nowMs() - this.#baseWorldMs) * this.#rate;
  }

  wallMs(): number {
    return Math.floor(this.nowMs() + this.#wallOffsetMs);
  }

  /** From now on; what it has shown stays. Timers that run are held to the new rate. */
  setRate(rate: number): void {
    this.#baseLocalMs = this.nowMs();
    this.#baseWorldMs = this.#process.world.nowMs();
    this.#rate = rate;
  }

  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const dueMs = this.nowMs() + Math.max(0, delayMs);
    const { world } = this.#process;
    let cancelled = false;
    let handle: TimerHandle;
    const fire = (): void => {
      if (cancelled) return;
      const leftMs = dueMs - this.nowMs();
      // A clock that was slowed down meanwhile has not come so far yet.
      if (leftMs > 1e-6) arm();
      else callback();
    };
    const arm = (): void => {
      const leftMs = Math.max(0, (dueMs - this.nowMs()) / this.#rate);
      handle = world.after(leftMs, () => this.#process.run("timer", "timer", fire));
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        handle.cancel();
      },
    };
  }

  soon(callback: () => void): void {
    const { world, random, busyMs } = this.#process;
    // The turn itself takes time, and what arrives meanwhile is part of the next one.
    const takesMs = between(random, 0.01 + busyMs, 0.05 + 2 * busyMs);
    world.after(takesMs, () => this.#process.run("soon", "turn", callback));
  }
}
