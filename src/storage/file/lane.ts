/** Orders asynchronous work: one thing at a time in a lane, few at a time through a gate. */

/**
 * How much may be under way at once. The platform has four threads for files; the log must never wait
 * behind a crowd of snapshots for one of them.
 */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#free = width;
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** Work in the order in which it was asked for. A failure of one does not hold up the next. */
export class Lane {
  readonly #gate: Gate;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(() => this.#gate.pass(work));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything asked for so far is done. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}
