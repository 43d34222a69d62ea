/** The session table in a snapshot: everything in it, in its order, so that a copy goes on alike. */
import type { ByteReader, ByteWriter } from "./byte-stream.js";
import { readOutcome, skipOutcome, writeOutcome } from "./outcomes.js";
import {
  appendReply,
  createSessions,
  insertSession,
  markDropped,
  type Sessions,
  type SessionLimits,
} from "./sessions.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

/**
 * ```
 * sessions, least recently used first: count, then id · floor · dropped sequences (count, each)
 * command ids, oldest first: count, then the id
 * replies, in log order: count, then session id or 0 · sequence or place of the id · outcome
 * ```
 * An id without a reply is one whose reply was dropped.
 */
export function writeSessions(writer: ByteWriter, sessions: Sessions): void {
  writer.integer(sessions.byId.size);
  for (let session = sessions.oldest; session !== null; session = session.newer) {
    writer.integer(session.id);
    writer.integer(session.floor);
    writer.integer(session.dropped?.size ?? 0);
    if (session.dropped !== null) for (const sequence of session.dropped) writer.integer(sequence);
  }
  const places = new Map<string, number>();
  writer.integer(sessions.commandIds.size);
  for (const id of sessions.commandIds.keys()) {
    places.set(id, places.size);
    writer.bytes(encodeUtf8(id));
  }
  writer.integer(sessions.replyCount);
  for (let reply = sessions.oldestReply; reply !== null; reply = reply.newer) {
    writer.integer(reply.session?.id ?? 0);
    writer.integer(reply.session === null ? places.get(reply.id!)! : reply.sequence);
    writeOutcome(writer, reply.outcome);
  }
}

/** Throws an ordinary Error when the bytes are no session table. */
export function readSessions(reader: ByteReader, limits: SessionLimits): Sessions {
  const sessions = createSessions(limits);
  for (let left = reader.integer(); left > 0; left--) {
    const session = insertSession(sessions, reader.integer(), reader.integer());
    for (let marks = reader.integer(); marks > 0; marks--) {
      markDropped(sessions, session, reader.integer());
    }
  }
  const ids: string[] = [];
  for (let left = reader.integer(); left > 0; left--) {
    const id = decodeUtf8(reader.bytes());
    ids.push(id);
    sessions.commandIds.set(id, null);
  }
  for (let left = reader.integer(); left > 0; left--) {
    const sessionId = reader.integer();
    const place = reader.integer();
    const outcome = readOutcome(reader);
    const session = sessionId === 0 ? null : sessions.byId.get(sessionId);
    const id = sessionId === 0 ? ids[place] : null;
    if (session === undefined || id === undefined) throw new Error("a reply belongs to nobody");
    appendReply(sessions, session, sessionId === 0 ? 0 : place, id, outcome);
  }
  return sessions;
}

/** As `readSessions`, for whoever wants to know where they end. */
export function skipSessions(reader: ByteReader): void {
  for (let left = reader.integer(); left > 0; left--) {
    reader.integer();
    reader.integer();
    for (let marks = reader.integer(); marks > 0; marks--) reader.integer();
  }
  for (let left = reader.integer(); left > 0; left--) reader.skip(reader.integer());
  for (let left = reader.integer(); left > 0; left--) {
    reader.integer();
    reader.integer();
    skipOutcome(reader);
  }
}

/** A copy that shares nothing but outcomes, whose bytes never change. */
export function cloneSessions(sessions: Sessions): Sessions {
  const copy = createSessions(sessions.limits);
  for (let session = sessions.oldest; session !== null; session = session.newer) {
    const twin = insertSession(copy, session.id, session.floor);
    if (session.dropped === null) continue;
    for (const sequence of session.dropped) markDropped(copy, twin, sequence);
  }
  for (const id of sessions.commandIds.keys()) copy.commandIds.set(id, null);
  for (let reply = sessions.oldestReply; reply !== null; reply = reply.newer) {
    const session = reply.session === null ? null : copy.byId.get(reply.session.id)!;
    appendReply(copy, session, reply.sequence, reply.id, reply.outcome);
  }
  return copy;
}
