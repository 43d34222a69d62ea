/** Writes a snapshot's file front to back, in large writes, synced now and then. */
import type { SnapshotMeta } from "../../core/types.js";
import { checksum } from "./checksum.js";
import type { File, FileSystem } from "./fs.js";
import {
  encodeSnapshotEnd,
  encodeSnapshotHeader,
  frameDataBytes,
  frameHeaderBytes,
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

  constructor(file: File, position: number) {
    this.#file = file;
    this.#position = position;
    this.#staged = new Uint8Array(stagedFrames * (frameHeaderBytes + frameDataBytes));
    this.#view = new DataView(this.#staged.buffer);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
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
