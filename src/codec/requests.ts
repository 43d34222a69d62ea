/**
 * The `requests` and `replies` frames of clients: one frame per connection and turn, many items.
 *
 * Numbers are u32 each (narrow), or float64 each once one of an item exceeds it (bit 7 of the first byte).
 */
import type { ClientReply, ClientRequest, Replies, Requests } from "./types.js";
import {
  type ByteReader,
  type ByteWriter,
  isU32,
  refuseBytes,
  roomBesideParts,
  textOf,
  utf8,
} from "./bytes.js";

/**
 * So many items one frame has at most: to read and to answer them keeps a host busy for well under an
 * election timeout. What a client of ours puts into one frame ends at 64 KiB of bodies of some bytes each.
 */
export const maxItemsPerFrame = 131_072;

const codes = Object.freeze({ register: 0, command: 1, query: 2, admin: 3 } as const);
const wideBit = 0x80;
/** The first byte of a reply. */
const maybeBit = 1;
const failedBit = 2;

const wideCommandBytes = 1 + 32 + 4;
const wideReplyBytes = 1 + 16 + 4;

/** An upper bound of what the items take beside large bodies, statuses and verbs aside. */
export function requestsSizeHint(frame: Requests): number {
  let size = 16;
  for (const request of frame.requests) {
    const bodyBytes = request.type === "register" ? 0 : request.body.length;
    size += wideCommandBytes + roomBesideParts(bodyBytes);
  }
  return size;
}
export function repliesSizeHint(frame: Replies): number {
  let size = 16;
  for (const reply of frame.replies) {
    size += wideReplyBytes + 16 + roomBesideParts(reply.body.length);
  }
  return size;
}

type Command = Extract<ClientRequest, { type: "command" }>;

function writeCommand(writer: ByteWriter, request: Command): void {
  const { body } = request;
  writer.ensure(wideCommandBytes + roomBesideParts(body.length));
  const { view, bytes } = writer;
  let at = writer.offset;
  const narrow =
    isU32(request.request) &&
    isU32(request.session) &&
    isU32(request.sequence) &&
    isU32(request.lowestOutstanding);
  if (narrow) {
    bytes[at] = codes.command;
    view.setUint32(at + 1, request.request, true);
    view.setUint32(at + 5, request.session, true);
    view.setUint32(at + 9, request.sequence, true);
    view.setUint32(at + 13, request.lowestOutstanding, true);
    at += 17;
  } else {
    bytes[at] = codes.command | wideBit;
    view.setFloat64(at + 1, request.request, true);
    view.setFloat64(at + 9, request.session, true);
    view.setFloat64(at + 17, request.sequence, true);
    view.setFloat64(at + 25, request.lowestOutstanding, true);
    at += 33;
  }
  view.setUint32(at, body.length, true);
  writer.offset = at + 4;
  writer.raw(body);
}

function writeRequest(writer: ByteWriter, request: ClientRequest): void {
  switch (request.type) {
    case "command":
      return writeCommand(writer, request);
    case "register":
      writer.u8(codes.register);
      writer.f64(request.request);
      writer.f64(request.nonce);
      return;
    case "query":
      writer.u8(codes.query);
      writer.f64(request.request);
      writer.bool(request.stale);
      writer.sized(request.body);
      return;
    case "admin":
      writer.u8(codes.admin);
      writer.f64(request.request);
      writer.text(request.verb);
      writer.sized(request.body);
      return;
    default:
      request satisfies never;
  }
}

function readCommand(reader: ByteReader, wide: boolean): Command {
  let request: number;
  let session: number;
  let sequence: number;
  let lowestOutstanding: number;
  if (wide) {
    request = reader.integer("command.request");
    session = reader.integer("command.session");
    sequence = reader.integer("command.sequence");
    lowestOutstanding = reader.integer("command.lowestOutstanding");
  } else {
    reader.need(16, "command");
    const { view } = reader;
    const at = reader.offset;
    request = view.getUint32(at, true);
    session = view.getUint32(at + 4, true);
    sequence = view.getUint32(at + 8, true);
    lowestOutstanding = view.getUint32(at + 12, true);
    reader.offset = at + 16;
  }
  const body = reader.sized("command.body");
  return { type: "command", request, session, sequence, lowestOutstanding, body };
}

function readRequest(reader: ByteReader): ClientRequest {
  const head = reader.u8("request type");
  switch (head) {
    case codes.command:
      return readCommand(reader, false);
    case codes.command | wideBit:
      return readCommand(reader, true);
    case codes.register:
      return {
        type: "register",
        request: reader.integer("register.request"),
        nonce: reader.integer("register.nonce"),
      };
    case codes.query:
      return {
        type: "query",
        request: reader.integer("query.request"),
        stale: reader.bool("query.stale"),
        body: reader.sized("query.body"),
      };
    case codes.admin:
      return {
        type: "admin",
        request: reader.integer("admin.request"),
        verb: reader.text("admin.verb"),
        body: reader.sized("admin.body"),
      };
    default:
      return refuseBytes(`request type ${head} is unknown`);
  }
}

export function writeRequests(writer: ByteWriter, frame: Requests): void {
  writer.u32(frame.requests.length);
  for (const request of frame.requests) writeRequest(writer, request);
}

export function readRequests(reader: ByteReader, channel: number): Requests {
  const count = readCount(reader, 14, "requests");
  const requests: ClientRequest[] = [];
  for (let i = 0; i < count; i++) requests.push(readRequest(reader));
  return { type: "requests", channel, requests };
}

function readCount(reader: ByteReader, leastBytes: number, field: string): number {
  const count = reader.count(leastBytes, field);
  if (count <= maxItemsPerFrame) return count;
  return refuseBytes(`${field} declares ${count}, a frame has ${maxItemsPerFrame} at most`);
}

function writeReply(writer: ByteWriter, reply: ClientReply): void {
  const { body } = reply;
  const ok = reply.status === "ok";
  const narrow = isU32(reply.request) && isU32(reply.index);
  writer.ensure(wideReplyBytes + roomBesideParts(body.length));
  const { view, bytes } = writer;
  let at = writer.offset;
  bytes[at] =
    (reply.applied === "maybe" ? maybeBit : 0) | (ok ? 0 : failedBit) | (narrow ? 0 : wideBit);
  if (narrow) {
    view.setUint32(at + 1, reply.request, true);
    view.setUint32(at + 5, reply.index, true);
    at += 9;
  } else {
    view.setFloat64(at + 1, reply.request, true);
    view.setFloat64(at + 9, reply.index, true);
    at += 17;
  }
  view.setUint32(at, body.length, true);
  writer.offset = at + 4;
  writer.raw(body);
  if (!ok) writer.sized(utf8(reply.status));
}

function readReply(reader: ByteReader): ClientReply {
  const head = reader.u8("reply");
  if ((head & ~(maybeBit | failedBit | wideBit)) !== 0) refuseBytes(`reply flags ${head}`);
  let request: number;
  let index: number;
  if ((head & wideBit) !== 0) {
    request = reader.integer("reply.request");
    index = reader.integer("reply.index");
  } else {
    reader.need(8, "reply");
    request = reader.view.getUint32(reader.offset, true);
    index = reader.view.getUint32(reader.offset + 4, true);
    reader.offset += 8;
  }
  const body = reader.sized("reply.body");
  const status =
    (head & failedBit) === 0 ? "ok" : textOf(reader.sized("reply.status"), "reply.status");
  const applied = (head & maybeBit) === 0 ? "no" : "maybe";
  return { request, status, applied, index, body };
}

export function writeReplies(writer: ByteWriter, frame: Replies): void {
  writer.u32(frame.replies.length);
  for (const reply of frame.replies) writeReply(writer, reply);
}

export function readReplies(reader: ByteReader, channel: number): Replies {
  const count = readCount(reader, 13, "replies");
  const replies: ClientReply[] = [];
  for (let i = 0; i < count; i++) replies.push(readReply(reader));
  return { type: "replies", channel, replies };
}
