/** A host's connection to another one by itself, with everything around it in the test's hands. */
import { VirtualClock } from "../../src/clock/virtual.js";
import { EntriesCache } from "../../src/codec/entries.js";
import { protocolVersion, type Frame } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import type { HostContext } from "../../src/host/context.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
import { defaultHostLimits } from "../../src/host/limits.js";
import { type PeerChannel, PeerLink, PeerLinks } from "../../src/host/peer-links.js";
import type { ConnectionHandlers } from "../../src/ports.js";
import { counter, createLogBook } from "./cluster.js";

export const message = { type: "timeoutNow", term: 1 } as const;
export const welcome: Frame = { type: "welcome", protocol: protocolVersion, hostId: "far" };

export class Line {
  readonly clock = new VirtualClock();
  readonly sent: Frame[] = [];
  readonly dialled: string[] = [];
  dials = 0;
  closes = 0;
  arrivals = 0;
  destroyed: string | null = null;
  /** How often a member was told that its peer is gone. */
  losses = 0;
  queuedBytes = 0;
  connection: { queuedBytes: number } | null = null;
  /** Of the last connection. */
  handlers: ConnectionHandlers | null = null;
  readonly book = createLogBook();
  readonly link: PeerLink;
  readonly group: HostedGroup;
  /** All links of a host; where its members are is in `addresses`. */
  readonly links = new PeerLinks();
  readonly announced = { version: 0 };
  readonly addresses = new Map<string, string>();

  constructor() {
    const dial = (address: string, handlers: ConnectionHandlers) => {
      this.dials += 1;
      this.dialled.push(address);
      this.handlers = handlers;
      const send = (payload: Uint8Array): void => void this.sent.push(decodeFrame(payload));
      const close = (): void => void (this.closes += 1);
      const destroy = (why: string): void => void (this.destroyed = why);
      const { queuedBytes } = this;
      const connection = { remote: "far:1", queuedBytes, send, close, destroy };
      this.connection = connection;
      return connection;
    };
    const context = {
      ...{ id: "near", address: "near:1", clock: this.clock, logger: this.book.logger },
      ...{ limits: defaultHostLimits, entriesCache: new EntriesCache() },
      ...{ random: { next: () => 1 }, rateLimit: { admits: () => true }, transport: { dial } },
      turns: { payloadArrived: () => void (this.arrivals += 1), afterEnd: () => undefined },
      announced: this.announced,
    } as unknown as HostContext;
    const peerDisconnected = (): void => void (this.losses += 1);
    const addressOf = (to: string): string | null => this.addresses.get(to) ?? null;
    const member = { id: "near#1", groupId: "id", peerDisconnected, addressOf };
    const peers: PeerChannel[] = [];
    const channelTo = (to: string) => peers.find((channel) => channel.to === to) ?? null;
    const group = { name: "g", member, definition: counter, peers, channelTo, ended: null };
    this.group = group as unknown as HostedGroup;
    this.link = new PeerLink(context, "far:1");
    this.links.bind(context);
  }

  open(): PeerChannel {
    return this.link.addChannel(this.group, "far#1");
  }

  hear(frame: Frame): void {
    this.link.onPayload(encodeFrame(frame));
  }

  breakOff(): void {
    this.link.onClose(null);
  }

  count(type: Frame["type"]): number {
    return this.sent.filter((frame) => frame.type === type).length;
  }

  /** A channel over which something was sent to a host that has answered. */
  greeted(): PeerChannel {
    const channel = this.open();
    this.link.send(channel, message);
    this.hear(welcome);
    return channel;
  }

  /** The pauses after connections that are lost one after the other. */
  pauses(channel: PeerChannel, count: number, lose: () => void): number[] {
    return Array.from({ length: count }, () => {
      lose();
      const before = this.dials;
      return this.sendUntil(channel, () => this.dials > before);
    });
  }

  /** Sends every 10 ms until `isDone`; how long that took. */
  sendUntil(channel: PeerChannel, isDone: () => boolean): number {
    const began = this.clock.nowMs();
    while (!isDone() && this.clock.nowMs() - began < 60_000) {
      this.clock.advance(10);
      this.link.send(channel, message);
    }
    return this.clock.nowMs() - began;
  }
}
