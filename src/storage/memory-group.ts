/** What memory storage keeps of one group. */
import { assert } from "../errors.js";
import type { Entry, HardState, LogIndex, SnapshotMeta } from "../core/types.js";
import type { GroupIdentity, RecoveredGroup, StoreBatch } from "../ports.js";
import { SnapshotPieces } from "./snapshot-pieces.js";

const initialHardState: HardState = Object.freeze({
  currentTerm: 0,
  votedFor: null,
  forcedRemovals: Object.freeze([]),
});

type Incoming = { readonly snapshot: SnapshotMeta; readonly pieces: SnapshotPieces };

export class MemoryGroup {
  readonly #identity: GroupIdentity;
  readonly #keepsLog: boolean;
  #hardState: HardState = initialHardState;
  #entries: Entry[] = [];
  #snapshot: SnapshotMeta | null = null;
  #pieces = new SnapshotPieces();
  #incoming: Incoming | null = null;
  /** Of the current snapshot, a part has been read and the rest has not. */
  #readUnfinished = false;
  #pinned: { readonly index: LogIndex; readonly pieces: SnapshotPieces; wanted: boolean } | null =
    null;

  constructor(identity: GroupIdentity, keepsLog: boolean) {
    this.#identity = identity;
    this.#keepsLog = keepsLog;
  }

  get identity(): GroupIdentity {
    return this.#identity;
  }

  recover(): RecoveredGroup {
    // Chunks of an unfinished snapshot do not outlive the host that received them.
    this.#incoming = null;
    return {
      identity: this.#identity,
      hardState: this.#hardState,
      snapshot: this.#snapshot,
      entries: [...this.#entries],
      damage: null,
    };
  }

  store(batch: StoreBatch): void {
    if (batch.hardState !== null) this.#hardState = batch.hardState;
    if (!this.#keepsLog) return;
    if (batch.truncateFrom > 0) this.#truncate(batch.truncateFrom);
    const covered = this.#snapshot?.index ?? 0;
    for (const entry of batch.entries) {
      // The snapshot stands for it, and the log that held it may be gone.
      if (entry.index <= covered) continue;
      const expected = this.#lastIndex() + 1;
      assert(
        entry.index === expected,
        `storage: entry ${entry.index} of ${this.#identity.group} does not follow ${expected - 1}`,
      );
      this.#entries.push(entry);
    }
  }

  compact(firstIndex: LogIndex): void {
    const covered = this.#snapshot?.index ?? 0;
    assert(
      firstIndex <= covered + 1,
      `storage: compaction to ${firstIndex}, but the snapshot only covers up to ${covered}`,
    );
    const first = this.#entries[0]?.index ?? firstIndex;
    if (firstIndex > first) this.#entries.splice(0, firstIndex - first);
  }

  /** Returns how many bytes of `snapshot` are held now. */
  writeChunk(snapshot: SnapshotMeta, offset: number, data: Uint8Array): number {
    if (offset === 0) this.#incoming = { snapshot, pieces: new SnapshotPieces() };
    const incoming = this.#incoming;
    if (incoming === null || !isSame(incoming.snapshot, snapshot)) return 0;
    // A chunk that leaves a hole, or one that came twice, changes nothing: the answer says where
    // to go on.
    if (offset === incoming.pieces.sizeBytes) incoming.pieces.append(data);
    return incoming.pieces.sizeBytes;
  }

  /** The chunks received become the snapshot, unless they are not what `snapshot` says. */
  install(snapshot: SnapshotMeta): boolean {
    if (this.#snapshot !== null && isSame(this.#snapshot, snapshot)) return true;
    const incoming = this.#incoming;
    this.#incoming = null;
    if (incoming === null || !isSame(incoming.snapshot, snapshot)) return false;
    return this.replaceSnapshot(snapshot, incoming.pieces);
  }

  /** False, and all stays as it is, if the bytes do not match or a newer one is here (hazard 50). */
  replaceSnapshot(snapshot: SnapshotMeta, pieces: SnapshotPieces): boolean {
    if (!pieces.matches(snapshot.sizeBytes, snapshot.checksum)) return false;
    if (this.#snapshot !== null && this.#snapshot.index > snapshot.index) return false;
    this.#turnPinned();
    this.#snapshot = snapshot;
    this.#pieces = pieces;
    this.#dropContradicted(snapshot);
    return true;
  }

  readChunk(index: LogIndex, offset: number, maxBytes: number): Uint8Array | null {
    if (this.#snapshot?.index === index) {
      this.#readUnfinished = offset + maxBytes < this.#pieces.sizeBytes;
      return this.#pieces.read(offset, maxBytes);
    }
    if (this.#pinned?.index !== index) return null;
    const { pieces } = this.#pinned;
    this.#pinned.wanted = offset + maxBytes < pieces.sizeBytes;
    return pieces.read(offset, maxBytes);
  }

  snapshotPieces(): readonly Uint8Array[] {
    return this.#pieces.all();
  }

  /**
   * A snapshot that somebody is half through stays readable beside its successor: snapshots that are
   * taken faster than they are sent would else keep a slow follower away for ever (hazard 57).
   */
  #turnPinned(): void {
    if (this.#snapshot !== null && this.#readUnfinished) {
      this.#pinned = { index: this.#snapshot.index, pieces: this.#pieces, wanted: false };
    } else if (this.#pinned !== null) {
      // Not read since the last turn: whoever read it has gone.
      if (!this.#pinned.wanted) this.#pinned = null;
      else this.#pinned.wanted = false;
    }
    this.#readUnfinished = false;
  }

  #lastIndex(): LogIndex {
    return this.#entries.at(-1)?.index ?? this.#snapshot?.index ?? 0;
  }

  #truncate(from: LogIndex): void {
    const first = this.#entries[0]?.index;
    if (first === undefined) return;
    // What lies before a cut within the snapshot is of no use alone.
    const kept = from <= (this.#snapshot?.index ?? 0) ? 0 : Math.max(0, from - first);
    this.#entries.length = Math.min(this.#entries.length, kept);
  }

  /**
   * A log that agrees with the snapshot at its index goes on behind it; one that does not reach so
   * far or says something else there goes (paper, Figure 13, rules 6 and 7; hazards 48 and 49).
   */
  #dropContradicted(snapshot: SnapshotMeta): void {
    const first = this.#entries[0]?.index;
    if (first === undefined || first === snapshot.index + 1) return;
    if (this.#entries[snapshot.index - first]?.term !== snapshot.term) this.#entries = [];
  }
}

function isSame(a: SnapshotMeta, b: SnapshotMeta): boolean {
  return (
    a.index === b.index &&
    a.term === b.term &&
    a.sizeBytes === b.sizeBytes &&
    a.checksum === b.checksum
  );
}
