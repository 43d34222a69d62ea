/**
 * Durable storage in a directory. The log of all groups is in `wal.ts`, their snapshots in
 * `snapshot-store.ts`; here the two are put together behind the port.
 *
 * Names of groups are numbers inside: a name may be used again after its group was deleted, and what
 * was under way for the old one must not be taken for the new one's.
 */
import type { LogIndex, SnapshotMeta, Ticket } from "../../core/types.js";
import { RaftError, assert } from "../../errors.js";
import type {
  GroupIdentity,
  GroupName,
  RecoveredGroup,
  SnapshotSink,
  Storage,
  StorageHandlers,
  StoreBatch,
} from "../../ports.js";
import { attempt, storageError } from "./failure.js";
import type { FileSystem } from "./fs.js";
import type { Lock } from "./lock.js";
import type { Opened } from "./open.js";
import { type FileStorageOptions, type GivenSettings, settingsOf } from "./options.js";
import type * as parts from "./parts.js";
import type { Relocation } from "./relocation.js";
import type { SnapshotStore } from "./snapshot-store.js";
import type { SpaceWatch } from "./space.js";
import type { Wal } from "./wal.js";

/**
 * Storage in the directory `dir`, for one host. Nothing is touched before `open`. Throws `invalidArgument` for an
 * option out of range, which it names.
 *
 * @example
 * ```ts
 * const host = await startHost({
 *   id: "foo",
 *   listen: "127.0.0.1:7101",
 *   storage: fileStorage("/var/lib/foo"),
 * });
 * ```
 */
export function fileStorage(dir: string, options: FileStorageOptions = {}): Storage {
  if (typeof dir !== "string" || dir === "") {
    throw new RaftError("invalidArgument", "fileStorage: dir must be the path of a directory");
  }
  return new FileStorage(dir, settingsOf(options));
}

type Parts = typeof parts;

type Running = {
  readonly parts: Parts;
  readonly fs: FileSystem;
  readonly wal: Wal;
  readonly snapshots: SnapshotStore;
  readonly relocation: Relocation;
  readonly space: SpaceWatch;
  readonly lock: Lock;
};

class FileStorage implements Storage {
  readonly durable = true;
  readonly #dir: string;
  readonly #settings: GivenSettings;
  readonly #numbers = new Map<GroupName, number>();
  readonly #names = new Map<number, GroupName>();
  #handlers: StorageHandlers | null = null;
  #opening: Promise<readonly RecoveredGroup[]> | null = null;
  #running: Running | null = null;
  #closing: Promise<void> | null = null;
  #slowWarned = false;
  /** One after the other: copies take their names in turn. */
  #settingAside: Promise<unknown> = Promise.resolve();

  constructor(dir: string, settings: GivenSettings) {
    this.#dir = dir;
    this.#settings = settings;
  }

  open(hostId: string, handlers: StorageHandlers): Promise<readonly RecoveredGroup[]> {
    if (this.#opening !== null && this.#closing === null) {
      const message = `${this.#dir} is open already: one storage serves one host`;
      return Promise.reject(new RaftError("storageLocked", message));
    }
    const opening = this.#openAfter(this.#closing, hostId, handlers);
    this.#opening = opening;
    this.#closing = null;
    opening.catch(() => {
      // It may have been closed and opened again meanwhile.
      if (this.#opening === opening) this.#opening = null;
    });
    return opening;
  }

  /** A storage that was closed may be opened again. */
  async #openAfter(
    closing: Promise<void> | null,
    hostId: string,
    handlers: StorageHandlers,
  ): Promise<readonly RecoveredGroup[]> {
    await closing;
    this.#numbers.clear();
    this.#names.clear();
    this.#handlers = handlers;
    return this.#open(hostId, handlers);
  }

  async #open(hostId: string, handlers: StorageHandlers): Promise<readonly RecoveredGroup[]> {
    const loaded = await import("./parts.js");
    const fs = this.#settings.fs ?? loaded.nodeFileSystem;
    const opened = await loaded.openDirectory(this.#dir, hostId, { ...this.#settings, fs });
    this.#start(loaded, fs, opened, handlers);
    // Handlers are called only after the caller has what was recovered.
    setImmediate(() => {
      for (const warning of opened.warnings) this.#warn(warning);
      this.#running?.space.check();
    });
    return opened.recovered;
  }

  #start(loaded: Parts, fs: FileSystem, opened: Opened, handlers: StorageHandlers): void {
    const { Wal, SpaceWatch, SnapshotStore, Relocation } = loaded;
    const { lowSpaceBytes, maxLogBytes, segmentBytes } = this.#settings;
    const wal = new Wal(opened.walStart, {
      stored: (acks) => this.#stored(acks),
      failed: (error) => handlers.onFailed(error),
      rolled: () => {
        this.#running?.space.check();
        this.#running?.relocation.check();
      },
      unprepared: (error) =>
        this.#warn(`${error.message} (the log goes on as long as its last segment has room)`),
      unremoved: (error) =>
        this.#warn(
          `${error.message} (the log goes on, and it is tried again with each new segment)`,
        ),
    });
    const space = new SpaceWatch(fs, this.#dir, lowSpaceBytes, (message) => this.#warn(message));
    const { directoryId } = opened.walStart;
    const snapshots = new SnapshotStore({
      fs,
      dir: this.#dir,
      directoryId,
      handlers,
      logs: wal.groups,
      record: (group, snapshot) => this.#recordSnapshot(wal, group, snapshot),
      reserveBytes: segmentBytes,
      spaceUsed: () => space.check(),
      fail: (error) => wal.fail(error),
    });
    for (const group of wal.groups.values()) {
      const { number, identity, snapshot } = group;
      this.#numbers.set(identity.group, number);
      this.#names.set(number, identity.group);
      snapshots.addGroup(number, identity.group, snapshot, opened.partials.get(number) ?? null);
    }
    const relocation = new Relocation({
      fs,
      dir: this.#dir,
      directoryId,
      wal,
      maxLogBytes,
      isAlive: (number) => this.#names.has(number),
      warn: (message) => this.#warn(message),
    });
    const { lock } = opened;
    this.#running = { parts: loaded, fs, wal, snapshots, relocation, space, lock };
  }

  #warn(message: string): void {
    if (this.#closing === null) this.#handlers?.onWarning(message);
  }

  #stored(acks: ReadonlyMap<number, Ticket>): void {
    for (const [number, ticket] of acks) {
      const name = this.#names.get(number);
      if (name !== undefined) this.#handlers!.onStored(name, ticket);
    }
  }

  #recordSnapshot(wal: Wal, group: number, snapshot: SnapshotMeta): Promise<boolean> {
    if (!this.#names.has(group) || wal.failed !== null) return Promise.resolve(false);
    wal.batch.snapshot(group, snapshot);
    const durable = wal.durable();
    wal.flush();
    return durable;
  }

  /** The parts that run, or null when nothing more is written: after a failure, or closing. */
  #accepting(): Running | null {
    const running = this.#running;
    return running === null || this.#closing !== null || running.wal.failed !== null
      ? null
      : running;
  }

  #numberOf(group: GroupName): number {
    const number = this.#numbers.get(group);
    assert(number !== undefined, `file storage: no group "${group}"`);
    return number;
  }

  createGroup(identity: GroupIdentity): void {
    const running = this.#accepting();
    if (running === null) return;
    const { group } = identity;
    assert(!this.#numbers.has(group), `file storage: group "${group}" is there already`);
    const number = running.wal.nextGroup++;
    this.#numbers.set(group, number);
    this.#names.set(number, group);
    running.wal.batch.created(number, identity);
    running.snapshots.addGroup(number, group, null, null);
  }

  deleteGroup(group: GroupName): void {
    const running = this.#accepting();
    if (running === null) return;
    const number = this.#numbers.get(group);
    if (number === undefined) return;
    this.#numbers.delete(group);
    this.#names.delete(number);
    running.wal.batch.deleted(number);
    running.snapshots.deleteGroup(number, running.wal.durable());
  }

  setAside(group: GroupName): Promise<string> {
    const result = this.#settingAside.then(() => this.#setAside(group));
    this.#settingAside = result.catch(() => undefined);
    return result;
  }

  /** The log goes on meanwhile, for the other groups; nothing of a damaged one changes in it. */
  async #setAside(group: GroupName): Promise<string> {
    const running = this.#accepting();
    if (running === null) throw this.#notAccepting();
    const state = running.wal.groups.get(this.#numbers.get(group) ?? 0);
    if (state === undefined || state.damage === null) {
      const why = state === undefined ? "is not there" : "is not damaged";
      throw new RaftError("invalidArgument", `group "${group}" ${why} in ${this.#dir}`);
    }
    const { fs, wal } = running;
    const { asideKind, copyBeside } = running.parts;
    const kept = await attempt(`setting ${this.#dir} aside`, () =>
      copyBeside(fs, this.#dir, asideKind, () => wal.end),
    );
    if (this.#accepting() !== running) throw this.#notAccepting();
    this.deleteGroup(group);
    const durable = wal.durable();
    wal.flush();
    if (!(await durable)) throw this.#notAccepting();
    return kept;
  }

  #notAccepting(): RaftError {
    const failed = this.#running?.wal.failed ?? null;
    return failed ?? new RaftError("closed", `${this.#dir} is not open`);
  }

  append(batch: StoreBatch): void {
    const running = this.#accepting();
    if (running === null) return;
    running.wal.batch.stored(this.#numberOf(batch.group), batch);
  }

  flush(): void {
    const running = this.#accepting();
    if (running === null) return;
    running.wal.flush();
    this.#watchSync(running.wal);
  }

  /** A disk that hangs fails nothing and answers nothing (hazard 83): say so. */
  #watchSync(wal: Wal): void {
    const stalledMs = wal.stalledMs(performance.now());
    if (stalledMs < this.#settings.slowSyncMs) {
      this.#slowWarned = false;
    } else if (!this.#slowWarned) {
      this.#slowWarned = true;
      this.#warn(`the disk of ${this.#dir} has not answered for ${Math.round(stalledMs)} ms`);
    }
  }

  beginSnapshot(group: GroupName): SnapshotSink {
    const running = this.#accepting();
    return running === null ? deadSink : running.snapshots.begin(this.#numberOf(group));
  }

  writeSnapshotChunk(
    group: GroupName,
    snapshot: SnapshotMeta,
    offset: number,
    data: Uint8Array,
  ): void {
    this.#accepting()?.snapshots.writeChunk(this.#numberOf(group), snapshot, offset, data);
  }

  installSnapshot(group: GroupName, snapshot: SnapshotMeta): void {
    this.#accepting()?.snapshots.install(this.#numberOf(group), snapshot);
  }

  readSnapshotChunk(
    group: GroupName,
    to: string,
    index: LogIndex,
    offset: number,
    maxBytes: number,
  ): void {
    const running = this.#closing === null ? this.#running : null;
    running?.snapshots.readChunk(this.#numberOf(group), to, index, offset, maxBytes);
  }

  async loadSnapshot(group: GroupName): Promise<readonly Uint8Array[]> {
    const running = this.#running;
    const number = this.#numbers.get(group);
    if (running === null || number === undefined) {
      throw new RaftError("storageFailed", `${this.#dir} holds no group "${group}"`);
    }
    try {
      return await running.snapshots.load(number);
    } catch (error) {
      throw storageError(error, `loading the snapshot of group "${group}"`);
    }
  }

  compactLog(group: GroupName, firstIndex: LogIndex): void {
    if (firstIndex <= 1) return;
    this.#accepting()?.wal.batch.compacted(this.#numberOf(group), firstIndex);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await this.#settingAside;
    const running = this.#running;
    if (running === null) return;
    const { wal, snapshots, relocation, space, lock } = running;
    try {
      await relocation.close();
      await snapshots.close();
      await wal.drain();
      await snapshots.left();
      await space.close();
      await wal.close(true);
    } catch (error) {
      wal.fail(storageError(error, `closing ${this.#dir}`));
    } finally {
      await lock.release();
      this.#running = null;
    }
  }
}

/** After a failure a snapshot is taken in vain: it is never answered, like everything else. */
const deadSink: SnapshotSink = Object.freeze({
  write: () => undefined,
  commit: () => undefined,
  abort: () => undefined,
});
