/** Reads a finished snapshot's file, every byte under its checksum. */
import type { SnapshotMeta } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import type { File, FileSystem } from "./fs.js";
import {
  decodeMeta,
  decodeSnapshotEnd,
  decodeSnapshotHeader,
  frameDataBytes,
  frameHeaderBytes,
  framedBytes,
  isSameSnapshot,
  snapshotEndBytes,
  snapshotHeaderBytes,
  unframe,
} from "./snapshot-file.js";

/** Frames that are read at once when the whole is read. */
const readFrames = 16;

function corrupt(path: string, offset: number, what: string): RaftError {
  return new RaftError("storageCorrupt", `${path} at offset ${offset}: ${what}`);
}

type Frames = { readonly pieces: readonly Uint8Array[]; readonly crc: number };

export class SnapshotReader {
  readonly meta: SnapshotMeta;
  readonly #path: string;
  readonly #file: File;

  constructor(path: string, file: File, meta: SnapshotMeta) {
    this.#path = path;
    this.#file = file;
    this.meta = meta;
  }

  /** Up to `maxBytes` from `offset` on; null beyond the end. Rejects with `storageCorrupt`. */
  async read(offset: number, maxBytes: number): Promise<Uint8Array | null> {
    const { sizeBytes } = this.meta;
    if (offset > sizeBytes) return null;
    const end = Math.min(offset + maxBytes, sizeBytes);
    if (end <= offset) return new Uint8Array(0);
    const first = Math.floor(offset / frameDataBytes);
    const last = Math.floor((end - 1) / frameDataBytes);
    const { pieces } = await this.#frames(first, last - first + 1, first === 0 ? 0 : null);
    const from = offset - first * frameDataBytes;
    if (pieces.length === 1) return pieces[0]!.subarray(from, from + end - offset);
    return new Uint8Array(Buffer.concat(pieces).subarray(from, from + end - offset));
  }

  async #frames(first: number, count: number, before: number | null): Promise<Frames> {
    const at = snapshotHeaderBytes + first * (frameHeaderBytes + frameDataBytes);
    const from = first * frameDataBytes;
    const to = Math.min((first + count) * frameDataBytes, this.meta.sizeBytes);
    const bytes = await this.#file.read(at, framedBytes(to - from));
    const lastBytes = to - from - (Math.ceil((to - from) / frameDataBytes) - 1) * frameDataBytes;
    if (bytes.length < framedBytes(to - from)) {
      throw corrupt(this.#path, at + bytes.length, "the file ends too early");
    }
    const read = unframe(bytes, before, lastBytes);
    if (read.type === "bad") {
      throw corrupt(this.#path, at + read.offset, "a frame does not match its checksum");
    }
    // Rejects a file that is consistent in itself and yet another snapshot.
    if (to === this.meta.sizeBytes && read.crc !== this.meta.checksum) {
      throw corrupt(this.#path, at, "the whole does not match the snapshot's checksum");
    }
    return read;
  }

  /** Everything, piece by piece. Rejects with `storageCorrupt`. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const frames = Math.ceil(this.meta.sizeBytes / frameDataBytes);
    let before = 0;
    for (let first = 0; first < frames; first += readFrames) {
      const read = await this.#frames(first, Math.min(readFrames, frames - first), before);
      before = read.crc;
      yield* read.pieces;
    }
    if (frames === 0 && this.meta.checksum !== 0) {
      throw corrupt(this.#path, snapshotHeaderBytes, "an empty snapshot has another checksum");
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/**
 * Opens a finished snapshot; `expected`, if not null, is what it has to be. Rejects with
 * `storageCorrupt` if header or end are not intact; the data is checked when it is read.
 */
export async function openSnapshot(
  fs: FileSystem,
  path: string,
  expected: SnapshotMeta | null,
): Promise<SnapshotReader> {
  const file = await fs.open(path, "read");
  try {
    const fileBytes = await fs.sizeOf(path);
    const header = decodeSnapshotHeader(await file.read(0, snapshotHeaderBytes));
    if (header === null) throw corrupt(path, 0, "its header is not intact");
    const endAt = fileBytes - snapshotEndBytes;
    const end = decodeSnapshotEnd(await file.read(endAt, snapshotEndBytes));
    if (end === null) throw corrupt(path, endAt, "its end is missing or not intact");
    const metaAt = endAt - end.metaBytes;
    const meta =
      metaAt < 0 ? null : decodeMeta(await file.read(metaAt, end.metaBytes), end.metaCrc);
    if (meta === null) throw corrupt(path, Math.max(metaAt, 0), "its meta is not intact");
    if (snapshotHeaderBytes + framedBytes(meta.sizeBytes) !== metaAt) {
      throw corrupt(path, snapshotHeaderBytes, "it is not as long as its meta says");
    }
    if (expected !== null && !isSameSnapshot(meta, expected)) {
      throw corrupt(path, metaAt, "it is not the snapshot that the log names");
    }
    return new SnapshotReader(path, file, meta);
  } catch (error) {
    await file.close();
    throw error;
  }
}
