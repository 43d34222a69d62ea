/**
 * The commonest arguments and replies (a count, a flag, nothing, a short word, bytes) without cbor-x:
 * its set-up for one call costs more than the small ones do, and its copies of large bytes more than
 * the one that has to be. The bytes are the same.
 */

/** Not one of these: the codec proper has to look at it. */
export const notSimple: unique symbol = Symbol("not simple");

/** Where an encoding is written: that many bytes, which nobody else has. */
export type Room = (sizeBytes: number) => Uint8Array;

/** Null for everything that is not simple. Behind `head`, all in `room`. */
export function encodeSimple(value: unknown, head: Uint8Array, room: Room): Uint8Array | null {
  if (typeof value === "number") {
    return isCount(value) ? encodeCount(value, head, room) : null;
  }
  if (value === null) return oneByte(0xf6, head, room);
  if (value === undefined) return oneByte(0xf7, head, room);
  if (typeof value === "boolean") return oneByte(value ? 0xf5 : 0xf4, head, room);
  if (typeof value === "object" && Object.getPrototypeOf(value) === Uint8Array.prototype) {
    return encodeBytes(value as Uint8Array, head, room);
  }
  return null;
}

/** `sizeBytes` behind `head`, to be filled. */
export function roomBehind(head: Uint8Array, sizeBytes: number, room: Room): Uint8Array {
  const bytes = room(head.length + sizeBytes);
  for (let i = 0; i < head.length; i++) bytes[i] = head[i]!;
  return bytes;
}

/** Tag 64 of RFC 8746, then a byte string. */
function encodeBytes(value: Uint8Array, head: Uint8Array, room: Room): Uint8Array {
  const { length } = value;
  const bytes = roomBehind(head, 2 + headBytes(length) + length, room);
  const at = head.length;
  bytes[at] = 0xd8;
  bytes[at + 1] = 64;
  bytes.set(value, writeHead(bytes, at + 2, 2, length));
  return bytes;
}

/** A whole number that has a head of five bytes at most. */
export function isCount(value: number): boolean {
  return value >>> 0 === value && (value > 0 || 1 / value > 0);
}

/** Of a head with that argument, which is a count. */
export function headBytes(argument: number): number {
  return argument < 24 ? 1 : argument < 0x100 ? 2 : argument < 0x10000 ? 3 : 5;
}

/** A major type with its argument, which is a count; returns where it ends. */
export function writeHead(bytes: Uint8Array, at: number, major: number, argument: number): number {
  const end = at + headBytes(argument);
  const size = end - at - 1;
  bytes[at] = (major << 5) | (size === 0 ? argument : size === 1 ? 24 : size === 2 ? 25 : 26);
  for (let i = end - 1, rest = argument; i > at; i--, rest >>>= 8) bytes[i] = rest & 0xff;
  return end;
}

function oneByte(byte: number, head: Uint8Array, room: Room): Uint8Array {
  const bytes = roomBehind(head, 1, room);
  bytes[head.length] = byte;
  return bytes;
}

function encodeCount(value: number, head: Uint8Array, room: Room): Uint8Array {
  const bytes = roomBehind(head, headBytes(value), room);
  writeHead(bytes, head.length, 0, value);
  return bytes;
}

/** The bytes from `from` on; `notSimple` for everything else, bytes that are no value included. */
export function decodeSimple(bytes: Uint8Array, from: number): unknown {
  const length = bytes.length - from;
  if (length <= 0) return notSimple;
  const first = bytes[from]!;
  if (first < 24) return length === 1 ? first : notSimple;
  if (first <= 26) {
    const isWhole = length === 1 + (1 << (first - 24));
    return isWhole ? decodeCount(bytes, from + 1, bytes.length) : notSimple;
  }
  if (first >= 0x60 && first < 0x78) {
    return length === 1 + first - 0x60 ? decodeAscii(bytes, from + 1) : notSimple;
  }
  if (first === 0xd8 && length > 2 && bytes[from + 1] === 64) return decodeBytes(bytes, from + 2);
  if (length !== 1) return notSimple;
  switch (first) {
    case 0xf4:
      return false;
    case 0xf5:
      return true;
    case 0xf6:
      return null;
    case 0xf7:
      return undefined;
    default:
      return notSimple;
  }
}

/** The big-endian number between the two. */
export function decodeCount(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 0x100 + bytes[i]!;
  return value;
}

/** A copy: what is decoded aliases nothing that was given. */
function decodeBytes(bytes: Uint8Array, at: number): unknown {
  const head = bytes[at]! - 0x40;
  if (head < 0 || head > 26) return notSimple;
  const size = head < 24 ? 0 : 1 << (head - 24);
  const from = at + 1 + size;
  if (bytes.length < from) return notSimple;
  const length = size === 0 ? head : decodeCount(bytes, at + 1, from);
  if (bytes.length !== from + length) return notSimple;
  return new Uint8Array(bytes.subarray(from));
}

function decodeAscii(bytes: Uint8Array, from: number): unknown {
  let text = "";
  for (let i = from; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) return notSimple;
    text += String.fromCharCode(byte);
  }
  return text;
}
