/**
 * Outgoing connections to other hosts: one per address, dialled when there is something to send,
 * carrying one channel per (group, member) pair. What cannot be sent now is dropped, because Raft
 * sends again: a dead peer costs a look at the clock.
 */
import { Slab } from "../codec/bytes.js";
import { sendFrame } from "../codec/send-frame.js";
import { decodeFrame, encodeFrame } from "../codec/wire.js";
import { type Frame, protocolVersion } from "../codec/types.js";
import type { MemberId, Message } from "../core/types.js";
import { RaftError } from "../errors.js";
import type { Connection, ConnectionHandlers } from "../ports.js";
import { ChannelNumbers } from "./channel-numbers.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";
import { owedBytes } from "./owed.js";
import { createSaying, Repeats } from "./repeats.js";

/** After a refusal a channel rests: first and longest pause. */
const minRefusalPauseMs = 50;
const maxRefusalPauseMs = 5000;
/** Channels and links that nobody has used for so long are let go. */
const idleAfterMs = 60_000;
const maxMissedPings = 3;

/** One member's way to one other member. */
export class PeerChannel {
  readonly group: HostedGroup;
  readonly to: MemberId;
  readonly link: PeerLink;
  readonly number: number;
  /** The connection on which `openPeer` was sent; another one needs it again. */
  openedOn: Connection | null = null;
  /** `Addresses.version` when the link was the right one, or -1: the membership may have changed. */
  addressVersion = -1;
  pausedUntilMs = 0;
  refusals = 0;
  usedAtMs = 0;
  /** The queue was full; the core has been told once. */
  overflowed = false;
  readonly saying = createSaying();

  constructor(group: HostedGroup, to: MemberId, link: PeerLink, number: number) {
    this.group = group;
    this.to = to;
    this.link = link;
    this.number = number;
  }
}

export class PeerLink implements ConnectionHandlers {
  readonly address: string;
  readonly channels = new Map<number, PeerChannel>();
  readonly #context: HostContext;
  readonly #slab = new Slab();
  #connection: Connection | null = null;
  /** Of this connection. */
  #repeats: Repeats | null = null;
  #welcomed = false;
  #failures = 0;
  #retryAtMs = 0;
  #missedPings = 0;
  readonly #numbers = new ChannelNumbers();

  constructor(context: HostContext, address: string) {
    this.#context = context;
    this.address = address;
  }

  addChannel(group: HostedGroup, to: MemberId): PeerChannel {
    const number = this.#numbers.take(this.#context.clock.nowMs());
    const channel = new PeerChannel(group, to, this, number);
    this.channels.set(channel.number, channel);
    return channel;
  }

  send(channel: PeerChannel, message: Message): void {
    const { clock, entriesCache } = this.#context;
    const nowMs = clock.nowMs();
    channel.usedAtMs = Math.floor(nowMs);
    if (nowMs < channel.pausedUntilMs) return;
    const connection = this.#connection ?? this.#dial(nowMs);
    if (connection === null) return;
    if (this.#isFull(connection)) return this.#overflow(channel);
    channel.overflowed = false;
    const repeats = this.#repeats!;
    const { saying } = channel;
    if (channel.openedOn !== connection) this.#open(channel, connection, repeats);
    if (repeats.takes(channel.number, saying, message)) return;
    repeats.keepOrder(saying);
    const frame: Frame = { type: "peerMessage", channel: channel.number, message };
    sendFrame(connection, frame, entriesCache, this.#slab);
  }

  /** What stands for this channel may be said again. */
  canRepeat({ openedOn, saying }: PeerChannel): boolean {
    const connection = this.#connection;
    if (connection === null || openedOn !== connection || saying.standing === null) return false;
    return !this.#isFull(connection);
  }

  #isFull(connection: Connection): boolean {
    return owedBytes(connection) > this.#context.limits.maxPeerQueueBytes;
  }

  /** What was last sent on this channel, at another time. */
  repeat(channel: PeerChannel, sentAtMs: number, nowMs: number): void {
    channel.usedAtMs = Math.floor(nowMs);
    this.#repeats!.repeat(channel.saying, sentAtMs);
  }

  isRepeating(channel: PeerChannel): boolean {
    return channel.openedOn === this.#connection && this.#repeats!.isRepeating(channel.saying);
  }

  #open(channel: PeerChannel, connection: Connection, repeats: Repeats): void {
    channel.openedOn = connection;
    repeats.reopened(channel.saying);
    connection.send(encodeFrame(this.#openPeer(channel)));
  }

  /** Told once, so that a core that answers by sending again does not turn in circles. */
  #overflow(channel: PeerChannel): void {
    if (channel.overflowed) return;
    channel.overflowed = true;
    channel.group.member.peerDisconnected(channel.to);
  }

  #dial(nowMs: number): Connection | null {
    if (nowMs < this.#retryAtMs) return null;
    this.#welcomed = false;
    this.#missedPings = 0;
    const connection = this.#context.transport.dial(this.address, this);
    this.#connection = connection;
    this.#repeats = new Repeats(connection, this.#context.turns);
    const { id } = this.#context;
    connection.send(
      encodeFrame({ type: "hello", protocol: protocolVersion, kind: "peer", from: id }),
    );
    return connection;
  }

  #openPeer(channel: PeerChannel): Frame {
    const { group, to } = channel;
    return {
      type: "openPeer",
      channel: channel.number,
      group: group.name,
      groupId: group.member.groupId ?? "",
      from: group.member.id,
      fromAddress: this.#context.address,
      to,
      valueName: group.definition.name,
      valueVersion: group.definition.version,
      compatibleVersions: group.definition.compatibleVersions,
    };
  }

  onOpen(): void {
    // `hello` waits in the connection already; nothing to do before `welcome`.
  }

  onPayload(payload: Uint8Array): void {
    this.#context.turns.payloadArrived();
    this.#missedPings = 0;
    try {
      this.#onFrame(decodeFrame(payload));
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.#giveUp(error.message);
    }
  }

  #onFrame(frame: Frame): void {
    switch (frame.type) {
      case "welcome":
        return this.#onWelcome(frame.protocol, frame.hostId);
      case "channelRefused":
        return this.#onChannelRefused(frame.channel, frame.code, frame.message);
      case "refuse":
        return this.#giveUp(`it refused: ${frame.code}: ${frame.message}`);
      case "ping":
        return frame.reply ? undefined : this.#pinged(frame);
      case "hello":
      case "openPeer":
      case "peerMessage":
      case "peerStanding":
      case "peerRepeats":
      case "openClient":
      case "channelOpened":
      case "requests":
      case "replies":
      case "leaderHint":
      case "notify":
        return this.#giveUp(`it sent a frame "${frame.type}", which does not belong here`);
      default:
        frame satisfies never;
    }
  }

  #pinged(ping: Extract<Frame, { type: "ping" }>): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (this.#isFull(connection)) return this.#giveUp("it sends pings and reads no answers");
    connection.send(encodeFrame({ ...ping, reply: true }));
  }

  #onWelcome(protocol: number, hostId: string): void {
    if (protocol !== protocolVersion) {
      return this.#giveUp(`it speaks protocol ${protocol}, this host speaks ${protocolVersion}`);
    }
    this.#welcomed = true;
    if (this.#failures > 0) {
      this.#context.logger.info(
        { host: this.#context.id, peer: hostId, address: this.address },
        `host ${this.#context.id} reaches ${hostId} at ${this.address} again`,
      );
    }
    this.#failures = 0;
  }

  #onChannelRefused(number: number, code: string, message: string): void {
    const channel = this.channels.get(number);
    if (channel === undefined) return;
    const { clock, rateLimit, logger, id } = this.#context;
    const longAgo = clock.nowMs() - channel.pausedUntilMs > 2 * maxRefusalPauseMs;
    if (longAgo) channel.refusals = 0;
    const pauseMs = Math.min(maxRefusalPauseMs, minRefusalPauseMs * 2 ** channel.refusals);
    channel.refusals += 1;
    channel.pausedUntilMs = clock.nowMs() + this.#jitter(pauseMs);
    channel.openedOn = null;
    if (rateLimit.admits(`refused ${channel.group.name} ${channel.to} ${code}`)) {
      // Who closes in good order says so: every restart would be a warning.
      logger[code === "closed" ? "info" : "warn"](
        { host: id, group: channel.group.name, to: channel.to, address: this.address, code },
        `${this.address} refused group "${channel.group.name}" for ${channel.to}: ${message}`,
      );
    }
    channel.group.member.peerDisconnected(channel.to);
  }

  /** Breaks a connection that makes no sense. */
  #giveUp(why: string): void {
    const { rateLimit, logger, id } = this.#context;
    if (rateLimit.admits(`peer ${this.address} ${why}`)) {
      logger.warn(
        { host: id, address: this.address },
        `host ${id} closes its connection to ${this.address}: ${why}`,
      );
    }
    this.#failures = Math.max(this.#failures, 4);
    this.#welcomed = false;
    this.#connection?.destroy(why);
  }

  onDrain(): void {
    // Whoever was held back is sent to again by its leader's next heartbeat.
  }

  onClose(error: Error | null): void {
    const { clock, rateLimit, logger, id } = this.#context;
    const connection = this.#connection;
    if (connection === null) return;
    this.#connection = null;
    if (!this.#welcomed) this.#failures += 1;
    this.#retryAtMs = clock.nowMs() + this.#jitter(this.#pauseMs());
    if (error !== null && rateLimit.admits(`down ${this.address}`)) {
      logger.info(
        { host: id, address: this.address },
        `host ${id} has no connection to ${this.address}: ${error.message}`,
      );
    }
    for (const channel of this.channels.values()) {
      if (channel.openedOn !== connection) continue;
      channel.openedOn = null;
      channel.group.member.peerDisconnected(channel.to);
    }
  }

  #pauseMs(): number {
    const { minDialPauseMs, maxDialPauseMs } = this.#context.limits;
    return Math.min(maxDialPauseMs, minDialPauseMs * 2 ** Math.min(this.#failures, 20));
  }

  /** Half to whole, so that many hosts do not come back in step. */
  #jitter(pauseMs: number): number {
    return pauseMs * (0.5 + this.#context.random.next() / 2);
  }

  /** The other side has just dialled us: no need to wait any longer. */
  heardFrom(): void {
    if (this.#connection === null) this.#retryAtMs = 0;
  }

  /** Every ping interval; pings that nobody answers show a connection that is half open. */
  tick(nowMs: number): void {
    for (const channel of [...this.channels.values()]) {
      const idle = nowMs - channel.usedAtMs > idleAfterMs;
      if (idle || channel.group.ended !== null) this.dropChannel(channel);
    }
    const connection = this.#connection;
    if (connection === null) return;
    if (this.channels.size === 0) return connection.close();
    if (this.#missedPings >= maxMissedPings) {
      connection.destroy(`${this.address} has not answered ${maxMissedPings} pings`);
      return;
    }
    this.#missedPings += 1;
    connection.send(encodeFrame({ type: "ping", reply: false, sentAtMs: nowMs }));
  }

  dropChannel(channel: PeerChannel): void {
    this.channels.delete(channel.number);
    this.#numbers.letGo(channel.number, this.#context.clock.nowMs());
    this.#repeats?.release(channel.saying);
    const { peers } = channel.group;
    const at = peers.indexOf(channel);
    if (at >= 0) peers.splice(at, 1);
  }

  get isUnused(): boolean {
    return this.channels.size === 0 && this.#connection === null;
  }

  close(): void {
    this.#connection?.close();
  }
}

export class PeerLinks {
  readonly #links = new Map<string, PeerLink>();
  #context: HostContext | null = null;
  #closed = false;

  /** Once, before anything else. */
  bind(context: HostContext): void {
    this.#context = context;
  }

  send(group: HostedGroup, to: MemberId, message: Message): void {
    if (this.#closed) return;
    const channel = this.#channelTo(group, to);
    channel?.link.send(channel, message);
  }

  /** null: a member that nobody has named yet; it will be once the membership is known. */
  #channelTo(group: HostedGroup, to: MemberId): PeerChannel | null {
    const { version } = this.#context!.announced;
    let known = group.channelTo(to);
    if (known?.addressVersion === version) return known;
    const address = group.member.addressOf(to);
    if (address === null) return null;
    if (known?.link.address !== address) {
      known?.link.dropChannel(known);
      known = this.#linkTo(address).addChannel(group, to);
      group.peers.push(known);
    }
    known.addressVersion = version;
    return known;
  }

  #linkTo(address: string): PeerLink {
    let link = this.#links.get(address);
    if (link === undefined) {
      link = new PeerLink(this.#context!, address);
      this.#links.set(address, link);
    }
    return link;
  }

  heardFrom(address: string): void {
    this.#links.get(address)?.heardFrom();
  }

  dropGroup(group: HostedGroup): void {
    for (const channel of [...group.peers]) channel.link.dropChannel(channel);
  }

  tick(nowMs: number): void {
    for (const link of [...this.#links.values()]) {
      link.tick(nowMs);
      if (link.isUnused) this.#links.delete(link.address);
    }
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
  }
}
