/**
 * One connection to one host, with one channel on it: the client's end of the handshake.
 *
 * `hello` and `openClient` leave together; the link is ready when `welcome` and `channelOpened` have
 * come back, and lost (for good) when anything breaks, which its owner hears exactly once.
 */
import { Slab } from "../codec/bytes.js";
import type {
  ClientReply,
  ClientRequest,
  Frame,
  LeaderHint,
  Notify,
  OpenClient,
} from "../codec/types.js";
import { protocolVersion } from "../codec/types.js";
import { maxItemsPerFrame } from "../codec/requests.js";
import { sendFrame } from "../codec/send-frame.js";
import { decodeFrame } from "../codec/wire.js";
import type { MemberId } from "../core/types.js";
import { messageOf, RaftError } from "../errors.js";
import type { Clock, Connection, ConnectionHandlers } from "../ports.js";
import { knownCode } from "./reply.js";

export type Dial = (address: string, handlers: ConnectionHandlers) => Connection;

/** What every link of one client says of itself. */
export type Greeting = {
  /** The client's random name. */
  readonly from: string;
  readonly group: string;
  readonly valueName: string | null;
  readonly valueVersion: number;
  readonly compatibleVersions: readonly number[];
};

export interface LinkOwner {
  linkReady(link: Link): void;
  linkReplied(link: Link, replies: readonly ClientReply[]): void;
  linkHinted(link: Link, hint: LeaderHint): void;
  linkNotified(link: Link, notify: Notify): void;
  /** The end of a link that was not closed by its owner. */
  linkLost(link: Link, error: RaftError): void;
}

/** Requests of one turn are cut into frames of about this size. */
const frameBytes = 64 * 1024;
/** The only channel of a client's connection. */
const channel = 1;

export class Link {
  readonly address: string;
  state: "opening" | "ready" | "lost" = "opening";
  memberId: MemberId = "";
  groupId = "";
  /** When anything last came from there; at first, when it was dialled. */
  lastHeardMs: number;
  lastPingMs: number;
  /** When a call was last sent or answered. */
  lastUsedMs: number;
  /** Calls that wait for an answer from here. */
  inFlight = 0;
  /** When something was first asked after the last sign of life. */
  #askedMs = 0;
  readonly #clock: Clock;
  readonly #owner: LinkOwner;
  #connection: Connection | null = null;
  readonly #group: string;
  readonly #slab = new Slab();
  #welcomed = false;
  #earlyHint: LeaderHint | null = null;
  #onGone: (() => void) | null = null;
  #gone = false;

  constructor(address: string, group: string, clock: Clock, owner: LinkOwner) {
    this.address = address;
    this.#group = group;
    this.#clock = clock;
    this.#owner = owner;
    this.lastHeardMs = clock.nowMs();
    this.lastPingMs = this.lastHeardMs;
    this.lastUsedMs = this.lastHeardMs;
  }

  /** Once, by the owner, as soon as it is ready to hear of this link. */
  start(dial: Dial, greeting: Greeting): void {
    try {
      this.#connection = dial(this.address, {
        onOpen: () => undefined,
        onPayload: (payload) => this.#receive(payload),
        onDrain: () => undefined,
        onClose: (error) => this.#closed(error),
      });
    } catch (error) {
      // A dial that throws instead of calling back must not throw into whoever asked for a link.
      this.#clock.soon(() =>
        this.#closed(error instanceof Error ? error : new Error(messageOf(error))),
      );
      return;
    }
    const { from, ...rest } = greeting;
    const open: OpenClient = { type: "openClient", channel, ...rest };
    this.#sendFrame({ type: "hello", protocol: protocolVersion, kind: "client", from });
    this.#sendFrame(open);
  }

  /** For how long something has been asked without a sign of life, also by callers who gave up. */
  silentMs(nowMs: number): number {
    if (this.state === "opening") return nowMs - this.lastHeardMs;
    return this.#askedMs > this.lastHeardMs ? nowMs - this.#askedMs : 0;
  }

  /** We stood still ourselves: the silence until now proves nothing. */
  excuse(nowMs: number): void {
    this.lastHeardMs = nowMs;
  }

  attach(): void {
    this.inFlight += 1;
  }

  detach(): void {
    this.inFlight -= 1;
  }

  /** In one frame, or in several of about `frameBytes` and no more than `maxItemsPerFrame`. */
  send(requests: readonly ClientRequest[]): void {
    this.lastUsedMs = this.#clock.nowMs();
    this.#asked(this.lastUsedMs);
    const last = requests.length - 1;
    let from = 0;
    let bytes = 0;
    for (let at = 0; at <= last; at++) {
      bytes += bodyBytes(requests[at]!);
      const isFull = bytes >= frameBytes || at + 1 - from === maxItemsPerFrame;
      if (!isFull && at < last) continue;
      const part = from === 0 && at === last ? requests : requests.slice(from, at + 1);
      this.#sendFrame({ type: "requests", channel, requests: part });
      from = at + 1;
      bytes = 0;
    }
  }

  ping(): void {
    this.lastPingMs = this.#clock.nowMs();
    this.#asked(this.lastPingMs);
    this.#sendFrame({ type: "ping", reply: false, sentAtMs: this.lastPingMs });
  }

  /** Ends it from our side; the owner hears nothing more of it. */
  close(): void {
    if (this.state === "lost") return;
    this.state = "lost";
    this.#connection?.close();
  }

  /** Breaks it; the owner hears why. */
  fail(error: RaftError): void {
    if (this.state === "lost") return;
    this.state = "lost";
    this.#connection?.destroy(error.message);
    this.#owner.linkLost(this, error);
  }

  /** Drops what an orderly `close` could not get rid of. */
  destroy(reason: string): void {
    this.state = "lost";
    this.#connection?.destroy(reason);
  }

  /** Calls back once the connection is gone; at once if it is. */
  whenGone(callback: () => void): void {
    if (this.#gone) callback();
    else this.#onGone = callback;
  }

  #asked(nowMs: number): void {
    if (this.#askedMs <= this.lastHeardMs) this.#askedMs = nowMs;
  }

  #sendFrame(frame: Frame): void {
    if (this.state === "lost" || this.#connection === null) return;
    sendFrame(this.#connection, frame, null, this.#slab);
  }

  #closed(error: Error | null): void {
    this.#gone = true;
    const opening = this.state === "opening";
    if (this.state !== "lost") {
      this.state = "lost";
      this.#owner.linkLost(this, closeError(this.address, opening, error));
    }
    this.#onGone?.();
    this.#onGone = null;
  }

  #receive(payload: Uint8Array): void {
    if (this.state === "lost") return;
    this.lastHeardMs = this.#clock.nowMs();
    let frame: Frame;
    try {
      frame = decodeFrame(payload);
    } catch (cause) {
      const why = messageOf(cause);
      return this.fail(
        new RaftError("protocolMismatch", `host ${this.address}: ${why}`, { cause }),
      );
    }
    if (this.state === "ready") this.#serve(frame);
    else this.#shake(frame);
  }

  #serve(frame: Frame): void {
    switch (frame.type) {
      case "replies":
        if (frame.channel !== channel) return;
        this.lastUsedMs = this.lastHeardMs;
        return this.#owner.linkReplied(this, frame.replies);
      case "leaderHint":
        return this.#owner.linkHinted(this, frame);
      case "notify":
        return this.#owner.linkNotified(this, frame);
      case "ping":
        return this.#pinged(frame.reply, frame.sentAtMs);
      case "channelRefused":
      case "refuse":
        return this.fail(refusalError(this.address, frame.code, frame.message));
      case "hello":
      case "welcome":
      case "openPeer":
      case "peerMessage":
      case "peerStanding":
      case "peerRepeats":
      case "openClient":
      case "channelOpened":
      case "requests":
        return this.#unexpected(frame.type);
      default:
        frame satisfies never;
    }
  }

  #shake(frame: Frame): void {
    switch (frame.type) {
      case "welcome":
        if (frame.protocol === protocolVersion) {
          this.#welcomed = true;
          return;
        }
        return this.fail(
          new RaftError(
            "protocolMismatch",
            `host ${this.address} speaks protocol version ${frame.protocol}, this client ` +
              `${protocolVersion}; run the same version of rafted-value on both`,
          ),
        );
      case "channelOpened":
        if (!this.#welcomed) return this.#unexpected(frame.type);
        this.memberId = frame.memberId;
        this.groupId = frame.groupId;
        this.state = "ready";
        return this.#opened();
      case "leaderHint":
        this.#earlyHint = frame;
        return;
      case "channelRefused":
      case "refuse":
        return this.fail(refusalError(this.address, frame.code, frame.message));
      case "ping":
        return this.#pinged(frame.reply, frame.sentAtMs);
      case "hello":
      case "openPeer":
      case "peerMessage":
      case "peerStanding":
      case "peerRepeats":
      case "openClient":
      case "requests":
      case "replies":
      case "notify":
        return this.#unexpected(frame.type);
      default:
        frame satisfies never;
    }
  }

  #opened(): void {
    this.#owner.linkReady(this);
    const hint = this.#earlyHint;
    this.#earlyHint = null;
    if (hint !== null && this.state === "ready") this.#owner.linkHinted(this, hint);
  }

  #pinged(reply: boolean, sentAtMs: number): void {
    if (!reply) this.#sendFrame({ type: "ping", reply: true, sentAtMs });
  }

  #unexpected(type: Frame["type"]): void {
    this.fail(
      new RaftError(
        "protocolMismatch",
        `host ${this.address} sent a ${type} frame where group "${this.#group}" ` +
          `expects none; is it a rafted-value host of this version?`,
      ),
    );
  }
}

function bodyBytes(request: ClientRequest): number {
  return request.type === "register" ? 0 : request.body.length;
}

function refusalError(address: string, code: string, message: string): RaftError {
  const text = message === "" ? code : message;
  return new RaftError(knownCode(code), `host ${address} refuses: ${text}`);
}

function closeError(address: string, opening: boolean, error: Error | null): RaftError {
  if (error === null) {
    return new RaftError(
      "connectFailed",
      opening
        ? `host ${address} closed the connection instead of answering`
        : `host ${address} closed the connection`,
    );
  }
  const code = error instanceof RaftError && error.code !== "closed" ? error.code : "connectFailed";
  const what = opening ? "could not be reached" : "is gone";
  const text = error.message.includes(address)
    ? error.message
    : `host ${address} ${what}: ${error.message}`;
  return new RaftError(code, text, { cause: error });
}

export function mismatchedGroup(link: Link, expected: string): RaftError {
  return new RaftError(
    "groupMismatch",
    `host ${link.address} serves another group of the same name (group id ${link.groupId}, this ` +
      `client began with ${expected}); connect anew if the group was created again`,
  );
}

/** Why a link without a sign of life is given up. */
export function silenceError(link: Link, silentMs: number): RaftError {
  const what = link.state === "opening" ? "does not answer" : "has gone silent";
  return new RaftError(
    "connectFailed",
    `host ${link.address} ${what} (for ${Math.round(silentMs)} ms)`,
  );
}
