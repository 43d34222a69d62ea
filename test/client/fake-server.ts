/**
 * A group that is not one: hosts that speak the client's frames and share one "log" in memory, do what a
 * test tells them to, and remember what was really applied.
 */
import { createCborCodec } from "../../src/codec/values.js";
import type {
  ClientReply,
  ClientRequest,
  Frame,
  LeaderHint,
  OpenClient,
} from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import type { Connection, ConnectionHandlers, Listener, Transport } from "../../src/ports.js";
import { decodeArg, decodeCommandBody } from "../../src/value/body.js";

/**
 * What a host does with a request: answer it as a group would, apply it (if it is a command) and keep
 * still, keep still altogether, answer with this.
 */
export type Answer =
  | "serve"
  | "applyOnly"
  | "ignore"
  | { readonly status: string; readonly applied?: "no" | "maybe"; readonly message?: string };

type FakeSession = { readonly replies: Map<number, Uint8Array>; floor: number };

export const codec = createCborCodec();
const text = new TextEncoder();

export class FakeGroup {
  groupId = "group-1";
  term = 1;
  /** Index into `hosts`; null: nobody leads. */
  leader: number | null = 0;
  readonly hosts: FakeHost[] = [];
  /** The numbers that `push` commands carried, in the order in which they were applied. */
  readonly applied: number[] = [];
  readonly sessions = new Map<number, FakeSession>();
  /** Nonces of all registrations, repeated ones as well. */
  readonly nonces: number[] = [];
  lastIndex = 10;

  /** Elects a host and tells every client of those in `tell` (default: all). */
  elect(leader: number | null, tell: readonly FakeHost[] = this.hosts): void {
    this.leader = leader;
    this.term += 1;
    for (const host of tell) host.hintAll();
  }

  get leaderHost(): FakeHost | null {
    return this.leader === null ? null : this.hosts[this.leader]!;
  }

  expireSessions(): void {
    this.sessions.clear();
  }

  register(nonce: number): number {
    this.nonces.push(nonce);
    this.lastIndex += 1;
    this.sessions.set(this.lastIndex, { replies: new Map(), floor: 0 });
    return this.lastIndex;
  }

  /** As the group would: once per session and sequence. */
  apply(request: Extract<ClientRequest, { type: "command" }>): ClientReply {
    const session = this.sessions.get(request.session);
    if (session === undefined)
      return refusal(request, "sessionExpired", "maybe", "unknown session");
    session.floor = Math.max(session.floor, request.lowestOutstanding);
    const kept = session.replies.get(request.sequence);
    if (kept !== undefined) return ok(request, kept);
    if (request.sequence < session.floor) {
      return refusal(request, "sessionExpired", "maybe", "settled long ago");
    }
    const body = decodeCommandBody(request.body)!;
    if (body.name === "fail") return refusal(request, "commandFailed", "no", "it threw");
    this.applied.push(decodeArg(codec, request.body, body) as number);
    const reply = codec.encode(this.applied.length);
    session.replies.set(request.sequence, reply);
    return ok(request, reply);
  }
}

export function ok(request: ClientRequest, body: Uint8Array, index = 0): ClientReply {
  return { request: request.request, status: "ok", applied: "maybe", index, body };
}

export function refusal(
  request: ClientRequest,
  status: string,
  applied: "no" | "maybe",
  message: string,
): ClientReply {
  return { request: request.request, status, applied, index: 0, body: text.encode(message) };
}

export class FakeHost {
  readonly group: FakeGroup;
  readonly id: string;
  readonly memberId: string;
  readonly links = new Set<FakeLink>();
  /** Every `requests` frame that came, in order. */
  readonly frames: (readonly ClientRequest[])[] = [];
  pings = 0;
  connections = 0;
  /** What this host does with a request; by default what a group does. */
  answer: (request: ClientRequest) => Answer = () => "serve";
  /** Refuses the channel. */
  refuseOpen: { readonly code: string; readonly message: string } | null = null;
  protocol = protocolVersion;
  /** Takes frames in and never says anything. */
  silent = false;
  /** What it says about the leader, when that is not the truth. */
  hint: (() => Pick<LeaderHint, "term" | "leader" | "address">) | null = null;
  opened: OpenClient | null = null;
  #listener: Listener | null = null;
  address: string;
  readonly #transport: Transport;

  constructor(group: FakeGroup, id: string, transport: Transport, address: string) {
    this.group = group;
    this.id = id;
    this.memberId = `${id}#1`;
    this.address = address;
    this.#transport = transport;
    group.hosts.push(this);
  }

  get requests(): ClientRequest[] {
    return this.frames.flat();
  }

  async start(): Promise<void> {
    this.#listener = await this.#transport.listen(this.address, (connection) => {
      this.connections += 1;
      const link = new FakeLink(this, connection);
      this.links.add(link);
      return link;
    });
    this.address = this.#listener.address;
  }

  /** Dies: nothing is heard of it any more, and what it was asked is lost. */
  async stop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    for (const link of [...this.links]) link.connection.destroy("the host died");
    await listener?.close();
  }

  breakConnections(): void {
    for (const link of [...this.links]) link.connection.destroy("the test broke it");
  }

  hintAll(): void {
    for (const link of this.links) link.sendHint();
  }

  notifyAll(event: unknown): void {
    for (const link of this.links) link.notify(event);
  }

  currentHint(): Pick<LeaderHint, "term" | "leader" | "address"> {
    if (this.hint !== null) return this.hint();
    const { leaderHost, term } = this.group;
    return { term, leader: leaderHost?.memberId ?? null, address: leaderHost?.address ?? null };
  }
}

/** One accepted connection with its one channel. */
export class FakeLink implements ConnectionHandlers {
  readonly host: FakeHost;
  readonly connection: Connection;
  channel: number | null = null;
  /** Request numbers of `subscribe`. */
  readonly subscriptions = new Set<number>();

  constructor(host: FakeHost, connection: Connection) {
    this.host = host;
    this.connection = connection;
  }

  onOpen(): void {
    // The client speaks first.
  }

  onDrain(): void {
    // What a test sends is small.
  }

  onClose(): void {
    this.host.links.delete(this);
  }

  onPayload(payload: Uint8Array): void {
    if (this.host.silent) return;
    const frame = decodeFrame(payload);
    if (frame.type === "hello") {
      this.send({ type: "welcome", protocol: this.host.protocol, hostId: this.host.id });
    } else if (frame.type === "openClient") this.#open(frame);
    else if (frame.type === "requests") this.#serve(frame.requests);
    else if (frame.type === "ping") {
      this.host.pings += 1;
      this.send({ ...frame, reply: true });
    }
  }

  send(frame: Frame): void {
    this.connection.send(encodeFrame(frame));
  }

  sendHint(): void {
    if (this.channel === null || this.host.silent) return;
    const hosts = this.host.group.hosts.map((host) => host.address);
    const hint = this.host.currentHint();
    this.send({ type: "leaderHint", channel: this.channel, hosts, ...hint });
  }

  notify(event: unknown): void {
    if (this.channel === null) return;
    for (const request of this.subscriptions) {
      this.send({ type: "notify", channel: this.channel, request, body: codec.encode(event) });
    }
  }

  reply(replies: readonly ClientReply[]): void {
    if (replies.length > 0) this.send({ type: "replies", channel: this.channel!, replies });
  }

  #open(frame: OpenClient): void {
    const { host } = this;
    host.opened = frame;
    if (host.refuseOpen !== null) {
      this.send({ type: "channelRefused", channel: frame.channel, ...host.refuseOpen });
      return;
    }
    this.channel = frame.channel;
    const { groupId } = host.group;
    this.send({ type: "channelOpened", channel: frame.channel, groupId, memberId: host.memberId });
    this.sendHint();
  }

  #serve(requests: readonly ClientRequest[]): void {
    this.host.frames.push(requests);
    const replies: ClientReply[] = [];
    const subscribed: number[] = [];
    for (const request of requests) {
      const reply = this.#answer(request);
      if (reply !== null) replies.push(reply);
      const isSubscribe = request.type === "admin" && request.verb === "subscribe";
      if (isSubscribe && reply?.status === "ok") subscribed.push(request.request);
    }
    this.reply(replies);
    for (const request of subscribed) this.#subscribed(request);
  }

  #answer(request: ClientRequest): ClientReply | null {
    const { host } = this;
    const { group } = host;
    const answer = host.answer(request);
    if (answer === "ignore") return null;
    if (typeof answer === "object") {
      const { status, applied = "no", message = status } = answer;
      if (status === "ok") return ok(request, codec.encode(null));
      return refusal(request, status, applied, message);
    }
    const forLeader =
      request.type === "register" ||
      request.type === "command" ||
      (request.type === "query" && !request.stale) ||
      (request.type === "admin" && leaderVerbs.includes(request.verb));
    if (forLeader && group.leaderHost !== host) {
      return refusal(request, "notLeader", "no", `${host.memberId} is not the leader`);
    }
    const reply = this.#served(request);
    return answer === "applyOnly" ? null : reply;
  }

  #served(request: ClientRequest): ClientReply {
    const { host } = this;
    switch (request.type) {
      case "register":
        return ok(request, new Uint8Array(0), host.group.register(request.nonce));
      case "command":
        return host.group.apply(request);
      case "query":
        return ok(request, codec.encode(host.group.applied.length));
      case "admin":
        if (request.verb === "status") return ok(request, codec.encode(this.#status()));
        if (request.verb === "unsubscribe") {
          const { request: of } = codec.decode(request.body) as { request: number };
          this.subscriptions.delete(of);
        }
        return ok(request, codec.encode(null));
    }
  }

  #status(): unknown {
    const { group, memberId } = this.host;
    return { id: memberId, members: group.hosts.map((host) => ({ id: host.memberId })) };
  }

  #subscribed(request: number): void {
    this.subscriptions.add(request);
    const leader = this.host.group.leaderHost?.memberId ?? null;
    this.notify({ type: "role", role: "follower", term: this.host.group.term, leader });
  }
}

const leaderVerbs = ["join", "remove", "transfer", "changeConfig"];
