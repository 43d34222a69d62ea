/**
 * A disk in memory that can lose what was not synced, tear it, fail, fill up and be cut off at any
 * operation. What a crash leaves is computed by `crashImage`, as a disk of its own.
 */
import assert from "node:assert/strict";
import { RaftError } from "../../src/errors.js";
import type { File, FileSystem, Lock, LockHolder, OpenMode } from "../../src/storage/file/index.js";

type Pending = { readonly position: number; readonly bytes: Uint8Array };
type Inode = { path: string; durable: Uint8Array; content: Uint8Array; pending: Pending[] };

export type Operation = {
  readonly type: "write" | "sync" | "create" | "rename" | "link" | "remove" | "syncDirectory";
  readonly path: string;
};

export function isLog({ path }: Operation): boolean {
  return path.includes("/wal-");
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** What becomes of an unsynced write: all of it, nothing, or these sectors of it only. */
export type Fate = (write: Pending, path: string) => readonly (readonly [number, number])[];

export const lost: Fate = () => [];
export const kept: Fate = (write) => [[0, write.bytes.length]];

function put(content: Uint8Array, position: number, bytes: Uint8Array): Uint8Array {
  let into = content;
  if (position + bytes.length > content.length) {
    into = new Uint8Array(position + bytes.length);
    into.set(content);
  }
  into.set(bytes, position);
  return into;
}

function concat(buffers: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(buffers));
}

export class FakeDisk implements FileSystem {
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #directories = new Set<string>();
  #locked = new Map<string, string>();
  /** Every operation that changes something, in order. */
  readonly operations: Operation[] = [];
  openFiles = 0;
  /** Called before each of them; what it throws is how the operation fails. */
  before: ((operation: Operation) => void) | null = null;
  /** Called when a file is opened, which waits for it. */
  onOpen: ((path: string, mode: OpenMode) => unknown) | null = null;
  /** Called before each read; what it throws is how that fails. */
  onRead: ((path: string) => void) | null = null;
  /** From this operation on (counted from 0) nothing happens and nothing answers. */
  stopAt = Infinity;
  capacityBytes = Infinity;

  get stopped(): boolean {
    return this.operations.length > this.stopAt;
  }

  /** Enters an operation; false: the power is gone. */
  #enter(operation: Operation): boolean {
    if (this.stopped) return false;
    this.operations.push(operation);
    if (this.stopped) return false;
    this.before?.(operation);
    return true;
  }

  static readonly #never = new Promise<never>(() => undefined);

  async #act<T>(operation: Operation, work: () => T): Promise<T> {
    await Promise.resolve();
    if (!this.#enter(operation)) return FakeDisk.#never;
    const result = work();
    // As a real disk it answers in a later round of the event loop.
    await new Promise<void>((resolve) => setImmediate(resolve));
    return this.stopped ? FakeDisk.#never : result;
  }

  #hasName(inode: Inode): boolean {
    for (const named of this.#names.values()) if (named === inode) return true;
    return false;
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError("ENOENT");
    return inode;
  }

  async makeDirectory(path: string): Promise<void> {
    await Promise.resolve();
    this.#directories.add(path);
  }

  async list(path: string): Promise<readonly string[]> {
    await Promise.resolve();
    const prefix = `${path}/`;
    return [...this.#names.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    await this.onOpen?.(path, mode);
    if (mode === "create") {
      if (this.#names.has(path)) throw systemError("EEXIST");
      await this.#act({ type: "create", path }, () => {
        const none = new Uint8Array(0);
        this.#names.set(path, { path, durable: none, content: none, pending: [] });
      });
    }
    await Promise.resolve();
    const inode = this.#inode(path);
    this.openFiles++;
    let isOpen = true;
    return {
      read: async (position, sizeBytes) => {
        await Promise.resolve();
        this.onRead?.(inode.path);
        return inode.content.slice(position, position + sizeBytes);
      },
      write: (position, buffers) =>
        this.#act({ type: "write", path: inode.path }, () =>
          this.#write(inode, position, concat(buffers)),
        ),
      isRemoved: () => !this.#hasName(inode),
      sync: () =>
        this.#act({ type: "sync", path: inode.path }, () => {
          for (const { position, bytes } of inode.pending) {
            inode.durable = put(inode.durable.slice(), position, bytes);
          }
          inode.pending = [];
        }),
      close: async () => {
        await Promise.resolve();
        if (!isOpen) throw systemError("EBADF");
        isOpen = false;
        this.openFiles--;
      },
    };
  }

  #write(inode: Inode, position: number, bytes: Uint8Array): void {
    const grows = Math.max(position + bytes.length - inode.content.length, 0);
    const room = this.capacityBytes - this.usedBytes;
    if (grows > room) {
      // A full disk takes what still fits before it refuses.
      const fits = bytes.subarray(0, Math.max(bytes.length - grows + room, 0));
      inode.content = put(inode.content, position, fits);
      inode.pending.push({ position, bytes: fits });
      throw systemError("ENOSPC");
    }
    inode.content = put(inode.content.slice(), position, bytes);
    inode.pending.push({ position, bytes });
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const inode of new Set(this.#names.values())) bytes += inode.content.length;
    return bytes;
  }

  async sizeOf(path: string): Promise<number> {
    await Promise.resolve();
    return this.#inode(path).content.length;
  }

  rename(from: string, to: string): Promise<void> {
    return this.#act({ type: "rename", path: to }, () => {
      if (this.#directories.delete(from)) return this.#renameDirectory(from, to);
      const inode = this.#inode(from);
      inode.path = to;
      this.#names.set(to, inode);
      this.#names.delete(from);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.#act({ type: "link", path: to }, () => {
      const inode = this.#inode(from);
      if (this.#names.has(to)) throw systemError("EEXIST");
      inode.path = to;
      this.#names.set(to, inode);
    });
  }

  #renameDirectory(from: string, to: string): void {
    this.#directories.add(to);
    for (const [name, inode] of [...this.#names]) {
      if (!name.startsWith(`${from}/`)) continue;
      inode.path = to + name.slice(from.length);
      this.#names.set(inode.path, inode);
      this.#names.delete(name);
    }
  }

  remove(path: string): Promise<void> {
    return this.#act({ type: "remove", path }, () => {
      this.#inode(path);
      this.#names.delete(path);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#act({ type: "syncDirectory", path }, () => {
      this.#durableNames = new Map(this.#names);
    });
  }

  async freeBytes(): Promise<number> {
    await Promise.resolve();
    return this.capacityBytes - this.usedBytes;
  }

  async lock(directory: string, holder: LockHolder): Promise<Lock> {
    await Promise.resolve();
    const by = this.#locked.get(directory);
    if (by !== undefined) throw new RaftError("storageLocked", `${directory} is held by ${by}`);
    this.#locked.set(directory, holder.hostId);
    return {
      release: async () => {
        await Promise.resolve();
        this.#locked.delete(directory);
      },
    };
  }

  async lockHolder(directory: string): Promise<string | null> {
    await Promise.resolve();
    return this.#locked.get(directory) ?? null;
  }

  // -------------------------------------------------------------------------------------------
  // What is left of it

  /** The death of the process alone: the system still has everything that was written, on the disk or not. */
  killImage(): FakeDisk {
    const image = new FakeDisk();
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      const { path, pending } = inode;
      const [durable, content] = [inode.durable.slice(), inode.content.slice()];
      const copy = copies.get(inode) ?? { path, durable, content, pending: [...pending] };
      copies.set(inode, copy);
      return copy;
    };
    for (const [name, inode] of this.#names) image.#names.set(name, copyOf(inode));
    for (const [name, inode] of this.#durableNames) image.#durableNames.set(name, copyOf(inode));
    return image;
  }

  /**
   * The loss of power: synced content, and of the rest what `fate` says. `namesKept`: whether
   * creations, renames and removals since the last sync of the directory are seen.
   */
  crashImage(fate: Fate, namesKept: boolean): FakeDisk {
    const image = new FakeDisk();
    for (const [name, inode] of namesKept ? this.#names : this.#durableNames) {
      let content: Uint8Array = inode.durable.slice();
      for (const write of inode.pending) {
        for (const [from, to] of fate(write, name)) {
          content = put(content, write.position + from, write.bytes.subarray(from, to));
        }
      }
      image.setFile(name, content);
    }
    return image;
  }

  /** What was written to a file and not synced will never reach the disk, and stays readable. */
  forgetUnsynced(path: string): void {
    this.#inode(path).pending = [];
  }

  names(): string[] {
    return [...this.#names.keys()].sort();
  }

  file(path: string): Uint8Array {
    return this.#inode(path).content.slice();
  }

  setFile(path: string, content: Uint8Array): void {
    const inode: Inode = { path, durable: content.slice(), content: content.slice(), pending: [] };
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  /** In place, also of a file that is open. */
  overwrite(path: string, content: Uint8Array): void {
    const inode = this.#inode(path);
    Object.assign(inode, { durable: content.slice(), content: content.slice(), pending: [] });
    this.#durableNames.set(path, inode);
  }

  deleteFile(path: string): void {
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }
}

/** One bit is not what was written, where `text` begins in the file. */
export function flipBitAt(disk: FakeDisk, path: string, text: string): void {
  const bytes = disk.file(path);
  const at = Buffer.from(bytes).indexOf(text);
  assert.ok(at >= 0, `no "${text}" in ${path}`);
  bytes[at]! ^= 1;
  disk.overwrite(path, bytes);
}

/** Lets everything that can still happen happen: the disk answers in one round of the event loop. */
export async function settle(disk: FakeDisk): Promise<void> {
  for (let quiet = 0, seen = -1; quiet < 6;) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    quiet = disk.operations.length === seen ? quiet + 1 : 0;
    seen = disk.operations.length;
  }
}
