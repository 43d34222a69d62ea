/**
 * The snapshots of all groups: written to a file of their own, synced, renamed, the directory synced
 * and only then named in the log, whose record is what makes a snapshot the current one (hazard 55).
 * The one before is removed after that.
 */
import type { LogIndex, SnapshotMeta } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import type { GroupName, SnapshotSink, StorageHandlers } from "../../ports.js";
import { Backlog } from "./backlog.js";
import { isDiskFull, isOutOfFiles, passOverMissing, storageError } from "./failure.js";
import type { FileSystem } from "./fs.js";
import { type GroupState, termAt } from "./group-state.js";
import { Gate, Lane } from "./lane.js";
import { snapshotName, temporarySuffix } from "./names.js";
import { isSameSnapshot } from "./snapshot-file.js";
import { type SnapshotReader, openSnapshot } from "./snapshot-reader.js";
import { type GroupSnapshots, Sink, type SinkStore } from "./snapshot-sink.js";
import { SnapshotReceived } from "./snapshot-received.js";
import type { SnapshotPlace } from "./snapshot-writer.js";
import { SnapshotsSent } from "./snapshots-sent.js";

/** What the snapshots need of the storage around them. */
export interface SnapshotServices {
  readonly fs: FileSystem;
  readonly dir: string;
  readonly directoryId: Uint8Array;
  readonly handlers: StorageHandlers;
  /** By group number. */
  readonly logs: ReadonlyMap<number, GroupState>;
  /** Names the snapshot in the log; true once that is durable, false if it never will be. */
  record(group: number, snapshot: SnapshotMeta): Promise<boolean>;
  /** Room that a snapshot from outside has to leave for the log. */
  readonly reserveBytes: number;
  /** Checks the free space, now that some was used. */
  spaceUsed(): void;
  fail(error: RaftError): void;
}

/** For so long a leader's snapshot for which there is no room is not gone on with, in milliseconds. */
const roomPauseMs = 1000;

export class SnapshotStore implements SinkStore {
  readonly backlog = new Backlog();
  readonly #services: SnapshotServices;
  // Each may keep one of the platform's four threads busy. Writing waits for reading, never the reverse.
  readonly #writeGate = new Gate(1);
  readonly #readGate = new Gate(1);
  readonly #groups = new Map<number, GroupSnapshots>();
  /** What goes on for groups that were deleted, until nothing of them is under way any more. */
  readonly #leaving = new Set<Promise<void>>();
  /** Answers that wait because there was no room. */
  readonly #pauses = new Set<NodeJS.Timeout>();
  #nextTemporary = 1;
  #closing = false;

  constructor(services: SnapshotServices) {
    this.#services = services;
  }

  /** `partial`: the file of a snapshot that an earlier process has received in part. */
  addGroup(
    number: number,
    name: GroupName,
    current: SnapshotMeta | null,
    partial: string | null,
  ): void {
    const warn = (message: string): void =>
      this.#services.handlers.onWarning(`group "${name}": ${message}`);
    this.#groups.set(number, {
      number,
      name,
      writing: new Lane(this.#writeGate),
      reading: new Lane(this.#readGate),
      sent: new SnapshotsSent({
        open: (snapshot) => this.#open(number, snapshot),
        warn,
      }),
      received: new SnapshotReceived(number, partial, {
        place: (file) => this.#place(number, file),
        remove: (file) => this.#remove(file),
        rename: (from, to) => this.#rename(from, to),
        isNeedless: ({ index, term }) => {
          const log = this.#services.logs.get(number);
          return log !== undefined && termAt(log, index) === term;
        },
        hasRoomFor: (sizeBytes) => this.#hasRoomFor(sizeBytes + this.#promisedBytes()),
        warn,
      }),
      current,
      sink: null,
      lackedRoom: false,
      unnamed: null,
      deleted: false,
    });
  }

  /** Answers of this group stop now; its files go once `durable` says that the group is gone. */
  deleteGroup(number: number, durable: Promise<boolean>): void {
    const group = this.#groups.get(number);
    if (group === undefined) return;
    group.deleted = true;
    this.#groups.delete(number);
    group.sink?.abort();
    this.#run(group.reading, "closing a snapshot", () => group.sent.close());
    this.#run(group.writing, "closing a snapshot", () => group.received.discard());
    const leaving = this.#leave(group, durable).finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  async #leave(group: GroupSnapshots, durable: Promise<boolean>): Promise<void> {
    const gone = await durable;
    if (gone) this.#run(group.writing, "removing a group's snapshots", () => this.#clear(group));
    await group.writing.idle();
    await group.reading.idle();
  }

  async #clear(group: GroupSnapshots): Promise<void> {
    await group.received.removePartial();
    if (group.current !== null) await this.#remove(snapshotName(group.number, group.current));
    if (group.unnamed !== null) await this.#remove(group.unnamed);
  }

  begin(number: number): SnapshotSink {
    const group = this.#groups.get(number)!;
    group.sink?.abort();
    const name = this.#temporaryName(group);
    group.sink = new Sink(this, group, this.#place(group.number, name), name);
    return group.sink;
  }

  #temporaryName(group: GroupSnapshots): string {
    return `snapshot-${group.number}-${this.#nextTemporary++}${temporarySuffix}`;
  }

  #place(group: number, name: string): SnapshotPlace {
    const { fs, dir, directoryId } = this.#services;
    return { fs, path: `${dir}/${name}`, directoryId, group };
  }

  /** Room that the log is to find, and the rest of what is being received for other groups. */
  #promisedBytes(): number {
    let bytes = this.#services.reserveBytes;
    for (const { received } of this.#groups.values()) bytes += received.missingBytes;
    return bytes;
  }

  async #hasRoomFor(sizeBytes: number): Promise<boolean> {
    const { fs, dir } = this.#services;
    // Not every file system can say; then the write will.
    return (await fs.freeBytes(dir).catch(() => Infinity)) >= sizeBytes;
  }

  async expectRoom(group: GroupSnapshots): Promise<void> {
    const sizeBytes = group.current?.sizeBytes ?? 0;
    // The value may be smaller by now: every other time that is found out.
    group.lackedRoom = !group.lackedRoom && !(await this.#hasRoomFor(sizeBytes));
    if (!group.lackedRoom) return;
    throw new RaftError("diskFull", `a snapshot of some ${sizeBytes} bytes has no room`);
  }

  /** Work whose failure is the storage's failure. */
  #run(lane: Lane, doing: string, work: () => Promise<void>): void {
    lane.run(work).catch((error: unknown) => this.#services.fail(storageError(error, doing)));
  }

  /** A step of a sink: a full disk, or too many open files, cost this snapshot, any other failure the storage. */
  sinkStep(
    group: GroupSnapshots,
    sink: Sink,
    work: () => Promise<void>,
    heldBytes: number = 0,
  ): void {
    this.#run(group.writing, "writing a snapshot", async () => {
      try {
        if (!sink.failed) await work();
      } catch (error) {
        if (!isDiskFull(error) && !isOutOfFiles(error)) throw error;
        sink.failed = true;
        await sink.discard();
        const why = isDiskFull(error) ? "no space left" : "too many open files";
        this.#services.handlers.onWarning(
          `${why} for a snapshot of group "${group.name}": its log is kept instead`,
        );
      } finally {
        this.backlog.taken(heldBytes);
      }
    });
  }

  finishSink(group: GroupSnapshots, sink: Sink, meta: SnapshotMeta): void {
    this.sinkStep(group, sink, async () => {
      const { writer } = sink;
      const whole =
        writer !== null && writer.sizeBytes === meta.sizeBytes && writer.crc === meta.checksum;
      if (!whole || this.#isOutdated(group, meta)) {
        sink.failed = true;
        await sink.discard();
      } else {
        await writer.finish(meta);
        await this.#rename(sink.name, snapshotName(group.number, meta));
        await this.#install(group, meta);
      }
    });
    // A step of its own, so that it answers after a full disk as well.
    this.#run(group.writing, "writing a snapshot", async () => {
      if (sink.failed) this.#answerSaved(group, meta, false);
    });
  }

  /** An older snapshot never takes the place of a newer one (hazard 50). */
  #isOutdated(group: GroupSnapshots, meta: SnapshotMeta): boolean {
    return group.deleted || (group.current !== null && meta.index < group.current.index);
  }

  #answerSaved(group: GroupSnapshots, meta: SnapshotMeta, ok: boolean): void {
    if (!group.deleted) this.#services.handlers.onSnapshotSaved(group.name, meta, ok);
  }

  /** The file is whole and synced, and has its name: the log names it. */
  async #install(group: GroupSnapshots, meta: SnapshotMeta): Promise<void> {
    const { fs, dir } = this.#services;
    const name = snapshotName(group.number, meta);
    try {
      await fs.syncDirectory(dir);
    } catch (error) {
      // It has no name that lasts, and will get none: only what is the current one already keeps it.
      const isCurrent =
        group.current !== null && snapshotName(group.number, group.current) === name;
      if ((isOutOfFiles(error) || isDiskFull(error)) && !isCurrent) await this.#remove(name);
      throw error;
    }
    if (!(await this.#services.record(group.number, meta))) {
      // Not removed yet: it may have the name of the current one, and the deletion may never be durable.
      if (group.deleted) group.unnamed = name;
      return;
    }
    const before = group.current;
    group.current = meta;
    await group.reading.run(() => group.sent.turn());
    const old = before === null ? name : snapshotName(group.number, before);
    try {
      if (old !== name) await this.#remove(old);
      await group.received.outdate(meta.index);
    } catch (error) {
      // Some file systems that are full have no room to remove a file either: the next opening does it.
      if (!isDiskFull(error)) throw error;
    }
    this.#services.spaceUsed();
    this.#answerSaved(group, meta, true);
  }

  async #remove(name: string): Promise<void> {
    await this.#services.fs.remove(`${this.#services.dir}/${name}`).catch(passOverMissing);
  }

  async #rename(from: string, to: string): Promise<void> {
    const { fs, dir } = this.#services;
    await fs.rename(`${dir}/${from}`, `${dir}/${to}`);
  }

  async removeTemporary(name: string): Promise<void> {
    await this.#remove(name);
  }

  // -------------------------------------------------------------------------------------------
  // A snapshot that a leader sends

  writeChunk(number: number, meta: SnapshotMeta, offset: number, data: Uint8Array): void {
    const group = this.#groups.get(number)!;
    this.#run(group.writing, "writing a snapshot that the leader sends", async () => {
      if (group.deleted || this.#closing) return;
      const heldBytes = await group.received.take(meta, offset, data);
      const answer = (): void => {
        // It may have been deleted meanwhile, and its name be another's.
        if (group.deleted) return;
        const { handlers } = this.#services;
        handlers.onSnapshotChunkWritten(group.name, meta.index, meta.term, heldBytes ?? 0);
      };
      if (heldBytes === null) this.#afterPause(answer);
      else answer();
    });
  }

  #afterPause(then: () => void): void {
    if (this.#closing) return;
    const timer = setTimeout(() => {
      this.#pauses.delete(timer);
      then();
    }, roomPauseMs);
    this.#pauses.add(timer);
  }

  install(number: number, meta: SnapshotMeta): void {
    const group = this.#groups.get(number)!;
    this.#run(group.writing, "installing a snapshot", async () => {
      if (group.deleted) return;
      if (group.current !== null && isSameSnapshot(group.current, meta)) {
        this.#answerSaved(group, meta, true);
        return;
      }
      const isWanted = group.received.isWhole(meta) && !this.#isOutdated(group, meta);
      if (isWanted && (await group.received.finish(meta, snapshotName(number, meta)))) {
        try {
          return await this.#install(group, meta);
        } catch (error) {
          if (isDiskFull(error)) group.received.warnOfRoom(meta);
          else if (isOutOfFiles(error)) group.received.warnOfFiles();
          else throw error;
        }
      }
      await group.received.discard();
      this.#answerSaved(group, meta, false);
    });
  }

  // -------------------------------------------------------------------------------------------
  // Reading

  readChunk(number: number, to: string, index: LogIndex, offset: number, maxBytes: number): void {
    const group = this.#groups.get(number)!;
    this.#run(group.reading, "reading a snapshot", async () => {
      if (group.deleted) return;
      const data = await group.sent.chunk(group.current, index, offset, maxBytes);
      if (group.deleted) return;
      this.#services.handlers.onSnapshotChunkRead(group.name, to, index, offset, data);
    });
  }

  #open(group: number, snapshot: SnapshotMeta): Promise<SnapshotReader> {
    const { fs, dir } = this.#services;
    return openSnapshot(fs, `${dir}/${snapshotName(group, snapshot)}`, snapshot);
  }

  load(number: number): Promise<readonly Uint8Array[]> {
    const group = this.#groups.get(number)!;
    return group.reading.run(async () => {
      if (group.current === null) return [];
      const reader = await this.#open(number, group.current);
      const pieces: Uint8Array[] = [];
      try {
        for await (const piece of reader.pieces()) pieces.push(piece);
      } finally {
        await reader.close();
      }
      return pieces;
    });
  }

  /** Ends what is unfinished; what is being committed is waited for. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#pauses) clearTimeout(timer);
    this.#pauses.clear();
    for (const group of this.#groups.values()) {
      group.sink?.abort();
      this.#run(group.writing, "closing a snapshot", () => group.received.park());
      this.#run(group.reading, "closing a snapshot", () => group.sent.close());
    }
    for (const group of this.#groups.values()) {
      await group.writing.idle();
      await group.reading.idle();
    }
  }

  /** Resolves when nothing goes on for deleted groups either. The log must have been drained before. */
  async left(): Promise<void> {
    await Promise.all(this.#leaving);
  }
}
