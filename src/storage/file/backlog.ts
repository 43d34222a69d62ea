/** What the snapshots of all groups were given to write and the disk has not taken yet. */

/** From so much on their encoding waits, until half of it is left. */
const enoughBytes = 16 * 1024 * 1024;

export class Backlog {
  #bytes = 0;
  #waiting: (() => void)[] = [];

  /** Whether more ought to come now; `then` is called once it may. */
  takesMore(then: () => void): boolean {
    if (this.#bytes < enoughBytes) return true;
    this.#waiting.push(then);
    return false;
  }

  added(bytes: number): void {
    this.#bytes += bytes;
  }

  /** On the disk, or given up. */
  taken(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes > enoughBytes / 2) return;
    for (const then of this.#waiting.splice(0)) then();
  }
}
