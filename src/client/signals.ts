/**
 * The abort signals of outstanding calls: one listener per signal, however many calls and streams share it, because
 * Node takes many listeners on one signal for a leak and says so.
 */
import type { Call } from "./call.js";

type Watched = { readonly calls: Set<Call>; readonly listener: () => void };

export class Signals {
  readonly #watched = new Map<AbortSignal, Watched>();
  readonly #onAbort: (call: Call) => void;

  constructor(onAbort: (call: Call) => void) {
    this.#onAbort = onAbort;
  }

  add(signal: AbortSignal, call: Call): void {
    const known = this.#watched.get(signal);
    if (known !== undefined) {
      known.calls.add(call);
      return;
    }
    const calls = new Set([call]);
    const listener = (): void => {
      for (const each of [...calls]) this.#onAbort(each);
    };
    this.#watched.set(signal, { calls, listener });
    signal.addEventListener("abort", listener, { once: true });
  }

  remove(signal: AbortSignal, call: Call): void {
    const watched = this.#watched.get(signal);
    if (watched === undefined) return;
    watched.calls.delete(call);
    if (watched.calls.size > 0) return;
    this.#watched.delete(signal);
    signal.removeEventListener("abort", watched.listener);
  }
}
