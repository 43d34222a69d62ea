/**
 * The commonest arguments and replies (a count, a flag, nothing, a short word) without cbor-x, whose
 * set-up for one call costs more than they do. The bytes are the same.
 */

/** Not one of these: the codec proper has to look at it. */
export const notSimple: unique symbol = Symbol("not simple");

/** Null for everything that is not simple. */
export function encodeSimple(value: unknown): Uint8Array | null {
  if (typeof value === "number") {
    return value >>> 0 === value && (value > 0 || 1 / value > 0) ? encodeCount(value) : null;
  }
  if (value === null) return oneByte(0xf6);
  if (value === undefined) return oneByte(0xf7);
  if (typeof value === "boolean") return oneByte(value ? 0xf5 : 0xf4);
  return null;
}

function oneByte(byte: number): Uint8Array {
  const bytes = new Uint8Array(1);
  bytes[0] = byte;
  return bytes;
}

function encodeCount(value: number): Uint8Array {
  if (value < 24) return oneByte(value);
  const size = value < 0x100 ? 1 : value < 0x10000 ? 2 : 4;
  const bytes = new Uint8Array(1 + size);
  bytes[0] = size === 1 ? 24 : size === 2 ? 25 : 26;
  for (let i = size, rest = value; i > 0; i--, rest >>>= 8) bytes[i] = rest & 0xff;
  return bytes;
}

/** `notSimple` for everything else, bytes that are no value included. */
export function decodeSimple(bytes: Uint8Array): unknown {
  const { length } = bytes;
  if (length === 0) return notSimple;
  const first = bytes[0]!;
  if (first < 24) return length === 1 ? first : notSimple;
  if (first <= 26) return length === 1 + (1 << (first - 24)) ? decodeCount(bytes) : notSimple;
  if (first >= 0x60 && first < 0x78) {
    return length === 1 + first - 0x60 ? decodeAscii(bytes) : notSimple;
  }
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

function decodeCount(bytes: Uint8Array): number {
  let value = 0;
  for (let i = 1; i < bytes.length; i++) value = value * 0x100 + bytes[i]!;
  return value;
}

function decodeAscii(bytes: Uint8Array): unknown {
  let text = "";
  for (let i = 1; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) return notSimple;
    text += String.fromCharCode(byte);
  }
  return text;
}
