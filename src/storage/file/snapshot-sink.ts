/** A member's own snapshot on its way to the disk, and what belongs to its group beside it. */
import type { SnapshotMeta } from "../../core/types.js";
import type { GroupName, SnapshotSink } from "../../ports.js";
import type { Backlog } from "./backlog.js";
import type { Lane } from "./lane.js";
import { type SnapshotPlace, type SnapshotWriter, createSnapshot } from "./snapshot-writer.js";
import type { SnapshotReceived } from "./snapshot-received.js";
import type { SnapshotsSent } from "./snapshots-sent.js";

/** The snapshots of one group, as far as this process works on them. */
export type GroupSnapshots = {
  readonly number: number;
  readonly name: GroupName;
  readonly writing: Lane;
  readonly reading: Lane;
  readonly sent: SnapshotsSent;
  readonly received: SnapshotReceived;
  current: SnapshotMeta | null;
  sink: Sink | null;
  /** The last one was not begun, as one as large as `current` had no room. */
  lackedRoom: boolean;
  /** A whole file that the log will never name, as the group was deleted meanwhile. */
  unnamed: string | null;
  deleted: boolean;
};

/** What a sink asks of the store; its steps are taken in order, in the lane of its group. */
export interface SinkStore {
  /** Shared by all groups: they write one after the other. */
  readonly backlog: Backlog;
  /** Rejects with `diskFull` where there is no room for one as large as the last, not twice in a row. */
  expectRoom(group: GroupSnapshots): Promise<void>;
  /** `heldBytes` of the backlog are done with behind it. */
  sinkStep(group: GroupSnapshots, sink: Sink, work: () => Promise<void>, heldBytes?: number): void;
  finishSink(group: GroupSnapshots, sink: Sink, meta: SnapshotMeta): void;
  removeTemporary(name: string): Promise<void>;
}

/** A member's own snapshot on its way to the disk. */
export class Sink implements SnapshotSink {
  readonly name: string;
  readonly #store: SinkStore;
  readonly #group: GroupSnapshots;
  #ended = false;
  writer: SnapshotWriter | null = null;
  /** No further step is taken. */
  failed = false;

  constructor(store: SinkStore, group: GroupSnapshots, place: SnapshotPlace, name: string) {
    this.name = name;
    this.#store = store;
    this.#group = group;
    store.sinkStep(group, this, async () => {
      await store.expectRoom(group);
      this.writer = await createSnapshot(place);
    });
  }

  write(data: Uint8Array): void {
    if (this.#ended) return;
    this.#store.backlog.added(data.length);
    const work = async (): Promise<void> => {
      await this.writer!.append(data);
    };
    this.#store.sinkStep(this.#group, this, work, data.length);
  }

  /** One that has failed takes all: the end of it is answered behind that. */
  takesMore(then: () => void): boolean {
    if (this.failed) return true;
    return this.#store.backlog.takesMore(() => {
      if (!this.#ended) then();
    });
  }

  commit(snapshot: SnapshotMeta): void {
    if (this.#ended) return;
    this.#end();
    this.#store.finishSink(this.#group, this, snapshot);
  }

  abort(): void {
    if (this.#ended) return;
    this.#end();
    this.#store.sinkStep(this.#group, this, async () => {
      this.failed = true;
      await this.discard();
    });
  }

  #end(): void {
    this.#ended = true;
    if (this.#group.sink === this) this.#group.sink = null;
  }

  async discard(): Promise<void> {
    await this.writer?.close();
    await this.#store.removeTemporary(this.name);
  }
}
