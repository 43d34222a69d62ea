/**
 * UTF-8 by hand: the pure rooms compile without DOM or Node types, so there is no TextEncoder here.
 * Used for failure messages and callers' ids, which are short.
 */

/** Lone surrogates become U+FFFD, as everywhere else. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    let code = text.charCodeAt(i);
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code < 0xdc00 ? text.charCodeAt(i + 1) : 0;
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i += 1;
      } else {
        code = 0xfffd;
      }
    }
    length = writeCodePoint(bytes, length, code);
  }
  return bytes.slice(0, length);
}

function writeCodePoint(bytes: Uint8Array, at: number, code: number): number {
  let length = at;
  if (code < 0x80) {
    bytes[length++] = code;
    return length;
  }
  if (code < 0x800) {
    bytes[length++] = 0xc0 | (code >> 6);
  } else {
    if (code < 0x10000) {
      bytes[length++] = 0xe0 | (code >> 12);
    } else {
      bytes[length++] = 0xf0 | (code >> 18);
      bytes[length++] = 0x80 | ((code >> 12) & 63);
    }
    bytes[length++] = 0x80 | ((code >> 6) & 63);
  }
  bytes[length++] = 0x80 | (code & 63);
  return length;
}

/** Never throws: what is not UTF-8 becomes U+FFFD, one for each byte that fits nowhere. */
export function decodeUtf8(bytes: Uint8Array, from = 0, to = bytes.length): string {
  let text = "";
  let i = from;
  while (i < to) {
    const first = bytes[i]!;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      i += 1;
      continue;
    }
    const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    const code = readSequence(bytes, i, to, size);
    if (code < 0) {
      text += "\ufffd";
      i += 1;
    } else {
      text += String.fromCodePoint(code);
      i += size;
    }
  }
  return text;
}

const smallest = [0, 0, 0x80, 0x800, 0x10000];

/** The code point of a sequence of `size` bytes, or -1 when it is none. */
function readSequence(bytes: Uint8Array, at: number, to: number, size: number): number {
  const first = bytes[at]!;
  if (first < 0xc2 || first > 0xf4 || at + size > to) return -1;
  let code = first & (0x7f >> size);
  for (let i = 1; i < size; i += 1) {
    const next = bytes[at + i]!;
    if ((next & 0xc0) !== 0x80) return -1;
    code = (code << 6) | (next & 63);
  }
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < smallest[size]! || code > 0x10ffff || surrogate ? -1 : code;
}
