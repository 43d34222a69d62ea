/**
 * The log that all groups of a host share: blocks appended to preallocated segments, one write and one
 * sync for everything that gathered. While a sync is under way the next batch gathers.
 *
 * What was not synced is never acknowledged. The first failure of a write or sync is the end: the log
 * takes nothing more and never tries again (hazard 77).
 */
import type { Ticket } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import { Batch } from "./batch.js";
import { type Section, encodeBlockHeader, headerBytesFor } from "./block.js";
import { PlaceSeeds, checksum } from "./checksum.js";
import type { LogEnd } from "./copy.js";
import { isOutOfFiles, storageError } from "./failure.js";
import type { GroupState } from "./group-state.js";
import { type Mark, type MarkFile, TrailingMark } from "./mark.js";
import { markName, segmentName } from "./names.js";
import { encodeCheckpoint, sectionType } from "./records.js";
import { encodeSegmentHeader, segmentHeaderBytes } from "./segment-header.js";
import type { OpenSegment, Segments } from "./segments.js";

export interface WalEvents {
  /** The tickets, by group number, are durable. */
  stored(acks: ReadonlyMap<number, Ticket>): void;
  /** Once, after which nothing is acknowledged any more. */
  failed(error: RaftError): void;
  /** A segment was begun: there may be something to tidy up. */
  rolled(): void;
  /** The next segment could not be prepared in advance. */
  unprepared(error: RaftError): void;
  /** A segment that nobody needs could not be removed. */
  unremoved(error: RaftError): void;
}

export type WalStart = {
  readonly directoryId: Uint8Array;
  readonly segments: Segments;
  readonly mark: MarkFile;
  /** How far the mark may lag behind the log. */
  readonly markLagMs: number;
  readonly groups: Map<number, GroupState>;
  readonly nextGroup: number;
  readonly nextSequence: number;
  readonly previousCheck: number;
  /** Where to go on; null: with a new segment. */
  readonly active: { readonly segment: OpenSegment; readonly offset: number } | null;
};

/** The longest that removed files are written to unnoticed. */
const mostLookEveryMs = 1000;

export class Wal {
  readonly #directoryId: Uint8Array;
  readonly #seeds: PlaceSeeds;
  readonly #segments: Segments;
  readonly #mark: MarkFile;
  readonly #trail: TrailingMark;
  readonly #events: WalEvents;
  /** As of the last block that was begun to be written. */
  readonly groups: Map<number, GroupState>;
  nextGroup: number;
  #writtenNextGroup: number;
  #nextSequence: number;
  #previousCheck: number;
  #active: OpenSegment | null;
  #offset: number;
  /** The last segment that was there when the log was opened, or 0. */
  readonly #lastFound: number;

  #gathering = new Batch(null);
  #due = false;
  #spareWriter: Batch["reusableWriter"] = null;
  #writing: Promise<void> | null = null;
  #writingSinceMs = 0;
  /** On a file system that counts the names of a file. */
  readonly #countsNames: boolean;
  readonly #lookEveryMs: number;
  #lookedMs = -Infinity;
  #tidying: Promise<void> = Promise.resolve();
  /** No group needs a segment before this one. */
  #neededFrom = 0;
  #isUnremoved = false;
  #failed: RaftError | null = null;

  constructor(start: WalStart, events: WalEvents) {
    this.#directoryId = start.directoryId;
    this.#seeds = new PlaceSeeds(start.directoryId);
    this.#segments = start.segments;
    this.#mark = start.mark;
    this.#trail = new TrailingMark(start.mark, start.markLagMs, (error) =>
      this.fail(storageError(error, "writing the mark")),
    );
    this.#countsNames = !start.mark.isRemoved;
    this.#lookEveryMs = Math.min(start.markLagMs, mostLookEveryMs);
    this.#events = events;
    this.groups = start.groups;
    this.nextGroup = start.nextGroup;
    this.#writtenNextGroup = start.nextGroup;
    this.#nextSequence = start.nextSequence;
    this.#previousCheck = start.previousCheck;
    this.#active = start.active?.segment ?? null;
    this.#offset = start.active?.offset ?? 0;
    this.#lastFound = start.segments.used.at(-1)?.segment ?? 0;
  }

  get failed(): RaftError | null {
    return this.#failed;
  }

  get segments(): Segments {
    return this.#segments;
  }

  /** Up to here the log is synced; what is behind it may be under way. */
  get end(): LogEnd {
    if (this.#active === null) return { segment: this.#lastFound, offset: Infinity };
    return { segment: this.#active.segment, offset: this.#offset };
  }

  /** Milliseconds since which one and the same write or sync has been under way, or 0. */
  stalledMs(nowMs: number): number {
    return this.#writing === null ? 0 : nowMs - this.#writingSinceMs;
  }

  /** Where everything goes that the next flush is to write. */
  get batch(): Batch {
    return this.#gathering;
  }

  /** Everything gathered so far goes out, at once or when the sync under way has returned. */
  flush(): void {
    if (this.#failed !== null || this.#gathering.isIdle) return;
    this.#due = true;
    if (this.#writing === null) this.#startWrite();
  }

  /** True once everything gathered so far is durable, false if it never will be. */
  durable(): Promise<boolean> {
    if (this.#failed !== null) return Promise.resolve(false);
    return new Promise((resolve) => this.#gathering.waiters.push(resolve));
  }

  fail(error: RaftError): void {
    if (this.#failed !== null) return;
    this.#failed = error;
    void this.#trail.catchUp();
    for (const waiter of this.#gathering.waiters.splice(0)) waiter(false);
    this.#events.failed(error);
  }

  #startWrite(): void {
    const batch = this.#gathering;
    this.#gathering = new Batch(this.#spareWriter);
    this.#spareWriter = null;
    this.#due = false;
    if (batch.isEmpty) {
      this.#spareWriter = batch.reusableWriter;
      this.#complete(batch);
      return;
    }
    this.#writingSinceMs = performance.now();
    const nextGroup = this.nextGroup;
    this.#writing = this.#write(batch, nextGroup).then(
      (rolled) => this.#written(batch, rolled),
      (error: unknown) => {
        this.#writing = null;
        this.fail(storageError(error, `writing ${this.#activeName()}`));
        for (const waiter of batch.waiters) waiter(false);
      },
    );
  }

  #activeName(): string {
    return this.#active === null ? "the log" : segmentName(this.#active.segment);
  }

  /** Returns whether a new segment was begun. */
  async #write(batch: Batch, nextGroup: number): Promise<boolean> {
    // What this turn sends goes first, so that other members write while this one does.
    await Promise.resolve();
    // Before the log goes on behind it, the mark must not say any more that it ends here.
    if (this.#mark.current.clean) {
      await this.#mark.write({ ...this.#mark.current, clean: false });
      await this.#mark.sync();
    }
    const { bodies } = batch;
    let prefix: Uint8Array[] = [];
    let sections: Section[] = batch.sections();
    if (!this.#hasRoom(headerBytesFor(sections.length) + bodies.length)) {
      const checkpoint = encodeCheckpoint(this.#writtenNextGroup, this.groups.values());
      const blockBytes = headerBytesFor(sections.length + 1) + checkpoint.length + bodies.length;
      await this.#roll(segmentHeaderBytes + blockBytes);
      const crc = checksum(checkpoint);
      const { length } = checkpoint;
      sections = [{ group: 0, type: sectionType.checkpoint, bytes: length, crc }, ...sections];
      prefix = [checkpoint];
    }
    const { segment, file } = this.#active!;
    this.#lookForNames();
    batch.applyTo(this.groups, segment);
    const offset = this.#offset === 0 ? segmentHeaderBytes : this.#offset;
    const header = encodeBlockHeader(
      {
        sequence: this.#nextSequence,
        previousCheck: this.#previousCheck,
        nextGroup: this.#writtenNextGroup,
      },
      sections,
      this.#seeds.at(segment, offset),
    );
    const buffers = [header.bytes, ...prefix, bodies];
    const rolled = this.#offset === 0;
    if (rolled) buffers.unshift(this.#segmentHeader());
    await file.write(this.#offset, buffers, true);
    await file.sync();
    this.#offset += buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    this.#nextSequence++;
    this.#previousCheck = header.check;
    this.#writtenNextGroup = nextGroup;
    return rolled;
  }

  /** A system takes writes to a removed file for as long as it is open, and they are gone with the process. */
  #lookForNames(): void {
    if (this.#writingSinceMs - this.#lookedMs < this.#lookEveryMs || !this.#countsNames) return;
    this.#lookedMs = this.#writingSinceMs;
    const { segment, file } = this.#active!;
    if (!file.isRemoved() && !this.#mark.isRemoved) return;
    const name = file.isRemoved() ? segmentName(segment) : markName;
    throw new RaftError(
      "storageFailed",
      `${name} was removed while it was in use: what this host wrote to its data directory is lost, or some of ` +
        "it; start it again with an empty directory, as a new member",
    );
  }

  #hasRoom(bytes: number): boolean {
    return this.#active !== null && this.#offset + bytes <= this.#active.sizeBytes;
  }

  #segmentHeader(): Uint8Array {
    const { segment, sizeBytes } = this.#active!;
    return encodeSegmentHeader({
      directoryId: this.#directoryId,
      segment,
      sizeBytes,
      firstSequence: this.#nextSequence,
    });
  }

  async #roll(leastBytes: number): Promise<void> {
    const before = this.#active;
    this.#active = await this.#segments.next(leastBytes);
    this.#offset = 0;
    await before?.file.close();
  }

  #written(batch: Batch, rolled: boolean): void {
    this.#writing = null;
    this.#spareWriter = batch.reusableWriter;
    if (this.#failed !== null) {
      for (const waiter of batch.waiters) waiter(false);
      return;
    }
    // Computed before the next block changes the states: what that one frees is not durable yet.
    const oldestNeeded = batch.frees ? this.#oldestNeeded() : 0;
    // Before the next one is begun: an empty one is answered at once, and answers keep their order.
    this.#complete(batch);
    this.#trail.follow(this.#markNow(false));
    if (this.#due && this.#writing === null) this.#startWrite();
    this.#neededFrom = Math.max(this.#neededFrom, oldestNeeded);
    if (batch.frees || rolled) this.#removeBefore(this.#neededFrom);
    if (rolled) this.#events.rolled();
    this.#prepareNext();
  }

  #complete(batch: Batch): void {
    for (const waiter of batch.waiters) waiter(true);
    if (batch.acks.size > 0) this.#events.stored(batch.acks);
  }

  /** The oldest segment that some group needs. */
  #oldestNeeded(): number {
    let needed = this.#active?.segment ?? 0;
    for (const group of this.groups.values()) {
      // Of a damaged group everything is kept: it may be the only copy.
      if (group.damage !== null) return 0;
      for (const place of group.places) needed = Math.min(needed, place.segment);
    }
    return needed;
  }

  /** What cannot be removed (some full disks have no room for that either) is tried again, and harms nobody meanwhile. */
  #removeBefore(segment: number): void {
    const { used } = this.#segments;
    this.#tidying = this.#tidying
      .then(async () => {
        while (used.length > 1 && used[0]!.segment < segment && this.#failed === null) {
          await this.#segments.removeOldest();
          this.#isUnremoved = false;
        }
      })
      .catch((error: unknown) => {
        const failure = storageError(error, "removing a segment", true);
        if (!this.#isUnremoved) this.#events.unremoved(failure);
        this.#isUnremoved = true;
      });
  }

  #prepareNext(): void {
    if (this.#active === null) return;
    const begun = this.#segments.prepareBeside(this.#offset / this.#active.sizeBytes);
    begun?.catch((error: unknown) => {
      if (this.#segments.isClosing) return;
      const failure = storageError(error, "preparing a segment", true);
      // There is time left until it is needed.
      if (failure.code === "diskFull" || isOutOfFiles(error)) this.#events.unprepared(failure);
      else this.fail(failure);
    });
  }

  #markNow(clean: boolean): Mark {
    return {
      sequence: this.#nextSequence - 1,
      segment: this.#active?.segment ?? 0,
      endOffset: this.#offset,
      nextGroup: this.#writtenNextGroup,
      clean,
    };
  }

  /** Waits for the removal of segments that was begun so far. */
  async tidied(): Promise<void> {
    await this.#tidying;
  }

  /** Writes out what is gathered and waits for everything that is under way. */
  async drain(): Promise<void> {
    this.flush();
    while (this.#writing !== null) await this.#writing;
    await this.#trail.catchUp();
    await this.#tidying;
  }

  /** Marks the end, if all went well, and closes the files. Call `drain` before. */
  async close(mayMark: boolean): Promise<void> {
    await this.#segments.close();
    try {
      const { current } = this.#mark;
      const end = this.#markNow(true);
      const isMarked = current.clean && current.sequence === end.sequence;
      if (mayMark && this.#failed === null && this.#active !== null && !isMarked) {
        await this.#mark.write(end);
        await this.#mark.sync();
      }
    } finally {
      await this.#active?.file.close();
      await this.#mark.close();
    }
  }
}
