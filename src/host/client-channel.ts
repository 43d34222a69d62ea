/** One client's channel to one group: requests in, replies, hints and events out. */
import { maxItemsPerFrame } from "../codec/requests.js";
import { sendFrame } from "../codec/send-frame.js";
import { encodeFrame } from "../codec/wire.js";
import { maxSubscriptions } from "../client/options.js";
import type { GroupEvent } from "../client/types.js";
import type { ClientReply, ClientRequest, Frame, LeaderHint } from "../codec/types.js";
import { emptyBytes, Slab, utf8 } from "../codec/bytes.js";
import type { Connection } from "../ports.js";
import type { ReplySink } from "../member/types.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";
import { refuseAll, type Requester } from "./intake.js";
import { owedBytes } from "./owed.js";
import type { TurnFlusher } from "./turns.js";

/** More than this unread: events wait, the newest of each kind (bounded and coalescing). */
const notifyQueueBytes = 256 * 1024;
/** Bytes of a reply beside its body, at most. */
const replyOverheadBytes = 128;
const sumBytes = (sum: number, reply: ClientReply): number =>
  sum + reply.body.length + replyOverheadBytes;

export class ClientChannel implements ReplySink, Requester, TurnFlusher {
  readonly number: number;
  readonly group: HostedGroup;
  readonly #context: HostContext;
  readonly #connection: Connection;
  readonly #slab = new Slab();
  #replies: ClientReply[] = [];
  #outstanding = 0;
  /** By the request number of `subscribe`: events not sent yet, the newest of each type. */
  readonly #subscriptions = new Map<number, Map<GroupEvent["type"], GroupEvent>>();
  #flushWanted = false;
  #closed = false;
  #lastHint: LeaderHint | null = null;

  constructor(context: HostContext, connection: Connection, group: HostedGroup, number: number) {
    this.#context = context;
    this.#connection = connection;
    this.group = group;
    this.number = number;
    group.channels.add(this);
  }

  opened(): void {
    const { member } = this.group;
    const { number } = this;
    this.#connection.send(
      encodeFrame({
        type: "channelOpened",
        channel: number,
        groupId: member.groupId ?? "",
        memberId: member.id,
      }),
    );
    this.sendHint();
  }

  /** In a frame of that many bytes. */
  requested(requests: readonly ClientRequest[], frameBytes: number): void {
    const { limits, intake } = this.#context;
    const room = Math.max(0, limits.maxRequestsPerClient - this.#outstanding);
    this.#outstanding += requests.length;
    if (requests.length <= room) {
      intake.offer(this, requests, frameBytes);
      // As stale queries are, all was answered at once: nobody has to wait for the turn's end.
      if (this.#outstanding === 0 && !this.#closed) this.#sendReplies();
      return;
    }
    if (room > 0) intake.offer(this, requests.slice(0, room), frameBytes);
    const why = `more than ${limits.maxRequestsPerClient} requests of this client wait for an answer`;
    refuseAll(this, requests.slice(room), why);
  }

  /** It is this request's turn. */
  take(request: ClientRequest): void {
    if (this.#closed) return;
    if (request.type === "admin" && request.verb === "subscribe") this.#subscribe(request.request);
    else if (request.type === "admin" && request.verb === "unsubscribe") {
      this.#unsubscribe(request.request, request.body);
    } else this.group.member.request(this, request);
  }

  reply(
    request: number,
    status: string,
    applied: "no" | "maybe",
    index: number,
    body: Uint8Array,
  ): void {
    this.#outstanding -= 1;
    if (this.#closed) return;
    const { maxFrameBytes } = this.#context.limits;
    if (body.length + replyOverheadBytes > maxFrameBytes) {
      const why =
        `the answer has ${body.length} bytes, and limits.maxFrameBytes of host ` +
        `${this.#context.id} is ${maxFrameBytes}: ask for less at a time`;
      this.#replies.push({ request, status: "encodeFailed", applied, index, body: utf8(why) });
    } else this.#replies.push({ request, status, applied, index, body });
    this.#wantFlush();
  }

  #subscribe(request: number): void {
    if (this.#subscriptions.size >= maxSubscriptions) {
      const why = `this client has ${maxSubscriptions} subscriptions to the group already`;
      return this.reply(request, "overloaded", "no", 0, utf8(why));
    }
    const events = this.group.member.currentEvents();
    this.#subscriptions.set(request, new Map(events.map((event) => [event.type, event])));
    this.reply(request, "ok", "no", 0, this.#context.codec.encode(null));
  }

  #unsubscribe(request: number, body: Uint8Array): void {
    let of: unknown = null;
    try {
      of = this.#context.codec.decode(body.length === 0 ? emptyBytes : body);
    } catch {
      // Answered as any other number that is not subscribed.
    }
    const fields = of as { readonly request?: unknown } | null;
    this.#subscriptions.delete(Number(fields?.request));
    this.reply(request, "ok", "no", 0, this.#context.codec.encode(null));
  }

  notify(event: GroupEvent): void {
    if (this.#subscriptions.size === 0 || this.#closed) return;
    for (const pending of this.#subscriptions.values()) {
      // Deleted first: the newest of a kind comes last, in the order in which things happened.
      pending.delete(event.type);
      pending.set(event.type, event);
    }
    this.#wantFlush();
  }

  sendHint(): void {
    if (this.#closed) return;
    const hint = this.group.member.leaderHint(this.number);
    if (this.#lastHint !== null && isSameHint(this.#lastHint, hint)) return;
    this.#lastHint = hint;
    this.#connection.send(encodeFrame(hint));
  }

  #wantFlush(): void {
    if (this.#flushWanted) return;
    this.#flushWanted = true;
    this.#context.turns.atEnd(this);
  }

  /** One frame with all replies of the turn, unless they are too many for one, in bytes or in count. */
  flushTurn(): void {
    this.#flushWanted = false;
    if (this.#closed) return;
    this.#sendReplies();
    this.sendEvents();
    const { maxClientQueueBytes } = this.#context.limits;
    if (owedBytes(this.#connection) <= maxClientQueueBytes) return;
    this.#context.logger.warn(
      { host: this.#context.id, remote: this.#connection.remote, group: this.group.name },
      `client ${this.#connection.remote} leaves over ${maxClientQueueBytes} bytes unread: closed`,
    );
    this.#connection.destroy("the client does not read its replies");
  }

  #sendReplies(): void {
    const replies = this.#replies;
    if (replies.length === 0) return;
    this.#replies = [];
    const { maxFrameBytes } = this.#context.limits;
    let from = 0;
    while (from < replies.length) {
      let to = from + 1;
      let bytes = sumBytes(16, replies[from]!);
      const end = Math.min(replies.length, from + maxItemsPerFrame);
      while (to < end && sumBytes(bytes, replies[to]!) <= maxFrameBytes) {
        bytes = sumBytes(bytes, replies[to]!);
        to += 1;
      }
      const part = from === 0 && to === replies.length ? replies : replies.slice(from, to);
      const frame: Frame = { type: "replies", channel: this.number, replies: part };
      sendFrame(this.#connection, frame, null, this.#slab);
      from = to;
    }
  }

  /** Also called when the connection has drained. */
  sendEvents(): void {
    if (this.#closed || this.#connection.queuedBytes > notifyQueueBytes) return;
    for (const [request, pending] of this.#subscriptions) {
      if (pending.size === 0) continue;
      for (const event of pending.values()) {
        const body = this.#context.codec.encode(event);
        this.#connection.send(encodeFrame({ type: "notify", channel: this.number, request, body }));
      }
      pending.clear();
    }
  }

  /** The member went away: what was answered leaves first, then the client is told. */
  refuse(code: string, message: string): void {
    if (this.#closed) return;
    this.#sendReplies();
    this.sendEvents();
    this.#connection.send(
      encodeFrame({ type: "channelRefused", channel: this.number, code, message }),
    );
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.#replies = [];
    this.#subscriptions.clear();
    this.group.channels.delete(this);
  }
}

function isSameHint(a: LeaderHint, b: LeaderHint): boolean {
  return (
    a.term === b.term &&
    a.leader === b.leader &&
    a.address === b.address &&
    a.hosts.length === b.hosts.length &&
    a.hosts.every((host, at) => host === b.hosts[at])
  );
}
