/** What happened in a run: always as a hash, and as text when somebody wants to read it. */
import { TraceHash } from "./hash.js";

export class Trace {
  events = 0;
  readonly #hash = new TraceHash();
  readonly #sink: ((line: string) => void) | null;

  /** `sink`: gets every line; null keeps the hash alone. */
  constructor(sink: ((line: string) => void) | null) {
    this.#sink = sink;
  }

  get verbose(): boolean {
    return this.#sink !== null;
  }

  /** One event. `bytes` (what was delivered) count for the hash and not for the text. */
  event(nowMs: number, where: string, what: string, bytes: readonly Uint8Array[] = []): void {
    this.events += 1;
    const hash = this.#hash;
    hash.number(nowMs);
    hash.text(where);
    hash.text(what);
    let size = 0;
    for (const payload of bytes) {
      size += payload.length;
      for (let i = 0; i < payload.length; i++) hash.word(payload[i]!);
    }
    const sizeText = bytes.length === 0 ? "" : ` ${size} bytes`;
    this.#sink?.(`${nowMs.toFixed(3).padStart(12)} ${where.padEnd(10)} ${what}${sizeText}`);
  }

  /** Text alone: for what follows from the events already hashed. */
  note(nowMs: number, where: string, text: () => string): void {
    this.#sink?.(`${nowMs.toFixed(3).padStart(12)} ${where.padEnd(10)} ${text()}`);
  }

  digest(): string {
    return this.#hash.digest();
  }
}
