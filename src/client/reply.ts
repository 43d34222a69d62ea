/** What a reply's bytes say. */
import type { ClientReply } from "../codec/types.js";
import { errorCodes, messageOf, RaftError, type RaftErrorCode } from "../errors.js";
import type { Codec } from "../ports.js";
import { type Call, label } from "./call.js";
import { hasEffect } from "./fate.js";

export type Codecs = {
  /** Of commands, queries and their replies. */
  readonly valueCodec: Codec;
  /** Of administrative verbs and events. */
  readonly adminCodec: Codec;
};

/** The decoded reply, or a RaftError `encodeFailed` (the call itself has succeeded). */
export function decodeReply(call: Call, reply: ClientReply, codecs: Codecs): unknown {
  const isAdmin = call.type === "admin";
  // Of a value's own codec, no bytes at all may be a reply like any other: an empty text, say.
  if (isAdmin && reply.body.length === 0) return undefined;
  try {
    const codec = isAdmin ? codecs.adminCodec : codecs.valueCodec;
    return codec.decode(reply.body);
  } catch (cause) {
    const why = messageOf(cause);
    const applied = hasEffect(call) ? "maybe" : "no";
    const text = `the reply to ${label(call)} does not decode: ${why}`;
    return new RaftError("encodeFailed", text, { applied, cause });
  }
}

/** A code that travelled: what we do not know is a defect or a newer version. */
export function knownCode(code: string): RaftErrorCode {
  return Object.hasOwn(errorCodes, code) ? (code as RaftErrorCode) : "internal";
}

const decoder = new TextDecoder();

/** The refusal's own words, or what its code stands for. */
export function refusalText(code: RaftErrorCode, body: Uint8Array): string {
  return body.length === 0 ? errorCodes[code] : decoder.decode(body);
}
