/** Every outstanding call, what it weighs, its deadline and its abort signal. */
import { RaftError } from "../errors.js";
import { IntegerMap } from "../integer-map.js";
import type { Clock } from "../ports.js";
import { type Call, isCounted, label } from "./call.js";
import { DeadlineWheel } from "./deadlines.js";
import { maxSubscriptions } from "./options.js";
import { Signals } from "./signals.js";

export type LedgerLimits = {
  readonly maxOutstanding: number;
  readonly maxOutstandingBytes: number;
};

/** What is awaited; `connections.ts` decides by it whom to dial. */
export type Demand = {
  /** Calls for the leader without an answer. */
  leaderCalls: number;
  /** Other calls without an answer. */
  nearCalls: number;
  streams: number;
  /** Since when calls have waited for the leader without any of them being answered. */
  waitingSinceMs: number;
};

/** More can never be replicated: the largest `maxCommandBytes` that a group may have. */
export const maxBodyBytes = 32 * 1024 * 1024;

export function abortedUnsent(what: string, signal: AbortSignal): RaftError {
  const cause: unknown = signal.reason;
  return new RaftError("aborted", `${what} was aborted before it was sent`, { cause });
}

export interface LedgerOwner {
  timedOut(call: Call): void;
  aborted(call: Call): void;
}

export class Ledger {
  readonly demand: Demand = { leaderCalls: 0, nearCalls: 0, streams: 0, waitingSinceMs: 0 };
  /** By request number, which is also the order in which they were made. */
  readonly #calls = new IntegerMap<Call>();
  readonly #wheel: DeadlineWheel<Call>;
  readonly #clock: Clock;
  readonly #limits: LedgerLimits;
  readonly #signals: Signals;
  #count = 0;
  #bytes = 0;

  constructor(clock: Clock, limits: LedgerLimits, owner: LedgerOwner) {
    this.#clock = clock;
    this.#limits = limits;
    this.#signals = new Signals((call) => owner.aborted(call));
    this.#wheel = new DeadlineWheel(clock, (call) => owner.timedOut(call));
  }

  get(request: number): Call | undefined {
    return this.#calls.get(request);
  }

  /** A list of its own, so that calls may be settled while it is walked. */
  all(): Call[] {
    return this.#calls.values();
  }

  /** Why this call cannot be taken in, or null. */
  refusal(call: Call): RaftError | null {
    const { maxOutstanding, maxOutstandingBytes } = this.#limits;
    // While its argument was encoded, which may run the caller's own code: its signal fires no more.
    if (call.signal?.aborted === true) return abortedUnsent(label(call), call.signal);
    const size = call.body.length;
    if (size > maxBodyBytes) {
      const why = `${label(call)} is ${size} bytes long; no group takes more than ${maxBodyBytes}`;
      return new RaftError("commandTooLarge", why);
    }
    if (call.stream !== null && this.demand.streams >= maxSubscriptions) {
      const why =
        `events: ${maxSubscriptions} streams of events are read already (maxSubscriptions); end one, ` +
        `by its signal or by leaving its loop`;
      return new RaftError("overloaded", why);
    }
    if (!isCounted(call)) return null;
    if (this.#count >= maxOutstanding) {
      const why = `${label(call)}: ${this.#count} calls are outstanding already (maxOutstanding)`;
      return new RaftError("overloaded", why);
    }
    // A single call of any size passes: the limit is on what piles up.
    if (this.#count > 0 && this.#bytes + size > maxOutstandingBytes) {
      const why =
        `${label(call)}: with its ${size} bytes more than ${maxOutstandingBytes} would be ` +
        `outstanding (maxOutstandingBytes)`;
      return new RaftError("overloaded", why);
    }
    return null;
  }

  add(call: Call): void {
    this.#calls.set(call.request, call);
    this.#wheel.add(call);
    if (call.signal !== null) this.#signals.add(call.signal, call);
    this.#account(call, 1);
  }

  /** False if the call was settled before: then there is nothing left to do for it. */
  remove(call: Call): boolean {
    if (call.done) return false;
    call.done = true;
    this.#calls.delete(call.request);
    this.#wheel.remove(call);
    if (call.signal !== null) this.#signals.remove(call.signal, call);
    this.#account(call, -1);
    return true;
  }

  /** A leader has answered. */
  progressed(): void {
    this.demand.waitingSinceMs = this.#clock.nowMs();
  }

  close(): void {
    this.#wheel.close();
  }

  #account(call: Call, by: 1 | -1): void {
    const { demand } = this;
    if (call.stream !== null) demand.streams += by;
    if (!isCounted(call)) return;
    this.#count += by;
    this.#bytes += by * call.body.length;
    if (call.target !== "leader") {
      demand.nearCalls += by;
      return;
    }
    if (demand.leaderCalls === 0) demand.waitingSinceMs = this.#clock.nowMs();
    demand.leaderCalls += by;
  }
}
