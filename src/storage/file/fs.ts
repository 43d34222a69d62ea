/**
 * What file storage asks of a file system, so that tests can put one in its place that loses
 * unsynced writes, tears them, fails syncs or fills up. Failures are rejected with the system's
 * own error (`code` is ENOSPC, EIO ...).
 */
import * as nodeFs from "node:fs";
import { dirname, resolve } from "node:path";
import { isMissing, systemCode } from "./failure.js";
import { type Lock, type LockHolder, lockDirectory, lockHolderOf } from "./lock.js";

export interface File {
  /** Fewer bytes only at the end of the file. */
  read(position: number, sizeBytes: number): Promise<Uint8Array>;
  /**
   * All of it or a rejection, after which any part may be in the file. `urgent`: somebody waits for it, and
   * nothing else is being written to this file.
   */
  write(position: number, buffers: readonly Uint8Array[], urgent?: boolean): Promise<void>;
  /** fdatasync: data, and the metadata needed to read it back. */
  sync(): Promise<void>;
  /** Whether it has lost its name: it is gone as soon as it is closed. False where that cannot be said. */
  isRemoved(): boolean;
  close(): Promise<void>;
}

/** `read`: must exist. `write`: must exist. `create`: must not exist. */
export type OpenMode = "read" | "write" | "create";

export interface FileSystem {
  /** With its parents, durably; what is there already is fine if it is a directory, and made durable too. */
  makeDirectory(path: string): Promise<void>;
  list(path: string): Promise<readonly string[]>;
  open(path: string, mode: OpenMode): Promise<File>;
  sizeOf(path: string): Promise<number>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that an unprivileged process may still write; rejects, or Infinity, where that cannot be said. */
  freeBytes(path: string): Promise<number>;
  /** Rejects with RaftError `storageLocked` while another process, or another opener here, holds it. */
  lock(directory: string, holder: LockHolder): Promise<Lock>;
  /** Who holds it, in words, or null. Touches nothing. */
  lockHolder(directory: string): Promise<string | null>;
}

function promised<T>(call: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      if (error === null) resolve(value);
      else reject(error);
    });
  });
}

type Done<T> = (error: Error | null, value: T) => void;

function done<T>(callback: Done<T>, value: T): (error: Error | null) => void {
  return (error) => callback(error, value);
}

/**
 * A write, as opposed to a sync, copies to the system's cache: by the calling thread that takes some ten
 * microseconds for so many bytes, while the way to a thread of the pool and back takes a hundred. Where
 * the system makes writers wait all the same (it does when others have filled its cache), the next
 * writes go to the pool again, so that the event loop waits once in a while at most.
 */
const mostUrgentBytes = 64 * 1024;
const hereAtMostMs = 5;
const writesElsewhere = 1000;

/** A descriptor and plain callbacks: cheaper than `fs.promises`, and nothing closes behind our back. */
class NodeFile implements File {
  readonly #fd: number;
  /** Urgent writes that go to the pool before one is tried here again. */
  #patience = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async read(position: number, sizeBytes: number): Promise<Uint8Array> {
    // Not from Buffer's pool: what is read may be kept for long.
    const bytes = new Uint8Array(sizeBytes);
    let have = 0;
    while (have < sizeBytes) {
      const got = await promised<number>((callback) =>
        nodeFs.read(this.#fd, bytes, have, sizeBytes - have, position + have, callback),
      );
      if (got === 0) break;
      have += got;
    }
    return have === sizeBytes ? bytes : bytes.subarray(0, have);
  }

  async write(position: number, buffers: readonly Uint8Array[], urgent = false): Promise<void> {
    let total = 0;
    for (const buffer of buffers) total += buffer.length;
    const here = urgent && total <= mostUrgentBytes && this.#patience === 0;
    if (urgent && this.#patience > 0) this.#patience--;
    const wrote = here
      ? this.#writeHere(position, buffers)
      : await promised<number>((callback) => this.#writeOnce(position, buffers, callback));
    // A short write is no failure yet: the rest shows whether room or the disk is at fault.
    if (wrote < total) await this.#writeRest(position + wrote, buffers, wrote);
  }

  /** By the calling thread. */
  #writeHere(position: number, buffers: readonly Uint8Array[]): number {
    const sinceMs = performance.now();
    const wrote = nodeFs.writevSync(this.#fd, buffers, position);
    if (performance.now() - sinceMs > hereAtMostMs) this.#patience = writesElsewhere;
    return wrote;
  }

  #writeOnce(position: number, buffers: readonly Uint8Array[], callback: Done<number>): void {
    if (buffers.length === 1) {
      const buffer = buffers[0]!;
      nodeFs.write(this.#fd, buffer, 0, buffer.length, position, callback);
    } else {
      nodeFs.writev(this.#fd, buffers as Uint8Array[], position, callback);
    }
  }

  async #writeRest(position: number, buffers: readonly Uint8Array[], skip: number): Promise<void> {
    const rest = Buffer.concat(buffers).subarray(skip);
    let wrote = 0;
    while (wrote < rest.length) {
      const from = wrote;
      const count = await promised<number>((callback) =>
        nodeFs.write(this.#fd, rest, from, rest.length - from, position + from, callback),
      );
      if (count === 0) throw new Error("the file takes no more bytes");
      wrote += count;
    }
  }

  sync(): Promise<void> {
    return promised<void>((callback) => nodeFs.fdatasync(this.#fd, done(callback, undefined)));
  }

  /** Of an open file the system has that at hand: some microseconds. */
  isRemoved(): boolean {
    try {
      return nodeFs.fstatSync(this.#fd).nlink === 0;
    } catch {
      return false;
    }
  }

  close(): Promise<void> {
    return promised<void>((callback) => nodeFs.close(this.#fd, done(callback, undefined)));
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await nodeFs.promises.stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * A directory is in its parent's list of names only once the parent is synced, and a process that made it may have
 * been killed before that. So the parent is synced whoever made it, and a new one comes only into such a one.
 */
async function makeDirectory(path: string): Promise<void> {
  const parent = dirname(resolve(path));
  const existed = await isThere(path);
  if (!existed && parent !== resolve(path)) await makeDirectory(parent);
  await makeOne(path, existed);
  try {
    await syncDirectory(parent);
  } catch (error) {
    // What is in a directory that this user may not even read was made by another one.
    if (!existed || !["EACCES", "EPERM"].includes(systemCode(error))) throw error;
  }
}

/**
 * Its parent is there. Where the system says ENOENT all the same (`/proc`, an automounter without such a mount), Node's
 * recursive way goes from the one to the other for ever: it is for what is there already.
 */
async function makeOne(path: string, existed: boolean): Promise<void> {
  if (!existed) {
    try {
      return await nodeFs.promises.mkdir(path);
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
  }
  await nodeFs.promises.mkdir(path, { recursive: true });
}

async function syncDirectory(path: string): Promise<void> {
  // Windows has no descriptors of directories, and needs none for durable names.
  if (process.platform === "win32") return;
  const handle = await nodeFs.promises.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const flags: Readonly<Record<OpenMode, string>> = Object.freeze({
  read: "r",
  write: "r+",
  create: "wx+",
});

export const nodeFileSystem: FileSystem = Object.freeze({
  makeDirectory,
  list: (path: string) => nodeFs.promises.readdir(path),
  open: async (path: string, mode: OpenMode) =>
    new NodeFile(
      await promised<number>((callback) => nodeFs.open(path, flags[mode], 0o640, callback)),
    ),
  sizeOf: async (path: string) => (await nodeFs.promises.stat(path)).size,
  rename: (from: string, to: string) => nodeFs.promises.rename(from, to),
  remove: (path: string) => nodeFs.promises.unlink(path),
  syncDirectory,
  freeBytes: async (path: string) => {
    const stats = await nodeFs.promises.statfs(path);
    // Without blocks at all it does not count them: a tmpfs without a limit, and many that are no disk.
    return stats.blocks === 0 ? Infinity : stats.bavail * stats.bsize;
  },
  lock: lockDirectory,
  lockHolder: lockHolderOf,
});
