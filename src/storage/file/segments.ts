/**
 * The segments of the log: created whole, filled with zeros and synced in advance, so that a sync of
 * appended blocks has no metadata to write. The first ones are small, so that a member starts at once;
 * each is up to four times as large as the one before.
 */
import { isDiskFull, passOverMissing } from "./failure.js";
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
/** While the log writes: a sync of the log that meets one of these waits a millisecond, not five. */
const pacedPieceBytes = 256 * 1024;
/** The next segment is filled while this part of the one in use is written, and ready before its end. */
const fillFrom = 1 / 4;
const fillUntil = 7 / 8;
/** For want of space it is tried again when that much more of the one in use is written. */
const retryAfter = 1 / 16;
const unitBytes = 512;
/** A segment much smaller than this is hardly begun before the next one is needed. */
const worthwhileBytes = 64 * 1024;

/** Lets work go on as far as it is due: the part of it from 0 to 1, which never falls. */
class Pace {
  #due: number;
  #wake: () => void = () => undefined;

  constructor(due: number) {
    this.#due = due;
  }

  advance(due: number): void {
    this.#due = Math.max(this.#due, due);
    this.#wake();
  }

  /** Everything is due. */
  get isOver(): boolean {
    return this.#due >= 1;
  }

  /** Resolves once more than the part `done` is due. */
  async reach(done: number): Promise<void> {
    while (!this.isOver && this.#due <= done) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

export class Segments {
  readonly #fs: FileSystem;
  readonly #dir: string;
  readonly #sizes: SegmentSizes;
  /** In use, oldest first; the last one is being written. */
  readonly #used: Segment[];
  #nextSegment: number;
  #ready: OpenSegment | null = null;
  #preparing: Promise<OpenSegment> | null = null;
  /** Of what is being prepared, or was last; who needs the next segment at once advances it to its end. */
  #pace = new Pace(1);
  /** Of the segment in use: `prepareBeside` begins there. */
  #beginAt = fillFrom;
  /**
   * Files that nobody needs, and that could not be removed when that was seen. They go before any segment in
   * use: what a log that begins with a blank one has lost nobody could tell.
   */
  readonly #left = new Set<string>();
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

  /** Prepares the next segment in the background, if that is not done or under way; all of it at once. */
  prepare(): Promise<OpenSegment> {
    this.#pace.advance(1);
    if (this.#ready !== null) return Promise.resolve(this.#ready);
    return (this.#preparing ??= this.#prepare());
  }

  /**
   * Has the next segment prepared in step with the one in use, of which the part `written` (0 to 1) is: filled all
   * at once it would take the disk from the log. What this call has begun, or null.
   */
  prepareBeside(written: number): Promise<OpenSegment> | null {
    const due = (written - fillFrom) / (fillUntil - fillFrom);
    if (this.#preparing !== null) {
      this.#pace.advance(due);
      return null;
    }
    if (this.#ready !== null || written < this.#beginAt) return null;
    this.#beginAt = written + retryAfter;
    this.#pace = new Pace(due);
    return (this.#preparing = this.#prepare());
  }

  #prepare(): Promise<OpenSegment> {
    return this.#inTurn(async () => {
      try {
        this.#ready ??= await this.#create(0);
        return this.#ready;
      } finally {
        this.#preparing = null;
      }
    });
  }

  /**
   * The next segment, with room for at least `leastBytes`; it counts as used from now on. What failed
   * in the background (no space) is tried once more, now that it is needed.
   */
  next(leastBytes: number): Promise<OpenSegment> {
    this.#pace.advance(1);
    return this.#inTurn(async () => {
      let next = this.#ready;
      this.#ready = null;
      if (next !== null && next.sizeBytes < leastBytes) {
        await this.#discard(next.file, segmentName(next.segment));
        next = null;
      }
      next ??= await this.#create(leastBytes);
      this.#beginAt = fillFrom;
      this.#used.push({ segment: next.segment, sizeBytes: next.sizeBytes });
      return next;
    });
  }

  /** On a nearly full disk a smaller segment does as well, for a while. */
  async #create(leastBytes: number): Promise<OpenSegment> {
    for (let sizeBytes = this.#plannedBytes(leastBytes); ;) {
      // A number is never used twice, whatever becomes of it: the file of another must not be replaced.
      const segment = this.#nextSegment++;
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
    let name = segmentName(segment) + temporarySuffix;
    const file = await this.#fs.open(`${this.#dir}/${name}`, "create");
    try {
      const zeros = new Uint8Array(Math.min(pieceBytes, sizeBytes));
      for (let at = 0; at < sizeBytes;) {
        await this.#pace.reach(at / sizeBytes);
        if (this.#closing) throw new Error("closed while a segment was prepared");
        const most = this.#pace.isOver ? pieceBytes : pacedPieceBytes;
        const bytes = Math.min(most, sizeBytes - at);
        await file.write(at, [zeros.subarray(0, bytes)]);
        await file.sync();
        at += bytes;
      }
      await this.#fs.rename(`${this.#dir}/${name}`, `${this.#dir}/${segmentName(segment)}`);
      name = segmentName(segment);
      await this.#fs.syncDirectory(this.#dir);
      return file;
    } catch (error) {
      await this.#discard(file, name);
      throw error;
    }
  }

  #remove(name: string): Promise<void> {
    return this.#fs.remove(`${this.#dir}/${name}`).catch(passOverMissing);
  }

  async #discard(file: File, name: string): Promise<void> {
    await file.close();
    await this.#remove(name).catch(() => this.#left.add(name));
  }

  async #removeLeft(): Promise<void> {
    if (this.#left.size === 0) return;
    for (const name of this.#left) {
      await this.#remove(name);
      this.#left.delete(name);
    }
    await this.#fs.syncDirectory(this.#dir);
  }

  /** Removes the oldest segment. Where that fails it counts as used again. */
  async removeOldest(): Promise<void> {
    await this.#removeLeft();
    const oldest = this.#used.shift()!;
    try {
      await this.#remove(segmentName(oldest.segment));
    } catch (error) {
      this.#used.unshift(oldest);
      throw error;
    }
  }

  /** Stops preparing. The segment in use is closed by whoever writes it. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pace.advance(1);
    await this.#turn;
    await this.#ready?.file.close();
    this.#ready = null;
  }
}
