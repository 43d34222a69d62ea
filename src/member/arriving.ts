/**
 * A leader's snapshot is read while its chunks come in (decision 43): when the last one is there, most of the value is.
 *
 *     first chunk -> a reader that waits for bytes · each chunk -> some more is read, at the end of turns
 *     storage has checked and kept all of it -> the rest is read · anything else -> thrown away
 *
 * The last byte is held back until then, so nothing is made of bytes that are not what the leader's checksum
 * says: no value comes out, and no `upgrade` sees one.
 */
import { crc32 } from "../codec/crc32.js";
import type { SnapshotMeta, Term } from "../core/types.js";
import type { ReplicaEffect } from "../replica.js";
import type { ArrivingBytes, Clock } from "../ports.js";
import type { DecodedSnapshot } from "../value/snapshot.js";

/** A reader of a snapshot; `next` reads some more. */
export type Slices = Iterator<undefined, DecodedSnapshot>;

export type Chunk = Extract<ReplicaEffect, { readonly type: "writeSnapshotChunk" }>;

type Coming = { readonly bytes: Uint8Array; arrived: number; wanted: number };

export type Arriving = {
  readonly snapshot: SnapshotMeta;
  /** In which its leader leads. */
  readonly term: Term;
  readonly coming: Coming;
  readonly slices: Slices;
  /** So often it was asked to read on. */
  steps: number;
  heldBytes: number;
  checksum: number;
};

/** A chunk that storage is given as well. Null: nothing is read of what does not follow, or is there at once. */
export function takeChunk(
  before: Arriving | null,
  { snapshot, offset, data }: Chunk,
  begin: () => Arriving | null,
): Arriving | null {
  const isWhole = data.length === snapshot.sizeBytes;
  const arriving = offset === 0 && !isWhole ? begin() : before;
  if (arriving === null || offset !== arriving.heldBytes) return null;
  if (!isSameSnapshot(arriving.snapshot, snapshot)) return null;
  const { coming } = arriving;
  coming.bytes.set(data, offset);
  arriving.heldBytes += data.length;
  arriving.checksum = crc32(data, arriving.checksum);
  coming.arrived = Math.min(arriving.heldBytes, snapshot.sizeBytes - 1);
  return arriving;
}

/** Null: there is no room for it beside what there is. Maybe there is once storage has it. */
export function beginArriving(
  snapshot: SnapshotMeta,
  term: Term,
  read: (arriving: ArrivingBytes) => Slices,
): Arriving | null {
  try {
    const bytes = new Uint8Array(snapshot.sizeBytes);
    const coming: Coming = { bytes, arrived: 0, wanted: 0 };
    return { snapshot, term, coming, slices: read(coming), steps: 0, heldBytes: 0, checksum: 0 };
  } catch {
    return null;
  }
}

/**
 * Bytes are there that have not been read. Not for a reader that was asked more often than there are bytes: it waits
 * without saying so, and would be asked for as long as its leader is silent.
 */
export function isReadable({ coming, steps }: Arriving): boolean {
  return coming.wanted <= coming.arrived && steps < coming.arrived;
}

/**
 * Reads on until the bytes or the time are used up. False: it came to an end, though bytes are missing; the reason
 * is told when all are there, and they are read from the beginning.
 */
export function readOn(arriving: Arriving, clock: Clock, untilMs: number): boolean {
  try {
    while (isReadable(arriving)) {
      arriving.steps += 1;
      if (arriving.slices.next().done === true) return false;
      if (clock.nowMs() >= untilMs) break;
    }
    return true;
  } catch {
    return false;
  }
}

/** Storage has checked what it was given: the reader may have the rest, if it was given the same. */
export function allHasArrived(arriving: Arriving, snapshot: SnapshotMeta): Slices | null {
  const { coming, heldBytes, checksum, slices } = arriving;
  if (!isSameSnapshot(arriving.snapshot, snapshot)) return null;
  if (heldBytes !== snapshot.sizeBytes || checksum !== snapshot.checksum) return null;
  coming.arrived = snapshot.sizeBytes;
  return slices;
}

export function isSameSnapshot(a: SnapshotMeta, b: SnapshotMeta): boolean {
  return a.index === b.index && a.term === b.term && a.checksum === b.checksum;
}
