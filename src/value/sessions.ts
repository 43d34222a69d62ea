/**
 * Exactly once (thesis 6.3): what the group remembers of its clients, replicated with the value.
 *
 * Every member does the same to this table for the same log, so nothing here looks at a clock, and
 * a mere look-up (`findOutcome`) changes nothing: the least recently used session is the one whose
 * last entry in the *log* is oldest (hazard 87).
 *
 * A reply is kept until its client has said that it arrived (`lowestOutstanding`). Replies beyond the
 * limits in bytes are dropped, oldest first, and leave a mark: a retry of such a command is refused
 * and never applied again (hazard 86). The same goes for callers' own ids.
 */
import type { GroupConfig } from "../core/types.js";
import { IntegerMap } from "../integer-map.js";
import { failed, maxMessageLength } from "./outcomes.js";
import type { Outcome } from "./types.js";

export type SessionLimits = Pick<
  GroupConfig,
  "maxSessions" | "maxRetainedCommandIds" | "maxReplyBytesPerSession" | "maxReplyBytes"
>;

export type Session = {
  /** Index of the entry that registered it. */
  readonly id: number;
  /** Sequences below this one are settled: answered, or given up. */
  floor: number;
  /** Applied and kept, by sequence. */
  readonly kept: IntegerMap<KeptReply>;
  /** The same in log order. */
  oldestOwn: KeptReply | null;
  newestOwn: KeptReply | null;
  /** Applied, and the reply was dropped. Null while there is none. */
  dropped: Set<number> | null;
  keptBytes: number;
  older: Session | null;
  newer: Session | null;
};

/**
 * A reply that is still here; part of one list over the whole table and of one over its session, in log
 * order. Who leaves a list lets go of its neighbours: a chain of dead ones, of which the first has grown
 * old, would keep all that follow from the young generation's collector.
 */
export class KeptReply {
  /** Whose it is: a session's, or (null) an id's. */
  readonly session: Session | null;
  readonly sequence: number;
  readonly id: string | null;
  readonly outcome: Outcome;
  older: KeptReply | null;
  newer: KeptReply | null = null;
  olderOwn: KeptReply | null;
  newerOwn: KeptReply | null = null;

  /** At the newest end of both lists. A class for the reason that outcomes.ts gives. */
  constructor(
    sessions: Sessions,
    session: Session | null,
    sequence: number,
    id: string | null,
    outcome: Outcome,
  ) {
    this.session = session;
    this.sequence = sequence;
    this.id = id;
    this.outcome = outcome;
    this.older = sessions.newestReply;
    this.olderOwn = session === null ? null : session.newestOwn;
  }
}

export type Sessions = {
  limits: SessionLimits;
  readonly byId: Map<number, Session>;
  /** Least recently used by log order. */
  oldest: Session | null;
  newest: Session | null;
  /** Callers' own ids, first come first; null: the reply was dropped. */
  readonly commandIds: Map<string, KeptReply | null>;
  /**
   * The same from the oldest one on, for whoever takes them out: a new iterator would pass the places of all
   * that left since the map was last tidied up. Null while none had to go.
   */
  idsToLeave: Iterator<string, undefined> | null;
  oldestReply: KeptReply | null;
  newestReply: KeptReply | null;
  /** From the oldest to the newest one. */
  replyCount: number;
  /** Of all replies, and a little for every dropped one. */
  totalBytes: number;
};

/** What a kept reply costs beside its bytes, and what a dropped one still costs. */
const keptOverheadBytes = 64;
const droppedBytes = 16;
/** A session that has more dropped replies than this gives up the oldest sequences altogether. */
const maxDroppedPerSession = 65_536;

export const unknownSession: Outcome = Object.freeze(
  failed("sessionExpired", "maybe", "the session has expired: open a new one for new commands"),
);
export const settledSequence: Outcome = Object.freeze(
  failed("sessionExpired", "maybe", "this command's reply was received already, or given up"),
);
export const droppedReply: Outcome = Object.freeze(
  failed("sessionExpired", "maybe", "the command was applied, but its reply is no longer kept"),
);

export function createSessions(limits: SessionLimits): Sessions {
  return {
    limits,
    byId: new Map(),
    oldest: null,
    newest: null,
    commandIds: new Map(),
    idsToLeave: null,
    oldestReply: null,
    newestReply: null,
    replyCount: 0,
    totalBytes: 0,
  };
}

// ---------------------------------------------------------------------------------------------
// What applied entries do

/** Opens the session named by the index of its entry. */
export function registerSession(sessions: Sessions, index: number): void {
  insertSession(sessions, index, 0);
  trimSessions(sessions);
}

/** Puts a session at the newest end. */
export function insertSession(sessions: Sessions, id: number, floor: number): Session {
  const session: Session = {
    id,
    floor,
    kept: new IntegerMap(),
    oldestOwn: null,
    newestOwn: null,
    dropped: null,
    keptBytes: 0,
    older: sessions.newest,
    newer: null,
  };
  if (sessions.newest === null) sessions.oldest = session;
  else sessions.newest.newer = session;
  sessions.newest = session;
  sessions.byId.set(id, session);
  return session;
}

/** A command of this session was applied: it is now the most recently used one. */
export function touchSession(sessions: Sessions, session: Session): void {
  if (sessions.newest === session) return;
  unlinkSession(sessions, session);
  session.older = sessions.newest;
  session.newer = null;
  sessions.newest!.newer = session;
  sessions.newest = session;
}

/** Replies below `floor` have arrived at the client, so they may go. Never falls. */
export function raiseFloor(sessions: Sessions, session: Session, floor: number): void {
  if (!(floor > session.floor)) return;
  const { kept, dropped } = session;
  // A client usually moves on by a few; one that leaps must not make us count all the way.
  if (floor - session.floor <= kept.size) {
    for (let sequence = session.floor; sequence < floor; sequence++) {
      const reply = kept.get(sequence);
      if (reply !== undefined) removeReply(sessions, reply);
    }
  } else if (kept.size > 0) {
    for (let reply = session.oldestOwn; reply !== null;) {
      const { newerOwn } = reply;
      if (reply.sequence < floor) removeReply(sessions, reply);
      reply = newerOwn;
    }
  }
  if (dropped !== null) forgetDropped(sessions, session, dropped, floor);
  session.floor = floor;
}

/** The marks below the new `floor`, with the same care as the replies: there may be very many. */
function forgetDropped(
  sessions: Sessions,
  session: Session,
  dropped: Set<number>,
  floor: number,
): void {
  const before = dropped.size;
  if (floor - session.floor <= before) {
    for (let sequence = session.floor; sequence < floor; sequence++) dropped.delete(sequence);
  } else {
    for (const sequence of dropped) if (sequence < floor) dropped.delete(sequence);
  }
  sessions.totalBytes -= (before - dropped.size) * droppedBytes;
  if (dropped.size === 0) session.dropped = null;
}

/** Keeps the outcome for retries of this sequence, within the limits. */
export function keepReply(
  sessions: Sessions,
  session: Session,
  sequence: number,
  outcome: Outcome,
): void {
  appendReply(sessions, session, sequence, null, outcome);
  const { limits } = sessions;
  while (session.keptBytes > limits.maxReplyBytesPerSession) {
    dropReply(sessions, session.oldestOwn!);
  }
  trimBytes(sessions);
}

/** Keeps the outcome for whoever repeats the caller's own id, from whatever session. */
export function keepCommandId(sessions: Sessions, id: string, outcome: Outcome): void {
  if (sessions.limits.maxRetainedCommandIds === 0) return;
  appendReply(sessions, null, 0, id, outcome);
  trimCommandIds(sessions);
  trimBytes(sessions);
}

/** New limits are in force as of this entry. */
export function setLimits(sessions: Sessions, limits: SessionLimits): void {
  sessions.limits = limits;
  trimSessions(sessions);
  trimCommandIds(sessions);
  for (let session = sessions.oldest; session !== null; session = session.newer) {
    while (session.keptBytes > limits.maxReplyBytesPerSession) {
      dropReply(sessions, session.oldestOwn!);
    }
  }
  trimBytes(sessions);
}

// ---------------------------------------------------------------------------------------------
// Looking

/** What this session already has of that sequence; null: it has not been applied. */
export function outcomeOf(session: Session, sequence: number): Outcome | null {
  if (!(sequence >= session.floor)) return settledSequence;
  const reply = session.kept.get(sequence);
  if (reply !== undefined) return reply.outcome;
  return session.dropped?.has(sequence) === true ? droppedReply : null;
}

/**
 * The outcome of a command that is proposed again, or null if the log has to decide. Before the
 * session's own entry has been applied here, nothing is known about it.
 */
export function findOutcome(
  sessions: Sessions,
  id: number,
  sequence: number,
  lastApplied: number,
): Outcome | null {
  const session = sessions.byId.get(id);
  if (session !== undefined) return outcomeOf(session, sequence);
  return id > lastApplied ? null : unknownSession;
}

/** The first outcome under the caller's own id, or null if that id is not known (any more). */
export function findCommandId(sessions: Sessions, id: string): Outcome | null {
  const reply = sessions.commandIds.get(id);
  if (reply === undefined) return null;
  return reply === null ? droppedReply : reply.outcome;
}

// ---------------------------------------------------------------------------------------------
// Keeping and dropping

/** Not the length of an error's text: engines word theirs differently, and members are to drop the same. */
function costOf(outcome: Outcome): number {
  const bodyBytes = outcome.status === "ok" ? outcome.body.length : maxMessageLength;
  return bodyBytes + keptOverheadBytes;
}

/** Adds to the newest end of the list, without a look at the limits. */
export function appendReply(
  sessions: Sessions,
  session: Session | null,
  sequence: number,
  id: string | null,
  outcome: Outcome,
): void {
  const reply = new KeptReply(sessions, session, sequence, id, outcome);
  const { older, olderOwn } = reply;
  if (older === null) sessions.oldestReply = reply;
  else older.newer = reply;
  sessions.newestReply = reply;
  sessions.replyCount += 1;
  const cost = costOf(outcome);
  sessions.totalBytes += cost;
  if (session !== null) {
    if (olderOwn === null) session.oldestOwn = reply;
    else olderOwn.newerOwn = reply;
    session.newestOwn = reply;
    session.kept.set(sequence, reply);
    session.keptBytes += cost;
  }
  if (id !== null) sessions.commandIds.set(id, reply);
}

/** Marks a sequence as applied, its reply gone. */
export function markDropped(sessions: Sessions, session: Session, sequence: number): void {
  session.dropped ??= new Set();
  session.dropped.add(sequence);
  sessions.totalBytes += droppedBytes;
}

function dropReply(sessions: Sessions, reply: KeptReply): void {
  const { session, sequence, id } = reply;
  removeReply(sessions, reply);
  if (id !== null) sessions.commandIds.set(id, null);
  if (session === null) return;
  markDropped(sessions, session, sequence);
  if (session.dropped!.size > maxDroppedPerSession) {
    raiseFloor(sessions, session, firstValue(session.dropped!)! + 1);
  }
}

/** Takes it out of the list and of its session; an id stays known until the caller decides. */
function removeReply(sessions: Sessions, reply: KeptReply): void {
  const { older, newer, olderOwn, newerOwn, session } = reply;
  if (older === null) sessions.oldestReply = newer;
  else older.newer = newer;
  if (newer === null) sessions.newestReply = older;
  else newer.older = older;
  reply.older = null;
  reply.newer = null;
  sessions.replyCount -= 1;
  const cost = costOf(reply.outcome);
  sessions.totalBytes -= cost;
  if (session === null) return;
  if (olderOwn === null) session.oldestOwn = newerOwn;
  else olderOwn.newerOwn = newerOwn;
  if (newerOwn === null) session.newestOwn = olderOwn;
  else newerOwn.olderOwn = olderOwn;
  reply.olderOwn = null;
  reply.newerOwn = null;
  session.kept.delete(reply.sequence);
  session.keptBytes -= cost;
}

/** Replies go first, then whole sessions for the marks that dropped replies have left. */
function trimBytes(sessions: Sessions): void {
  while (sessions.totalBytes > sessions.limits.maxReplyBytes) {
    if (sessions.oldestReply !== null) dropReply(sessions, sessions.oldestReply);
    else evictSession(sessions, sessions.oldest!);
  }
}

function trimSessions(sessions: Sessions): void {
  while (sessions.byId.size > sessions.limits.maxSessions) evictSession(sessions, sessions.oldest!);
}

function trimCommandIds(sessions: Sessions): void {
  const { commandIds, limits } = sessions;
  while (commandIds.size > limits.maxRetainedCommandIds) {
    sessions.idsToLeave ??= commandIds.keys();
    const id = sessions.idsToLeave.next().value!;
    const reply = commandIds.get(id)!;
    if (reply !== null) removeReply(sessions, reply);
    commandIds.delete(id);
  }
}

function evictSession(sessions: Sessions, session: Session): void {
  while (session.oldestOwn !== null) removeReply(sessions, session.oldestOwn);
  sessions.totalBytes -= (session.dropped?.size ?? 0) * droppedBytes;
  unlinkSession(sessions, session);
  sessions.byId.delete(session.id);
}

function unlinkSession(sessions: Sessions, session: Session): void {
  const { older, newer } = session;
  if (older === null) sessions.oldest = newer;
  else older.newer = newer;
  if (newer === null) sessions.newest = older;
  else newer.older = older;
}

function firstValue<T>(items: { values(): IterableIterator<T> }): T | undefined {
  return items.values().next().value as T | undefined;
}
