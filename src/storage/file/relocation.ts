/**
 * Keeps one slow group from holding back the log of all: above `maxLogBytes`, what is still needed of
 * the oldest segment is written again at the end of the log, and the segment goes.
 */
import type { Entry, LogIndex } from "../../core/types.js";
import { ByteReader } from "../../codec/bytes.js";
import { wideEntryBytes } from "../../codec/entries.js";
import { unpackAll } from "../../packed-entries.js";
import { PlaceSeeds, checksum } from "./checksum.js";
import { isMissing, isOutOfFiles, storageError } from "./failure.js";
import type { File, FileSystem } from "./fs.js";
import { type GroupState, bytesIn, termAt } from "./group-state.js";
import { segmentName } from "./names.js";
import { readMoved, readStored, sectionType } from "./records.js";
import { segmentHeaderBytes } from "./segment-header.js";
import { SegmentReader } from "./segment-reader.js";
import type { Segment } from "./segments.js";
import type { Wal } from "./wal.js";

export type RelocationServices = {
  readonly fs: FileSystem;
  readonly dir: string;
  readonly directoryId: Uint8Array;
  readonly wal: Wal;
  readonly maxLogBytes: number;
  /** False once the deletion of the group was asked for. */
  readonly isAlive: (group: number) => boolean;
  readonly warn: (message: string) => void;
};

/** By group number. */
type Found = Map<number, Map<LogIndex, Entry>>;

/** What is moved in one block: more would hold up the commands behind it. */
const portionBytes = 512 * 1024;

export class Relocation {
  readonly #services: RelocationServices;
  #moving: Promise<void> | null = null;
  #warned = false;
  /** A segment that stays because of what is lost in it, and was warned of; or 0. */
  #kept = 0;
  #closing = false;

  constructor(services: RelocationServices) {
    this.#services = services;
  }

  /** Begins in the background if there is need. Call it when a segment was begun. */
  check(): void {
    const { wal } = this.#services;
    if (this.#moving !== null || this.#closing) return;
    this.#moving = this.#relieve().then(
      () => {
        this.#moving = null;
      },
      (error: unknown) => {
        this.#moving = null;
        wal.fail(storageError(error, "moving what a slow group needs"));
      },
    );
  }

  async #relieve(): Promise<void> {
    const { wal, maxLogBytes } = this.#services;
    // What is about to be removed needs no moving, and would not be there any more.
    await wal.tidied();
    // Once round: where checkpoints take most of small segments, what was moved would be worth moving again, for ever.
    const end = wal.segments.used.at(-1)?.segment ?? 0;
    while (!this.#closing && wal.failed === null && wal.segments.totalBytes > maxLogBytes) {
      const oldest = wal.segments.used[0]!;
      if (oldest.segment >= end || !this.#isWorthwhile(oldest)) return;
      await this.#move(oldest);
      await wal.tidied();
      // Nothing moved means that it is only waiting to be removed, or is kept for damage.
      if (wal.segments.used[0] === oldest) return;
    }
    this.#warned = false;
  }

  /** To move more than half of a segment is to run behind oneself: the group needs a snapshot. */
  #isWorthwhile(segment: Segment): boolean {
    let needed = 0;
    let most: { readonly group: GroupState; readonly bytes: number } | null = null;
    for (const group of this.#services.wal.groups.values()) {
      if (group.damage !== null) return false;
      const bytes = bytesIn(group, segment.segment);
      needed += bytes;
      if (bytes > (most?.bytes ?? 0)) most = { group, bytes };
    }
    if (needed <= segment.sizeBytes / 2) return true;
    if (!this.#warned && most !== null) {
      this.#warned = true;
      const { identity, firstIndex } = most.group;
      this.#services.warn(
        `the log holds more than maxLogBytes because group "${identity.group}" needs its entries ` +
          `from ${firstIndex} on: it takes no snapshots`,
      );
    }
    return false;
  }

  async #move(segment: Segment): Promise<void> {
    const { wal, isAlive } = this.#services;
    const found = await this.#entriesOf(segment);
    if (found === null) return;
    for (const [number, entries] of found) {
      for (const portion of portionsOf(entries)) {
        const group = wal.groups.get(number);
        if (this.#closing || wal.failed !== null) return;
        if (group === undefined || !isAlive(number)) break;
        const needed = portion.filter((entry) => isIn(group, segment.segment, entry.index));
        for (const run of runsOf(needed)) wal.batch.moved(number, segment.segment, run);
        const durable = wal.durable();
        wal.flush();
        await durable;
      }
    }
  }

  /**
   * The entries of each group that are needed from `segment`, in order. Null if the segment is gone or cannot be opened
   * for now, and if one of them is not intact there: to write the others again and remove the segment would remove the only trace of it.
   */
  async #entriesOf({ segment, sizeBytes }: Segment): Promise<Map<number, Entry[]> | null> {
    const { fs, dir, directoryId, wal } = this.#services;
    let file: File;
    try {
      file = await fs.open(`${dir}/${segmentName(segment)}`, "read");
    } catch (error) {
      // A compaction meanwhile has freed it.
      if (isMissing(error) && wal.segments.used[0]!.segment > segment) return null;
      // The next segment that is begun asks again.
      if (isOutOfFiles(error)) return null;
      throw error;
    }
    let found: Found;
    try {
      const reader = new SegmentReader(file, segment, sizeBytes, new PlaceSeeds(directoryId));
      found = await this.#intactIn(reader);
    } finally {
      await file.close();
    }
    const sorted = new Map<number, Entry[]>();
    for (const [number, state] of wal.groups) {
      const entries = [...(found.get(number)?.values() ?? [])];
      const needed = entries.filter((entry) => isIn(state, segment, entry.index));
      if (needed.length < countIn(state, segment)) {
        this.#keep(segment, state);
        return null;
      }
      if (needed.length === 0) continue;
      needed.sort((a, b) => a.index - b.index);
      sorted.set(number, needed);
    }
    return sorted;
  }

  /** What matches its checksum only: it would get a new one, and nobody would ever know. */
  async #intactIn(reader: SegmentReader): Promise<Found> {
    const { wal } = this.#services;
    const found: Found = new Map();
    for (let offset = segmentHeaderBytes; ;) {
      const header = await reader.header(offset);
      if (header === null) return found;
      const bodies = await reader.view(offset + header.headerBytes, header.bodyBytes);
      let at = 0;
      for (const { group, type, bytes, crc } of header.sections) {
        const body = bodies.subarray(at, at + bytes);
        at += bytes;
        const state = wal.groups.get(group);
        if (state === undefined || bytesIn(state, reader.segment) === 0) continue;
        if (body.length === bytes && checksum(body) === crc) collect(found, state, type, body);
      }
      offset += header.headerBytes + header.bodyBytes;
    }
  }

  /**
   * No failure of the storage, which would end the other groups too: the members have these entries in memory, a
   * snapshot may still cover them, and if not the next opening finds the damage where it is.
   */
  #keep(segment: number, { identity }: GroupState): void {
    if (this.#kept === segment) return;
    this.#kept = segment;
    this.#services.warn(
      `${segmentName(segment)}: entries of group "${identity.group}" are not intact there: it is kept, and the ` +
        "log grows above maxLogBytes, until a snapshot of that group covers them; a restart before that " +
        "finds the group damaged",
    );
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#moving;
  }
}

function isIn(group: GroupState, segment: number, index: LogIndex): boolean {
  return group.places.some(
    (place) => place.segment === segment && place.first <= index && index <= place.last,
  );
}

/** Entries of the group that are needed from `segment`. */
function countIn(group: GroupState, segment: number): number {
  let count = 0;
  for (const place of group.places) {
    if (place.segment === segment) count += place.last - place.first + 1;
  }
  return count;
}

/** What was cut off since it was written has another term than what the log has at its index now. */
function collect(found: Found, group: GroupState, type: number, body: Uint8Array): void {
  if (type !== sectionType.stored && type !== sectionType.moved) return;
  const reader = new ByteReader(body);
  const entries =
    type === sectionType.stored ? unpackAll(readStored(reader).entries) : readMoved(reader).entries;
  let known = found.get(group.number);
  if (known === undefined) found.set(group.number, (known = new Map()));
  for (const entry of entries) {
    if (entry.term === termAt(group, entry.index)) known.set(entry.index, entry);
  }
}

function* portionsOf(entries: readonly Entry[]): Generator<Entry[]> {
  let portion: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    portion.push(entry);
    bytes += entry.body.length + wideEntryBytes;
    if (bytes < portionBytes) continue;
    yield portion;
    portion = [];
    bytes = 0;
  }
  if (portion.length > 0) yield portion;
}

/** Splits where indices are not contiguous. */
function* runsOf(entries: readonly Entry[]): Generator<Entry[]> {
  let run: Entry[] = [];
  for (const entry of entries) {
    if (run.length > 0 && entry.index !== run.at(-1)!.index + 1) {
      yield run;
      run = [];
    }
    run.push(entry);
  }
  if (run.length > 0) yield run;
}
