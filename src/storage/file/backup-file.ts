/**
 * One snapshot of a group's value in a file of its own, which says what it is.
 *
 *     0  8 bytes "RAFTBKUP"   8  u32 format version   12  u32 bytes of the description
 *    16  u32 CRC-32 of the description                20  u32 CRC-32 of [0, 20)
 *    24  the description: JSON
 *     …  frames and end as in the file of a snapshot (snapshot-file.ts)
 *
 * Written under another name and synced before it gets its own: a file that bears the name is whole.
 */
import { randomBytes } from "node:crypto";
import { link } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "../../codec/crc32.js";
import { textOf, utf8 } from "../../codec/bytes.js";
import type { SnapshotMeta } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import { attempt, passOverMissing, systemCode } from "./failure.js";
import { type File, type FileSystem, nodeFileSystem } from "./fs.js";
import {
  decodeMeta,
  decodeSnapshotEnd,
  frameDataBytes,
  framedBytes,
  snapshotEndBytes,
  unframe,
} from "./snapshot-file.js";
import { SnapshotWriter } from "./snapshot-writer.js";

/** Raised when the format changes so that older code cannot read it. */
export const backupFormat = 1;

export type BackupDescription = {
  readonly group: string;
  readonly groupId: string;
  /** The member that the backup was taken of. */
  readonly memberId: string;
  readonly valueName: string;
  /** Milliseconds since 1970. */
  readonly takenAtMs: number;
};

const magic = "RAFTBKUP";
const headBytes = 24;
const maxDescriptionBytes = 65_536;
/** Frames that are read at once. */
const readFrames = 16;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encodeHead(description: BackupDescription): Uint8Array {
  const { group, groupId, memberId, valueName, takenAtMs } = description;
  const json = utf8(JSON.stringify({ group, groupId, memberId, valueName, takenAtMs }));
  const bytes = new Uint8Array(headBytes + json.length);
  const view = viewOf(bytes);
  bytes.set(utf8(magic));
  view.setUint32(8, backupFormat, true);
  view.setUint32(12, json.length, true);
  view.setUint32(16, crc32(json), true);
  view.setUint32(20, crc32(bytes.subarray(0, 20)), true);
  bytes.set(json, headBytes);
  return bytes;
}

// ---------------------------------------------------------------------------------------------
// Writing

export type BackupFileSystem = FileSystem & {
  /** A second name for a file; rejects with EEXIST if there is one of that name. */
  link(from: string, to: string): Promise<void>;
};

const nodeBackupFileSystem: BackupFileSystem = Object.freeze({ ...nodeFileSystem, link });

export class BackupWriter {
  readonly #fs: BackupFileSystem;
  readonly #path: string;
  readonly #temporary: string;
  readonly #writer: SnapshotWriter;

  constructor(fs: BackupFileSystem, path: string, temporary: string, writer: SnapshotWriter) {
    this.#fs = fs;
    this.#path = path;
    this.#temporary = temporary;
    this.#writer = writer;
  }

  append(data: Uint8Array): Promise<void> {
    return attempt(`writing ${this.#path}`, () => this.#writer.append(data));
  }

  /**
   * Rejects with `storageCorrupt` unless what was written is what `meta` says, with `invalidArgument` if
   * another backup of that name was finished meanwhile. Once it has its name it stays, and the error says so.
   */
  async finish(meta: SnapshotMeta): Promise<void> {
    const { sizeBytes, crc } = this.#writer;
    if (sizeBytes !== meta.sizeBytes || crc !== meta.checksum) {
      throw new RaftError(
        "storageCorrupt",
        `the snapshot at index ${meta.index} came with ${sizeBytes} of ${meta.sizeBytes} bytes, ` +
          "or does not match its checksum: take the backup of another member",
      );
    }
    await attempt(`writing ${this.#path}`, async () => {
      await this.#writer.finish(meta);
      await this.#giveName();
    });
    // Not taken back: it may be the only one, and a removal that cannot be synced either would promise nothing.
    const isThere = `${this.#path} is there and whole, but may be gone after a loss of power`;
    await attempt(isThere, () => this.#fs.syncDirectory(dirname(this.#path)));
  }

  /** A rename would take the place of whatever has come there since `refuseExisting`. */
  async #giveName(): Promise<void> {
    try {
      await this.#fs.link(this.#temporary, this.#path);
    } catch (error) {
      if (systemCode(error) === "EEXIST") throw exists(this.#path);
      // A file system without links: all that is left is to look once more.
      await refuseExisting(this.#path, this.#fs);
      await this.#fs.rename(this.#temporary, this.#path);
      return;
    }
    await this.#fs.remove(this.#temporary);
  }

  /** Leaves nothing behind. For a backup that is not finished. */
  async abort(): Promise<void> {
    await this.#writer.close();
    await this.#fs.remove(this.#temporary).catch(passOverMissing);
  }
}

/** Rejects with `invalidArgument` if `path` exists, `diskFull` or `storageFailed`. */
export async function createBackup(
  path: string,
  description: BackupDescription,
  fs: BackupFileSystem = nodeBackupFileSystem,
): Promise<BackupWriter> {
  await refuseExisting(path, fs);
  // Not by process id: in containers it is the same each time, and one that was killed has left its own.
  const temporary = `${path}.${randomBytes(6).toString("hex")}.partial`;
  return attempt(`writing ${path}`, async () => {
    const file = await fs.open(temporary, "create");
    try {
      const head = encodeHead(description);
      await file.write(0, [head]);
      return new BackupWriter(fs, path, temporary, new SnapshotWriter(file, head.length));
    } catch (error) {
      await file.close();
      await fs.remove(temporary);
      throw error;
    }
  });
}

/** An older backup is never overwritten: it may be the only good one. */
export async function refuseExisting(path: string, fs: FileSystem = nodeFileSystem): Promise<void> {
  const isThere = await fs.sizeOf(path).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === "ENOENT") return false;
      return attempt(`writing ${path}`, () => Promise.reject(error as Error));
    },
  );
  if (isThere) throw exists(path);
}

function exists(path: string): RaftError {
  return new RaftError("invalidArgument", `${path} exists: name a file that does not`);
}

// ---------------------------------------------------------------------------------------------
// Reading

function corrupt(path: string, offset: number, what: string): RaftError {
  return new RaftError(
    "storageCorrupt",
    `${path} at offset ${offset}: ${what}: the backup is not whole, use another one`,
  );
}

export class BackupReader {
  readonly description: BackupDescription;
  readonly meta: SnapshotMeta;
  readonly #path: string;
  readonly #file: File;
  readonly #framesAt: number;

  constructor(
    path: string,
    file: File,
    description: BackupDescription,
    meta: SnapshotMeta,
    framesAt: number,
  ) {
    this.description = description;
    this.meta = meta;
    this.#path = path;
    this.#file = file;
    this.#framesAt = framesAt;
  }

  /** Everything, piece by piece, every byte under its checksum. Rejects with `storageCorrupt`. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const { sizeBytes, checksum } = this.meta;
    let at = this.#framesAt;
    let crc = 0;
    for (let done = 0; done < sizeBytes;) {
      const dataBytes = Math.min(readFrames * frameDataBytes, sizeBytes - done);
      const lastBytes = dataBytes - (Math.ceil(dataBytes / frameDataBytes) - 1) * frameDataBytes;
      const bytes = await this.#file.read(at, framedBytes(dataBytes));
      const read = unframe(bytes, crc, lastBytes);
      if (read.type === "bad") {
        throw corrupt(this.#path, at + read.offset, "a frame does not match its checksum");
      }
      yield* read.pieces;
      crc = read.crc;
      done += dataBytes;
      at += bytes.length;
    }
    if (crc !== checksum) {
      throw corrupt(this.#path, this.#framesAt, "the whole does not match its checksum");
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/**
 * Opens a backup. Rejects with `storageMismatch` if it is none, or of a newer format; `storageCorrupt` if
 * it is truncated or its description is damaged. What is between is checked when it is read.
 */
export async function openBackup(
  path: string,
  fs: FileSystem = nodeFileSystem,
): Promise<BackupReader> {
  return attempt(`reading ${path}`, async () => {
    const file = await fs.open(path, "read");
    try {
      return await readEnds(path, file, await fs.sizeOf(path));
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}

async function readEnds(path: string, file: File, fileBytes: number): Promise<BackupReader> {
  const { description, framesAt } = await readHead(path, file);
  const endAt = fileBytes - snapshotEndBytes;
  const end = endAt < framesAt ? null : decodeSnapshotEnd(await file.read(endAt, snapshotEndBytes));
  if (end === null) throw corrupt(path, Math.max(endAt, 0), "its end is missing");
  const metaAt = endAt - end.metaBytes;
  const meta =
    metaAt < framesAt ? null : decodeMeta(await file.read(metaAt, end.metaBytes), end.metaCrc);
  if (meta === null)
    throw corrupt(path, Math.max(metaAt, 0), "its meta does not match its checksum");
  if (framesAt + framedBytes(meta.sizeBytes) !== metaAt) {
    throw corrupt(path, framesAt, "it is not as long as it says");
  }
  return new BackupReader(path, file, description, meta, framesAt);
}

async function readHead(
  path: string,
  file: File,
): Promise<{ readonly description: BackupDescription; readonly framesAt: number }> {
  const head = await file.read(0, headBytes);
  const known = utf8(magic).every((byte, at) => head[at] === byte);
  if (head.length === 0 || !known) {
    const why = `${path} is no backup: give a file that \`backup\` has written`;
    throw new RaftError("storageMismatch", why);
  }
  const view = viewOf(head);
  if (head.length < headBytes || view.getUint32(20, true) !== crc32(head.subarray(0, 20))) {
    throw corrupt(path, 0, "its head does not match its checksum");
  }
  const format = view.getUint32(8, true);
  if (format > backupFormat) {
    const why = `${path} has format ${format}, this version reads ${backupFormat}`;
    throw new RaftError("storageMismatch", `${why}: upgrade rafted-value`);
  }
  const bytes = view.getUint32(12, true);
  const json = bytes > maxDescriptionBytes ? null : await file.read(headBytes, bytes);
  const description =
    json === null || json.length < bytes || crc32(json) !== view.getUint32(16, true)
      ? null
      : decodeDescription(json);
  if (description === null) {
    throw corrupt(path, headBytes, "its description does not match its checksum");
  }
  return { description, framesAt: headBytes + bytes };
}

function decodeDescription(json: Uint8Array): BackupDescription | null {
  try {
    const fields = JSON.parse(textOf(json, "description")) as Record<string, unknown>;
    const { group, groupId, memberId, valueName, takenAtMs } = fields;
    if (typeof group !== "string" || typeof groupId !== "string") return null;
    if (typeof memberId !== "string" || typeof valueName !== "string") return null;
    return typeof takenAtMs === "number"
      ? { group, groupId, memberId, valueName, takenAtMs }
      : null;
  } catch {
    return null;
  }
}
