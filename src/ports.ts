/**
 * What the library asks of the world: clock, randomness, transport, storage, logger, codec.
 * Types only. Swap them in tests; contract suites for each live in `rafted-value/testing`.
 */
import type {
  Entry,
  EntryList,
  HardState,
  LogIndex,
  SnapshotMeta,
  Term,
  Ticket,
} from "./core/types.js";

// ---------------------------------------------------------------------------------------------
// Clock and randomness

export interface TimerHandle {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds (fractions allowed). Never goes back, does not jump with wall time. */
  nowMs(): number;
  /** Milliseconds since 1970, for `applied.timeMs` only; may jump. */
  wallMs(): number;
  /** Calls back once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): TimerHandle;
  /** Calls back once this round of the event loop has read what waits in its sockets. */
  soon(callback: () => void): void;
  /**
   * As `soon`, and the event loop does not sleep before it, so that a little time has passed. Absent where none would: who asks
   * again and again until a time is over would ask for ever.
   */
  poll?(callback: () => void): void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A name that nobody else draws: 80 bits or more as lower-case letters and digits. */
  id(): string;
}

// ---------------------------------------------------------------------------------------------
// Transport: ordered, reliable-until-broken connections that carry whole frames' payloads.

export interface Connection {
  /** For log lines. */
  readonly remote: string;
  /** Bytes accepted by `send` and not yet taken by the network. */
  readonly queuedBytes: number;
  /** Optional: how many payloads wait, since short ones take more memory than their bytes. */
  readonly queuedPayloads?: number;
  /**
   * Sends one payload. Payloads of one turn leave in one write. May be called before `onOpen`
   * (they wait). After `close` it does nothing. The bytes must not be changed afterwards.
   */
  send(payload: Uint8Array): void;
  /**
   * Optional: as `send` of all parts put together, which a connection that writes them one behind the other
   * need not copy.
   */
  sendParts?(parts: readonly Uint8Array[]): void;
  /**
   * Sends what is queued, then closes. Idempotent. `onClose` follows, exactly once, and no other
   * callback before it. Before `onOpen`: connects first if something is queued, else gives up at once.
   */
  close(): void;
  /** Drops everything at once. Idempotent. `onClose` follows, exactly once. */
  destroy(reason: string): void;
}

/**
 * Never called within a call to the connection or the transport. One that throws ends its own
 * connection and nothing else.
 */
export interface ConnectionHandlers {
  onOpen(): void;
  /** One whole payload; the receiver may keep views into it. */
  onPayload(payload: Uint8Array): void;
  /** `queuedBytes` is at or below the transport's low mark after having been above its high mark. */
  onDrain(): void;
  /** The end, exactly once: null after an orderly close, otherwise why, in one line. */
  onClose(error: Error | null): void;
}

export interface Listener {
  /** As reachable by others: port 0 resolved. */
  readonly address: string;
  close(): Promise<void>;
}

export interface Transport {
  /** Rejects with RaftError `listenFailed` or `invalidArgument` (bad address). */
  listen(
    address: string,
    accept: (connection: Connection) => ConnectionHandlers,
  ): Promise<Listener>;
  /** Returns at once; failure to connect arrives as `onClose`. */
  dial(address: string, handlers: ConnectionHandlers): Connection;
  /**
   * Optional: what its connections were given to send so far leaves now, and not only at the end of the
   * turn, because the caller has work to do first that nobody else waits for.
   */
  flush?(): void;
}

// ---------------------------------------------------------------------------------------------
// Storage: one per host, shared by its groups. Calls return at once and answer by callback; memory
// storage may answer before the call returns. Of one group, answers come in the order of the calls
// among each of: batches, writing of snapshots (own and received), reading of chunks.

/** Names one group inside one storage. */
export type GroupName = string;

/** Written once when a member of a group is born in this storage. */
export type GroupIdentity = {
  readonly group: GroupName;
  readonly groupId: string;
  readonly memberId: string;
  readonly address: string;
  readonly valueName: string;
};

/** What `open` found of a group: feed it to `restoreReplica`. */
export type RecoveredGroup = {
  readonly identity: GroupIdentity;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | null;
  /** Contiguous, beginning at or before `snapshot.index + 1` (trailing entries may be kept). */
  readonly entries: EntryList;
  /** Not null: this group is damaged here; serve nothing from it. One line: where, without the name. */
  readonly damage: string | null;
};

export type StoreBatch = {
  readonly group: GroupName;
  readonly ticket: Ticket;
  readonly hardState: HardState | null;
  /** 0: nothing. Otherwise entries at and after this index are gone before `entries` are appended. */
  readonly truncateFrom: LogIndex;
  readonly entries: readonly Entry[];
};

export interface StorageHandlers {
  /** Everything up to and including `ticket` of this group is durable. */
  onStored(group: GroupName, ticket: Ticket): void;
  onSnapshotChunkWritten(group: GroupName, index: LogIndex, term: Term, sizeBytes: number): void;
  /**
   * `commit` of a sink or `installSnapshot` has ended. `ok` false: the bytes did not match the meta, a newer
   * snapshot is there, there was no room, or no file could be opened; what was there before stays.
   */
  onSnapshotSaved(group: GroupName, snapshot: SnapshotMeta, ok: boolean): void;
  /**
   * `data` null: that snapshot is gone, or damaged. "later": it cannot be opened right now, which says nothing
   * of its bytes (too many open files); whoever wants it asks again.
   */
  onSnapshotChunkRead(
    group: GroupName,
    to: string,
    index: LogIndex,
    offset: number,
    data: Uint8Array | "later" | null,
  ): void;
  /** A write or sync failed. Nothing pending will ever be acknowledged; never retried. */
  onFailed(error: Error): void;
  /** Room is getting short; nothing has failed yet. */
  onWarning(message: string): void;
}

export interface Storage {
  /** True: what was stored survives the process. */
  readonly durable: boolean;
  /**
   * Opens for one host, once. Rejects with `storageLocked`, `storageMismatch`, `storageCorrupt`,
   * `storageFailed`, `diskFull`. Handlers are called only after it resolved.
   */
  open(hostId: string, handlers: StorageHandlers): Promise<readonly RecoveredGroup[]>;
  /** Adds a group; durable before the first ticket of that group is acknowledged. */
  createGroup(identity: GroupIdentity): void;
  /**
   * Forgets a group (its member was removed). From now on nothing that was asked before for it is
   * answered: the next member of that name counts its tickets from 1 again.
   */
  deleteGroup(group: GroupName): void;
  /**
   * Optional, for groups that `open` has found damaged: keeps what is here of the group where an operator
   * finds it, then forgets the group like `deleteGroup`. Resolves with where that is, in words, once both
   * are durable. If it rejects, or the process ends before, the group is there and damaged as before.
   * Rejects with `invalidArgument` if the group is not damaged or not there (a good copy counts towards
   * the majority that has what was committed), `diskFull`, `storageFailed`, `closed`.
   */
  setAside?(group: GroupName): Promise<string>;
  /** Queues; nothing is written before `flush`. */
  append(batch: StoreBatch): void;
  /** End of the host's turn: everything queued goes out as one write and one sync. */
  flush(): void;
  /**
   * Begins writing this member's own snapshot, piece by piece: `write` any number of times, then
   * `commit` (answered by `onSnapshotSaved`, after which it replaces the older one) or `abort`.
   */
  beginSnapshot(group: GroupName): SnapshotSink;
  /**
   * A piece of a snapshot that a leader sends; offset 0 begins anew. Answered in order, with what is held
   * of it: more than was sent if an earlier process has left the beginning of this very snapshot,
   * 0 if there is no room.
   */
  writeSnapshotChunk(
    group: GroupName,
    snapshot: SnapshotMeta,
    offset: number,
    data: Uint8Array,
  ): void;
  /** All pieces are there: check, make durable, replace the older one; `onSnapshotSaved`. */
  installSnapshot(group: GroupName, snapshot: SnapshotMeta): void;
  /**
   * Reads from the snapshot at `index` if it is the current one, or one that was half read when a newer
   * one took its place (hazard 57); `onSnapshotChunkRead`.
   */
  readSnapshotChunk(
    group: GroupName,
    to: string,
    index: LogIndex,
    offset: number,
    maxBytes: number,
  ): void;
  /** The whole current snapshot, in pieces in order, to restore a value from. */
  loadSnapshot(group: GroupName): Promise<readonly Uint8Array[]>;
  /** Entries before `firstIndex` are no longer needed. */
  compactLog(group: GroupName, firstIndex: LogIndex): void;
  /** Flushes, syncs, marks a clean shutdown, unlocks. Idempotent. */
  close(): Promise<void>;
}

export interface SnapshotSink {
  write(data: Uint8Array): void;
  /**
   * Optional. False: of what was written so much still waits in memory that no more ought to come for now; `then` is
   * called once, later, when it may go on. What is written all the same is taken. Not called after the end of
   * the sink or the failure of the storage.
   */
  takesMore?(then: () => void): boolean;
  /** `snapshot.sizeBytes` and `.checksum` describe what was written. */
  commit(snapshot: SnapshotMeta): void;
  abort(): void;
}

// ---------------------------------------------------------------------------------------------
// Codec and logger

/** Bytes that are read while they come in. */
export interface ArrivingBytes {
  /** All of them, once they are there; zeros until then. */
  readonly bytes: Uint8Array;
  /** So many have come, from the first one on. */
  readonly arrived: number;
  /** Set by whoever reads and has to wait: to go on is of use once so many have arrived. */
  wanted: number;
}

/**
 * Encodes arguments, replies, answers and the value itself. Must be deterministic and synchronous. Whoever wraps another codec and
 * changes `encode` or `decode` changes the optional methods as well, or leaves them out: they are taken where there are any.
 */
export interface Codec {
  /** Throws on what it cannot carry (functions, symbols, cycles). Returns bytes of its own. */
  encode(value: unknown): Uint8Array;
  /**
   * Optional: `head`, then the bytes of `encode`, one behind the other where nothing else will be written: what would be
   * copied behind something else anyway is written there at once.
   */
  encodeBehind?(head: Uint8Array, value: unknown): Uint8Array;
  /** The inverse. What it returns aliases nothing that it was given. */
  decode(bytes: Uint8Array): unknown;
  /** Optional: as `decode` of the bytes from `from` on, which saves a view where only a number is read. */
  decodeBehind?(bytes: Uint8Array, from: number): unknown;
  /**
   * Optional: as `decode` of the bytes from `from` on, slice by slice, so that a big snapshot does not stop the
   * event loop: `next` reads some more, and the last one returns the value or throws.
   */
  decodeSlices?(bytes: Uint8Array, from: number): Iterator<undefined, unknown>;
  /**
   * Optional, beside `decodeSlices`: the same of bytes that are still coming in, so that a newcomer reads a big snapshot
   * while it is sent. Looks at nothing behind `arriving.arrived`; where that is not enough it sets `arriving.wanted`
   * (to no more than `arriving.bytes.length`) and returns from `next`. What it reads may turn out to be damaged and is
   * thrown away then.
   */
  decodeArriving?(arriving: ArrivingBytes, from: number): Iterator<undefined, unknown>;
  /**
   * Optional: the same bytes as `encode`, piece by piece, so that a big snapshot does not stop the
   * event loop. Every piece is of its own; the pieces put together are what `decode` takes.
   */
  encodeSlices?(value: unknown): Iterator<Uint8Array>;
  /**
   * Optional, beside `encodeSlices`: something that `encodeSlices` turns into the bytes of `value` as it
   * is now, whatever becomes of it meanwhile. For values that handlers change in place; much cheaper
   * than encoding, or of no use. Throws on what has no encoding.
   */
  capture?(value: unknown): unknown;
  /**
   * Optional. True: equal values have equal bytes, wherever they come from, so `encode(decode(bytes))`
   * is `bytes`. Members then compare the bytes of their values and report one that drifts apart.
   */
  readonly canonical?: boolean;
}

/** The part of pino's shape that is used. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
