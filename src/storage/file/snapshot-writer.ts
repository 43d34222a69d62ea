/** Writes a snapshot's file front to back, in large writes, synced now and then. */
import type { SnapshotMeta } from "../../core/types.js";
import { checksum } from "./checksum.js";
import type { File, FileSystem } from "./fs.js";
import { isMissing } from "./failure.js";
import {
  decodeSnapshotHeader,
  encodeSnapshotEnd,
  encodeSnapshotHeader,
  frameDataBytes,
  frameHeaderBytes,
  snapshotHeaderBytes,
  unframe,
} from "./snapshot-file.js";

/** Frames that go out in one write. */
const stagedFrames = 8;
/** One huge sync at the end would hold up the log's for as long. */
const syncEveryBytes = 8 * 1024 * 1024;

export type SnapshotPlace = {
  readonly fs: FileSystem;
  readonly path: string;
  readonly directoryId: Uint8Array;
  readonly group: number;
};

export class SnapshotWriter {
  readonly #file: File;
  #position: number;
  #unsyncedBytes = 0;
  readonly #staged: Uint8Array;
  readonly #view: DataView;
  /** Where the frame that is being filled begins in `#staged`, and how much data it has. */
  #frameAt = 0;
  #frameBytes = 0;
  /** CRC of everything before that frame, and of everything. */
  #frameBefore = 0;
  #crc = 0;
  #sizeBytes = 0;
  #closed = false;

  /** `begun`: what is in the file already, in whole frames. */
  constructor(file: File, position: number, begun = { sizeBytes: 0, crc: 0 }) {
    this.#file = file;
    this.#position = position;
    this.#sizeBytes = begun.sizeBytes;
    this.#crc = begun.crc;
    this.#frameBefore = begun.crc;
    this.#staged = new Uint8Array(stagedFrames * (frameHeaderBytes + frameDataBytes));
    this.#view = new DataView(this.#staged.buffer);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The length of the file so far. */
  get writtenBytes(): number {
    return this.#position;
  }

  get crc(): number {
    return this.#crc;
  }

  async append(data: Uint8Array): Promise<void> {
    for (let from = 0; from < data.length;) {
      const part = data.subarray(from, from + frameDataBytes - this.#frameBytes);
      this.#staged.set(part, this.#frameAt + frameHeaderBytes + this.#frameBytes);
      this.#frameBytes += part.length;
      this.#crc = checksum(part, this.#crc);
      this.#sizeBytes += part.length;
      from += part.length;
      if (this.#frameBytes === frameDataBytes) this.#endFrame();
      if (this.#frameAt === this.#staged.length) await this.#drain();
    }
  }

  #endFrame(): void {
    this.#view.setUint32(this.#frameAt, this.#frameBytes, true);
    this.#view.setUint32(this.#frameAt + 4, this.#frameBefore, true);
    this.#view.setUint32(this.#frameAt + 8, this.#crc, true);
    this.#frameAt += frameHeaderBytes + this.#frameBytes;
    this.#frameBytes = 0;
    this.#frameBefore = this.#crc;
  }

  /** Writes the ended frames. */
  async #drain(): Promise<void> {
    const bytes = this.#frameAt;
    if (bytes === 0) return;
    await this.#file.write(this.#position, [this.#staged.subarray(0, bytes)]);
    this.#position += bytes;
    this.#staged.copyWithin(0, bytes, bytes + frameHeaderBytes + this.#frameBytes);
    this.#frameAt = 0;
    this.#unsyncedBytes += bytes;
    if (this.#unsyncedBytes >= syncEveryBytes) {
      await this.#file.sync();
      this.#unsyncedBytes = 0;
    }
  }

  /** Writes the last frame and the end, and syncs: the file is whole. */
  async finish(meta: SnapshotMeta): Promise<void> {
    if (this.#frameBytes > 0) this.#endFrame();
    await this.#drain();
    await this.#file.write(this.#position, [encodeSnapshotEnd(meta)]);
    await this.#file.sync();
    await this.close();
  }

  /** Leaves what is whole for `resumeSnapshot`; false if nothing is. */
  async park(): Promise<boolean> {
    await this.#drain();
    await this.close();
    return this.#sizeBytes >= frameDataBytes;
  }

  /** Idempotent. What is staged is lost. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}

export async function createSnapshot(place: SnapshotPlace): Promise<SnapshotWriter> {
  const file = await place.fs.open(place.path, "create");
  try {
    const header = encodeSnapshotHeader(place);
    await file.write(0, [header]);
    return new SnapshotWriter(file, header.length);
  } catch (error) {
    await file.close();
    throw error;
  }
}

const wholeFrameBytes = frameHeaderBytes + frameDataBytes;
const readFrames = 16;

/**
 * Goes on with a file that an earlier process has begun, every byte of it under its checksum and written
 * once more; null if there is none, or it is anything but whole frames (the power went, or a write was
 * cut short).
 */
export async function resumeSnapshot(place: SnapshotPlace): Promise<SnapshotWriter | null> {
  const fileBytes = await place.fs.sizeOf(place.path).catch((error: unknown) => {
    if (isMissing(error)) return 0;
    throw error;
  });
  const framesBytes = fileBytes - snapshotHeaderBytes;
  if (framesBytes <= 0 || framesBytes % wholeFrameBytes !== 0) return null;
  const file = await place.fs.open(place.path, "write");
  try {
    const crc = (await isBegunAs(file, place)) ? await rewriteFrames(file, fileBytes) : null;
    if (crc !== null) {
      const sizeBytes = (framesBytes / wholeFrameBytes) * frameDataBytes;
      return new SnapshotWriter(file, fileBytes, { sizeBytes, crc });
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return null;
}

async function isBegunAs(file: File, { directoryId, group }: SnapshotPlace): Promise<boolean> {
  const header = decodeSnapshotHeader(await file.read(0, snapshotHeaderBytes));
  return header?.group === group && Buffer.compare(header.directoryId, directoryId) === 0;
}

/**
 * Checks what is there, writes it again and syncs; null if it does not match. The sync of any of it may
 * have failed: then it can be read (the system has it in memory) although it is not on the disk, and a
 * sync alone would do nothing (as in repair.ts).
 */
async function rewriteFrames(file: File, fileBytes: number): Promise<number | null> {
  let crc = 0;
  let unsyncedBytes = 0;
  await file.write(0, [await file.read(0, snapshotHeaderBytes)]);
  for (let at = snapshotHeaderBytes; at < fileBytes;) {
    const want = Math.min(readFrames * wholeFrameBytes, fileBytes - at);
    const bytes = await file.read(at, want);
    const read = unframe(bytes, crc, frameDataBytes);
    if (read.type === "bad") return null;
    await file.write(at, [bytes]);
    crc = read.crc;
    at += want;
    unsyncedBytes += want;
    if (unsyncedBytes >= syncEveryBytes) {
      await file.sync();
      unsyncedBytes = 0;
    }
  }
  await file.sync();
  return crc;
}
