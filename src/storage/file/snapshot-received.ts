/**
 * What one group's leader sends of a snapshot, on its way into a file: chunk by chunk, over a restart as well.
 * Call one at a time.
 */
import type { LogIndex, SnapshotMeta } from "../../core/types.js";
import { isDiskFull, isOutOfFiles } from "./failure.js";
import { partialName } from "./names.js";
import { isSameSnapshot } from "./snapshot-file.js";
import {
  type SnapshotPlace,
  type SnapshotWriter,
  createSnapshot,
  resumeSnapshot,
} from "./snapshot-writer.js";

export interface SnapshotReceivedServices {
  place(name: string): SnapshotPlace;
  remove(name: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** The log has got as far as this snapshot by itself: nobody goes on with it. */
  isNeedless(meta: SnapshotMeta): boolean;
  hasRoomFor(sizeBytes: number): Promise<boolean>;
  warn(message: string): void;
}

type Incoming = {
  readonly meta: SnapshotMeta;
  readonly writer: SnapshotWriter;
  readonly name: string;
};

export class SnapshotReceived {
  readonly #group: number;
  readonly #services: SnapshotReceivedServices;
  #incoming: Incoming | null = null;
  /** The file that an earlier process has begun to receive, until it is gone on with or removed. */
  #partial: string | null;
  /** There was no room, and that was warned of. */
  #lacksRoom = false;
  /** Too many files were open for it, and that was warned of. */
  #lacksFiles = false;

  constructor(group: number, partial: string | null, services: SnapshotReceivedServices) {
    this.#group = group;
    this.#partial = partial;
    this.#services = services;
  }

  /**
   * How many bytes of it are held now. Null: there is no room for it, which costs this snapshot and nothing
   * else; what was received is given up, so that the log has what is left.
   */
  async take(meta: SnapshotMeta, offset: number, data: Uint8Array): Promise<number | null> {
    return this.#whileThereIsRoom(meta, async () => {
      if (!(await this.#makeReady(meta, offset))) return null;
      const incoming = this.#incoming;
      if (incoming === null || !isSameSnapshot(incoming.meta, meta)) return 0;
      const { writer } = incoming;
      // A chunk that came twice, or one behind a gap, changes nothing: the answer says where to go on.
      if (writer.sizeBytes === offset) await writer.append(data);
      return writer.sizeBytes;
    });
  }

  /** What is being received still takes so much room on the disk. */
  get missingBytes(): number {
    const incoming = this.#incoming;
    if (incoming === null || this.#services.isNeedless(incoming.meta)) return 0;
    return Math.max(incoming.meta.sizeBytes - incoming.writer.writtenBytes, 0);
  }

  /** All of it is held, byte for byte. */
  isWhole(meta: SnapshotMeta): boolean {
    const incoming = this.#incoming;
    if (incoming === null || !isSameSnapshot(incoming.meta, meta)) return false;
    const { sizeBytes, crc } = incoming.writer;
    return sizeBytes === meta.sizeBytes && crc === meta.checksum;
  }

  /**
   * The file is synced, has this name and is the caller's from now on. Only while `isWhole`. False: there is no room,
   * as for `take`.
   */
  async finish(meta: SnapshotMeta, name: string): Promise<boolean> {
    const incoming = this.#incoming!;
    const done = await this.#whileThereIsRoom(meta, async () => {
      await incoming.writer.finish(meta);
      await this.#services.rename(incoming.name, name);
      this.#incoming = null;
      this.#lacksRoom = false;
      this.#lacksFiles = false;
      return true;
    });
    return done ?? false;
  }

  async #whileThereIsRoom<T>(meta: SnapshotMeta, work: () => Promise<T | null>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (isDiskFull(error)) {
        await this.#giveUp(meta);
      } else {
        if (!isOutOfFiles(error)) throw error;
        this.warnOfFiles();
        await this.discard();
      }
      return null;
    }
  }

  /** Offset 0 begins anew, unless an earlier process has left some of this very snapshot. False: there is no room. */
  async #makeReady(meta: SnapshotMeta, offset: number): Promise<boolean> {
    const name = partialName(this.#group, meta);
    const isLeft = this.#partial === name;
    if (offset !== 0 && !isLeft) return true;
    await this.discard();
    const place = this.#services.place(name);
    const resumed = isLeft ? await resumeSnapshot(place) : null;
    if (resumed === null) {
      await this.removePartial();
      await this.#services.remove(name);
    }
    // Until something is received again: whatever fails here leaves nothing behind.
    this.#partial = name;
    if (!(await this.#services.hasRoomFor(meta.sizeBytes - (resumed?.sizeBytes ?? 0)))) {
      await resumed?.close();
      await this.#giveUp(meta);
      return false;
    }
    this.#incoming = { meta, writer: resumed ?? (await createSnapshot(place)), name };
    this.#partial = null;
    return true;
  }

  /** Of what is offered again and again until files can be opened. Warns once, until one was taken in. */
  warnOfFiles(): void {
    if (!this.#lacksFiles) {
      const why = "too many open files for the snapshot that the leader sends";
      this.#services.warn(`${why}: this member goes on once there are fewer`);
    }
    this.#lacksFiles = true;
  }

  /** There is no room. */
  async #giveUp(meta: SnapshotMeta): Promise<void> {
    await this.discard();
    await this.removePartial();
    this.warnOfRoom(meta);
  }

  /** Warns once, until one was taken in. */
  warnOfRoom({ sizeBytes }: SnapshotMeta): void {
    if (!this.#lacksRoom) {
      this.#services.warn(
        `no space left for the snapshot of ${sizeBytes} bytes that the leader sends: this member goes on ` +
          `once there is`,
      );
    }
    this.#lacksRoom = true;
  }

  async discard(): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = null;
    if (incoming === null) return;
    await incoming.writer.close();
    await this.#services.remove(incoming.name);
  }

  /** The next process goes on with it, if there is anything worth it. */
  async park(): Promise<void> {
    const incoming = this.#incoming;
    if (incoming === null) return;
    try {
      if (await incoming.writer.park()) this.#incoming = null;
    } catch (error) {
      // No room for what was not written yet: the next process begins anew.
      if (isDiskFull(error)) return;
      throw error;
    } finally {
      await this.discard();
    }
  }

  /** A snapshot of that index is the current one now: nobody goes on with an older one. */
  async outdate(index: LogIndex): Promise<void> {
    await this.removePartial();
    if (this.#incoming !== null && this.#incoming.meta.index <= index) await this.discard();
  }

  async removePartial(): Promise<void> {
    const partial = this.#partial;
    this.#partial = null;
    if (partial !== null) await this.#services.remove(partial);
  }
}
