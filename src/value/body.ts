/**
 * The bytes of commands and queries: written once by the client, relayed as they are, read by every
 * member when it applies.
 *
 * ```
 * u8 flags (1 argument, 2 id) · u8 name length · name, ASCII · [u16 id length · id, UTF-8] · argument
 * ```
 * A query's body is the same without an id. The argument, if any, reaches to the end.
 */
import { messageOf, RaftError, show } from "../errors.js";
import type { Codec } from "../ports.js";
import { handlerOf } from "./define.js";
import { checkBytes, checkRead, decodeWith, encodeWith } from "./encoded.js";
import type { AnyDefinedValue } from "./types.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

const flagArg = 1;
const flagId = 2;
const maxIdLength = 256;
/** UTF-8 bytes that one UTF-16 unit takes at most. */
const maxBytesPerUnit = 3;

export type DecodedBody = {
  readonly name: string;
  /** Where the argument begins, which reaches to the end of the body; null if the call has none. */
  readonly argAt: number | null;
  readonly id: string | null;
};

/**
 * Refuses with `unknownCommand`, `encodeFailed` (the argument), `invalidArgument` (an id that is not
 * 1 to 256 characters, or has half a surrogate pair: all of them would become the same id).
 */
export function encodeCommandBody(
  definition: AnyDefinedValue,
  codec: Codec,
  name: string,
  hasArg: boolean,
  arg: unknown,
  id: string | null,
): Uint8Array {
  handlerOf(definition, "command", name);
  if (id !== null && (typeof id !== "string" || id.length < 1 || id.length > maxIdLength)) {
    const size = typeof id === "string" ? `${(id as string).length} characters: ` : "";
    throw new RaftError(
      "invalidArgument",
      `option id must be a string of 1 to ${maxIdLength} characters, got ${size}${show(id)}`,
    );
  }
  if (id !== null && !id.isWellFormed()) {
    throw new RaftError(
      "invalidArgument",
      `option id must be well-formed Unicode, got a lone surrogate in ${show(id)}`,
    );
  }
  return encodeBody("command", codec, name, hasArg, arg, id);
}

/** Refuses with `unknownQuery` and `encodeFailed`. */
export function encodeQueryBody(
  definition: AnyDefinedValue,
  codec: Codec,
  name: string,
  hasArg: boolean,
  arg: unknown,
): Uint8Array {
  handlerOf(definition, "query", name);
  return encodeBody("query", codec, name, hasArg, arg, null);
}

function encodeBody(
  kind: "command" | "query",
  codec: Codec,
  name: string,
  hasArg: boolean,
  arg: unknown,
  id: string | null,
): Uint8Array {
  const idBytes = id === null ? null : encodeUtf8(id);
  const head = new Uint8Array(2 + name.length + (idBytes === null ? 0 : 2 + idBytes.length));
  head[0] = (hasArg ? flagArg : 0) | (idBytes === null ? 0 : flagId);
  head[1] = name.length;
  for (let i = 0; i < name.length; i += 1) head[2 + i] = name.charCodeAt(i);
  if (idBytes !== null) {
    const at = 2 + name.length;
    head[at] = idBytes.length >> 8;
    head[at + 1] = idBytes.length & 0xff;
    head.set(idBytes, at + 2);
  }
  return hasArg ? encodeArgBehind(head, kind, codec, name, arg) : head;
}

function encodeArgBehind(
  head: Uint8Array,
  kind: string,
  codec: Codec,
  name: string,
  arg: unknown,
): Uint8Array {
  try {
    if (codec.encodeBehind !== undefined) {
      return checkBytes("encodeBehind", codec.encodeBehind(head, arg));
    }
    const argBytes = encodeWith(codec, arg);
    const body = new Uint8Array(head.length + argBytes.length);
    body.set(head);
    body.set(argBytes, head.length);
    return body;
  } catch (cause) {
    const why = messageOf(cause);
    throw new RaftError(
      "encodeFailed",
      `the argument of ${kind} "${name}" has no encoding: ${why}`,
      {
        cause,
      },
    );
  }
}

/** The names of one value, found by their bytes, so that reading a body makes no new string. */
export type NameTable = {
  /** A power of two, so that a slot is found by masking; null where no name belongs. */
  readonly slots: readonly (readonly string[] | null)[];
};

/** Few names share a slot, and a member of a group with three commands has no table of a page. */
const slotsPerName = 4;

export function createNameTable(definition: AnyDefinedValue): NameTable {
  const names = new Set([...Object.keys(definition.commands), ...Object.keys(definition.queries)]);
  let slotCount = 1;
  while (slotCount < names.size * slotsPerName) slotCount *= 2;
  const slots = new Array<readonly string[] | null>(slotCount).fill(null);
  for (const name of names) {
    const bytes = encodeUtf8(name);
    const slot = slotOf(bytes, 0, bytes.length, slotCount);
    slots[slot] = (slots[slot] ?? []).concat(name);
  }
  return { slots };
}

function slotOf(bytes: Uint8Array, from: number, to: number, slotCount: number): number {
  const last = bytes[to - 1]! * 3;
  return (bytes[from]! + last + bytes[(from + to) >> 1]! * 5 + to - from) & (slotCount - 1);
}

/** Null when these bytes are no body. Never throws: a hostile client may have written them. */
export function decodeCommandBody(
  bytes: Uint8Array,
  names: NameTable | null = null,
): DecodedBody | null {
  if (bytes.length < 3) return null;
  const flags = bytes[0]!;
  const name = flags > (flagArg | flagId) ? null : nameOf(bytes, names);
  if (name === null) return null;
  let at = 2 + bytes[1]!;
  let id: string | null = null;
  if ((flags & flagId) !== 0) {
    if (at + 2 > bytes.length) return null;
    const size = (bytes[at]! << 8) | bytes[at + 1]!;
    const end = at + 2 + size;
    // Ids are kept, so what a hostile client may make us keep is bounded here.
    if (size === 0 || size > maxIdLength * maxBytesPerUnit || end > bytes.length) return null;
    id = decodeUtf8(bytes, at + 2, end);
    at = end;
  }
  if ((flags & flagArg) === 0) return at === bytes.length ? { name, argAt: null, id } : null;
  return { name, argAt: at, id };
}

/** The name alone, of bytes that may be no body; null when they cannot hold one. */
export function nameOf(bytes: Uint8Array, names: NameTable | null): string | null {
  const nameEnd = 2 + (bytes[1] ?? 0);
  return nameEnd === 2 || nameEnd > bytes.length ? null : readName(bytes, nameEnd, names);
}

/** As `decodeCommandBody`; `id` is null in what clients write. */
export function decodeQueryBody(
  bytes: Uint8Array,
  names: NameTable | null = null,
): DecodedBody | null {
  return decodeCommandBody(bytes, names);
}

/** The argument of a body that was read; throws what the codec throws. */
export function decodeArg(codec: Codec, bytes: Uint8Array, { argAt }: DecodedBody): unknown {
  if (argAt === null) return undefined;
  if (codec.decodeBehind !== undefined) {
    return checkRead("decodeBehind", codec.decodeBehind(bytes, argAt));
  }
  return decodeWith(codec, bytes.subarray(argAt));
}

function readName(bytes: Uint8Array, end: number, names: NameTable | null): string {
  if (names !== null) {
    const { slots } = names;
    const slot = slots[slotOf(bytes, 2, end, slots.length)]!;
    if (slot !== null) for (const known of slot) if (sameName(bytes, end, known)) return known;
  }
  return decodeUtf8(bytes, 2, end);
}

function sameName(bytes: Uint8Array, end: number, name: string): boolean {
  if (name.length !== end - 2) return false;
  for (let i = 0; i < name.length; i += 1) {
    if (bytes[2 + i] !== name.charCodeAt(i)) return false;
  }
  return true;
}
