/** What gathers between two flushes: the bodies of a block, and what it does to the groups' states. */
import type { Entry, HardState, LogIndex, SnapshotMeta, Ticket } from "../../core/types.js";
import { ByteWriter } from "../../codec/bytes.js";
import { assert } from "../../errors.js";
import type { GroupIdentity, StoreBatch } from "../../ports.js";
import type { Section } from "./block.js";
import { checksum } from "./checksum.js";
import {
  type GroupState,
  type TermRun,
  appendToGroup,
  compactGroup,
  createGroupState,
  moveEntries,
  replaceSnapshot,
  truncateGroup,
} from "./group-state.js";
import {
  sectionType,
  writeIdentityBody,
  writeIndex,
  writeMoved,
  writeSnapshotMeta,
  writeStored,
} from "./records.js";
import { termRunsOf } from "./replay.js";

/** What a section does to the state of its group. */
type Change =
  | { readonly type: "created"; readonly identity: GroupIdentity }
  | { readonly type: "deleted" }
  | {
      readonly type: "stored";
      readonly hardState: HardState | null;
      readonly truncateFrom: LogIndex;
      readonly first: LogIndex;
      readonly count: number;
      readonly terms: readonly TermRun[];
    }
  | { readonly type: "snapshot"; readonly snapshot: SnapshotMeta }
  | { readonly type: "compacted"; readonly firstIndex: LogIndex }
  | {
      readonly type: "moved";
      readonly fromSegment: number;
      readonly first: LogIndex;
      readonly last: LogIndex;
    };

type Staged = {
  readonly group: number;
  readonly change: Change;
  readonly from: number;
  readonly to: number;
};

const keptBytes = 1024 * 1024;

export class Batch {
  readonly #writer: ByteWriter;
  readonly #staged: Staged[] = [];
  readonly acks = new Map<number, Ticket>();
  /** Told whether the batch became durable. */
  readonly waiters: ((durable: boolean) => void)[] = [];
  /** Something in it may let a segment go. */
  frees = false;

  constructor(writer: ByteWriter | null) {
    this.#writer = writer ?? new ByteWriter(4096);
    this.#writer.offset = 0;
  }

  get isEmpty(): boolean {
    return this.#staged.length === 0;
  }

  /** Nothing to write, and nobody to answer. */
  get isIdle(): boolean {
    return this.isEmpty && this.acks.size === 0 && this.waiters.length === 0;
  }

  get bodies(): Uint8Array {
    return this.#writer.bytes.subarray(0, this.#writer.offset);
  }

  /** For the next batch, unless this one was unusually large. */
  get reusableWriter(): ByteWriter | null {
    return this.#writer.bytes.length <= keptBytes ? this.#writer : null;
  }

  #stage(group: number, change: Change, write: (writer: ByteWriter) => void): void {
    const from = this.#writer.offset;
    write(this.#writer);
    this.#staged.push({ group, change, from, to: this.#writer.offset });
    this.frees ||= change.type !== "stored" || change.truncateFrom > 0;
  }

  created(group: number, identity: GroupIdentity): void {
    this.#stage(group, { type: "created", identity }, (writer) =>
      writeIdentityBody(writer, identity),
    );
  }

  deleted(group: number): void {
    this.acks.delete(group);
    this.#stage(group, { type: "deleted" }, () => undefined);
  }

  stored(group: number, batch: StoreBatch): void {
    this.acks.set(group, batch.ticket);
    const { hardState, truncateFrom, entries } = batch;
    if (hardState === null && truncateFrom === 0 && entries.length === 0) return;
    const first = entries[0]?.index ?? 0;
    const change: Change = {
      type: "stored",
      hardState,
      truncateFrom,
      first,
      count: entries.length,
      terms: termRunsOf(first, entries.length, (index) => entries[index - first]!.term),
    };
    this.#stage(group, change, (writer) => writeStored(writer, hardState, truncateFrom, entries));
  }

  snapshot(group: number, snapshot: SnapshotMeta): void {
    this.#stage(group, { type: "snapshot", snapshot }, (writer) =>
      writeSnapshotMeta(writer, snapshot),
    );
  }

  compacted(group: number, firstIndex: LogIndex): void {
    this.#stage(group, { type: "compacted", firstIndex }, (writer) =>
      writeIndex(writer, firstIndex),
    );
  }

  moved(group: number, fromSegment: number, entries: readonly Entry[]): void {
    const first = entries[0]!.index;
    const change: Change = { type: "moved", fromSegment, first, last: entries.at(-1)!.index };
    this.#stage(group, change, (writer) => writeMoved(writer, fromSegment, entries));
  }

  /** The table of the block. */
  sections(): Section[] {
    const { bytes } = this.#writer;
    return this.#staged.map(({ group, change, from, to }) => ({
      group,
      type: sectionType[change.type],
      bytes: to - from,
      crc: checksum(bytes.subarray(from, to)),
    }));
  }

  /** What the block, being written to `segment`, means for the groups. Asserts that it fits them. */
  applyTo(groups: Map<number, GroupState>, segment: number): void {
    for (const { group, change, from, to } of this.#staged) {
      if (change.type === "created") {
        groups.set(group, createGroupState(group, change.identity));
        continue;
      }
      const state = groups.get(group);
      assert(state !== undefined, `file storage: group number ${group} is unknown`);
      if (change.type === "deleted") groups.delete(group);
      else applyChange(state, change, segment, to - from);
    }
  }
}

function applyChange(
  state: GroupState,
  change: Exclude<Change, { readonly type: "created" | "deleted" }>,
  segment: number,
  bytes: number,
): void {
  switch (change.type) {
    case "stored": {
      if (change.hardState !== null) state.hardState = change.hardState;
      if (change.truncateFrom > 0) truncateGroup(state, change.truncateFrom);
      if (change.count === 0) return;
      // Written out: to spread such an object takes as long as all the rest here.
      const { first, count, terms } = change;
      const appended = appendToGroup(state, { segment, first, count, terms, bytes });
      const { group } = state.identity;
      assert(
        "first" in appended,
        `file storage: group "${group}": ${"refusal" in appended ? appended.refusal : ""}`,
      );
      return;
    }
    case "snapshot":
      replaceSnapshot(state, change.snapshot);
      return;
    case "compacted": {
      const covered = state.snapshot?.index ?? 0;
      const { group } = state.identity;
      assert(
        change.firstIndex <= covered + 1,
        `file storage: group "${group}": entries up to ${change.firstIndex - 1} are not in a snapshot`,
      );
      compactGroup(state, change.firstIndex);
      return;
    }
    case "moved": {
      const { fromSegment, first, last } = change;
      moveEntries(state, fromSegment, { segment, first, last, bytes });
      return;
    }
  }
}
