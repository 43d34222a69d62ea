/**
 * The disk of one simulated machine, behind the Storage port. It outlives the processes that open it.
 *
 * Operations become durable one after the other, each after a while. A crash keeps a beginning of
 * what was not yet acknowledged, of any length, and loses the rest; what was acknowledged stays.
 */
import type { LogIndex, MemberId, SnapshotMeta } from "../core/types.js";
import { assert, RaftError } from "../errors.js";
import type {
  GroupIdentity,
  GroupName,
  RecoveredGroup,
  SnapshotSink,
  Storage,
  StorageHandlers,
  StoreBatch,
} from "../ports.js";
import type { SeededRandom } from "../clock/virtual.js";
import { GroupLives } from "../storage/group-lives.js";
import { MemoryGroup } from "../storage/memory-group.js";
import { SnapshotPieces } from "../storage/snapshot-pieces.js";
import { DurableMark } from "./durability.js";
import type { SimProcess } from "./process.js";
import { between, type World } from "./world.js";

export type DiskSettings = { minSyncMs: number; maxSyncMs: number };

export const quickDisk: DiskSettings = Object.freeze({ minSyncMs: 0.05, maxSyncMs: 1 });

/** What becomes durable at once; the answer is for the process that asked. */
type Operation = {
  readonly perform: () => (handlers: StorageHandlers) => void;
  /** Whether who asked is still there. */
  readonly isAwaited: () => boolean;
};

const nobodyWaits = (): boolean => false;
const noAnswer = (): void => {};

export class SimDisk {
  readonly world: World;
  readonly random: SeededRandom;
  readonly settings: DiskSettings = { ...quickDisk };
  /** What a power cut would leave: exactly the durable state. */
  readonly groups = new Map<GroupName, MemoryGroup>();
  readonly marks = new Map<GroupName, DurableMark>();
  /** What does not read back any more, of groups that were here. */
  readonly damaged = new Map<GroupName, MemoryGroup>();
  hostId: string | null = null;
  /** Told before what is held of a group is deleted. */
  onDelete: (group: GroupName, member: MemberId) => void = () => undefined;
  /** The process has as many files open as it may: no snapshot is opened to be read. */
  outOfFiles = false;
  #open: SimStorage | null = null;
  #hanging = false;

  constructor(world: World) {
    this.world = world;
    this.random = world.random.fork();
  }

  /** A process's view of this disk. */
  storage(process: SimProcess): Storage {
    return new SimStorage(this, process);
  }

  /** The next write fails and with it everything behind it, until a new process opens the disk. */
  failWrites(): boolean {
    if (this.#open === null) return false;
    this.#open.failNext = true;
    return true;
  }

  /** No sync comes back any more, nor fails, until the disk goes on. */
  hang(): boolean {
    if (this.#open === null || this.#hanging) return false;
    this.#hanging = true;
    return true;
  }

  goOn(): void {
    this.#hanging = false;
    this.#open?.goOn();
  }

  /** @internal */
  get hanging(): boolean {
    return this.#hanging;
  }

  /** Bits flip in what is stored of a group: the next process to open the disk notices. */
  damage(name: GroupName): boolean {
    const group = this.groups.get(name);
    if (group === undefined || this.#open !== null) return false;
    this.groups.delete(name);
    this.damaged.set(name, group);
    return true;
  }

  /** The open disk has failed, or is about to. */
  get failed(): boolean {
    return this.#open !== null && (this.#open.failed || this.#open.failNext);
  }

  /** @internal */
  acquire(storage: SimStorage): boolean {
    if (this.#open !== null) return false;
    this.#open = storage;
    return true;
  }
  /** @internal */
  release(storage: SimStorage): void {
    if (this.#open === storage) this.#open = null;
  }

  group(name: GroupName): MemoryGroup {
    const group = this.groups.get(name);
    assert(group !== undefined, `disk: there is no group ${name}`);
    return group;
  }
}

class SimStorage implements Storage {
  readonly durable = true;
  failNext = false;
  failed = false;
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  #handlers: StorageHandlers | null = null;
  /** Behind an append that waits for its flush, everything waits with it. */
  #unflushed: Operation[] = [];
  /** On their way to the platter, oldest first. */
  #writing: Operation[] = [];
  /** So many of them, the oldest, are in the sync under way. */
  #syncing = 0;
  /** That sync would be back if the disk were not hanging. */
  #held = false;
  readonly #lives = new GroupLives();

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
  }

  open(hostId: string, handlers: StorageHandlers): Promise<readonly RecoveredGroup[]> {
    const disk = this.#disk;
    if (disk.hostId !== null && disk.hostId !== hostId) {
      return Promise.reject(new RaftError("storageMismatch", `the disk belongs to ${disk.hostId}`));
    }
    if (!disk.acquire(this)) {
      return Promise.reject(new RaftError("storageLocked", "another process has the disk open"));
    }
    disk.hostId = hostId;
    this.#handlers = handlers;
    this.#process.onDeath.push(() => this.#crash());
    const damage = "a sector does not match its checksum";
    return Promise.resolve([
      ...[...disk.groups.values()].map((group) => group.recover()),
      ...[...disk.damaged.values()].map((group) => ({ ...group.recover(), damage })),
    ]);
  }

  createGroup(identity: GroupIdentity): void {
    this.#lives.renew(identity.group);
    this.#perform(null, () => {
      this.#disk.groups.set(identity.group, new MemoryGroup(identity, true));
      this.#disk.marks.set(identity.group, new DurableMark());
      return noAnswer;
    });
  }

  deleteGroup(group: GroupName): void {
    const stored = this.#disk.groups.get(group);
    if (stored !== undefined) this.#disk.onDelete(group, stored.identity.memberId);
    this.#lives.end(group);
    this.#perform(null, () => {
      this.#disk.groups.delete(group);
      return noAnswer;
    });
  }

  setAside(group: GroupName): Promise<string> {
    if (!this.#disk.damaged.has(group)) {
      const why = `group "${group}" is not damaged on this disk, or not there`;
      return Promise.reject(new RaftError("invalidArgument", why));
    }
    this.#lives.renew(group);
    return new Promise((resolve) => {
      this.#perform(group, () => {
        this.#disk.damaged.delete(group);
        return () => resolve("a copy");
      });
    });
  }

  append(batch: StoreBatch): void {
    this.#unflushed.push({
      isAwaited: this.#lives.watch(batch.group),
      perform: () => {
        this.#disk.group(batch.group).store(batch);
        this.#disk.marks.get(batch.group)?.store(batch);
        return (handlers) => handlers.onStored(batch.group, batch.ticket);
      },
    });
  }

  flush(): void {
    const operations = this.#unflushed;
    this.#unflushed = [];
    if (operations.length > 0) this.#write(operations);
  }

  beginSnapshot(group: GroupName): SnapshotSink {
    const pieces = new SnapshotPieces();
    return {
      write: (data) => pieces.append(data),
      commit: (snapshot) =>
        this.#perform(group, () => {
          const ok = this.#disk.group(group).replaceSnapshot(snapshot, pieces);
          if (ok) this.#disk.marks.get(group)?.snapshot(snapshot.index);
          return (handlers) => handlers.onSnapshotSaved(group, snapshot, ok);
        }),
      abort: noAnswer,
    };
  }

  writeSnapshotChunk(
    group: GroupName,
    snapshot: SnapshotMeta,
    offset: number,
    data: Uint8Array,
  ): void {
    this.#perform(group, () => {
      const sizeBytes = this.#disk.group(group).writeChunk(snapshot, offset, data);
      return (handlers) =>
        handlers.onSnapshotChunkWritten(group, snapshot.index, snapshot.term, sizeBytes);
    });
  }

  installSnapshot(group: GroupName, snapshot: SnapshotMeta): void {
    this.#perform(group, () => {
      const ok = this.#disk.group(group).install(snapshot);
      if (ok) this.#disk.marks.get(group)?.snapshot(snapshot.index);
      return (handlers) => handlers.onSnapshotSaved(group, snapshot, ok);
    });
  }

  readSnapshotChunk(
    group: GroupName,
    to: string,
    index: LogIndex,
    offset: number,
    maxBytes: number,
  ): void {
    this.#perform(group, () => {
      const { outOfFiles } = this.#disk;
      const data = outOfFiles
        ? "later"
        : this.#disk.group(group).readChunk(index, offset, maxBytes);
      return (handlers) => handlers.onSnapshotChunkRead(group, to, index, offset, data);
    });
  }

  loadSnapshot(group: GroupName): Promise<readonly Uint8Array[]> {
    return Promise.resolve(this.#disk.group(group).snapshotPieces());
  }

  compactLog(group: GroupName, firstIndex: LogIndex): void {
    this.#perform(null, () => {
      this.#disk.group(group).compact(firstIndex);
      return noAnswer;
    });
  }

  close(): Promise<void> {
    if (this.#handlers !== null && !this.failed) {
      for (const { perform } of [...this.#writing, ...this.#unflushed]) perform();
    }
    this.#end();
    return Promise.resolve();
  }

  #perform(group: GroupName | null, perform: Operation["perform"]): void {
    const isAwaited = group === null ? nobodyWaits : this.#lives.watch(group);
    const operation = { perform, isAwaited };
    if (this.#unflushed.length > 0) this.#unflushed.push(operation);
    else this.#write([operation]);
  }

  #write(operations: readonly Operation[]): void {
    if (this.#handlers === null || this.failed) return;
    this.#writing.push(...operations);
    if (this.#syncing === 0) this.#sync();
  }

  /** One sync at a time: what comes meanwhile gathers for the next one. */
  #sync(): void {
    const { world, random, settings } = this.#disk;
    this.#syncing = this.#writing.length;
    world.after(between(random, settings.minSyncMs, settings.maxSyncMs), () => this.#done());
  }

  /** The sync has come back: durable from now on, whether or not the process hears of it. */
  #done(): void {
    if (this.#handlers === null || this.failed) return;
    this.#held = this.#disk.hanging;
    if (this.#held) return;
    if (this.failNext) return this.#fail();
    const done = this.#writing.splice(0, this.#syncing);
    this.#syncing = 0;
    const answers = done.map(({ perform, isAwaited }) => ({ answer: perform(), isAwaited }));
    if (this.#writing.length > 0) this.#sync();
    this.#process.run("disk", "disk answers", () => {
      for (const { answer, isAwaited } of answers) {
        if (this.#handlers !== null && isAwaited()) answer(this.#handlers);
      }
    });
  }

  goOn(): void {
    if (this.#held) this.#done();
  }

  /** After a failed sync nobody knows how much has reached the platter. */
  #fail(): void {
    this.failed = true;
    this.#keepSome();
    this.#process.run("disk", "disk fails", () =>
      this.#handlers?.onFailed(new RaftError("storageFailed", "write failed: input/output error")),
    );
  }

  #crash(): void {
    if (this.#handlers === null) return;
    if (!this.failed) this.#keepSome();
    this.#end();
  }

  /** A beginning of what was under way is kept, of any length. */
  #keepSome(): void {
    const { random } = this.#disk;
    const underWay = this.#writing;
    const kept = random.below(underWay.length + 1);
    for (let at = 0; at < kept; at++) underWay[at]!.perform();
    if (kept < underWay.length) this.#disk.world.countFault("unsynced writes lost");
    this.#writing = [];
    this.#unflushed = [];
  }

  #end(): void {
    this.#handlers = null;
    this.#writing = [];
    this.#unflushed = [];
    this.#disk.release(this);
  }
}
