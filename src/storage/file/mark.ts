/**
 * The file `mark`: how far the log is known to be synced.
 *
 * It is written after syncs of the log, without a sync of its own, so it never claims too much. It trails
 * the log by a moment (`TrailingMark`), and by more only when power is lost. What it covers and is bad
 * nevertheless is damage, never a torn tail. Two slots, at 0 and 512, take turns, so that a torn write
 * leaves the other one.
 *
 *     0  u32 magic "RVMK"    8  f64 sequence of the last synced block    32  f64 generation: highest wins
 *     4  u32 1: closed here 16  f64 its segment  24  f64 where it ends   40  u32 next group's number
 *    44  u32 CRC-32 of [0, 44), going on from that of the directory id
 */
import { checksum } from "./checksum.js";
import type { File } from "./fs.js";

export type Mark = {
  readonly sequence: number;
  readonly segment: number;
  readonly endOffset: number;
  readonly nextGroup: number;
  /** Closed in order: the log ends exactly here, and nothing was under way. */
  readonly clean: boolean;
};

export const noMark: Mark = Object.freeze({
  sequence: 0,
  segment: 0,
  endOffset: 0,
  nextGroup: 1,
  clean: false,
});

const slotBytes = 512;
const usedBytes = 48;
export const markBytes = 2 * slotBytes;
const magic = 0x4b4d5652;

function encode(mark: Mark, generation: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(usedBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, mark.clean ? 1 : 0, true);
  view.setFloat64(8, mark.sequence, true);
  view.setFloat64(16, mark.segment, true);
  view.setFloat64(24, mark.endOffset, true);
  view.setFloat64(32, generation, true);
  view.setUint32(40, mark.nextGroup, true);
  view.setUint32(44, checksum(bytes.subarray(0, 44), seed), true);
  return bytes;
}

type Slot = { readonly mark: Mark; readonly generation: number };

function decode(bytes: Uint8Array, seed: number): Slot | null {
  if (bytes.length < usedBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== magic) return null;
  if (view.getUint32(44, true) !== checksum(bytes.subarray(0, 44), seed)) return null;
  const mark: Mark = {
    sequence: view.getFloat64(8, true),
    segment: view.getFloat64(16, true),
    endOffset: view.getFloat64(24, true),
    nextGroup: view.getUint32(40, true),
    clean: (view.getUint32(4, true) & 1) === 1,
  };
  return { mark, generation: view.getFloat64(32, true) };
}

export type FoundMark = {
  readonly mark: Mark;
  readonly generation: number;
  /** The slot to write next: never the one that holds `mark`. */
  readonly nextSlot: 0 | 1;
  /** Slots that hold something other than zeros or a mark. */
  readonly badSlots: number;
};

export const noMarkFound: FoundMark = Object.freeze({
  mark: noMark,
  generation: 0,
  nextSlot: 0,
  badSlots: 0,
});

export function decodeMarks(bytes: Uint8Array, directoryId: Uint8Array): FoundMark {
  const seed = checksum(directoryId);
  let found = noMarkFound;
  for (const slot of [0, 1] as const) {
    const part = bytes.subarray(slot * slotBytes, slot * slotBytes + usedBytes);
    const decoded = decode(part, seed);
    if (decoded === null) {
      if (part.some((byte) => byte !== 0)) found = { ...found, badSlots: found.badSlots + 1 };
    } else if (decoded.generation > found.generation) {
      found = { ...found, ...decoded, nextSlot: slot === 0 ? 1 : 0 };
    }
  }
  return found;
}

export class MarkFile {
  readonly #file: File;
  readonly #seed: number;
  #nextSlot: 0 | 1;
  #generation: number;
  #current: Mark;

  constructor(file: File, directoryId: Uint8Array, found: FoundMark) {
    this.#file = file;
    this.#seed = checksum(directoryId);
    this.#nextSlot = found.nextSlot;
    this.#generation = found.generation;
    this.#current = found.mark;
  }

  get current(): Mark {
    return this.#current;
  }

  async write(mark: Mark): Promise<void> {
    const slot = this.#nextSlot;
    this.#nextSlot = slot === 0 ? 1 : 0;
    this.#current = mark;
    this.#generation++;
    await this.#file.write(slot * slotBytes, [encode(mark, this.#generation, this.#seed)], true);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  get isRemoved(): boolean {
    return this.#file.isRemoved();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/**
 * Has the mark follow the log at a distance of at most `lagMs`: it only vouches for the last block, so of many
 * in a short while it need not be told of each.
 */
export class TrailingMark {
  readonly #file: MarkFile;
  readonly #lagMs: number;
  readonly #onFailed: (error: unknown) => void;
  /** What is to be written next. */
  #newest: Mark | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;

  constructor(file: MarkFile, lagMs: number, onFailed: (error: unknown) => void) {
    this.#file = file;
    this.#lagMs = lagMs;
    this.#onFailed = onFailed;
  }

  /** The log is synced up to there. One write at a time, the newest mark in the end. */
  follow(mark: Mark): void {
    this.#newest = mark;
    if (this.#timer !== null || this.#writing !== null) return;
    if (this.#lagMs === 0) return this.#begin();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#begin();
    }, this.#lagMs).unref();
  }

  #begin(): void {
    this.#writing = this.#write().then(
      () => {
        this.#writing = null;
      },
      (error: unknown) => {
        this.#writing = null;
        this.#onFailed(error);
      },
    );
  }

  async #write(): Promise<void> {
    for (let mark = this.#newest; mark !== null; mark = this.#newest) {
      this.#newest = null;
      await this.#file.write(mark);
    }
  }

  /** Lags no longer: resolves when nothing is left to be written. */
  async catchUp(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#newest !== null && this.#writing === null) this.#begin();
    await this.#writing;
  }
}
