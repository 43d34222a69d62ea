/**
 * The session table as the documentation tells it, with plain arrays that are searched from end to end: what the
 * linked lists, running sums and shortcuts of src/value/sessions.ts are held against.
 */
import type { SessionLimits } from "../../src/value/sessions.js";

export type NaiveSession = {
  readonly id: number;
  floor: number;
  /** Applied, and the reply was dropped. */
  dropped: number[];
};

/** `shown` as the tests show outcomes; `bytes` of what is counted for it. */
type NaiveReply = {
  readonly session: number;
  readonly sequence: number;
  readonly id: string | null;
  readonly shown: unknown;
  readonly bytes: number;
};

export type Ran = { readonly shown: unknown; readonly bodyBytes: number };

export const settled = "settled";
export const gone = "gone";
export const unknown = "unknown";
export const contradiction = "contradiction";

const replyBytes = 64;
const markBytes = 16;

export class NaiveBooks {
  limits: SessionLimits;
  /** Least recently used first. */
  sessions: NaiveSession[] = [];
  /** First come first. */
  ids: string[] = [];
  /** In log order. */
  replies: NaiveReply[] = [];

  constructor(limits: SessionLimits) {
    this.limits = limits;
  }

  register(id: number): void {
    this.sessions.push({ id, floor: 0, dropped: [] });
    this.#trim();
  }

  configure(limits: SessionLimits): void {
    this.limits = limits;
    this.#trim();
  }

  /** `run` is called if the command is to have its effect. */
  command(
    sessionId: number,
    sequence: number,
    lowest: number,
    id: string | null,
    run: () => Ran,
  ): unknown {
    const session = this.sessions.find((one) => one.id === sessionId);
    if (session === undefined) return unknown;
    this.sessions = [...this.sessions.filter((one) => one !== session), session];
    if (lowest > sequence) return contradiction;
    session.floor = Math.max(session.floor, lowest);
    const isBelow = (one: number) => one < session.floor;
    this.replies = this.replies.filter(
      (one) => one.session !== sessionId || !isBelow(one.sequence),
    );
    session.dropped = session.dropped.filter((one) => !isBelow(one));
    const known = this.look(sessionId, sequence);
    if (known !== null) return known;
    const { shown, bodyBytes } = this.#byId(id) ?? run();
    const bytes = bodyBytes + replyBytes;
    if (id !== null && this.limits.maxRetainedCommandIds > 0 && !this.ids.includes(id)) {
      this.ids.push(id);
      this.replies.push({ session: 0, sequence: 0, id, shown, bytes });
      this.#trim();
    }
    this.replies.push({ session: sessionId, sequence, id: null, shown, bytes });
    this.#trim();
    return shown;
  }

  /** What a session knows of a sequence; null: nothing. */
  look(sessionId: number, sequence: number): unknown {
    const session = this.sessions.find((one) => one.id === sessionId);
    if (session === undefined) return unknown;
    if (sequence < session.floor) return settled;
    const reply = this.#of(sessionId).find((one) => one.sequence === sequence);
    if (reply !== undefined) return reply.shown;
    return session.dropped.includes(sequence) ? gone : null;
  }

  totalBytes(): number {
    const marks = this.sessions.reduce((sum, { dropped }) => sum + dropped.length, 0);
    return bytesOf(this.replies) + marks * markBytes;
  }

  #of(sessionId: number): NaiveReply[] {
    return this.replies.filter((one) => one.session === sessionId && one.id === null);
  }

  #byId(id: string | null): Ran | null {
    if (id === null || !this.ids.includes(id)) return null;
    const reply = this.replies.find((one) => one.id === id);
    if (reply !== undefined) return { shown: reply.shown, bodyBytes: reply.bytes - replyBytes };
    return { shown: gone, bodyBytes: 512 };
  }

  #drop(reply: NaiveReply): void {
    this.replies = this.replies.filter((one) => one !== reply);
    const session = this.sessions.find((one) => one.id === reply.session);
    session?.dropped.push(reply.sequence);
  }

  #evict(): void {
    const [first] = this.sessions.splice(0, 1);
    this.replies = this.replies.filter((one) => one.session !== first!.id);
  }

  /** All limits, in the order in which the log makes them bite. */
  #trim(): void {
    const { limits } = this;
    while (this.sessions.length > limits.maxSessions) this.#evict();
    while (this.ids.length > limits.maxRetainedCommandIds) {
      const [id] = this.ids.splice(0, 1);
      this.replies = this.replies.filter((one) => one.id !== id);
    }
    for (const { id } of this.sessions) {
      while (bytesOf(this.#of(id)) > limits.maxReplyBytesPerSession) this.#drop(this.#of(id)[0]!);
    }
    while (this.totalBytes() > limits.maxReplyBytes) {
      if (this.replies.length > 0) this.#drop(this.replies[0]!);
      else this.#evict();
    }
  }
}

function bytesOf(replies: readonly NaiveReply[]): number {
  return replies.reduce((sum, { bytes }) => sum + bytes, 0);
}
