/**
 * The rare structured things (membership, configuration, snapshot meta, hard state) as compact JSON.
 * What is read is rebuilt field by field, so that nothing unasked-for comes in.
 */
import { RaftError } from "../errors.js";
import type {
  Entry,
  GroupConfig,
  HardState,
  Learner,
  MemberInfo,
  Membership,
  SnapshotMeta,
} from "../core/types.js";
import { refuseBytes, textOf, utf8 } from "./bytes.js";
import { interned, internedInfo } from "./interned.js";

/** The order of the keys is the order on the wire: the same configuration gives the same bytes. */
const configKeys: Readonly<Record<keyof GroupConfig, true>> = Object.freeze({
  heartbeatMs: true,
  electionTimeoutMs: true,
  clockDriftMarginMs: true,
  maxSessions: true,
  maxRetainedCommandIds: true,
  maxReplyBytesPerSession: true,
  maxReplyBytes: true,
  maxCommandBytes: true,
  maxUncommittedBytes: true,
  maxAppendBytes: true,
  maxInflightBytes: true,
  maxInflightMessages: true,
  maxPendingReads: true,
  snapshotChunkBytes: true,
  snapshotLogFactor: true,
  minSnapshotLogBytes: true,
  maxSnapshotLogBytes: true,
  trailingLogBytes: true,
});

type Json = Readonly<Record<string, unknown>>;

function objectOf(value: unknown, field: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuseBytes(`${field} is not an object`);
  }
  return value as Json;
}

function arrayOf(value: unknown, field: string): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : refuseBytes(`${field} is not a list`);
}

function stringOf(value: unknown, field: string): string {
  return typeof value === "string" ? value : refuseBytes(`${field} is not a string`);
}

function stringsOf(value: unknown, field: string): readonly string[] {
  const items = arrayOf(value, field);
  return items.length === 0 ? none : items.map((item) => interned(stringOf(item, field)));
}

/** What most memberships have for `outgoing` and `learners`. */
const none: readonly never[] = Object.freeze([]);

function integerOf(value: unknown, field: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    return refuseBytes(`${field} is not an integer from 0 to 2^53 - 1`);
  }
  return value;
}

function finiteOf(value: unknown, field: string): number {
  return typeof value === "number" && Number.isFinite(value)
    ? value
    : refuseBytes(`${field} is not a finite number`);
}

/** Thousands of members fit in; a stranger's deep nesting must not cost us many times its bytes. */
const maxPayloadBytes = 1024 * 1024;

function parse(bytes: Uint8Array, field: string): unknown {
  if (bytes.length > maxPayloadBytes) {
    refuseBytes(`${field} has ${bytes.length} bytes, at most ${maxPayloadBytes} are allowed`);
  }
  const text = textOf(bytes, field);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return refuseBytes(`${field} is not JSON`);
  }
}

/** A plain copy with only the known fields, in a fixed order. */
export function membershipToJson(membership: Membership): unknown {
  return {
    voters: membership.voters,
    outgoing: membership.outgoing,
    learners: membership.learners.map((l) => [l.id, l.promote, l.replaces]),
    members: membership.members.map((m) => [m.id, m.address]),
  };
}

export function membershipFromJson(json: unknown, field: string): Membership {
  const object = objectOf(json, field);
  const listed = arrayOf(object.learners, `${field}.learners`);
  const learners = listed.map((item): Learner => {
    const [id, promote, replaces] = arrayOf(item, `${field}.learners`);
    if (typeof promote !== "boolean") refuseBytes(`${field}.learners.promote is not a boolean`);
    return {
      id: interned(stringOf(id, `${field}.learners.id`)),
      promote,
      replaces: replaces === null ? null : stringOf(replaces, `${field}.learners.replaces`),
    };
  });
  const members = arrayOf(object.members, `${field}.members`).map((item): MemberInfo => {
    const [id, address] = arrayOf(item, `${field}.members`);
    return internedInfo(
      stringOf(id, `${field}.members.id`),
      stringOf(address, `${field}.members.address`),
    );
  });
  return {
    voters: stringsOf(object.voters, `${field}.voters`),
    outgoing: stringsOf(object.outgoing, `${field}.outgoing`),
    learners: learners.length === 0 ? none : learners,
    members,
  };
}

export function configToJson(config: GroupConfig): unknown {
  const out: Record<string, number> = {};
  for (const key of Object.keys(configKeys) as (keyof GroupConfig)[]) out[key] = config[key];
  return out;
}

export function configFromJson(json: unknown, field: string): GroupConfig {
  const object = objectOf(json, field);
  const out: Record<string, number> = {};
  for (const key of Object.keys(configKeys)) out[key] = finiteOf(object[key], `${field}.${key}`);
  return out as GroupConfig;
}

export function encodeMembership(membership: Membership): Uint8Array {
  return utf8(JSON.stringify(membershipToJson(membership)));
}
export function decodeMembership(bytes: Uint8Array): Membership {
  return membershipFromJson(parse(bytes, "membership"), "membership");
}
export function encodeConfig(config: GroupConfig): Uint8Array {
  return utf8(JSON.stringify(configToJson(config)));
}
export function decodeConfig(bytes: Uint8Array): GroupConfig {
  return configFromJson(parse(bytes, "config"), "config");
}

export function encodeSnapshotMeta(meta: SnapshotMeta): Uint8Array {
  return utf8(
    JSON.stringify({
      index: meta.index,
      term: meta.term,
      timeMs: meta.timeMs,
      membership: membershipToJson(meta.membership),
      membershipIndex: meta.membershipIndex,
      config: configToJson(meta.config),
      sizeBytes: meta.sizeBytes,
      checksum: meta.checksum,
      valueVersion: meta.valueVersion,
    }),
  );
}
export function decodeSnapshotMeta(bytes: Uint8Array): SnapshotMeta {
  const object = objectOf(parse(bytes, "snapshot"), "snapshot");
  return {
    index: integerOf(object.index, "snapshot.index"),
    term: integerOf(object.term, "snapshot.term"),
    timeMs: finiteOf(object.timeMs, "snapshot.timeMs"),
    membership: membershipFromJson(object.membership, "snapshot.membership"),
    membershipIndex: integerOf(object.membershipIndex, "snapshot.membershipIndex"),
    config: configFromJson(object.config, "snapshot.config"),
    sizeBytes: integerOf(object.sizeBytes, "snapshot.sizeBytes"),
    checksum: integerOf(object.checksum, "snapshot.checksum"),
    valueVersion: integerOf(object.valueVersion, "snapshot.valueVersion"),
  };
}

export function encodeHardState(state: HardState): Uint8Array {
  return utf8(
    JSON.stringify({
      currentTerm: state.currentTerm,
      votedFor: state.votedFor,
      forcedRemovals: state.forcedRemovals,
    }),
  );
}
export function decodeHardState(bytes: Uint8Array): HardState {
  const object = objectOf(parse(bytes, "hardState"), "hardState");
  return {
    currentTerm: integerOf(object.currentTerm, "hardState.currentTerm"),
    votedFor: object.votedFor === null ? null : stringOf(object.votedFor, "hardState.votedFor"),
    forcedRemovals: stringsOf(object.forcedRemovals, "hardState.forcedRemovals"),
  };
}

/** What a `membership` or `config` entry carries in place of a body. */
export function encodePayload(entry: Entry): Uint8Array {
  if (entry.payload === null) {
    throw new RaftError("internal", `entry ${entry.index} of kind ${entry.kind} has no payload`);
  }
  return entry.kind === "membership"
    ? encodeMembership(entry.payload as Membership)
    : encodeConfig(entry.payload as GroupConfig);
}
