/** What one round of the event loop has brought in is dealt with together, once the sockets are read. */
export class Turn {
  readonly #parts: (() => void)[] = [];
  #armed = false;

  /** Runs `part` at the end of every turn that was asked for, in the order of these calls. */
  atEnd(part: () => void): void {
    this.#parts.push(part);
  }

  ask(): void {
    if (this.#armed) return;
    this.#armed = true;
    setImmediate(() => {
      this.#armed = false;
      for (const part of this.#parts) part();
    });
  }
}
