/** Hashes for comparing states and traces; not for security. */

/** 64 bits over some bytes, as a short string. Two independent multiplicative lanes. */
export function hashBytes(bytes: Uint8Array): string {
  let a = 0x9e3779b9 ^ bytes.length;
  let b = 0x85ebca6b;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    a = Math.imul(a ^ byte, 0x01000193);
    a ^= a >>> 15;
    b = Math.imul(b + byte, 0x2545f491);
    b ^= b >>> 13;
  }
  return `${finish(a).toString(36)}.${finish(b ^ a).toString(36)}`;
}

/** A running 64-bit hash of strings and numbers: the identity of a whole run. */
export class TraceHash {
  #a = 0x12345678;
  #b = 0x3c6ef372;
  #count = 0;

  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.word(text.charCodeAt(i));
    this.word(text.length);
  }

  /** Any number: fractions and large values count too. */
  number(value: number): void {
    const whole = Math.floor(value);
    this.word(whole | 0);
    this.word(Math.floor(whole / 2 ** 32) | 0);
    if (whole !== value) this.word(Math.floor((value - whole) * 2 ** 31) | 0);
  }

  word(value: number): void {
    this.#count += 1;
    this.#a = Math.imul(this.#a ^ value, 0x01000193);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul((this.#b + value) | 0, 0x2545f491);
    this.#b ^= this.#b >>> 13;
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const high = finish(this.#a ^ this.#count);
    const low = finish(this.#b ^ high);
    return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
  }
}

function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
