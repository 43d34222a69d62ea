/** `events()`: what a member tells of itself, as an async iterator that never grows. */
import type { GroupEvent } from "./types.js";

type Waiting = {
  readonly resolve: (result: IteratorResult<GroupEvent>) => void;
  readonly reject: (error: Error) => void;
};

/**
 * Keeps the newest event of each type until somebody reads it, so a slow reader costs a handful of
 * objects. It subscribes with the first `next()`; one that is never read costs nothing.
 */
export class EventStream implements AsyncIterableIterator<GroupEvent> {
  /** In the order in which the types became news. */
  readonly #newest = new Map<GroupEvent["type"], GroupEvent>();
  /** What was said last of each type: after a new connection the same is said once more. */
  readonly #said = new Map<GroupEvent["type"], Uint8Array>();
  readonly #waiting: Waiting[] = [];
  readonly #subscribe: () => void;
  readonly #unsubscribe: () => void;
  #state: "new" | "open" | "ended" = "new";
  #failure: Error | null = null;

  constructor(subscribe: () => void, unsubscribe: () => void) {
    this.#subscribe = subscribe;
    this.#unsubscribe = unsubscribe;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<GroupEvent>> {
    if (this.#state === "new") {
      this.#state = "open";
      this.#subscribe();
    }
    for (const [type, event] of this.#newest) {
      this.#newest.delete(type);
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#failure !== null) {
      const error = this.#failure;
      this.#failure = null;
      return Promise.reject(error);
    }
    if (this.#state === "ended") return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** What `break` in a `for await` calls. */
  return(): Promise<IteratorResult<GroupEvent>> {
    this.#newest.clear();
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** `encoded`: the bytes that the event came in. */
  push(event: GroupEvent, encoded: Uint8Array): void {
    if (this.#state === "ended") return;
    const said = this.#said.get(event.type);
    if (said !== undefined && sameBytes(said, encoded)) return;
    this.#said.set(event.type, encoded.slice());
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting.resolve({ done: false, value: event });
    else this.#newest.set(event.type, event);
  }

  /** What was not read yet can still be read; `last` comes after it. */
  end(last: GroupEvent | null = null): void {
    if (this.#state === "ended") return;
    const subscribed = this.#state === "open";
    this.#state = "ended";
    if (last !== null) {
      const waiting = this.#waiting.shift();
      if (waiting !== undefined) waiting.resolve({ done: false, value: last });
      else this.#newest.set(last.type, last);
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
    if (subscribed) this.#unsubscribe();
  }

  /** The next reader, and only a reader, is told; nothing rejects unheard. */
  fail(error: Error): void {
    if (this.#state === "ended") return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#failure = error;
    else waiting.reject(error);
    this.end();
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
