/**
 * Keeps V8 from collecting the whole heap on account of buffers that a small collection would free.
 *
 * V8 lets buffers made since the last full collection count against the limit of its old generation, and makes a small
 * collection for their sake, which frees nearly all, only at 32 MB of them. Each full collection sets the limit anew: to four
 * times what lives if much had grown old shortly before, to some ten megabytes above it if little had. Little
 * does here, however much is carried. So a limit that is low once stays low, and all of the heap is collected ten times a
 * second and more. Some megabytes that grow old at once have the next full collection set it high; then they may go.
 *
 * What a full collection costs goes with what lives: of a value with a million entries, or of a hundred thousand sessions,
 * one in a second is a tenth of a core. One is due whenever 64 MiB of buffers have come and stayed, as those of a log do.
 * So before that, where much lives, the one that is due is had early, with the limit set high.
 *
 * From V8 13 on (Node 24) the small collection comes at 128 MB of buffers, and a full one at 64 MB of them: there a small one
 * is had before that.
 * Measured in docs/decisions/0033, 0042 and 0046.
 */

const MiB = 1024 * 1024;
const periodMs = 1000;
/** What lives is to be gone through by full collections at no more than that. */
const tooManyBytesPerMs = (7 * MiB) / 1000;
/** Carried in a period, both ways. */
const heavyBytes = 4 * MiB;
/** Who was given a small heap needs what there is. */
const leastFreeBytes = 160 * MiB;
const enoughBytes = 16 * MiB;
const pieceBytes = MiB;
/** V8 holds doubles in the heap itself, and follows nothing in an array of them. */
const doubleBytes = 8;
/** A full collection of less is over before it would be noticed. */
const largeBytes = 40 * MiB;
/** One is due when so many bytes of buffers have come since the last one. */
const dueBytes = 64 * MiB;
/** A buffer that takes them past it. Nothing is written to it, so the system gives no memory for it. */
const nudgeBytes = 48 * MiB;
/** What is carried between two small collections, at two to four bytes of buffers for each. */
const youngBytes = 12 * MiB;

export type HeapState = {
  /** By how much the heap may grow. */
  readonly freeBytes: number;
  /** What is in it, alive or not. */
  readonly usedBytes: number;
  /** What buffers hold outside of it. */
  readonly bufferBytes: number;
};

export type HeapPorts = {
  nowMs(): number;
  heap(): HeapState;
  /** Does `work` as soon as others have had their turn. */
  soon(work: () => void): void;
  /** Makes a buffer of that size, if there is room for it, and forgets it. */
  nudge(bytes: number): void;
  /** Has a small collection, if V8 needs to be told. */
  collectYoung(): void;
};

type Ballast = number[][];

export class HeapLimit {
  readonly #ports: HeapPorts;
  #sinceMs: number;
  #carriedBytes = 0;
  /** Since the last collection of any kind, or since one was asked for. */
  #youngBytes = 0;
  #wasHeavy = false;
  /** The last full collection, unless it was had for the limit's sake. */
  #collectedMs = -Infinity;
  /** Least since the last full collection. */
  #bufferBytes = Infinity;
  /** By how much it had grown at the last look. */
  #grownBytes = 0;
  #ballast: Ballast = [];
  /** Periods that ended since there was some. */
  #heldPeriods = 0;

  constructor(ports: HeapPorts) {
    this.#ports = ports;
    this.#sinceMs = ports.nowMs();
  }

  get ballastBytes(): number {
    return this.#ballast.length * pieceBytes;
  }

  /** Bytes that were read, or are to be written. */
  carried(bytes: number): void {
    this.#carriedBytes += bytes;
    this.#youngBytes += bytes;
    if (this.#youngBytes < youngBytes) return;
    this.#youngBytes = 0;
    this.#ports.soon(() => this.#ports.collectYoung());
  }

  /** V8 had a collection: a full one, or a small one. */
  collected(isFull: boolean): void {
    this.#youngBytes = 0;
    if (isFull) this.#allCollected();
  }

  #allCollected(): void {
    const heap = this.#ports.heap();
    this.#bufferBytes = heap.bufferBytes;
    this.#grownBytes = 0;
    if (this.ballastBytes >= enoughBytes) {
      this.letGo();
      this.#collectedMs = -Infinity;
      return;
    }
    const nowMs = this.#ports.nowMs();
    const sinceMs = nowMs - this.#collectedMs;
    this.#collectedMs = nowMs;
    if (heap.usedBytes > sinceMs * tooManyBytesPerMs) this.#raise(heap);
  }

  /** Has the next full collection set the limit high. */
  #raise({ freeBytes }: HeapState): void {
    if (this.#ballast.length > 0 || freeBytes < leastFreeBytes) return;
    if (this.#wasHeavy || this.#carriedBytes >= heavyBytes) this.#load(this.#ballast);
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
    if (this.#ballast.length > 0) {
      // The traffic ended before it had any effect.
      if (++this.#heldPeriods > 1) this.letGo();
    } else if (this.#wasHeavy) this.#anticipate();
  }

  /** Had now, a full collection sets the limit high; had when it is due, low, and two more would follow. */
  #anticipate(): void {
    const heap = this.#ports.heap();
    this.#bufferBytes = Math.min(this.#bufferBytes, heap.bufferBytes);
    const grownBytes = heap.bufferBytes - this.#bufferBytes;
    // It may come faster than of late, and is not to be due before the next look.
    const expectedBytes = grownBytes + 2 * (grownBytes - this.#grownBytes);
    this.#grownBytes = grownBytes;
    if (heap.usedBytes < largeBytes || expectedBytes < dueBytes) return;
    this.#raise(heap);
    if (this.#ballast.length > 0) this.#nudgeWhenLoaded(this.#ballast);
  }

  #nudgeWhenLoaded(ballast: Ballast): void {
    if (ballast !== this.#ballast) return;
    if (this.ballastBytes < enoughBytes) this.#ports.soon(() => this.#nudgeWhenLoaded(ballast));
    else this.#ports.nudge(nudgeBytes);
  }

  letGo(): void {
    this.#ballast = [];
    this.#heldPeriods = 0;
  }
}
