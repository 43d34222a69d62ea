/** CRC-32 (IEEE 802.3, as in zlib) in plain JavaScript, where the platform brings none. */

/** CRC-32 of `bytes`, going on from the checksum of what came before them. */
export type Checksum = (bytes: Uint8Array, before?: number) => number;

function makeTables(): readonly Uint32Array[] {
  const first = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = (c & 1) === 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
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
