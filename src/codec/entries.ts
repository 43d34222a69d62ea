/**
 * Log entries as bytes, for the wire and for the disk alike.
 *
 * One entry: u8 kind (bit 7: wide), u32 length of the body, then term, session, sequence and
 * lowestOutstanding as u32 each (narrow) or float64 each (wide), timeMs as float64, the body.
 * Little-endian. The index is not written: entries are contiguous and their place is known from
 * outside. A `membership` or `config` entry has its payload where others have their body.
 */
import type { Entry, GroupConfig, LogIndex, Membership } from "../core/types.js";
import {
  copyBody,
  copyBytes,
  entryKinds,
  fieldsPerEntry,
  kindCode,
  kindCodes,
  largestCopiedBytes,
  type PackedEntries,
  packNumbers,
} from "../packed-entries.js";
import {
  type ByteReader,
  ByteWriter,
  emptyBytes,
  integerAt,
  isU32,
  refuseBytes,
  roomBesideParts,
} from "./bytes.js";
import { decodeConfig, decodeMembership, encodePayload } from "./payloads.js";

/** Bytes of an entry beside its body, at least. */
export const narrowEntryBytes = 29;
/** Bytes of an entry beside its body, at most. */
export const wideEntryBytes = 45;

const wideBit = 0x80;
/** The codes below it are of kinds without a payload. */
const simpleKinds = kindCodes.membership;

function bodyOf(entry: Entry): Uint8Array {
  return entry.kind === "membership" || entry.kind === "config" ? encodePayload(entry) : entry.body;
}

/**
 * Appends one entry (without its index). Its numbers are read before any is written: V8 compiles the calls
 * of a DataView into a store each only where nothing polymorphic, as an entry from here or there is,
 * comes between.
 */
export function writeEntry(writer: ByteWriter, entry: Entry): void {
  const body = bodyOf(entry);
  const { kind, term, session, sequence, lowestOutstanding, timeMs } = entry;
  const length = body.length;
  const room = roomBesideParts(length);
  writer.ensure(wideEntryBytes + room);
  const { view, bytes } = writer;
  let at = writer.offset;
  const narrow = isU32(term) && isU32(session) && isU32(sequence) && isU32(lowestOutstanding);
  bytes[at] = kindCode(kind) | (narrow ? 0 : wideBit);
  view.setUint32(at + 1, length, true);
  if (narrow) {
    view.setUint32(at + 5, term, true);
    view.setUint32(at + 9, session, true);
    view.setUint32(at + 13, sequence, true);
    view.setUint32(at + 17, lowestOutstanding, true);
    view.setFloat64(at + 21, timeMs, true);
    at += narrowEntryBytes;
  } else {
    view.setFloat64(at + 5, term, true);
    view.setFloat64(at + 13, session, true);
    view.setFloat64(at + 21, sequence, true);
    view.setFloat64(at + 29, lowestOutstanding, true);
    view.setFloat64(at + 37, timeMs, true);
    at += wideEntryBytes;
  }
  if (room === length) {
    writer.offset = copyBody(bytes, at, body);
  } else {
    writer.offset = at;
    writer.raw(body);
  }
}

/** Reads one entry and gives it `index`. Its body is a view into the reader's bytes. */
export function readEntry(reader: ByteReader, index: LogIndex): Entry {
  reader.need(narrowEntryBytes, "entry header");
  const { view, bytes } = reader;
  const at = reader.offset;
  const head = bytes[at]!;
  const kind = entryKinds[head & ~wideBit];
  if (kind === undefined) return refuseBytes(`entry kind ${head & ~wideBit} is unknown`);
  const length = view.getUint32(at + 1, true);
  let term: number;
  let session: number;
  let sequence: number;
  let lowestOutstanding: number;
  let timeMs: number;
  let from: number;
  if ((head & wideBit) === 0) {
    term = view.getUint32(at + 5, true);
    session = view.getUint32(at + 9, true);
    sequence = view.getUint32(at + 13, true);
    lowestOutstanding = view.getUint32(at + 17, true);
    timeMs = view.getFloat64(at + 21, true);
    from = at + narrowEntryBytes;
  } else {
    reader.need(wideEntryBytes, "entry header");
    term = integerAt(view, at + 5, "entry term");
    session = integerAt(view, at + 13, "entry session");
    sequence = integerAt(view, at + 21, "entry sequence");
    lowestOutstanding = integerAt(view, at + 29, "entry lowestOutstanding");
    timeMs = view.getFloat64(at + 37, true);
    from = at + wideEntryBytes;
  }
  if (!Number.isFinite(timeMs)) refuseBytes("entry timeMs is not a finite number");
  if (length > reader.end - from) {
    refuseBytes(`entry body needs ${length} bytes, ${reader.end - from} are left`);
  }
  reader.offset = from + length;
  let body = reader.viewOf(from, length);
  let payload: Membership | GroupConfig | null = null;
  if (kind === "membership") {
    payload = decodeMembership(body);
    body = emptyBytes;
  } else if (kind === "config") {
    payload = decodeConfig(body);
    body = emptyBytes;
  }
  return { index, term, kind, session, sequence, lowestOutstanding, timeMs, body, payload };
}

/** An upper bound of the bytes of `entries` that only payloads exceed. */
export function entriesSizeHint(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += wideEntryBytes + entries[i]!.body.length;
  return size;
}

/**
 * The entries one behind the other, without their indices and without their count. In parts: large bodies
 * stay where they are.
 */
export function encodeEntries(entries: readonly Entry[]): readonly Uint8Array[] {
  let size = 0;
  for (let i = 0; i < entries.length; i++) {
    size += wideEntryBytes + roomBesideParts(entries[i]!.body.length);
  }
  const writer = new ByteWriter(size);
  writer.makeParts();
  for (let i = 0; i < entries.length; i++) writeEntry(writer, entries[i]!);
  return writer.finishParts();
}

/** Reads `count` entries, the first of which has `firstIndex`. */
export function readEntries(reader: ByteReader, count: number, firstIndex: LogIndex): Entry[] {
  checkCount(reader, count, firstIndex);
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(reader, firstIndex + i));
  return entries;
}

function checkCount(reader: ByteReader, count: number, firstIndex: LogIndex): void {
  if (count * narrowEntryBytes > reader.end - reader.offset) {
    refuseBytes(`${count} entries declared, more than ${reader.end - reader.offset} bytes hold`);
  }
  if (!Number.isSafeInteger(firstIndex + count)) refuseBytes("entry index exceeds 2^53 - 1");
}

/**
 * As `readEntries`, in columns, for a log that is read back: a million entries without an object for each.
 * Bodies are copied, unless they are large.
 */
export function readPackedEntries(
  reader: ByteReader,
  count: number,
  firstIndex: LogIndex,
): PackedEntries {
  checkCount(reader, count, firstIndex);
  const numbers = new Float64Array(count * fieldsPerEntry);
  const kinds = new Uint8Array(count);
  const ends = new Uint32Array(count);
  const bodies = new Uint8Array(reader.end - reader.offset - count * narrowEntryBytes);
  let whole: Map<number, Entry> | null = null;
  let end = 0;
  const { view, bytes } = reader;
  for (let position = 0; position < count; position++) {
    const offset = reader.offset;
    const entryEnd = endOfSimple(reader, bodies.length - end);
    const at = position * fieldsPerEntry;
    if (entryEnd > 0) {
      kinds[position] = bytes[offset]!;
      numbers[at] = view.getUint32(offset + 5, true);
      numbers[at + 1] = view.getUint32(offset + 9, true);
      numbers[at + 2] = view.getUint32(offset + 13, true);
      numbers[at + 3] = view.getUint32(offset + 17, true);
      numbers[at + 4] = view.getFloat64(offset + 21, true);
      end = copyBytes(bodies, end, bytes, offset + narrowEntryBytes, entryEnd);
      reader.offset = entryEnd;
    } else {
      const entry = readEntry(reader, firstIndex + position);
      kinds[position] = kindCode(entry.kind);
      packNumbers(numbers, at, entry);
      (whole ??= new Map()).set(position, entry);
    }
    ends[position] = end;
  }
  return { first: firstIndex, count, numbers, kinds, ends, bodies, whole };
}

/**
 * Where the next entry ends if it is narrow, of sound form, without a payload and of a body that is
 * worth copying. 0 for all others. A body above `roomBytes` leaves too few bytes for the entries behind it.
 */
function endOfSimple({ view, bytes, offset, end }: ByteReader, roomBytes: number): number {
  if (end - offset < narrowEntryBytes || bytes[offset]! >= simpleKinds) return 0;
  const length = view.getUint32(offset + 1, true);
  const entryEnd = offset + narrowEntryBytes + length;
  const sound = Number.isFinite(view.getFloat64(offset + 21, true)) && entryEnd <= end;
  return sound && length <= largestCopiedBytes && length <= roomBytes ? entryEnd : 0;
}

const noParts: readonly Uint8Array[] = Object.freeze([]);

/**
 * Keeps the bytes of the last few runs of entries, so that a run that goes to several peers is encoded once.
 *
 * A run is known by its first and last entry objects and its length: within one log nothing between
 * them can differ. Clear or drop the cache at the end of a turn, so that it pins nothing.
 */
export class EntriesCache {
  #runs: { first: Entry; last: Entry; count: number; parts: readonly Uint8Array[] }[] = [];

  /** In parts, of which large ones are bodies where they lie. */
  partsOf(entries: readonly Entry[]): readonly Uint8Array[] {
    const count = entries.length;
    if (count === 0) return noParts;
    const first = entries[0]!;
    const last = entries[count - 1]!;
    for (const run of this.#runs) {
      if (run.first === first && run.last === last && run.count === count) return run.parts;
    }
    const parts = encodeEntries(entries);
    // Peers that lag behind at different places bring runs of their own; a few are enough.
    if (this.#runs.length >= 4) this.#runs.shift();
    this.#runs.push({ first, last, count, parts });
    return parts;
  }

  clear(): void {
    if (this.#runs.length > 0) this.#runs = [];
  }
}
