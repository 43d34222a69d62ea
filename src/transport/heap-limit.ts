/**
 * Keeps V8 from collecting the whole heap on account of buffers that a small collection would free.
 *
 * V8 lets buffers made since the last full collection count against the limit of its old generation, and makes a small
 * collection for their sake, which frees nearly all, only at 32 MB of them. Each full collection sets the limit anew: to four
 * times what lives if much had grown old shortly before, to some ten megabytes above it if little had. Little
 * does here, however much is carried. So a limit that is low once stays low, and all of the heap is collected ten times a
 * second and more. Some megabytes that grow old at once have the next full collection set it high; then they may go.
 * Measured in docs/decisions/0033.
 */

const periodMs = 1000;
/** Full collections in a period that are more than traffic of this kind needs. */
const tooMany = 2;
/** Carried in a period, both ways. */
const heavyBytes = 4 * 1024 * 1024;
/** Who was given a small heap needs what there is. */
const leastFreeBytes = 160 * 1024 * 1024;
const enoughBytes = 16 * 1024 * 1024;
const pieceBytes = 1024 * 1024;
/** V8 holds doubles in the heap itself, and follows nothing in an array of them. */
const doubleBytes = 8;

export type HeapPorts = {
  /** By how much the heap may grow. */
  freeBytes(): number;
  /** Does `work` as soon as others have had their turn. */
  soon(work: () => void): void;
};

type Ballast = number[][];

export class HeapLimit {
  readonly #ports: HeapPorts;
  #sinceMs: number;
  #carriedBytes = 0;
  #wasHeavy = false;
  /** In this period. */
  #collections = 0;
  #ballast: Ballast = [];
  /** Periods that ended since there was some. */
  #heldPeriods = 0;

  constructor(nowMs: number, ports: HeapPorts) {
    this.#sinceMs = nowMs;
    this.#ports = ports;
  }

  get ballastBytes(): number {
    return this.#ballast.length * pieceBytes;
  }

  /** Bytes that were read, or are to be written. */
  carried(bytes: number): void {
    this.#carriedBytes += bytes;
  }

  /** All of the heap was collected. */
  collected(): void {
    if (this.ballastBytes >= enoughBytes) {
      this.letGo();
      this.#collections = 0;
      return;
    }
    this.#collections += 1;
    if (this.#collections < tooMany || this.#ballast.length > 0) return;
    if (!this.#wasHeavy && this.#carriedBytes < heavyBytes) return;
    if (this.#ports.freeBytes() >= leastFreeBytes) this.#load(this.#ballast);
  }

  /** Piece by piece: all at once would take the event loop for ten milliseconds. */
  #load(ballast: Ballast): void {
    // Let go meanwhile.
    if (ballast !== this.#ballast) return;
    ballast.push(new Array<number>(pieceBytes / doubleBytes).fill(0.5));
    if (this.ballastBytes < enoughBytes) this.#ports.soon(() => this.#load(ballast));
  }

  /** Now and then. */
  look(nowMs: number): void {
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < periodMs) return;
    this.#wasHeavy = this.#carriedBytes / elapsedMs >= heavyBytes / periodMs;
    this.#sinceMs = nowMs;
    this.#carriedBytes = 0;
    this.#collections = 0;
    // The traffic ended before it had any effect.
    if (this.#ballast.length > 0 && ++this.#heldPeriods > 1) this.letGo();
  }

  letGo(): void {
    this.#ballast = [];
    this.#heldPeriods = 0;
  }
}
