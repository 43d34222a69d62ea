/** A client that does nothing by itself: tests say what it sends and look at every frame. */
import type { ClientReply, ClientRequest, Frame } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import type { Connection, ConnectionHandlers } from "../../src/ports.js";

export type Dialer = (handlers: ConnectionHandlers) => Connection;

export class RawClient {
  readonly frames: Frame[] = [];
  readonly connection: Connection;
  closed = false;

  constructor(dial: Dialer, group: string) {
    this.connection = dial({
      onOpen: () => undefined,
      onPayload: (payload) => void this.frames.push(decodeFrame(payload)),
      onDrain: () => undefined,
      onClose: () => (this.closed = true),
    });
    this.send({ type: "hello", protocol: protocolVersion, kind: "client", from: "raw" });
    this.send({
      type: "openClient",
      channel: 1,
      group,
      valueName: null,
      valueVersion: 0,
      compatibleVersions: [],
    });
  }

  send(frame: Frame): void {
    this.connection.send(encodeFrame(frame));
  }

  ask(...requests: readonly ClientRequest[]): void {
    this.send({ type: "requests", channel: 1, requests });
  }

  replyFrames(): Extract<Frame, { type: "replies" }>[] {
    return this.frames.filter((frame) => frame.type === "replies");
  }

  replies(): readonly ClientReply[] {
    return this.replyFrames().flatMap((frame) => frame.replies);
  }

  replyTo(request: number): ClientReply | null {
    return this.replies().find((reply) => reply.request === request) ?? null;
  }
}
