/** CRC-32 (IEEE 802.3, as in zlib) in plain JavaScript, where the platform brings none. */

/** CRC-32 of `bytes`, going on from the checksum of what came before them. */
export type Checksum = (bytes: Uint8Array, before?: number) => number;

// A checksum is a polynomial over GF(2) modulo the generator, bit-reversed: bit 31 is the coefficient of x^0.
const one = 0x80000000;

function timesX(polynomial: number): number {
  return (polynomial & 1) === 1 ? (polynomial >>> 1) ^ 0xedb88320 : polynomial >>> 1;
}

function makeTables(): readonly Uint32Array[] {
  const first = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = timesX(c);
    first[n] = c >>> 0;
  }
  const tables = [first];
  for (let t = 1; t < 4; t++) {
    const previous = tables[t - 1]!;
    tables.push(previous.map((c) => first[c & 0xff]! ^ (c >>> 8)));
  }
  return tables;
}

// Four bytes a step ("slicing by four"): table t is the effect of a byte t places ahead.
const tables = makeTables();
const t0 = tables[0]!;
const t1 = tables[1]!;
const t2 = tables[2]!;
const t3 = tables[3]!;

/** Compatible with `zlib.crc32(bytes, before)`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let c = ~before;
  const length = bytes.length;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    c ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    c = t3[c & 0xff]! ^ t2[(c >>> 8) & 0xff]! ^ t1[(c >>> 16) & 0xff]! ^ t0[c >>> 24]!;
  }
  for (; i < length; i++) c = (c >>> 8) ^ t0[(c ^ bytes[i]!) & 0xff]!;
  return ~c >>> 0;
}

function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = timesX(shifted);
  }
  return product >>> 0;
}

/** Of what has the checksum `first` and behind it what has `second` and is `secondBytes` long, at most 2^32 - 1. */
export type Crc32Combine = (first: number, second: number, secondBytes: number) => number;

/** Combines checksums without reading anything again. Made by whoever needs it: its table takes a tenth of a millisecond. */
export function makeCrc32Combine(): Crc32Combine {
  // x to the power of 8 * 2^k, by k: what 2^k bytes more do to the polynomial of those before them.
  const powers = [0x00800000];
  while (powers.length < 32) powers.push(multiply(powers.at(-1)!, powers.at(-1)!));
  return (first, second, secondBytes) => {
    let moved = first;
    for (let k = 0, rest = secondBytes; rest > 0; k++, rest >>>= 1) {
      if ((rest & 1) === 1) moved = multiply(moved, powers[k]!);
    }
    return (moved ^ second) >>> 0;
  };
}
