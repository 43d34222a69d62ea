/**
 * Storage in this process's memory: answers at once, survives `close` and nothing else.
 *
 * Operations are carried out in the order in which they were made; those behind an `append` wait
 * for its `flush` like it.
 */
import { assert, isOptions, RaftError, show, unknownName } from "../errors.js";
import type { LogIndex, SnapshotMeta } from "../core/types.js";
import type {
  GroupIdentity,
  GroupName,
  RecoveredGroup,
  SnapshotSink,
  Storage,
  StorageHandlers,
  StoreBatch,
} from "../ports.js";
import { GroupLives } from "./group-lives.js";
import { MemoryGroup } from "./memory-group.js";
import { SnapshotPieces } from "./snapshot-pieces.js";

export type MemoryStorageOptions = {
  /** What `durable` says; true lets a test treat this object as a disk. Default false. */
  readonly durable?: boolean | undefined;
  /**
   * False: entries are not kept, for a host whose storage nobody can open again; `open` then gives no
   * groups. Default true.
   */
  readonly keepsLog?: boolean | undefined;
};

/** Memory storage, and what only tests need of it. */
export interface MemoryStorage extends Storage {
  /** From now on answers wait, as those of a slow disk do; what is written is written at once. */
  holdAnswers(): void;
  /** Lets the oldest `count` answers out (default: all, and answers wait no longer). */
  releaseAnswers(count?: number): void;
  readonly heldAnswers: number;
  /** From the next `open` on the group is damaged, as by bits that flipped on a disk; `line` says where. */
  damage(group: GroupName, line: string): void;
}

/**
 * Makes an empty memory storage. After `close` it may be opened again and still knows everything, so
 * that a test can restart a host on it; another host id is refused (`storageMismatch`).
 *
 * @example
 * ```ts
 * const storage = createMemoryStorage();
 * await storage.open("foo", handlers); // []
 * storage.createGroup(identity);
 * storage.append({ group: "queue", ticket: 1, hardState, truncateFrom: 0, entries });
 * storage.flush(); // calls handlers.onStored("queue", 1)
 * ```
 */
export function createMemoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  checkOptions(options);
  return new MemoryStorageImpl(options.durable ?? false, options.keepsLog ?? true);
}

const optionNames: readonly string[] = Object.freeze(["durable", "keepsLog"]);

/** A misspelt option would be as good as none, and anything but false would keep the log. */
function checkOptions(options: unknown): void {
  if (!isOptions(options)) {
    const why = `expected an object such as { durable: true }, got ${show(options)}`;
    throw new RaftError("invalidArgument", `memoryStorage: options: ${why}`);
  }
  const strange = unknownName(options, optionNames);
  if (strange !== undefined) {
    const why = `is no option; there are ${optionNames.join(", ")}`;
    throw new RaftError("invalidArgument", `memoryStorage: ${strange} ${why}`);
  }
  for (const [name, given] of Object.entries(options)) {
    if (given === undefined || typeof given === "boolean") continue;
    const why = `must be true or false, got ${show(given)}`;
    throw new RaftError("invalidArgument", `memoryStorage: ${name} ${why}`);
  }
}

class MemoryStorageImpl implements MemoryStorage {
  readonly durable: boolean;
  readonly #keepsLog: boolean;
  readonly #groups = new Map<GroupName, MemoryGroup>();
  /** Where, by group. */
  readonly #damaged = new Map<GroupName, string>();
  #hostId: string | null = null;
  #handlers: StorageHandlers | null = null;
  readonly #lives = new GroupLives();
  /** What waits for `flush`: from the first `append` on, everything. */
  #operations: (() => void)[] = [];
  /** Null: answers leave at once. */
  #held: (() => void)[] | null = null;

  constructor(durable: boolean, keepsLog: boolean) {
    this.durable = durable;
    this.#keepsLog = keepsLog;
  }

  open(hostId: string, handlers: StorageHandlers): Promise<readonly RecoveredGroup[]> {
    if (this.#handlers !== null) {
      return Promise.reject(
        new RaftError("storageLocked", `a host (${this.#hostId}) has this storage open already`),
      );
    }
    if (this.#hostId !== null && this.#hostId !== hostId) {
      return Promise.reject(
        new RaftError(
          "storageMismatch",
          `this storage belongs to host ${this.#hostId}, not to ${hostId}`,
        ),
      );
    }
    this.#hostId = hostId;
    this.#handlers = handlers;
    // Without its entries, what is here of a group must not pass for one that came back.
    if (!this.#keepsLog) this.#groups.clear();
    return Promise.resolve(
      [...this.#groups].map(([name, group]) => {
        return { ...group.recover(), damage: this.#damaged.get(name) ?? null };
      }),
    );
  }

  createGroup(identity: GroupIdentity): void {
    this.#lives.renew(identity.group);
    this.#perform(() => {
      const { group } = identity;
      assert(!this.#groups.has(group), `storage: group ${group} exists already`);
      this.#groups.set(group, new MemoryGroup(identity, this.#keepsLog));
    });
  }

  deleteGroup(group: GroupName): void {
    this.#lives.end(group);
    this.#perform(() => this.#forget(group));
  }

  #forget(group: GroupName): void {
    this.#groups.delete(group);
    this.#damaged.delete(group);
  }

  setAside(group: GroupName): Promise<string> {
    if (this.#handlers === null) {
      return Promise.reject(new RaftError("closed", "storage: it is not open"));
    }
    if (!this.#damaged.has(group)) {
      const why = `storage: group "${group}" is not damaged, or not there`;
      return Promise.reject(new RaftError("invalidArgument", why));
    }
    this.#lives.renew(group);
    return new Promise((resolve) => {
      this.#perform(() => {
        this.#forget(group);
        resolve("no place: this storage is memory");
      });
      this.flush();
    });
  }

  damage(group: GroupName, line: string): void {
    if (this.#groups.has(group)) this.#damaged.set(group, line);
  }

  append(batch: StoreBatch): void {
    if (this.#handlers === null) return;
    const answer = this.#answerOf(batch.group);
    this.#operations.push(() => {
      this.#group(batch.group).store(batch);
      answer((handlers) => handlers.onStored(batch.group, batch.ticket));
    });
  }

  flush(): void {
    const operations = this.#operations;
    this.#operations = [];
    for (const operation of operations) operation();
  }

  beginSnapshot(group: GroupName): SnapshotSink {
    const pieces = new SnapshotPieces();
    let ended = false;
    return {
      write: (data) => {
        assert(!ended, "storage: the snapshot was committed or aborted already");
        pieces.append(data);
      },
      commit: (snapshot) => {
        assert(!ended, "storage: the snapshot was committed or aborted already");
        ended = true;
        const answer = this.#answerOf(group);
        this.#perform(() => {
          const ok = this.#group(group).replaceSnapshot(snapshot, pieces);
          answer((handlers) => handlers.onSnapshotSaved(group, snapshot, ok));
        });
      },
      abort: () => {
        ended = true;
      },
    };
  }

  writeSnapshotChunk(
    group: GroupName,
    snapshot: SnapshotMeta,
    offset: number,
    data: Uint8Array,
  ): void {
    const answer = this.#answerOf(group);
    this.#perform(() => {
      const sizeBytes = this.#group(group).writeChunk(snapshot, offset, data);
      answer((handlers) =>
        handlers.onSnapshotChunkWritten(group, snapshot.index, snapshot.term, sizeBytes),
      );
    });
  }

  installSnapshot(group: GroupName, snapshot: SnapshotMeta): void {
    const answer = this.#answerOf(group);
    this.#perform(() => {
      const ok = this.#group(group).install(snapshot);
      answer((handlers) => handlers.onSnapshotSaved(group, snapshot, ok));
    });
  }

  readSnapshotChunk(
    group: GroupName,
    to: string,
    index: LogIndex,
    offset: number,
    maxBytes: number,
  ): void {
    const answer = this.#answerOf(group);
    this.#perform(() => {
      const data = this.#group(group).readChunk(index, offset, maxBytes);
      answer((handlers) => handlers.onSnapshotChunkRead(group, to, index, offset, data));
    });
  }

  loadSnapshot(group: GroupName): Promise<readonly Uint8Array[]> {
    const pieces = this.#groups.get(group)?.snapshotPieces();
    return pieces === undefined
      ? Promise.reject(new RaftError("storageFailed", `storage: there is no group ${group}`))
      : Promise.resolve(pieces);
  }

  compactLog(group: GroupName, firstIndex: LogIndex): void {
    this.#perform(() => this.#group(group).compact(firstIndex));
  }

  close(): Promise<void> {
    this.flush();
    this.#handlers = null;
    if (this.#held !== null) this.#held = [];
    return Promise.resolve();
  }

  holdAnswers(): void {
    this.#held ??= [];
  }

  releaseAnswers(count?: number): void {
    const held = this.#held;
    if (held === null) return;
    if (count !== undefined) {
      for (const answer of held.splice(0, count)) answer();
      return;
    }
    // Answers that these bring about queue up behind them: order is part of the contract.
    while (held.length > 0) held.shift()!();
    this.#held = null;
  }

  get heldAnswers(): number {
    return this.#held?.length ?? 0;
  }

  /** Behind an append that waits for its flush, everything waits with it. */
  #perform(operation: () => void): void {
    if (this.#handlers === null) return;
    if (this.#operations.length > 0) this.#operations.push(operation);
    else operation();
  }

  /** How whoever asks now for this group is answered, if it is still the same one then. */
  #answerOf(group: GroupName): (call: (handlers: StorageHandlers) => void) => void {
    const isAwaited = this.#lives.watch(group);
    return (call) => {
      const handlers = this.#handlers!;
      const answer = (): void => {
        if (isAwaited()) call(handlers);
      };
      if (this.#held === null) answer();
      else this.#held.push(answer);
    };
  }

  #group(name: GroupName): MemoryGroup {
    const group = this.#groups.get(name);
    assert(group !== undefined, `storage: there is no group ${name}`);
    return group;
  }
}
