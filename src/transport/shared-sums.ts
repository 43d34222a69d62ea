/**
 * Checksums of large parts that a turn sends to more than one peer, as a leader sends its entries: they are
 * computed once, and carried into the frame of each.
 */
import { type Checksum, type Crc32Combine, makeCrc32Combine } from "../codec/crc32.js";

/** Below it, carrying a checksum into another costs about what computing it again does. */
export const sharedFromBytes = 16 * 1024;
/** So many parts of a turn are remembered. */
const mostParts = 256;

export class SharedSums {
  readonly #checksum: Checksum;
  /**
   * The first `#used` of these. No Map, and nothing but null behind them: what a cleared Map or a shortened array leaves
   * behind, once it has grown old, keeps its parts from the young generation's collector.
   */
  readonly #parts: (Uint8Array | null)[] = [];
  readonly #sums: number[] = [];
  #used = 0;
  /** Null until something was shared. */
  #combine: Crc32Combine | null = null;
  /** Connections that will pack their frames in this turn. */
  #expected = 0;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  /** Parts that are held on to. */
  get size(): number {
    return this.#used;
  }

  /** A connection has frames for the end of this turn. */
  expect(): void {
    this.#expected += 1;
  }

  /** One of those expected packs now; nothing is held on to once the last one has. */
  pack<T>(work: (checksum: Checksum) => T): T {
    this.#expected -= 1;
    if (this.#expected === 0 && this.#used === 0) return work(this.#checksum);
    try {
      return work(this.#sharing);
    } finally {
      if (this.#expected === 0) this.#letGo();
    }
  }

  #letGo(): void {
    for (let at = 0; at < this.#used; at++) this.#parts[at] = null;
    this.#used = 0;
  }

  readonly #sharing: Checksum = (bytes, before = 0) => {
    if (bytes.length < sharedFromBytes) return this.#checksum(bytes, before);
    let at = this.#parts.indexOf(bytes);
    if (at < 0) {
      // Nobody is left who could need it, or it is one too many.
      if (this.#expected === 0 || this.#used === mostParts) return this.#checksum(bytes, before);
      at = this.#used++;
      this.#parts[at] = bytes;
      this.#sums[at] = this.#checksum(bytes);
    }
    const sum = this.#sums[at]!;
    if (before === 0) return sum;
    this.#combine ??= makeCrc32Combine();
    return this.#combine(before, sum, bytes.length);
  };
}
