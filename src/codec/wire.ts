/**
 * Frames as bytes: u8 frame type, then the fields in the order of types.ts. Little-endian; numbers
 * that may exceed 2^32 as float64; strings as u32 length + UTF-8.
 *
 * `decodeFrame` takes any bytes whatsoever: it returns a frame or throws a RaftError
 * `protocolMismatch` that names the field, and allocates nothing that the bytes do not back.
 */
import type {
  Frame,
  LeaderHint,
  OpenClient,
  OpenPeer,
  PeerMessage,
  PeerRepeats,
  PeerStanding,
} from "./types.js";
import { ByteReader, ByteWriter, refuseBytes, roomBesideParts, type Slab } from "./bytes.js";
import { type EntriesCache, entriesSizeHint } from "./entries.js";
import { isRepeatable, messageHeaderBytes, readMessage, writeMessage } from "./messages.js";
import { interned } from "./interned.js";
import {
  readReplies,
  readRequests,
  repliesSizeHint,
  requestsSizeHint,
  writeReplies,
  writeRequests,
} from "./requests.js";

/** The first byte of each frame. */
export const frameCodes = Object.freeze({
  hello: 1,
  welcome: 2,
  openPeer: 3,
  peerMessage: 4,
  openClient: 5,
  channelOpened: 6,
  channelRefused: 7,
  refuse: 8,
  requests: 9,
  replies: 10,
  leaderHint: 11,
  notify: 12,
  ping: 13,
  peerStanding: 14,
  peerRepeats: 15,
} as const satisfies Record<Frame["type"], number>);

const frameTypes: ReadonlyMap<number, Frame["type"]> = new Map(
  Object.entries(frameCodes).map(([type, code]) => [code, type as Frame["type"]]),
);

/** u8 frame type and u32 channel. */
const channelHeaderBytes = 5;

/** u8 frame type, f64 time and u32 count. */
const repeatsHeaderBytes = 13;

/** Bytes to begin with. For the hot frames it is an upper bound, so that they never grow. */
function sizeHint(frame: Frame, cache: EntriesCache | null): number {
  if (frame.type === "peerMessage") {
    const fixed = channelHeaderBytes + messageHeaderBytes;
    const { message } = frame;
    if (message.type === "appendEntries") {
      const { entries } = message;
      return fixed + (cache === null ? entriesSizeHint(entries) : roomOf(cache.partsOf(entries)));
    }
    return message.type === "installSnapshot" ? fixed + 2048 + message.data.length : fixed;
  }
  if (frame.type === "requests") return requestsSizeHint(frame);
  if (frame.type === "replies") return repliesSizeHint(frame);
  if (frame.type === "peerRepeats") return repeatsHeaderBytes + 4 * frame.slots.length;
  return frame.type === "notify" ? 24 + frame.body.length : 192;
}

function roomOf(parts: readonly Uint8Array[]): number {
  let room = 0;
  for (const part of parts) room += roomBesideParts(part.length);
  return room;
}

function writeVersions(writer: ByteWriter, versions: readonly number[]): void {
  writer.u32(versions.length);
  for (const version of versions) writer.f64(version);
}
function readVersions(reader: ByteReader, field: string): number[] {
  const count = reader.count(8, field);
  const versions: number[] = [];
  for (let i = 0; i < count; i++) versions.push(reader.integer(field));
  return versions;
}

function writeOptionalText(writer: ByteWriter, text: string | null): void {
  writer.bool(text !== null);
  if (text !== null) writer.text(text);
}
function readOptionalText(reader: ByteReader, field: string): string | null {
  return reader.bool(field) ? reader.text(field) : null;
}

function writeOpenPeer(writer: ByteWriter, frame: OpenPeer): void {
  writer.u32(frame.channel);
  writer.text(frame.group);
  writer.text(frame.groupId);
  writer.text(frame.from);
  writer.text(frame.fromAddress);
  writer.text(frame.to);
  writer.text(frame.valueName);
  writer.f64(frame.valueVersion);
  writeVersions(writer, frame.compatibleVersions);
}
function readOpenPeer(reader: ByteReader): OpenPeer {
  return {
    type: "openPeer",
    channel: reader.u32("openPeer.channel"),
    group: reader.text("openPeer.group"),
    groupId: interned(reader.text("openPeer.groupId")),
    from: interned(reader.text("openPeer.from")),
    fromAddress: interned(reader.text("openPeer.fromAddress")),
    to: interned(reader.text("openPeer.to")),
    valueName: reader.text("openPeer.valueName"),
    valueVersion: reader.integer("openPeer.valueVersion"),
    compatibleVersions: readVersions(reader, "openPeer.compatibleVersions"),
  };
}

function writeOpenClient(writer: ByteWriter, frame: OpenClient): void {
  writer.u32(frame.channel);
  writer.text(frame.group);
  writeOptionalText(writer, frame.valueName);
  writer.f64(frame.valueVersion);
  writeVersions(writer, frame.compatibleVersions);
}
function readOpenClient(reader: ByteReader): OpenClient {
  return {
    type: "openClient",
    channel: reader.u32("openClient.channel"),
    group: reader.text("openClient.group"),
    valueName: readOptionalText(reader, "openClient.valueName"),
    valueVersion: reader.integer("openClient.valueVersion"),
    compatibleVersions: readVersions(reader, "openClient.compatibleVersions"),
  };
}

function writeLeaderHint(writer: ByteWriter, frame: LeaderHint): void {
  writer.u32(frame.channel);
  writer.f64(frame.term);
  writeOptionalText(writer, frame.leader);
  writeOptionalText(writer, frame.address);
  writer.u32(frame.hosts.length);
  for (const host of frame.hosts) writer.text(host);
}
function readLeaderHint(reader: ByteReader): LeaderHint {
  const channel = reader.u32("leaderHint.channel");
  const term = reader.integer("leaderHint.term");
  const leader = readOptionalText(reader, "leaderHint.leader");
  const address = readOptionalText(reader, "leaderHint.address");
  const count = reader.count(4, "leaderHint.hosts");
  const hosts: string[] = [];
  for (let i = 0; i < count; i++) hosts.push(reader.text("leaderHint.hosts"));
  return { type: "leaderHint", channel, term, leader, address, hosts };
}

function writeFields(writer: ByteWriter, frame: Frame, cache: EntriesCache | null): void {
  switch (frame.type) {
    case "peerMessage":
      writer.u32(frame.channel);
      return writeMessage(writer, frame.message, cache);
    case "requests":
      writer.u32(frame.channel);
      return writeRequests(writer, frame);
    case "replies":
      writer.u32(frame.channel);
      return writeReplies(writer, frame);
    case "hello":
      writer.f64(frame.protocol);
      writer.bool(frame.kind === "peer");
      return writer.text(frame.from);
    case "welcome":
      writer.f64(frame.protocol);
      return writer.text(frame.hostId);
    case "openPeer":
      return writeOpenPeer(writer, frame);
    case "openClient":
      return writeOpenClient(writer, frame);
    case "channelOpened":
      writer.u32(frame.channel);
      writer.text(frame.groupId);
      return writer.text(frame.memberId);
    case "channelRefused":
      writer.u32(frame.channel);
      writer.text(frame.code);
      return writer.text(frame.message);
    case "refuse":
      writer.text(frame.code);
      return writer.text(frame.message);
    case "leaderHint":
      return writeLeaderHint(writer, frame);
    case "notify":
      writer.u32(frame.channel);
      writer.f64(frame.request);
      return writer.sized(frame.body);
    case "ping":
      writer.bool(frame.reply);
      return writer.f64(frame.sentAtMs);
    case "peerStanding":
      writer.u32(frame.slot);
      writer.u32(frame.channel);
      return writeMessage(writer, frame.message);
    case "peerRepeats":
      writer.f64(frame.sentAtMs);
      writer.u32(frame.slots.length);
      for (const slot of frame.slots) writer.u32(slot);
      return;
    default:
      frame satisfies never;
  }
}

function write(writer: ByteWriter, frame: Frame, cache: EntriesCache | null): void {
  writer.u8(frameCodes[frame.type]);
  writeFields(writer, frame, cache);
}

/** The bytes of a frame, a buffer of their own. */
export function encodeFrame(frame: Frame): Uint8Array {
  const writer = new ByteWriter(sizeHint(frame, null));
  write(writer, frame, null);
  return writer.finish();
}

/**
 * The same bytes in parts, of which small ones lie in `slab` and large bodies where they were. Give the
 * same `cache` for all peers of a turn and a run of entries that goes to several of them is encoded once.
 */
export function encodeFrameInParts(
  frame: Frame,
  cache: EntriesCache | null,
  slab: Slab,
): readonly Uint8Array[] {
  const writer = new ByteWriter(sizeHint(frame, cache), slab);
  writer.makeParts();
  write(writer, frame, cache);
  return writer.finishParts();
}

function readPeerMessage(reader: ByteReader): PeerMessage {
  const channel = reader.u32("peerMessage.channel");
  return { type: "peerMessage", channel, message: readMessage(reader) };
}

function readPeerStanding(reader: ByteReader): PeerStanding {
  const slot = reader.u32("peerStanding.slot");
  const channel = reader.u32("peerStanding.channel");
  const message = readMessage(reader);
  if (isRepeatable(message)) return { type: "peerStanding", slot, channel, message };
  return refuseBytes(`peerStanding.message "${message.type}" is not one to be repeated`);
}

function readPeerRepeats(reader: ByteReader): PeerRepeats {
  const sentAtMs = reader.finite("peerRepeats.sentAtMs");
  const count = reader.count(4, "peerRepeats.slots");
  // Of its size from the start: a thousand idle groups make one of these many times a second.
  const slots = new Array<number>(count);
  for (let i = 0; i < count; i++) slots[i] = reader.u32("peerRepeats.slots");
  return { type: "peerRepeats", sentAtMs, slots };
}

function readFields(reader: ByteReader): Frame {
  const code = reader.u8("frame type");
  switch (code) {
    case frameCodes.peerMessage:
      return readPeerMessage(reader);
    case frameCodes.peerRepeats:
      return readPeerRepeats(reader);
    case frameCodes.peerStanding:
      return readPeerStanding(reader);
    case frameCodes.requests:
      return readRequests(reader, reader.u32("requests.channel"));
    case frameCodes.replies:
      return readReplies(reader, reader.u32("replies.channel"));
    case frameCodes.hello:
      return {
        type: "hello",
        protocol: reader.integer("hello.protocol"),
        kind: reader.bool("hello.kind") ? "peer" : "client",
        from: reader.text("hello.from"),
      };
    case frameCodes.welcome:
      return {
        type: "welcome",
        protocol: reader.integer("welcome.protocol"),
        hostId: reader.text("welcome.hostId"),
      };
    case frameCodes.openPeer:
      return readOpenPeer(reader);
    case frameCodes.openClient:
      return readOpenClient(reader);
    case frameCodes.leaderHint:
      return readLeaderHint(reader);
    default:
      return readSmallFields(reader, code);
  }
}

function readSmallFields(reader: ByteReader, code: number): Frame {
  switch (code) {
    case frameCodes.channelOpened:
      return {
        type: "channelOpened",
        channel: reader.u32("channelOpened.channel"),
        groupId: reader.text("channelOpened.groupId"),
        memberId: reader.text("channelOpened.memberId"),
      };
    case frameCodes.channelRefused:
      return {
        type: "channelRefused",
        channel: reader.u32("channelRefused.channel"),
        code: reader.text("channelRefused.code"),
        message: reader.text("channelRefused.message"),
      };
    case frameCodes.refuse:
      return {
        type: "refuse",
        code: reader.text("refuse.code"),
        message: reader.text("refuse.message"),
      };
    case frameCodes.notify:
      return {
        type: "notify",
        channel: reader.u32("notify.channel"),
        request: reader.integer("notify.request"),
        body: reader.sized("notify.body"),
      };
    case frameCodes.ping:
      return {
        type: "ping",
        reply: reader.bool("ping.reply"),
        sentAtMs: reader.finite("ping.sentAtMs"),
      };
    default:
      return refuseBytes(`frame type ${code} is unknown`);
  }
}

/** What frame `payload` begins as, so that whoever has no use for it need not read it. */
export function frameTypeOf(payload: Uint8Array): Frame["type"] {
  const code = payload[0];
  if (code === undefined) return refuseBytes("frame type needs 1 bytes, 0 are left");
  return frameTypes.get(code) ?? refuseBytes(`frame type ${code} is unknown`);
}

/** The frame that `payload` holds; bodies are views into it. Total: see the top of this file. */
export function decodeFrame(payload: Uint8Array): Frame {
  const reader = new ByteReader(payload);
  const frame = readFields(reader);
  reader.finish(frame.type);
  return frame;
}
