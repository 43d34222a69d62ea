/** What is read of one group's snapshots to be sent: of the current one, and of the one before it. */
import type { LogIndex, SnapshotMeta } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import { isRefusedForNow, storageError } from "./failure.js";
import type { SnapshotReader } from "./snapshot-reader.js";

export interface SnapshotsSentServices {
  open(snapshot: SnapshotMeta): Promise<SnapshotReader>;
  warn(message: string): void;
}

/** Call one at a time. */
export class SnapshotsSent {
  readonly #services: SnapshotsSentServices;
  #reader: SnapshotReader | null = null;
  /** The reader's file was begun and not read to its end. */
  #readUnfinished = false;
  /**
   * Somebody is half through the one before: its open file outlives its name (hazard 57). `wanted`: read
   * since the last turn, and not to its end.
   */
  #pinned: { readonly reader: SnapshotReader; wanted: boolean } | null = null;
  /** Index of one that was found damaged, or 0: it is not read again and again. */
  #brokenIndex: LogIndex = 0;
  /** The current one could not be opened the last time, and that was told. */
  #refused = false;

  constructor(services: SnapshotsSentServices) {
    this.#services = services;
  }

  /**
   * Null if it is neither `current` nor the one before, is damaged, or ends before `offset`; "later" if the
   * system does not open it for now.
   */
  async chunk(
    current: SnapshotMeta | null,
    index: LogIndex,
    offset: number,
    maxBytes: number,
  ): Promise<Uint8Array | "later" | null> {
    if (this.#brokenIndex === index) return null;
    try {
      const reader = await this.#readerOf(current, index);
      if (reader === null || reader === "later") return reader;
      const data = await reader.read(offset, maxBytes);
      const isUnfinished = offset + (data?.length ?? 0) < reader.meta.sizeBytes;
      if (reader === this.#reader) {
        this.#readUnfinished = isUnfinished;
        if (!isUnfinished) await this.#closeCurrent();
      } else if (this.#pinned !== null) this.#pinned.wanted = isUnfinished;
      return data;
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.#brokenIndex = index;
      this.#services.warn(error.message);
      return null;
    }
  }

  async #readerOf(
    current: SnapshotMeta | null,
    index: LogIndex,
  ): Promise<SnapshotReader | "later" | null> {
    if (current?.index === index) return this.#reader ?? this.#open(current);
    return this.#pinned?.reader.meta.index === index ? this.#pinned.reader : null;
  }

  async #open(current: SnapshotMeta): Promise<SnapshotReader | "later"> {
    try {
      this.#reader = await this.#services.open(current);
      this.#refused = false;
      return this.#reader;
    } catch (error) {
      if (!isRefusedForNow(error)) throw error;
      const { message } = storageError(
        error,
        `opening the snapshot at ${current.index} to send it`,
      );
      if (!this.#refused) this.#services.warn(`${message}; it is tried again`);
      this.#refused = true;
      return "later";
    }
  }

  /** Of thousands of groups that were read once, nightly for a backup, none keeps a file open. Who reads on opens it again. */
  async #closeCurrent(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  /** Another one has become the current one. */
  async turn(): Promise<void> {
    const reader = this.#reader;
    const pinned = this.#pinned;
    this.#reader = null;
    if (reader !== null && this.#readUnfinished) {
      this.#pinned = { reader, wanted: false };
      await pinned?.reader.close();
    } else {
      // Not read since the last turn: whoever read it has gone.
      const isGone = pinned !== null && !pinned.wanted;
      if (isGone) this.#pinned = null;
      else if (pinned !== null) pinned.wanted = false;
      await reader?.close();
      if (isGone) await pinned.reader.close();
    }
    this.#readUnfinished = false;
    this.#brokenIndex = 0;
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    const pinned = this.#pinned;
    this.#reader = null;
    this.#pinned = null;
    await reader?.close();
    await pinned?.reader.close();
  }
}
