/**
 * The segments of the log: created whole, filled with zeros and synced in advance, so that a sync of
 * appended blocks has no metadata to write. The first ones are small, so that a member starts at once;
 * each is up to four times as large as the one before.
 */
import { isDiskFull, isMissing } from "./failure.js";
import type { File, FileSystem } from "./fs.js";
import { segmentName, temporarySuffix } from "./names.js";

export type Segment = { readonly segment: number; readonly sizeBytes: number };
export type OpenSegment = Segment & { readonly file: File };

export type SegmentSizes = {
  readonly firstBytes: number;
  readonly maxBytes: number;
};

/** Zeros go out in pieces, each synced for itself, so that the log's own syncs get in between. */
const pieceBytes = 1024 * 1024;
const unitBytes = 512;
/** A segment much smaller than this is hardly begun before the next one is needed. */
const worthwhileBytes = 64 * 1024;

export class Segments {
  readonly #fs: FileSystem;
  readonly #dir: string;
  readonly #sizes: SegmentSizes;
  /** In use, oldest first; the last one is being written. */
  readonly #used: Segment[];
  #nextSegment: number;
  #ready: OpenSegment | null = null;
  #preparing: Promise<OpenSegment> | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #closing = false;

  constructor(
    fs: FileSystem,
    dir: string,
    sizes: SegmentSizes,
    used: readonly Segment[],
    unused: readonly OpenSegment[],
  ) {
    this.#fs = fs;
    this.#dir = dir;
    this.#sizes = sizes;
    this.#used = [...used];
    this.#ready = unused[0] ?? null;
    this.#nextSegment =
      Math.max(0, ...used.map((s) => s.segment), ...unused.map((s) => s.segment)) + 1;
  }

  /** What is being prepared is given up. */
  get isClosing(): boolean {
    return this.#closing;
  }

  get used(): readonly Segment[] {
    return this.#used;
  }

  get totalBytes(): number {
    let bytes = this.#ready?.sizeBytes ?? 0;
    for (const segment of this.#used) bytes += segment.sizeBytes;
    return bytes;
  }

  #plannedBytes(leastBytes: number): number {
    const { firstBytes, maxBytes } = this.#sizes;
    const last = this.#used.at(-1);
    const planned = last === undefined ? firstBytes : Math.min(maxBytes, last.sizeBytes * 4);
    return Math.ceil(Math.max(planned, leastBytes) / unitBytes) * unitBytes;
  }

  /** One at a time: what is created must not be mistaken for what is just given up or taken. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Prepares the next segment in the background, if that is not done or under way. */
  prepare(): Promise<OpenSegment> {
    if (this.#ready !== null) return Promise.resolve(this.#ready);
    this.#preparing ??= this.#inTurn(async () => {
      try {
        this.#ready ??= await this.#create(0);
        return this.#ready;
      } finally {
        this.#preparing = null;
      }
    });
    return this.#preparing;
  }

  /**
   * The next segment, with room for at least `leastBytes`; it counts as used from now on. What failed
   * in the background (no space) is tried once more, now that it is needed.
   */
  next(leastBytes: number): Promise<OpenSegment> {
    return this.#inTurn(async () => {
      let next = this.#ready;
      this.#ready = null;
      if (next !== null && next.sizeBytes < leastBytes) {
        await next.file.close();
        await this.#fs.remove(`${this.#dir}/${segmentName(next.segment)}`);
        next = null;
      }
      next ??= await this.#create(leastBytes);
      this.#used.push({ segment: next.segment, sizeBytes: next.sizeBytes });
      return next;
    });
  }

  /** On a nearly full disk a smaller segment does as well, for a while. */
  async #create(leastBytes: number): Promise<OpenSegment> {
    // A number is never used twice, whatever becomes of it: the file of another must not be replaced.
    const segment = this.#nextSegment++;
    for (let sizeBytes = this.#plannedBytes(leastBytes); ;) {
      try {
        const file = await this.#fill(segment, sizeBytes);
        return { segment, sizeBytes, file };
      } catch (error) {
        const smaller = Math.ceil(sizeBytes / 4 / unitBytes) * unitBytes;
        const least = Math.max(leastBytes, Math.min(this.#sizes.firstBytes, worthwhileBytes));
        if (!isDiskFull(error) || smaller < least) throw error;
        sizeBytes = smaller;
      }
    }
  }

  async #fill(segment: number, sizeBytes: number): Promise<File> {
    const path = `${this.#dir}/${segmentName(segment)}`;
    const temporary = path + temporarySuffix;
    const file = await this.#fs.open(temporary, "create");
    try {
      const zeros = new Uint8Array(Math.min(pieceBytes, sizeBytes));
      for (let at = 0; at < sizeBytes; at += zeros.length) {
        if (this.#closing) throw new Error("closed while a segment was prepared");
        await file.write(at, [zeros.subarray(0, Math.min(zeros.length, sizeBytes - at))]);
        await file.sync();
      }
      await this.#fs.rename(temporary, path);
      await this.#fs.syncDirectory(this.#dir);
      return file;
    } catch (error) {
      await file.close();
      await this.#fs.remove(temporary).catch((failure: unknown) => {
        if (!isMissing(failure)) throw failure;
      });
      throw error;
    }
  }

  /** Removes the oldest segment. */
  async removeOldest(): Promise<void> {
    const oldest = this.#used.shift()!;
    await this.#fs.remove(`${this.#dir}/${segmentName(oldest.segment)}`);
  }

  /** Stops preparing. The segment in use is closed by whoever writes it. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#turn;
    await this.#ready?.file.close();
    this.#ready = null;
  }
}
