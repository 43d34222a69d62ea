/** Warns before the disk is full. */
import type { FileSystem } from "./fs.js";

const MiB = 1024 * 1024;

export class SpaceWatch {
  readonly #fs: FileSystem;
  readonly #dir: string;
  readonly #lowBytes: number;
  readonly #warn: (message: string) => void;
  #checking: Promise<void> | null = null;
  #isLow = false;

  constructor(fs: FileSystem, dir: string, lowBytes: number, warn: (message: string) => void) {
    this.#fs = fs;
    this.#dir = dir;
    this.#lowBytes = lowBytes;
    this.#warn = warn;
  }

  /** Looks in the background; warns once until there is room again. */
  check(): void {
    this.#checking ??= this.#look().finally(() => {
      this.#checking = null;
    });
  }

  async #look(): Promise<void> {
    // Not every file system can say; then nobody is warned.
    const freeBytes = await this.#fs.freeBytes(this.#dir).catch(() => Infinity);
    const isLow = freeBytes < this.#lowBytes;
    if (isLow && !this.#isLow) {
      this.#warn(
        `only ${Math.floor(freeBytes / MiB)} MiB are free for ${this.#dir}: ` +
          "make room before writing has to stop",
      );
    }
    this.#isLow = isLow;
  }

  async close(): Promise<void> {
    await this.#checking;
  }
}
