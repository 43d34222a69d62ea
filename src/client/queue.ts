/** Calls that wait to be sent, in the order in which they were made, also those that came back. */
import type { Call } from "./call.js";

/** Fewer settled calls than that are not worth a look. */
const fewCalls = 64;

export class CallQueue {
  #calls: Call[] = [];
  /** Something was put back, behind calls that were made after it. */
  #unsorted = false;

  get length(): number {
    return this.#calls.length;
  }

  push(call: Call): void {
    this.#calls.push(call);
  }

  putBack(call: Call): void {
    this.#unsorted = true;
    this.#calls.push(call);
  }

  /** Takes out everything; calls that were settled while they waited are among them. */
  takeAll(): Call[] {
    const calls = this.#calls;
    if (this.#unsorted) calls.sort((a, b) => a.request - b.request);
    this.#calls = [];
    this.#unsorted = false;
    return calls;
  }

  /** Nothing can be sent for now: what ran out of time meanwhile must not pile up. */
  dropSettled(outstanding: number): void {
    const few = this.#calls.length < fewCalls || this.#calls.length < 2 * outstanding;
    if (few && outstanding > 0) return;
    this.#calls = this.#calls.filter((call) => !call.done);
  }
}
