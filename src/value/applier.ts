/**
 * What `apply` means: committed entries, one after the other, become outcomes and a new value.
 *
 * Every member does this to the same bytes and must come to the same end. So the argument is decoded
 * from the entry on the leader as well (never the caller's own object), the only clock is the
 * entry's, and everything that can go wrong with one command is an outcome and not an exception.
 */
import type { Entry, GroupConfig, LogIndex, Membership } from "../core/types.js";
import { assert, broken, disarm, messageOf, RaftError } from "../errors.js";
import type { Codec } from "../ports.js";
import {
  createNameTable,
  decodeArg,
  decodeCommandBody,
  decodeQueryBody,
  nameOf,
  type NameTable,
} from "./body.js";
import { decodeArriving, decodePieces, decodeWith, encodePieces, encodeWith } from "./encoded.js";
import { createFreezer, freezeDeep, type Freezer } from "./freeze.js";
import {
  type Answer,
  ownHandler,
  refuseQuery,
  runMutable,
  runPure,
  runQuery,
  unknownName,
} from "./handlers.js";
import { failed, succeeded } from "./outcomes.js";
import {
  addOutcome,
  cloneReplyHashes,
  createReplyHashes,
  type ReplyHashes,
} from "./reply-hashes.js";
import { cloneSessions } from "./session-bytes.js";
import {
  createSessions,
  findCommandId,
  keepCommandId,
  keepReply,
  outcomeOf,
  raiseFloor,
  registerSession,
  type Sessions,
  setLimits,
  touchSession,
  unknownSession,
} from "./sessions.js";
import type { AnyDefinedValue, Outcome } from "./types.js";

export type Applier = {
  readonly definition: AnyDefinedValue;
  readonly codec: Codec;
  readonly names: NameTable;
  /** Null in production, and for values that are changed in place. */
  readonly freezer: Freezer | null;
  value: unknown;
  sessions: Sessions;
  hashes: ReplyHashes;
  lastApplied: LogIndex;
};

/**
 * An applier before the first entry. Refuses with `invalidValue` a definition whose `initial` throws,
 * returns a promise or returns what has no encoding, or whose codec returns promises.
 */
export function createApplier(
  definition: AnyDefinedValue,
  codec: Codec,
  config: GroupConfig,
  freeze: boolean,
): Applier {
  const applier: Applier = {
    definition,
    codec,
    names: createNameTable(definition),
    freezer: freeze && !definition.mutable ? createFreezer() : null,
    value: null,
    sessions: createSessions(config),
    hashes: createReplyHashes(0, 0),
    lastApplied: 0,
  };
  setValue(applier, initialValue(definition, codec));
  return applier;
}

/** Encoded and decoded once, so that it is what a restored member has, and belongs to nobody else. */
function initialValue(definition: AnyDefinedValue, codec: Codec): unknown {
  let does = "threw";
  try {
    const value: unknown = definition.initial();
    does = "returned what has no encoding";
    // A codec of somebody's own may make something of a promise.
    if (disarm(value)) throw new Error("a Promise; it must be synchronous");
    const bytes = encodeWith(codec, value);
    const read = decodeWith(codec, bytes);
    // How snapshots are written and read: better said now than when the first one is due.
    if (codec.encodeSlices !== undefined) encodePieces(codec, read).next();
    if (codec.decodeSlices !== undefined) decodePieces(codec, bytes).next();
    decodeArriving(codec, { bytes, arrived: 0, wanted: 0 }, 0).next();
    return read;
  } catch (cause) {
    const why = `value "${definition.name}": initial() ${does}: ${messageOf(cause)}`;
    throw new RaftError("invalidValue", why, { cause });
  }
}

export function setValue(applier: Applier, value: unknown): void {
  applier.value = value;
  if (applier.freezer !== null) freezeDeep(applier.freezer, value);
}

/** For values that are never changed in place: the copies share the value. */
export function cloneApplier(applier: Applier): Applier {
  assert(!applier.definition.mutable, "a value that is changed in place cannot be cloned");
  return {
    ...applier,
    sessions: cloneSessions(applier.sessions),
    hashes: cloneReplyHashes(applier.hashes),
  };
}

// ---------------------------------------------------------------------------------------------
// Entries

const registered: Outcome = Object.freeze(succeeded(new Uint8Array(0)));

/** Applies the next committed entry. Null for entries that answer nobody. */
export function applyEntry(applier: Applier, entry: Entry): Outcome | null {
  if (entry.index !== applier.lastApplied + 1) {
    broken(`apply: entry ${entry.index} does not follow ${applier.lastApplied}`);
  }
  const outcome = outcomeOfEntry(applier, entry);
  applier.lastApplied = entry.index;
  addOutcome(applier.hashes, entry.index, outcome);
  return outcome;
}

function outcomeOfEntry(applier: Applier, entry: Entry): Outcome | null {
  switch (entry.kind) {
    case "command":
      return applyCommand(applier, entry);
    case "register":
      registerSession(applier.sessions, entry.index);
      return registered;
    case "config":
      setLimits(applier.sessions, configOf(entry.payload, entry.index));
      return null;
    case "noop":
    case "membership":
      return null;
  }
}

function configOf(payload: Membership | GroupConfig | null, index: LogIndex): GroupConfig {
  assert(payload !== null && "maxSessions" in payload, `entry ${index} carries no configuration`);
  return payload;
}

function applyCommand(applier: Applier, entry: Entry): Outcome {
  const { sessions } = applier;
  const session = sessions.byId.get(entry.session);
  if (session === undefined) return unknownSession;
  touchSession(sessions, session);
  const { sequence, lowestOutstanding } = entry;
  if (!isCount(sequence) || !isCount(lowestOutstanding) || lowestOutstanding > sequence) {
    return badSequence;
  }
  raiseFloor(sessions, session, lowestOutstanding);
  const known = outcomeOf(session, sequence);
  if (known !== null) return known;
  const outcome = runCommand(applier, entry);
  keepReply(sessions, session, sequence, outcome);
  return outcome;
}

function isCount(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0;
}

/** Only a client that does not keep to the protocol gets to see it. */
const badSequence: Outcome = Object.freeze(
  failed("sessionExpired", "no", "sequence and lowest outstanding sequence contradict each other"),
);

const malformedBody: Outcome = Object.freeze(
  failed("encodeFailed", "no", "the bytes of the command do not follow its form"),
);

function runCommand(applier: Applier, entry: Entry): Outcome {
  const body = decodeCommandBody(entry.body, applier.names);
  if (body === null) return malformedBody;
  const { name, id } = body;
  if (id !== null) {
    const earlier = findCommandId(applier.sessions, id);
    if (earlier !== null) return earlier;
  }
  const { definition, codec } = applier;
  const handler = ownHandler(definition.commands, name);
  // A leader knew it (`refuseUnknown`), so members of another version apply it.
  if (handler === null)
    return failed("unknownCommand", "maybe", unknownName(definition, "command", name));
  let arg: unknown;
  try {
    arg = decodeArg(codec, entry.body, body);
  } catch (error) {
    return failed("encodeFailed", "no", `the argument of command "${name}": ${messageOf(error)}`);
  }
  if (applier.freezer !== null) freezeDeep(applier.freezer, arg);
  const applied = { index: entry.index, term: entry.term, timeMs: entry.timeMs };
  const run = definition.mutable ? runMutable : runPure;
  const { outcome, value } = run(codec, name, handler, applier.value, arg, applied);
  if (value !== applier.value) setValue(applier, value);
  if (id !== null) keepCommandId(applier.sessions, id, outcome);
  return outcome;
}

/**
 * The refusal of a command that this version does not have, or null. For the leader, before it is logged: a later
 * version would apply it, when it is restarted say, and its caller was told that it certainly has no effect.
 */
export function refuseUnknown(applier: Applier, body: Uint8Array): Outcome | null {
  const { definition, names } = applier;
  const name = nameOf(body, names);
  if (name === null || ownHandler(definition.commands, name) !== null) return null;
  return failed("unknownCommand", "no", unknownName(definition, "command", name));
}

// ---------------------------------------------------------------------------------------------
// Queries

/** Answers from the value as it is. The bytes may come from a hostile client. */
export function answer(applier: Applier, body: Uint8Array): Answer {
  const query = decodeQueryBody(body, applier.names);
  if (query === null)
    return refuseQuery("encodeFailed", "the bytes of the query do not follow its form");
  let arg: unknown;
  try {
    arg = decodeArg(applier.codec, body, query);
  } catch (error) {
    return refuseQuery(
      "encodeFailed",
      `the argument of query "${query.name}": ${messageOf(error)}`,
    );
  }
  return runQuery(applier.definition, applier.codec, applier.value, query.name, arg);
}
