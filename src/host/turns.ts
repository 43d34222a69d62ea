/**
 * The turns of a host: all members that have something to do, then one flush of the storage, then
 * the frames of the turn, then what nobody else waits for. One clock timer serves the earliest deadline of all members.
 *
 * A turn is asked for with `clock.soon`, that is after this round of the event loop has read its
 * sockets: so a timer that ran out is acted upon only after the messages that came meanwhile. When
 * the loop was late, more rounds are let by until the sockets have nothing more to say (decision 9).
 */
import { doubleZero } from "../numbers.js";
import type { Clock, Storage, TimerHandle, Transport } from "../ports.js";

/** Somebody who gets turns. */
export interface TurnTaker {
  /** Bookkeeping of `Turns`: waits for a turn already. */
  woken: boolean;
  /** Bookkeeping of `Turns`: its place among the takers, -1 while it is none of them. */
  place: number;
  /** Bookkeeping of `Turns`: its turn has a rest. */
  unfinished: boolean;
  turn(): void;
  /** The rest of its turn, asked for with `finishLater`. */
  finishTurn(): void;
  fireTimers(nowMs: number, lateMs: number): void;
  /** The earliest deadline, Infinity if there is none. */
  readonly earliestMs: number;
  /** Lateness from which on this taker wants to know of it; looked at whenever a deadline is set. */
  readonly stallMs: number;
}

/** Something with bytes to send at the end of the turn. */
export interface TurnFlusher {
  flushTurn(): void;
}

/** A timer that comes this late has met a loop that was busy elsewhere. */
const lateFromMs = 20;
/** Rounds of the event loop that a late turn lets by at most, so that busy sockets starve no timer. */
const maxDrainRounds = 8;
/** Rounds within one turn; storage that answers at once takes two or three. */
const maxRounds = 64;
/** `loopDelayMs` tells of the last one to two such spans. */
const delaySpanMs = 30_000;

export type TurnsOptions = {
  readonly clock: Clock;
  readonly storage: Storage;
  readonly transport: Transport;
  /** Hears of what no member or connection has caught itself. */
  readonly onDefect: (error: unknown) => void;
  readonly onTurnEnd: () => void;
};

export class Turns {
  readonly #clock: Clock;
  readonly #storage: Storage;
  readonly #transport: Transport;
  readonly #onDefect: (error: unknown) => void;
  readonly #onTurnEnd: () => void;
  readonly #takers: TurnTaker[] = [];
  /** Their earliest deadlines, and their `stallMs`, side by side: to look through a thousand is nothing. */
  #due = new Float64Array(16);
  #stalls = new Float64Array(16);
  #woken: TurnTaker[] = [];
  #later: TurnTaker[] = [];
  #unfinished: TurnTaker[] = [];
  /** Brought in by `input` at the start of a turn. */
  #inputs: TurnFlusher[] = [];
  #flushers: TurnFlusher[] = [];
  #outputs: TurnFlusher[] = [];
  #scheduled = false;
  #scheduledAtMs = doubleZero;
  #running = false;
  #storageTouched = false;
  #earliestMs = Infinity;
  #armedMs = Infinity;
  #timer: TimerHandle | null = null;
  /** Payloads came in since the last turn. */
  #arrived = false;
  #drain: { lateMs: number; rounds: number } | null = null;
  #delayMs = doubleZero;
  #delayBeforeMs = doubleZero;
  #delaySinceMs: number;
  #stopped = false;

  constructor(options: TurnsOptions) {
    this.#clock = options.clock;
    this.#storage = options.storage;
    this.#transport = options.transport;
    this.#onDefect = options.onDefect;
    this.#onTurnEnd = options.onTurnEnd;
    this.#delaySinceMs = options.clock.nowMs();
  }

  add(taker: TurnTaker): void {
    const place = this.#takers.push(taker) - 1;
    taker.place = place;
    if (place === this.#due.length) {
      this.#due = doubled(this.#due);
      this.#stalls = doubled(this.#stalls);
    }
    this.#due[place] = Infinity;
    this.deadlineSet(taker, taker.earliestMs);
  }

  remove(taker: TurnTaker): void {
    const { place } = taker;
    if (place < 0) return;
    taker.place = -1;
    const last = this.#takers.pop()!;
    if (last === taker) return;
    this.#takers[place] = last;
    this.#due[place] = this.#due[this.#takers.length]!;
    this.#stalls[place] = this.#stalls[this.#takers.length]!;
    last.place = place;
  }

  wake(taker: TurnTaker): void {
    if (taker.woken) return;
    taker.woken = true;
    this.#woken.push(taker);
    this.schedule();
  }

  /** A turn of its own, after the sockets have been read again. */
  wakeLater(taker: TurnTaker): void {
    if (!this.#later.includes(taker)) this.#later.push(taker);
    this.schedule();
  }

  /** `finishTurn` is due, once what this turn sends has left. */
  finishLater(taker: TurnTaker): void {
    if (taker.unfinished) return;
    taker.unfinished = true;
    this.#unfinished.push(taker);
    this.schedule();
  }

  /** Told of every payload from a socket. */
  payloadArrived(): void {
    this.#arrived = true;
  }

  storageTouched(): void {
    this.#storageTouched = true;
    this.schedule();
  }

  /** The taker's earliest deadline is another one now. */
  deadlineSet(taker: TurnTaker, deadlineMs: number): void {
    if (taker.place < 0) return;
    this.#due[taker.place] = deadlineMs;
    this.#stalls[taker.place] = taker.stallMs;
    if (deadlineMs >= this.#earliestMs) return;
    this.#earliestMs = deadlineMs;
    this.schedule();
  }

  /** Called back at the start of the next turn, once for each call. */
  atStart(input: TurnFlusher): void {
    this.#inputs.push(input);
    this.schedule();
  }

  /** Called back once the members of this turn are quiet, once for each call. */
  atEnd(flusher: TurnFlusher): void {
    this.#flushers.push(flusher);
    this.schedule();
  }

  /** Called back after everything else of this turn. */
  afterEnd(output: TurnFlusher): void {
    this.#outputs.push(output);
    this.schedule();
  }

  schedule(): void {
    if (this.#scheduled || this.#running) return;
    if (this.#stopped && this.#inputs.length + this.#outputs.length === 0) return;
    this.#scheduled = true;
    this.#scheduledAtMs = this.#clock.nowMs();
    this.#clock.soon(() => this.#run());
  }

  /** Longest time that the event loop kept this host waiting in the last minute. */
  get loopDelayMs(): number {
    this.#turnSpans(this.#clock.nowMs());
    return Math.max(this.#delayMs, this.#delayBeforeMs);
  }

  /** Told of a delay that ended now. */
  noteDelay(delayMs: number, nowMs: number): void {
    this.#turnSpans(nowMs);
    if (delayMs > this.#delayMs) this.#delayMs = delayMs;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.schedule();
  }

  #run(): void {
    this.#scheduled = false;
    if (this.#stopped) return this.#lastWords();
    this.#running = true;
    try {
      this.#turn(this.#clock.nowMs());
    } catch (error) {
      this.#onDefect(error);
    } finally {
      // Also when the logger throws, which is told of the defect.
      this.#onTurnEnd();
      this.#running = false;
      this.#arm();
      if (this.#wantsTurn()) this.schedule();
    }
  }

  /** There are no more turns, but who waits at a connection within the process has to hear that it is closed. */
  #lastWords(): void {
    const [inputs, outputs] = [this.#inputs, this.#outputs];
    this.#inputs = [];
    this.#outputs = [];
    this.#flushAll(inputs);
    this.#flushAll(outputs);
    this.schedule();
  }

  #turn(nowMs: number): void {
    this.noteDelay(nowMs - this.#scheduledAtMs, nowMs);
    const later = this.#later;
    this.#later = [];
    const inputs = this.#inputs;
    this.#inputs = [];
    this.#flushAll(inputs);
    for (const taker of later) this.wake(taker);
    this.#settle();
    this.#checkTimers(nowMs);
    this.#flush();
    this.#finish();
    this.#arrived = false;
  }

  #wantsTurn(): boolean {
    return (
      this.#drain !== null ||
      this.#storageTouched ||
      this.#woken.length > 0 ||
      this.#later.length > 0 ||
      this.#unfinished.length > 0 ||
      this.#inputs.length > 0 ||
      this.#flushers.length > 0 ||
      this.#outputs.length > 0
    );
  }

  /** What others wait for has been done: it leaves, and then comes what nobody waits for. */
  #finish(): void {
    const unfinished = this.#unfinished;
    if (unfinished.length === 0) return;
    this.#unfinished = [];
    for (const taker of unfinished) taker.unfinished = false;
    try {
      this.#transport.flush?.();
    } catch (error) {
      this.#onDefect(error);
    }
    for (const taker of unfinished) {
      try {
        taker.finishTurn();
      } catch (error) {
        this.#onDefect(error);
      }
    }
    this.#settle();
    this.#flush();
  }

  /** Runs members and storage until nobody has anything left to do in this turn. */
  #settle(): void {
    for (let round = 0; round < maxRounds; round++) {
      const woken = this.#woken;
      if (woken.length === 0 && !this.#storageTouched) return;
      this.#woken = [];
      for (const taker of woken) {
        taker.woken = false;
        try {
          taker.turn();
        } catch (error) {
          this.#onDefect(error);
        }
      }
      if (this.#storageTouched) {
        this.#storageTouched = false;
        this.#storage.flush();
      }
    }
  }

  #checkTimers(nowMs: number): void {
    // A stall that is being looked into is told of, also if what came meanwhile has moved all deadlines.
    if (this.#drain === null && nowMs < this.#earliestMs) return;
    const lateMs = this.#drain?.lateMs ?? nowMs - this.#earliestMs;
    if (this.#drain === null) this.noteDelay(lateMs, nowMs);
    const rounds = this.#drain?.rounds ?? 0;
    const unread = rounds === 0 || this.#arrived;
    if (lateMs >= lateFromMs && unread && rounds < maxDrainRounds) {
      this.#drain = { lateMs, rounds: rounds + 1 };
      return;
    }
    this.#drain = null;
    this.#fireTimers(nowMs, lateMs);
    this.#settle();
  }

  #fireTimers(nowMs: number, lateMs: number): void {
    // Whoever is fired may end, and with it others.
    const firing: TurnTaker[] = [];
    for (let place = 0; place < this.#takers.length; place++) {
      if (this.#due[place]! > nowMs && lateMs < this.#stalls[place]!) continue;
      firing.push(this.#takers[place]!);
    }
    for (const taker of firing) {
      if (taker.place < 0) continue;
      try {
        taker.fireTimers(nowMs, lateMs);
      } catch (error) {
        this.#onDefect(error);
      }
      // Unless it has told of another one itself.
      if (taker.place >= 0 && this.#due[taker.place]! <= nowMs) {
        this.deadlineSet(taker, taker.earliestMs);
      }
    }
  }

  /** Deadlines that were moved on since are not waited for. */
  #findEarliest(): number {
    const count = this.#takers.length;
    let earliest = Infinity;
    for (let place = 0; place < count; place++) {
      if (this.#due[place]! < earliest) earliest = this.#due[place]!;
    }
    return earliest;
  }

  #flush(): void {
    for (let round = 0; round < maxRounds; round++) {
      const flushers = this.#flushers;
      if (flushers.length === 0) break;
      this.#flushers = [];
      this.#flushAll(flushers);
    }
    const outputs = this.#outputs;
    this.#outputs = [];
    this.#flushAll(outputs);
  }

  /** Where one throws the others have their turn all the same: each is called for once, and would wait for ever. */
  #flushAll(flushers: readonly TurnFlusher[]): void {
    for (const flusher of flushers) {
      try {
        flusher.flushTurn();
      } catch (error) {
        this.#onDefect(error);
      }
    }
  }

  #arm(): void {
    this.#earliestMs = this.#findEarliest();
    if (this.#stopped || this.#earliestMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = this.#earliestMs;
    const delayMs = Math.max(0, this.#earliestMs - this.#clock.nowMs());
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null;
      this.#armedMs = Infinity;
      this.schedule();
    });
  }

  #turnSpans(nowMs: number): void {
    if (nowMs - this.#delaySinceMs < delaySpanMs) return;
    const skipped = nowMs - this.#delaySinceMs >= 2 * delaySpanMs;
    this.#delayBeforeMs = skipped ? 0 : this.#delayMs;
    this.#delayMs = 0;
    this.#delaySinceMs = nowMs;
  }
}

function doubled(numbers: Float64Array): Float64Array<ArrayBuffer> {
  const twice = new Float64Array(2 * numbers.length);
  twice.set(numbers);
  return twice;
}
