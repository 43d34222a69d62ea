/** The messages between members as bytes: u8 type, then the fields in the order of core/types.ts. */
import type {
  AppendEntries,
  AppendEntriesReply,
  InstallSnapshot,
  Message,
  SnapshotMark,
} from "../core/types.js";
import { type ByteReader, type ByteWriter, refuseBytes } from "./bytes.js";
import { type EntriesCache, narrowEntryBytes, readEntries, writeEntry } from "./entries.js";
import { decodeSnapshotMeta, encodeSnapshotMeta } from "./payloads.js";
import type { Repeatable } from "./types.js";

const codes = Object.freeze({
  preVote: 1,
  preVoteReply: 2,
  requestVote: 3,
  requestVoteReply: 4,
  appendEntries: 5,
  appendEntriesReply: 6,
  installSnapshot: 7,
  installSnapshotReply: 8,
  timeoutNow: 9,
  readIndex: 10,
  readIndexReply: 11,
  compareHashes: 12,
} as const satisfies Record<Message["type"], number>);

/** No entries, and nothing refused: everything else is said once. */
export function isRepeatable(message: Message): message is Repeatable {
  if (message.type === "appendEntries") return message.entries.length === 0;
  return message.type === "appendEntriesReply" && message.success;
}

/** Bytes of an appendEntries before its entries; also enough for every other fixed message. */
export const messageHeaderBytes = 64;

function writeAppendEntries(
  writer: ByteWriter,
  message: AppendEntries,
  cache: EntriesCache | null,
): void {
  writer.ensure(messageHeaderBytes);
  const { view } = writer;
  const at = writer.offset;
  view.setUint8(at, codes.appendEntries);
  view.setFloat64(at + 1, message.term, true);
  view.setFloat64(at + 9, message.prevLogIndex, true);
  view.setFloat64(at + 17, message.prevLogTerm, true);
  view.setFloat64(at + 25, message.commitIndex, true);
  view.setFloat64(at + 33, message.round, true);
  view.setFloat64(at + 41, message.sentAtMs, true);
  view.setFloat64(at + 49, message.promiseMs, true);
  const { entries } = message;
  view.setUint32(at + 57, entries.length, true);
  writer.offset = at + 61;
  if (cache !== null) for (const part of cache.partsOf(entries)) writer.raw(part);
  else for (let i = 0; i < entries.length; i++) writeEntry(writer, entries[i]!);
}

function writeAppendEntriesReply(writer: ByteWriter, message: AppendEntriesReply): void {
  writer.ensure(messageHeaderBytes);
  const { view } = writer;
  const at = writer.offset;
  view.setUint8(at, codes.appendEntriesReply);
  view.setFloat64(at + 1, message.term, true);
  view.setUint8(at + 9, message.success ? 1 : 0);
  view.setFloat64(at + 10, message.matchIndex, true);
  view.setFloat64(at + 18, message.hintIndex, true);
  view.setFloat64(at + 26, message.hintTerm, true);
  view.setFloat64(at + 34, message.round, true);
  view.setFloat64(at + 42, message.sentAtMs, true);
  writer.offset = at + 50;
}

function writeInstallSnapshot(writer: ByteWriter, message: InstallSnapshot): void {
  writer.f64(message.term);
  writer.sized(encodeSnapshotMeta(message.snapshot));
  writer.f64(message.offset);
  writer.f64(message.round);
  writer.f64(message.sentAtMs);
  writer.f64(message.promiseMs);
  writer.sized(message.data);
}

/** Appends one message. With a cache, equal runs of entries are encoded once. */
export function writeMessage(
  writer: ByteWriter,
  message: Message,
  cache: EntriesCache | null = null,
): void {
  if (message.type === "appendEntries") return writeAppendEntries(writer, message, cache);
  if (message.type === "appendEntriesReply") return writeAppendEntriesReply(writer, message);
  writer.u8(codes[message.type]);
  switch (message.type) {
    case "preVote":
      writer.f64(message.term);
      writer.f64(message.lastLogIndex);
      writer.f64(message.lastLogTerm);
      return;
    case "preVoteReply":
      writer.f64(message.term);
      writer.f64(message.requestTerm);
      writer.bool(message.granted);
      writer.bool(message.removed);
      return;
    case "requestVote":
      writer.f64(message.term);
      writer.f64(message.lastLogIndex);
      writer.f64(message.lastLogTerm);
      writer.bool(message.transfer);
      return;
    case "requestVoteReply":
      writer.f64(message.term);
      writer.bool(message.granted);
      return;
    case "installSnapshot":
      return writeInstallSnapshot(writer, message);
    case "installSnapshotReply":
      writer.f64(message.term);
      writer.f64(message.snapshotIndex);
      writer.f64(message.snapshotTerm);
      writer.f64(message.offset);
      writer.bool(message.installed);
      writer.f64(message.round);
      writer.f64(message.sentAtMs);
      return;
    case "timeoutNow":
      writer.f64(message.term);
      return;
    case "readIndex":
      writer.f64(message.term);
      writer.f64(message.batch);
      return;
    case "readIndexReply":
      writer.f64(message.term);
      writer.f64(message.batch);
      writer.f64(message.readIndex);
      return;
    case "compareHashes":
      if (message.indices.length !== message.hashes.length) {
        refuseBytes("compareHashes has as many hashes as indices");
      }
      writer.f64(message.term);
      writer.u32(message.indices.length);
      for (const index of message.indices) writer.f64(index);
      for (const hash of message.hashes) writer.f64(hash);
      return writeMark(writer, message.snapshot);
    default:
      message satisfies never;
  }
}

function readAppendEntries(reader: ByteReader): AppendEntries {
  const term = reader.integer("appendEntries.term");
  const prevLogIndex = reader.integer("appendEntries.prevLogIndex");
  const prevLogTerm = reader.integer("appendEntries.prevLogTerm");
  const commitIndex = reader.integer("appendEntries.commitIndex");
  const round = reader.integer("appendEntries.round");
  const sentAtMs = reader.finite("appendEntries.sentAtMs");
  const promiseMs = reader.finite("appendEntries.promiseMs");
  const count = reader.count(narrowEntryBytes, "appendEntries.entries");
  const entries = readEntries(reader, count, prevLogIndex + 1);
  return {
    type: "appendEntries",
    term,
    prevLogIndex,
    prevLogTerm,
    commitIndex,
    round,
    sentAtMs,
    promiseMs,
    entries,
  };
}

function readAppendEntriesReply(reader: ByteReader): AppendEntriesReply {
  return {
    type: "appendEntriesReply",
    term: reader.integer("appendEntriesReply.term"),
    success: reader.bool("appendEntriesReply.success"),
    matchIndex: reader.integer("appendEntriesReply.matchIndex"),
    hintIndex: reader.integer("appendEntriesReply.hintIndex"),
    hintTerm: reader.integer("appendEntriesReply.hintTerm"),
    round: reader.integer("appendEntriesReply.round"),
    sentAtMs: reader.finite("appendEntriesReply.sentAtMs"),
  };
}

function readInstallSnapshot(reader: ByteReader): InstallSnapshot {
  const term = reader.integer("installSnapshot.term");
  const snapshot = decodeSnapshotMeta(reader.sized("installSnapshot.snapshot"));
  const offset = reader.integer("installSnapshot.offset");
  const round = reader.integer("installSnapshot.round");
  const sentAtMs = reader.finite("installSnapshot.sentAtMs");
  const promiseMs = reader.finite("installSnapshot.promiseMs");
  const data = reader.sized("installSnapshot.data");
  return {
    type: "installSnapshot",
    term,
    snapshot,
    offset,
    data,
    round,
    sentAtMs,
    promiseMs,
  };
}

function readCompareHashes(reader: ByteReader): Message {
  const term = reader.integer("compareHashes.term");
  const count = reader.count(16, "compareHashes.indices");
  const indices: number[] = [];
  const hashes: number[] = [];
  for (let i = 0; i < count; i++) indices.push(reader.integer("compareHashes.indices"));
  for (let i = 0; i < count; i++) hashes.push(reader.finite("compareHashes.hashes"));
  return { type: "compareHashes", term, indices, hashes, snapshot: readMark(reader) };
}

function writeMark(writer: ByteWriter, mark: SnapshotMark | null): void {
  writer.bool(mark !== null);
  if (mark === null) return;
  writer.f64(mark.index);
  writer.f64(mark.valueHash);
  writer.f64(mark.valueVersion);
  writer.f64(mark.sizeBytes);
}

function readMark(reader: ByteReader): SnapshotMark | null {
  if (!reader.bool("compareHashes.snapshot")) return null;
  return {
    index: reader.integer("compareHashes.snapshot.index"),
    valueHash: reader.finite("compareHashes.snapshot.valueHash"),
    valueVersion: reader.integer("compareHashes.snapshot.valueVersion"),
    sizeBytes: reader.integer("compareHashes.snapshot.sizeBytes"),
  };
}

/** Reads one message; bodies and snapshot data are views into the reader's bytes. */
export function readMessage(reader: ByteReader): Message {
  const code = reader.u8("message type");
  switch (code) {
    case codes.appendEntries:
      return readAppendEntries(reader);
    case codes.appendEntriesReply:
      return readAppendEntriesReply(reader);
    case codes.preVote:
      return {
        type: "preVote",
        term: reader.integer("preVote.term"),
        lastLogIndex: reader.integer("preVote.lastLogIndex"),
        lastLogTerm: reader.integer("preVote.lastLogTerm"),
      };
    case codes.preVoteReply:
      return {
        type: "preVoteReply",
        term: reader.integer("preVoteReply.term"),
        requestTerm: reader.integer("preVoteReply.requestTerm"),
        granted: reader.bool("preVoteReply.granted"),
        removed: reader.bool("preVoteReply.removed"),
      };
    case codes.requestVote:
      return {
        type: "requestVote",
        term: reader.integer("requestVote.term"),
        lastLogIndex: reader.integer("requestVote.lastLogIndex"),
        lastLogTerm: reader.integer("requestVote.lastLogTerm"),
        transfer: reader.bool("requestVote.transfer"),
      };
    case codes.requestVoteReply:
      return {
        type: "requestVoteReply",
        term: reader.integer("requestVoteReply.term"),
        granted: reader.bool("requestVoteReply.granted"),
      };
    case codes.installSnapshot:
      return readInstallSnapshot(reader);
    case codes.installSnapshotReply:
      return {
        type: "installSnapshotReply",
        term: reader.integer("installSnapshotReply.term"),
        snapshotIndex: reader.integer("installSnapshotReply.snapshotIndex"),
        snapshotTerm: reader.integer("installSnapshotReply.snapshotTerm"),
        offset: reader.integer("installSnapshotReply.offset"),
        installed: reader.bool("installSnapshotReply.installed"),
        round: reader.integer("installSnapshotReply.round"),
        sentAtMs: reader.finite("installSnapshotReply.sentAtMs"),
      };
    case codes.timeoutNow:
      return { type: "timeoutNow", term: reader.integer("timeoutNow.term") };
    case codes.readIndex:
      return {
        type: "readIndex",
        term: reader.integer("readIndex.term"),
        batch: reader.integer("readIndex.batch"),
      };
    case codes.readIndexReply:
      return {
        type: "readIndexReply",
        term: reader.integer("readIndexReply.term"),
        batch: reader.integer("readIndexReply.batch"),
        readIndex: reader.integer("readIndexReply.readIndex"),
      };
    case codes.compareHashes:
      return readCompareHashes(reader);
    default:
      return refuseBytes(`message type ${code} is unknown`);
  }
}
