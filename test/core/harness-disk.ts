/**
 * One member's disk as a crash would find it: what was handed over becomes durable in order, is
 * acknowledged later, and what was not durable is lost from some point on.
 */
import type {
  CoreEffect,
  CoreEvent,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
  Term,
} from "../../src/core/types.js";

type Store = Extract<CoreEffect, { type: "store" }>;
type Compact = Extract<CoreEffect, { type: "compactLog" }>;
export type Snapshot = { readonly meta: SnapshotMeta; readonly bytes: Uint8Array };

/** Work on snapshots, done one by one and in order. */
export type SnapshotWork = Extract<
  CoreEffect,
  { type: "readSnapshotChunk" | "writeSnapshotChunk" | "installSnapshot" }
>;

export class HarnessDisk {
  hardState: HardState | null;
  entries: Entry[];
  snapshot: Snapshot | null = null;
  failed = false;
  /** Handed over and not durable, oldest first. */
  pending: (Store | Compact)[] = [];
  /** Durable and not acknowledged. */
  unacknowledged: number[] = [];
  work: SnapshotWork[] = [];
  #incoming: { meta: SnapshotMeta; bytes: number[] } | null = null;
  readonly #violate: (what: string) => void;

  constructor(
    hardState: HardState | null,
    entries: readonly Entry[],
    violate: (what: string) => void,
  ) {
    this.hardState = hardState;
    this.entries = entries.slice();
    this.#violate = violate;
  }

  /** The oldest `count` hand-overs become durable. */
  persist(count: number): void {
    for (const one of this.pending.splice(0, count)) {
      if (one.type === "compactLog") {
        this.entries = this.entries.filter((entry) => entry.index >= one.firstIndex);
      } else {
        this.#store(one);
        this.unacknowledged.push(one.ticket);
      }
    }
  }

  #store({ hardState, truncateFrom, entries }: Store): void {
    if (hardState !== null) this.hardState = hardState;
    if (truncateFrom > 0) this.entries = this.entries.filter(({ index }) => index < truncateFrom);
    const covered = this.snapshot?.meta.index ?? 0;
    for (const entry of entries) {
      if (this.entries.length === 0 && entry.index <= covered) continue;
      const expected = (this.entries.at(-1)?.index ?? covered) + 1;
      if (entry.index !== expected) this.#violate(`disk: ${entry.index} stored, not ${expected}`);
      this.entries.push(entry);
    }
  }

  /** Power is lost: of what was handed over, `kept` got there in time. */
  crash(kept: number): void {
    if (!this.failed) this.persist(kept);
    this.pending = [];
    this.unacknowledged = [];
    this.work = [];
    this.#incoming = null;
    this.failed = false;
  }

  saveSnapshot(snapshot: Snapshot): void {
    if ((this.snapshot?.meta.index ?? 0) <= snapshot.meta.index) this.snapshot = snapshot;
  }

  readChunk(to: MemberId, index: LogIndex, offset: number, maxBytes: number): CoreEvent {
    const bytes = this.snapshot?.meta.index === index ? this.snapshot.bytes : null;
    const data = bytes?.slice(offset, offset + maxBytes) ?? null;
    return { type: "snapshotChunkRead", to, index, offset, data, nowMs: 0 };
  }

  writeChunk(meta: SnapshotMeta, offset: number, data: Uint8Array): CoreEvent {
    if (offset === 0) this.#incoming = { meta, bytes: [] };
    const incoming = this.#incoming;
    const same = incoming?.meta.index === meta.index && incoming.meta.checksum === meta.checksum;
    if (same && offset === incoming.bytes.length) incoming.bytes.push(...data);
    const sizeBytes = same ? incoming.bytes.length : 0;
    return { type: "snapshotChunkWritten", index: meta.index, term: meta.term, sizeBytes };
  }

  /** Null: the bytes are not those that `meta` speaks of. */
  install(meta: SnapshotMeta): Snapshot | null {
    const incoming = this.#incoming;
    this.#incoming = null;
    if (incoming?.meta.index !== meta.index) return null;
    const snapshot = { meta, bytes: Uint8Array.from(incoming.bytes) };
    if (checksumOf(snapshot.bytes) !== meta.checksum) return null;
    this.snapshot = snapshot;
    return snapshot;
  }

  /** The term of what a restart would find at `index`; covered ones count as `meta` says. */
  termAt(index: LogIndex): Term | null {
    const first = this.entries[0]?.index ?? 0;
    return this.entries[index - first]?.term ?? null;
  }

  covers(index: LogIndex, term: Term | null): boolean {
    if (index <= (this.snapshot?.meta.index ?? 0)) return true;
    return term !== null && this.termAt(index) === term;
  }
}

export function checksumOf(bytes: Uint8Array): number {
  let hash = 2166136261;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619);
  return hash >>> 0;
}
