/**
 * A connection that somebody opened to this host: a peer host or a client. Whatever the bytes say,
 * the worst that happens is that this connection is closed, with one log line.
 */
import {
  type Frame,
  type OpenClient,
  type OpenPeer,
  type PeerRepeats,
  type PeerStanding,
  protocolVersion,
} from "../codec/types.js";
import { decodeFrame, encodeFrame, frameTypeOf } from "../codec/wire.js";
import { hostIdOf } from "../core/index.js";
import type { MemberId } from "../core/types.js";
import { RaftError } from "../errors.js";
import { findMismatch } from "../member/compatible.js";
import { withoutPort } from "../logging.js";
import type { Connection, ConnectionHandlers } from "../ports.js";
import { absence } from "./absence.js";
import { ClientChannel } from "./client-channel.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";
import { owedBytes } from "./owed.js";
import { checkHello, checkOpenClient, checkOpenPeer } from "./remote-names.js";
import { type PeerSource, Standing } from "./repeats.js";

/** Ping intervals without a word from the other side, answers to our own pings included. */
const maxSilentTicks = 4;

/** What each kind of dialling side sends, after `hello`. */
const sentBy: Readonly<Record<"peer" | "client", ReadonlySet<Frame["type"]>>> = {
  peer: new Set(["peerMessage", "peerRepeats", "peerStanding", "ping", "openPeer"] as const),
  client: new Set(["requests", "ping", "openClient"] as const),
};

/** Who counts the connections. */
export interface AcceptedOwner {
  /** Why one more of that kind is not served, or null. */
  greeted(kind: "peer" | "client"): string | null;
  /** Once. */
  ended(): void;
}

export class AcceptedConnection implements ConnectionHandlers {
  readonly #context: HostContext;
  readonly #connection: Connection;
  readonly #openedAtMs: number;
  readonly #owner: AcceptedOwner;
  /** From `hello`; null before it. */
  #hello: { readonly kind: "peer" | "client"; readonly from: string } | null = null;
  /** null: refused. */
  readonly #peers = new Map<number, PeerSource | null>();
  /** Where the peer host listens, as it said here last. */
  #address: string | null = null;
  /** By slot; null while its channel is refused. */
  readonly #standing: (Standing | null)[] = [];
  readonly #clients = new Map<number, ClientChannel | null>();
  #silentTicks = 0;
  #ended = false;

  constructor(context: HostContext, connection: Connection, owner: AcceptedOwner) {
    this.#context = context;
    this.#connection = connection;
    this.#owner = owner;
    this.#openedAtMs = context.clock.nowMs();
  }

  get remote(): string {
    return this.#connection.remote;
  }

  onOpen(): void {
    // The dialling side speaks first.
  }

  onPayload(payload: Uint8Array): void {
    if (this.#ended) return;
    this.#context.turns.payloadArrived();
    this.#silentTicks = 0;
    try {
      // Before the rest is read: a stranger's frame may be large.
      this.#checkType(frameTypeOf(payload));
      this.#onFrame(decodeFrame(payload), payload.length);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.#refuseAll(error.code, error.message);
    }
  }

  #checkType(type: Frame["type"]): void {
    const hello = this.#hello;
    if (hello === null ? type === "hello" : sentBy[hello.kind].has(type)) return;
    throw misplaced(`a frame "${type}", which does not belong here`);
  }

  /** Of a type that belongs here. */
  #onFrame(frame: Frame, sizeBytes: number): void {
    if (frame.type === "peerMessage") {
      const source = this.#peers.get(frame.channel);
      if (source === undefined) throw misplaced("a message on a channel that was not opened");
      source?.group.receive(source.from, frame.message, sizeBytes);
    } else if (frame.type === "peerRepeats") this.#repeated(frame);
    else if (frame.type === "peerStanding") this.#stand(frame);
    else if (frame.type === "requests") {
      const channel = this.#clients.get(frame.channel);
      if (channel === undefined) throw misplaced("requests on a channel that was not opened");
      channel?.requested(frame.requests, sizeBytes);
    } else if (frame.type === "ping") {
      if (!frame.reply) this.#answer({ ...frame, reply: true });
    } else if (frame.type === "openPeer") this.#openPeer(frame);
    else if (frame.type === "openClient") this.#openClient(frame);
    else if (frame.type === "hello") this.#onHello(frame);
  }

  #stand({ slot, channel, message }: PeerStanding): void {
    const source = this.#peers.get(channel);
    if (source === undefined)
      throw misplaced("a standing message on a channel that was not opened");
    const { maxChannelsPerConnection } = this.#context.limits;
    if (slot > this.#standing.length || slot >= maxChannelsPerConnection) {
      throw misplaced(
        `a standing message in slot ${slot}, the next one is ${this.#standing.length}`,
      );
    }
    this.#standing[slot] = source === null ? null : new Standing(source, message);
  }

  #repeated({ slots, sentAtMs }: PeerRepeats): void {
    const standing = this.#standing;
    if (slots.length > standing.length) {
      throw misplaced(`${slots.length} repeats, of ${standing.length} standing messages`);
    }
    const nowMs = this.#context.clock.nowMs();
    for (const slot of slots) {
      const said = standing[slot];
      if (said === undefined) throw misplaced(`a repeat of slot ${slot}, in which nothing stands`);
      said?.receive(sentAtMs, nowMs);
    }
  }

  #onHello(hello: Extract<Frame, { type: "hello" }>): void {
    checkHello(hello);
    if (hello.protocol !== protocolVersion) {
      throw new RaftError(
        "protocolMismatch",
        `${hello.from} speaks protocol ${hello.protocol}, host ${this.#context.id} speaks ` +
          `${protocolVersion}: run the same version of rafted-value on both sides`,
      );
    }
    const refusal = this.#owner.greeted(hello.kind);
    if (refusal !== null) return this.#turnAway("overloaded", refusal);
    this.#hello = { kind: hello.kind, from: hello.from };
    const { id } = this.#context;
    this.#connection.send(encodeFrame({ type: "welcome", protocol: protocolVersion, hostId: id }));
  }

  #openPeer(frame: OpenPeer): void {
    this.#checkChannelCount(this.#peers, frame.channel);
    checkOpenPeer(frame);
    // Its number may have been another channel's: that one is not used any more.
    const before = this.#peers.get(frame.channel) ?? null;
    if (before !== null) this.#forgetStanding(before);
    const refusal = this.#checkPeer(frame);
    if (refusal !== null) {
      this.#peers.set(frame.channel, null);
      return this.#refuseChannel(frame.channel, frame.group, frame.from, refusal);
    }
    const group = this.#context.groups.get(frame.group)!;
    if (group.member.groupId === null) this.#context.adoptGroup(group, frame.groupId);
    this.#peers.set(frame.channel, { group, from: frame.from });
    this.#address = frame.fromAddress;
    const { announced, links } = this.#context;
    if (announced.set(frame.from, frame.fromAddress)) group.leaderChanged();
    links.heardFrom(frame.fromAddress);
  }

  /** Why a peer's channel is not served, or null. */
  #checkPeer(frame: OpenPeer): RaftError | null {
    const { id, groups } = this.#context;
    const group = groups.get(frame.group);
    if (group === undefined) {
      return new RaftError("unknownGroup", `host ${id} serves no group "${frame.group}"`);
    }
    const { member } = group;
    if (hostIdOf(frame.from) !== this.#hello!.from) {
      const why = `${frame.from} is no member of host ${this.#hello!.from}`;
      return new RaftError("protocolMismatch", why);
    }
    if (frame.to !== member.id) {
      const why = `the member of group "${frame.group}" here is ${member.id}, not ${frame.to}`;
      return new RaftError("notMember", why);
    }
    if (frame.groupId === "" || (member.groupId !== null && frame.groupId !== member.groupId)) {
      return new RaftError(
        "groupMismatch",
        `group "${frame.group}" of host ${id} has id ${member.groupId}, that of ${frame.from} has ` +
          `id ${frame.groupId || "none yet"}: two different groups bear the same name`,
      );
    }
    const here = `host ${id}`;
    const mismatch = findMismatch(group.definition, frame, here, `member ${frame.from}`);
    return mismatch === null ? null : new RaftError("groupMismatch", mismatch);
  }

  #openClient(frame: OpenClient): void {
    this.#checkChannelCount(this.#clients, frame.channel);
    checkOpenClient(frame);
    const refusal = this.#checkClient(frame);
    this.#clients.get(frame.channel)?.close();
    if (refusal !== null) {
      this.#clients.set(frame.channel, null);
      const from = `client ${this.#hello!.from}`;
      return this.#refuseChannel(frame.channel, frame.group, from, refusal);
    }
    const group = this.#context.groups.get(frame.group)!;
    const channel = new ClientChannel(this.#context, this.#connection, group, frame.channel);
    this.#clients.set(frame.channel, channel);
    channel.opened();
    this.#checkOwed();
  }

  #checkClient(frame: OpenClient): RaftError | null {
    const { id, groups } = this.#context;
    const group = groups.get(frame.group);
    if (group === undefined) return absence(this.#context, frame.group);
    if (group.member.groupId === null) {
      const why = `host ${id} is still joining group "${frame.group}"`;
      return new RaftError("unavailable", why);
    }
    const { valueName } = frame;
    if (valueName === null) return null;
    const here = `host ${id}`;
    const mismatch = findMismatch(group.definition, { ...frame, valueName }, here, "the client");
    return mismatch === null ? null : new RaftError("groupMismatch", mismatch);
  }

  #checkChannelCount(opened: ReadonlyMap<number, unknown>, channel: number): void {
    const { maxChannelsPerConnection } = this.#context.limits;
    if (opened.size < maxChannelsPerConnection || opened.has(channel)) return;
    const why = `more than ${maxChannelsPerConnection} channels on one connection`;
    throw new RaftError("overloaded", why);
  }

  #refuseChannel(channel: number, group: string, from: string, refusal: RaftError): void {
    const { code, message } = refusal;
    const { rateLimit, logger, id } = this.#context;
    if (rateLimit.admits(`refuse ${group} ${from} ${code}`)) {
      logger.warn(
        { host: id, remote: this.#connection.remote, group, from, code },
        `host ${id} refused ${from} (${this.#connection.remote}) for group "${group}": ${message}`,
      );
    }
    this.#answer({ type: "channelRefused", channel, code, message });
  }

  #answer(frame: Frame): void {
    this.#connection.send(encodeFrame(frame));
    this.#checkOwed();
  }

  /** A side that goes on asking and reads no answers must not fill the memory with them. */
  #checkOwed(): void {
    const { maxClientQueueBytes, maxPeerQueueBytes } = this.#context.limits;
    const most = this.#hello?.kind === "peer" ? maxPeerQueueBytes : maxClientQueueBytes;
    if (owedBytes(this.#connection) > most) this.#breakOff(`it leaves over ${most} bytes unread`);
  }

  /** Tells why, as far as the other side understands it, and closes. */
  #refuseAll(code: string, message: string): void {
    this.#warn("closed", code, message);
    this.#turnAway(code, message);
  }

  #turnAway(code: string, message: string): void {
    this.#connection.send(encodeFrame({ type: "refuse", code, message }));
    this.#end();
    this.#connection.close();
  }

  onDrain(): void {
    for (const channel of this.#clients.values()) channel?.sendEvents();
  }

  onClose(error: Error | null): void {
    const { logger, id } = this.#context;
    if (error !== null && !this.#ended) {
      const { remote } = this.#connection;
      // Bytes that make no sense are worth a line; a process that went away is everyday life.
      if (error instanceof RaftError && error.code === "protocolMismatch") {
        this.#warn("lost", error.code, error.message);
      } else {
        const line = `host ${id} lost the connection from ${remote}: ${error.message}`;
        logger.debug({ host: id, remote }, line);
      }
    }
    this.#end();
  }

  /** A member went away: the channels that lead to it are refused. */
  dropGroup(group: HostedGroup, code: string, message: string): void {
    for (const [number, source] of this.#peers) {
      if (source?.group !== group) continue;
      this.#peers.set(number, null);
      this.#forgetStanding(source);
      this.#connection.send(
        encodeFrame({ type: "channelRefused", channel: number, code, message }),
      );
    }
    for (const [number, channel] of this.#clients) {
      if (channel?.group !== group) continue;
      this.#clients.set(number, null);
      channel.refuse(code, message);
    }
  }

  #forgetStanding(source: PeerSource): void {
    const standing = this.#standing;
    for (let slot = 0; slot < standing.length; slot++) {
      if (standing[slot]?.source === source) standing[slot] = null;
    }
  }

  addPeers(ids: Set<MemberId>): void {
    for (const source of this.#peers.values()) if (source !== null) ids.add(source.from);
  }

  carries(id: MemberId): boolean {
    if (this.#hello?.kind !== "peer" || this.#hello.from !== hostIdOf(id)) return false;
    for (const source of this.#peers.values()) if (source?.from === id) return true;
    return false;
  }

  /** It is of another life of that member's host, or the address is: who lives dials again and says. */
  moved(id: MemberId, address: string): void {
    if (this.#address === address || !this.carries(id)) return;
    this.#breakOff(`${id} is said to be at ${address}, not at ${this.#address}`);
  }

  /** Every ping interval. */
  tick(nowMs: number): void {
    const { limits } = this.#context;
    if (this.#hello === null) {
      if (nowMs - this.#openedAtMs < limits.helloTimeoutMs) return;
      return this.#breakOff(`no hello within ${limits.helloTimeoutMs} ms`);
    }
    this.#silentTicks += 1;
    if (this.#silentTicks > maxSilentTicks) {
      return this.#breakOff(`nothing heard for ${maxSilentTicks} ping intervals`);
    }
    this.#connection.send(encodeFrame({ type: "ping", reply: false, sentAtMs: nowMs }));
    for (const channel of this.#clients.values()) channel?.sendEvents();
  }

  /** Who comes time and again with the same, from another port each time, is told of once in a while. */
  #warn(how: "closed" | "lost", code: string | null, why: string): void {
    const { rateLimit, logger, id } = this.#context;
    const { remote } = this.#connection;
    const what = why.replaceAll(remote, "");
    if (!rateLimit.admits(`${how} ${withoutPort(remote)} ${what}`)) return;
    const line = `host ${id} ${how} the connection from ${remote}: ${why}`;
    logger.warn({ host: id, remote, code }, line);
  }

  #breakOff(why: string): void {
    this.#warn("closed", null, why);
    this.#end();
    this.#connection.destroy(why);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const channel of this.#clients.values()) channel?.close();
    this.#clients.clear();
    this.#peers.clear();
    this.#standing.length = 0;
    this.#owner.ended();
  }

  close(): void {
    this.#connection.close();
  }
}

function misplaced(what: string): RaftError {
  return new RaftError("protocolMismatch", `the other side sent ${what}`);
}
