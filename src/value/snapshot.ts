/**
 * The value, the sessions and the retained ids as bytes, and back (hazards 54 and 58).
 *
 * ```
 * u8 form · index of the last entry · reply hash there · sessions (session-bytes.ts) · the value
 * ```
 * The value reaches to the end. What the snapshot stands for otherwise (term, membership,
 * configuration, version of the value) is in its `SnapshotMeta`.
 */
import type { SnapshotMeta } from "../core/types.js";
import { disarm, messageOf, RaftError } from "../errors.js";
import type { ArrivingBytes, Codec } from "../ports.js";
import { type Applier, setValue } from "./applier.js";
import { addBytes, type BytesHash } from "./bytes-hash.js";
import { allArrived, ByteReader, ByteWriter } from "./byte-stream.js";
import { decodeArriving, encodePieces, untilArrived } from "./encoded.js";
import { createReplyHashes } from "./reply-hashes.js";
import { readSessions, skipSessions, writeSessions } from "./session-bytes.js";
import type { Sessions } from "./sessions.js";
import type { AnyDefinedValue } from "./types.js";

/** Raised when the form above changes. */
const snapshotForm = 1;

/** `immediate`: all of it is encoded already, so whoever pulls it need not pause. */
export type EncodedSnapshot = {
  readonly pieces: Iterator<Uint8Array>;
  readonly immediate: boolean;
};

/**
 * The pieces of a snapshot of the applier as it is now, whatever is applied while they are pulled.
 *
 * The sessions are encoded at once. A value that handlers replace is encoded while it is pulled; of one
 * that they change in place a copy is, or all of it at once where the codec cannot make one. `next`
 * throws what the codec threw when the value has no encoding. The value's own bytes go into `hash` as
 * they are pulled.
 */
export function encodeSnapshot(applier: Applier, hash: BytesHash | null = null): EncodedSnapshot {
  const writer = new ByteWriter();
  writer.byte(snapshotForm);
  writer.integer(applier.lastApplied);
  writer.integer(applier.hashes.current);
  writeSessions(writer, applier.sessions);
  const { codec, value, definition } = applier;
  const head = writer.finish();
  const piecesFor = (one: unknown) => piecesOf(head, hashed(codec, one, hash));
  if (!definition.mutable) return { pieces: piecesFor(value), immediate: false };
  const captured = captureWith(codec, value);
  if (captured === null) return { pieces: pullAll(piecesFor(value)), immediate: true };
  return { pieces: piecesFor(captured.value), immediate: false };
}

/** Null: the codec makes no copies (a promise is none), or the value has no encoding, which encoding it explains. */
function captureWith(codec: Codec, value: unknown): { readonly value: unknown } | null {
  if (codec.capture === undefined || codec.encodeSlices === undefined) return null;
  try {
    const captured = codec.capture(value);
    return disarm(captured) ? null : { value: captured };
  } catch {
    return null;
  }
}

function* piecesOf(
  head: readonly Uint8Array[],
  value: Generator<Uint8Array, void>,
): Generator<Uint8Array, void> {
  yield* head;
  yield* value;
}

function* hashed(
  codec: Codec,
  value: unknown,
  hash: BytesHash | null,
): Generator<Uint8Array, void> {
  for (const piece of encodePieces(codec, value)) {
    if (hash !== null) addBytes(hash, piece);
    yield piece;
  }
}

function pullAll(pieces: Generator<Uint8Array, void>): Iterator<Uint8Array> {
  const pulled: Uint8Array[] = [];
  let failure: { readonly error: unknown } | null = null;
  try {
    for (const piece of pieces) pulled.push(piece);
  } catch (error) {
    failure = { error };
  }
  return giveBack(pulled, failure);
}

function* giveBack(
  pulled: readonly Uint8Array[],
  failure: { readonly error: unknown } | null,
): Generator<Uint8Array, void> {
  yield* pulled;
  if (failure !== null) throw failure.error;
}

/** What the bytes of a snapshot hold, with the value in the form of this program's version. */
export type DecodedSnapshot = {
  readonly value: unknown;
  readonly sessions: Sessions;
  readonly hash: number;
};

/**
 * Reads a snapshot slice by slice, as far as the codec can, so that a big one does not stop the event loop: yields
 * between two slices, and where it has to wait for bytes that are still coming in. Refuses:
 *
 * - `storageCorrupt`: the bytes are no snapshot, or not the one at `meta.index`.
 * - `invalidValue`: an older version of the value wrote it, and `upgrade` is missing, throws or returns a promise.
 * - `storageMismatch`: a newer version of the value wrote it.
 */
export function* decodeSnapshot(
  { codec, definition }: Applier,
  meta: SnapshotMeta,
  arriving: ArrivingBytes,
): Generator<undefined, DecodedSnapshot> {
  checkReadable(definition, meta);
  let read: DecodedSnapshot;
  try {
    const { sessions, hash, valueAt } = yield* readHead(meta, arriving);
    yield undefined;
    const value = yield* decodeArriving(codec, arriving, valueAt);
    read = { value, sessions, hash };
  } catch (cause) {
    throw new RaftError(
      "storageCorrupt",
      `the snapshot of value "${definition.name}" at index ${meta.index} cannot be read: ` +
        messageOf(cause),
      { cause },
    );
  }
  return { ...read, value: upgraded(definition, read.value, meta.valueVersion) };
}

type SnapshotHead = {
  readonly hash: number;
  readonly sessions: Sessions;
  /** Where the value begins. */
  readonly valueAt: number;
};

/**
 * Looked through anew from its beginning, with twice as much each time, until all of it has arrived: then it is read,
 * once, because many sessions take long.
 */
function* readHead(
  meta: SnapshotMeta,
  arriving: ArrivingBytes,
): Generator<undefined, SnapshotHead> {
  const total = arriving.bytes.length;
  for (;;) {
    const { arrived } = arriving;
    if (arrived >= total || hasWholeHead(arriving.bytes.subarray(0, arrived))) break;
    yield* untilArrived(arriving, Math.min(total, Math.max(1, 2 * arrived)));
  }
  try {
    return readHeadOf(meta, arriving.bytes.subarray(0, arriving.arrived));
  } catch (error) {
    yield* untilArrived(arriving, total);
    throw error;
  }
}

function hasWholeHead(bytes: Uint8Array): boolean {
  const reader = new ByteReader(bytes);
  try {
    reader.byte();
    reader.integer();
    reader.integer();
    skipSessions(reader);
    return true;
  } catch {
    return false;
  }
}

function readHeadOf(meta: SnapshotMeta, bytes: Uint8Array): SnapshotHead {
  const reader = new ByteReader(bytes);
  const form = reader.byte();
  if (form !== snapshotForm) throw new Error(`form ${form} is not known to this release`);
  const index = reader.integer();
  if (index !== meta.index) throw new Error(`it was taken at index ${index}`);
  const hash = reader.integer();
  const sessions = readSessions(reader, meta.config);
  return { hash, sessions, valueAt: bytes.length - reader.remaining };
}

/** Makes the applier what it was where the snapshot was taken. */
export function adoptSnapshot(
  applier: Applier,
  meta: SnapshotMeta,
  { value, sessions, hash }: DecodedSnapshot,
): void {
  setValue(applier, value);
  applier.sessions = sessions;
  applier.hashes = createReplyHashes(meta.index, hash);
  applier.lastApplied = meta.index;
}

/** Both at once. Refuses as `decodeSnapshot` does, and leaves the applier as it is. */
export function restoreSnapshot(
  applier: Applier,
  meta: SnapshotMeta,
  pieces: readonly Uint8Array[],
): void {
  const slices = decodeSnapshot(applier, meta, allArrived(pieces));
  let slice = slices.next();
  while (slice.done !== true) slice = slices.next();
  adoptSnapshot(applier, meta, slice.value);
}

/** Refuses as `decodeSnapshot` does, of what there is to refuse before any of its bytes are there. */
export function checkReadable(
  definition: AnyDefinedValue,
  { valueVersion: from }: Pick<SnapshotMeta, "valueVersion">,
): void {
  const { name, version, upgrade, compatibleVersions } = definition;
  if (from === version || compatibleVersions.includes(from)) return;
  if (from > version) {
    throw new RaftError(
      "storageMismatch",
      `version ${from} of value "${name}" wrote the snapshot and this program has version ` +
        `${version}: run version ${from} or newer`,
    );
  }
  if (upgrade !== null) return;
  throw new RaftError(
    "invalidValue",
    `version ${from} of value "${name}" wrote the snapshot and this program has version ${version}: ` +
      `give defineValue an "upgrade", or name ${from} in "compatibleVersions" if the value's shape ` +
      `is the same`,
  );
}

function upgraded(definition: AnyDefinedValue, value: unknown, from: number): unknown {
  const { name, version, upgrade } = definition;
  if (upgrade === null || from >= version) return value;
  const what = `upgrade of value "${name}" from version ${from} to ${version}`;
  let next: unknown;
  try {
    next = upgrade(value, from);
    if (!disarm(next)) return next;
  } catch (cause) {
    throw new RaftError("invalidValue", `${what} threw: ${messageOf(cause)}`, { cause });
  }
  throw new RaftError("invalidValue", `${what} returned a promise; it must be synchronous`);
}
