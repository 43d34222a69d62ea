/** What stands between us and the user's logger. */
import { disarm } from "./errors.js";
import type { Clock, Logger } from "./ports.js";

const spanMs = 10_000;
const maxKeys = 1000;

/** Log lines about what may happen a thousand times a second, at most one per key and span. */
export class RateLimit {
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #lastMs = new Map<string, number>();

  constructor(clock: Pick<Clock, "nowMs">) {
    this.#clock = clock;
  }

  /** True: this one may be told. */
  admits(key: string): boolean {
    const nowMs = this.#clock.nowMs();
    const lastMs = this.#lastMs.get(key);
    if (lastMs !== undefined && nowMs - lastMs < spanMs) return false;
    // In order of insertion the oldest key is the first.
    this.#lastMs.delete(key);
    if (this.#lastMs.size >= maxKeys) this.#lastMs.delete(this.#lastMs.keys().next().value!);
    this.#lastMs.set(key, nowMs);
    return true;
  }
}

/** Of the other end of a connection: another connection of it has another port. */
export function withoutPort(remote: string): string {
  return remote.replace(/:\d+$/, "");
}

/** A line that the logger throws at, or whose promise rejects, is lost, and nothing of what comes after it. */
export function guarded(logger: Logger): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      try {
        const returned: unknown = logger[level](fields, message);
        disarm(returned);
      } catch {
        // Nobody is left who could be told.
      }
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
