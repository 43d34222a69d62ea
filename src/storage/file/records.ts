/**
 * The bodies of a block's sections. Entries, hard state and snapshot meta are encoded as on the wire
 * (codec/entries.ts, codec/payloads.ts); integers of 53 bits are float64; text is u32 length + UTF-8.
 *
 * - checkpoint (group 0): u32 next group's number, u32 count, then per group: u32 number, sized identity,
 *   sized hard state, sized snapshot meta (empty: none), f64 firstIndex, f64 lastIndex,
 *   u32 count of term runs (f64 from, f64 term), u32 count of places (f64 segment, f64 first,
 *   f64 last, f64 bytes), text damage (empty: none)
 * - created: identity as JSON · deleted: nothing · snapshot: meta · compacted: f64 firstIndex
 * - stored: u8 1 if hard state follows, [sized hard state], f64 truncateFrom, f64 first index,
 *   u32 count, entries
 * - moved: f64 segment where they were, f64 first index, u32 count, entries
 */
import type { Entry, HardState, LogIndex, SnapshotMeta } from "../../core/types.js";
import { type ByteReader, ByteWriter, refuseBytes, textOf, utf8 } from "../../codec/bytes.js";
import { readEntries, readPackedEntries, writeEntry } from "../../codec/entries.js";
import {
  decodeHardState,
  decodeSnapshotMeta,
  encodeHardState,
  encodeSnapshotMeta,
} from "../../codec/payloads.js";
import type { PackedEntries } from "../../packed-entries.js";
import type { GroupIdentity } from "../../ports.js";
import type { EntryPlace, GroupState, TermRun } from "./group-state.js";

/** The numbers that stand for sections in a block's table. */
export const sectionType = Object.freeze({
  checkpoint: 1,
  created: 2,
  deleted: 3,
  stored: 4,
  snapshot: 5,
  compacted: 6,
  moved: 7,
});

export type StoredBody = {
  readonly hardState: HardState | null;
  readonly truncateFrom: LogIndex;
  readonly entries: PackedEntries;
};

export type MovedBody = {
  readonly fromSegment: number;
  readonly entries: readonly Entry[];
};

export type CheckpointBody = {
  readonly nextGroup: number;
  readonly groups: readonly GroupState[];
};

function writeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.f64(entries[0]?.index ?? 0);
  writer.u32(entries.length);
  for (let at = 0; at < entries.length; at++) writeEntry(writer, entries[at]!);
}

function readEntriesBy<T>(
  reader: ByteReader,
  read: (reader: ByteReader, count: number, firstIndex: LogIndex) => T,
): T {
  const firstIndex = reader.integer("first index");
  return read(reader, reader.u32("count of entries"), firstIndex);
}

export function writeStored(
  writer: ByteWriter,
  hardState: HardState | null,
  truncateFrom: LogIndex,
  entries: readonly Entry[],
): void {
  writer.bool(hardState !== null);
  if (hardState !== null) writer.sized(encodeHardState(hardState));
  writer.f64(truncateFrom);
  writeEntries(writer, entries);
}

export function readStored(reader: ByteReader): StoredBody {
  const hardState = reader.bool("hard state") ? decodeHardState(reader.sized("hard state")) : null;
  const truncateFrom = reader.integer("truncateFrom");
  const entries = readEntriesBy(reader, readPackedEntries);
  reader.finish("stored");
  return { hardState, truncateFrom, entries };
}

export function writeMoved(
  writer: ByteWriter,
  fromSegment: number,
  entries: readonly Entry[],
): void {
  writer.f64(fromSegment);
  writeEntries(writer, entries);
}

export function readMoved(reader: ByteReader): MovedBody {
  const fromSegment = reader.integer("segment");
  const entries = readEntriesBy(reader, readEntries);
  reader.finish("moved");
  return { fromSegment, entries };
}

export function writeIndex(writer: ByteWriter, index: LogIndex): void {
  writer.f64(index);
}

export function readIndex(reader: ByteReader): LogIndex {
  const index = reader.integer("index");
  reader.finish("compacted");
  return index;
}

export function writeSnapshotMeta(writer: ByteWriter, snapshot: SnapshotMeta): void {
  writer.raw(encodeSnapshotMeta(snapshot));
}

export function readSnapshotMeta(reader: ByteReader): SnapshotMeta {
  return decodeSnapshotMeta(reader.take(reader.end - reader.offset, "snapshot"));
}

function encodeIdentity(identity: GroupIdentity): Uint8Array {
  const { group, groupId, memberId, address, valueName } = identity;
  return utf8(JSON.stringify({ group, groupId, memberId, address, valueName }));
}

export function writeIdentityBody(writer: ByteWriter, identity: GroupIdentity): void {
  writer.raw(encodeIdentity(identity));
}

function decodeIdentity(bytes: Uint8Array): GroupIdentity {
  const fields = JSON.parse(textOf(bytes, "identity")) as Record<string, unknown>;
  const field = (name: string): string => {
    const value = fields[name];
    return typeof value === "string" ? value : refuseBytes(`identity.${name} is not a string`);
  };
  return {
    group: field("group"),
    groupId: field("groupId"),
    memberId: field("memberId"),
    address: field("address"),
    valueName: field("valueName"),
  };
}

export function readIdentityBody(reader: ByteReader): GroupIdentity {
  return decodeIdentity(reader.take(reader.end - reader.offset, "identity"));
}

function writeGroup(writer: ByteWriter, group: GroupState): void {
  writer.u32(group.number);
  writer.sized(encodeIdentity(group.identity));
  writer.sized(encodeHardState(group.hardState));
  writer.sized(group.snapshot === null ? new Uint8Array(0) : encodeSnapshotMeta(group.snapshot));
  writer.f64(group.firstIndex);
  writer.f64(group.lastIndex);
  writer.u32(group.terms.length);
  for (const run of group.terms) {
    writer.f64(run.from);
    writer.f64(run.term);
  }
  writer.u32(group.places.length);
  for (const place of group.places) {
    writer.f64(place.segment);
    writer.f64(place.first);
    writer.f64(place.last);
    writer.f64(place.bytes);
  }
  writer.text(group.damage ?? "");
}

function readGroup(reader: ByteReader): GroupState {
  const number = reader.u32("group number");
  const identity = decodeIdentity(reader.sized("identity"));
  const hardState = decodeHardState(reader.sized("hard state"));
  const meta = reader.sized("snapshot");
  const snapshot = meta.length === 0 ? null : decodeSnapshotMeta(meta);
  const firstIndex = reader.integer("firstIndex");
  const lastIndex = reader.integer("lastIndex");
  const terms: TermRun[] = [];
  for (let left = reader.count(16, "term runs"); left > 0; left--) {
    terms.push({ from: reader.integer("term run"), term: reader.integer("term run") });
  }
  const places: EntryPlace[] = [];
  for (let left = reader.count(32, "places"); left > 0; left--) {
    const segment = reader.integer("place");
    const first = reader.integer("place");
    const last = reader.integer("place");
    places.push({ segment, first, last, bytes: reader.integer("place") });
  }
  const damage = reader.text("damage");
  return {
    number,
    identity,
    hardState,
    snapshot,
    firstIndex,
    lastIndex,
    terms,
    places,
    damage: damage === "" ? null : damage,
  };
}

export function encodeCheckpoint(nextGroup: number, groups: Iterable<GroupState>): Uint8Array {
  const writer = new ByteWriter(1024);
  const list = [...groups];
  writer.u32(nextGroup);
  writer.u32(list.length);
  for (const group of list) writeGroup(writer, group);
  return writer.finish();
}

export function readCheckpoint(reader: ByteReader): CheckpointBody {
  const nextGroup = reader.u32("next group's number");
  const groups: GroupState[] = [];
  for (let left = reader.count(40, "groups"); left > 0; left--) groups.push(readGroup(reader));
  reader.finish("checkpoint");
  return { nextGroup, groups };
}
