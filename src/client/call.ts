/**
 * One outstanding call: the one object that the client keeps per command, query or verb. It has the
 * fields of a `ClientRequest`, so it is also what goes into the `requests` frame.
 */
import { emptyBytes } from "../codec/bytes.js";
import type { ClientRequest } from "../codec/types.js";
import type { RaftErrorCode } from "../errors.js";
import type { Timed } from "./deadlines.js";
import type { EventStream } from "./events.js";
import type { Link } from "./link.js";
import type { Session } from "./session.js";

/** Who can answer: the leader, any member (near ones first), or the host at one address. */
export type Target = "leader" | "near" | { readonly address: string };

export type Refusal = {
  readonly code: RaftErrorCode;
  readonly message: string;
  readonly address: string;
};

export type Call = Timed & {
  // What the frame's encoder reads, by `type`.
  readonly type: ClientRequest["type"];
  readonly request: number;
  nonce: number;
  session: number;
  sequence: number;
  lowestOutstanding: number;
  stale: boolean;
  verb: string;
  readonly body: Uint8Array;

  // What is ours.
  /** Name of the command or query, id of the member that a verb is about, else empty. */
  readonly name: string;
  readonly target: Target;
  /** command: whose sequence it bears, once it bears one. register: what it registers. */
  owner: Session | null;
  /** Where it was sent and has not been answered; null while it waits to be sent. */
  link: Link | null;
  attempts: number;
  /** An attempt went out whose fate will never be known. */
  ambiguous: boolean;
  done: boolean;
  /** Why it was sent back last, for the message of a timeout. */
  refusal: Refusal | null;
  readonly startedMs: number;
  /** subscribe: where the events go. */
  stream: EventStream | null;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
  signal: AbortSignal | null;
};

/** Positional, so that a call costs no second object; the rarer fields are set by whoever needs them. */
export function createCall(
  type: Call["type"],
  request: number,
  name: string,
  target: Target,
  body: Uint8Array,
  startedMs: number,
  deadlineMs: number,
  resolve: (reply: unknown) => void,
  reject: (error: Error) => void,
): Call {
  return {
    type,
    request,
    nonce: 0,
    session: 0,
    sequence: 0,
    lowestOutstanding: 0,
    stale: false,
    verb: "",
    body,
    name,
    target,
    owner: null,
    link: null,
    attempts: 0,
    ambiguous: false,
    done: false,
    refusal: null,
    startedMs,
    stream: null,
    resolve,
    reject,
    signal: null,
    deadlineMs,
    slot: -1,
    before: null,
    after: null,
  };
}

const ignore = (): void => undefined;

/** Sent for the commands that wait for it, so it has no deadline of its own and nobody to answer. */
export function registration(request: number, nowMs: number): Call {
  return createCall("register", request, "", "leader", emptyBytes, nowMs, Infinity, ignore, ignore);
}

/** Has no deadline either: its answers are events. */
export function subscription(
  request: number,
  target: Target,
  body: Uint8Array,
  nowMs: number,
  stream: EventStream,
): Call {
  const fail = (error: Error): void => stream.fail(error);
  const call = createCall("admin", request, "", target, body, nowMs, Infinity, ignore, fail);
  call.verb = "subscribe";
  call.stream = stream;
  return call;
}

/** How messages name a call. */
export function label(call: Call): string {
  switch (call.type) {
    case "command":
      return `command "${call.name}"`;
    case "query":
      return `${call.stale ? "stale query" : "query"} "${call.name}"`;
    case "admin":
      return call.verb;
    case "register":
      return "the registration of a session";
    default:
      return call.type satisfies never;
  }
}

/** How messages name what the call was made through: only a handle has a `home`. */
export function callerOf(home: string | null, group: string): string {
  return home === null ? "the client" : `the handle of group "${group}"`;
}

/** Held against the limits on what is outstanding: what a user called and waits for. */
export function isCounted(call: Call): boolean {
  return call.type !== "register" && call.stream === null;
}
