/**
 * Keeps V8 from collecting the whole heap on account of buffers that a small collection would free.
 *
 * V8 lets buffers made since the last full collection count against the limit of its old generation, which is some
 * multiple of what lives in the heap: 9 MB of a member's leave room for some 23 MB of them. It makes a small collection
 * for their sake, which frees nearly all, only at 32 MB. So a process that carries much in large pieces and has a small heap collects
 * all of it, seven to eighteen times a second. While that is so, some megabytes of numbers that nobody looks at lift
 * the limit; they hold no references, so that collecting them costs nothing. Measured in docs/decisions/0031.
 */

/** Carried in a second, both ways. */
const heavyBytes = 4 * 1024 * 1024;
/** Above it, the heap is its own floor. */
const smallHeapBytes = 32 * 1024 * 1024;
/** Who was given a small limit needs what there is. */
const leastFreeBytes = 128 * 1024 * 1024;
const floorBytes = 12 * 1024 * 1024;
/** Every number is one of V8's doubles, held in the heap itself. */
const numberBytes = 8;
const pieceBytes = 1024 * 1024;
const periodMs = 1000;
const keptMs = 30_000;

export type Heap = { readonly usedBytes: number; readonly limitBytes: number };

export class HeapFloor {
  readonly #heap: () => Heap;
  #carriedBytes = 0;
  #sinceMs: number;
  #heavyAtMs = -Infinity;
  #pieces: readonly number[][] = [];

  constructor(nowMs: number, heap: () => Heap) {
    this.#sinceMs = nowMs;
    this.#heap = heap;
  }

  get sizeBytes(): number {
    return this.#pieces.length * pieceBytes;
  }

  /** Bytes that were read, or are to be written. */
  carried(bytes: number): void {
    this.#carriedBytes += bytes;
  }

  /** Now and then. */
  look(nowMs: number): void {
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < periodMs) return;
    const isHeavy = this.#carriedBytes / elapsedMs >= heavyBytes / periodMs;
    this.#sinceMs = nowMs;
    this.#carriedBytes = 0;
    if (isHeavy) {
      this.#heavyAtMs = nowMs;
      if (this.sizeBytes === 0 && isSmall(this.#heap())) this.#pieces = makeFloor();
    } else if (nowMs - this.#heavyAtMs >= keptMs) {
      this.letGo();
    }
  }

  letGo(): void {
    this.#pieces = [];
  }
}

function isSmall({ usedBytes, limitBytes }: Heap): boolean {
  return usedBytes < smallHeapBytes && limitBytes - usedBytes >= leastFreeBytes;
}

/** Some 10 ms, once: as long as one of the collections that it spares. */
function makeFloor(): number[][] {
  return Array.from({ length: floorBytes / pieceBytes }, () =>
    new Array<number>(pieceBytes / numberBytes).fill(0.5),
  );
}
