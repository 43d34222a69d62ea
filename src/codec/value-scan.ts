/**
 * Reads bytes from outside before cbor-x does, and lets through only the kinds of it that the codec writes.
 *
 * cbor-x knows many extensions that a stranger can turn against us: shared references that take
 * exponential time, BigInts that take quadratic time, definitions that outlive the message, nesting
 * without a limit. And text that is not UTF-8 is read differently with and without its native
 * part: two members would apply two different commands.
 */
import { maxDepth, tagExactDate, tagLongBigInt, tagMarkedText } from "./value-forms.js";

/**
 * Throws an ordinary Error. Returns whether there are tags of our own to be replaced. `depth`: how deep the value
 * lies in another one.
 */
export function scan(bytes: Uint8Array, depth = 0): boolean {
  const scanner = new Scanner(bytes);
  scanner.item(depth);
  if (scanner.at !== bytes.length) throw new Error("bytes follow after the end of the value");
  return scanner.hasOwnTags;
}

const typedArrayTagNumbers: ReadonlySet<number> = new Set([
  64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 77, 78, 79, 81, 82, 85, 86,
]);

class Scanner {
  at = 0;
  hasOwnTags = false;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  item(depth: number): void {
    const bytes = this.#bytes;
    const first = this.#byte();
    const major = first >> 5;
    const info = first & 31;
    switch (major) {
      case 0:
      case 1:
        if (info === 27) this.#skip(8);
        else this.#argument(info);
        return;
      case 2:
        return this.#skip(this.#argument(info));
      case 3:
        return this.#text(this.#argument(info));
      case 4:
        return this.#items(this.#argument(info), depth);
      case 5:
        return this.#entries(this.#argument(info), depth);
      case 6:
        return this.#tagged(this.#argument(info), depth);
      default:
        if (info >= 20 && info <= 23) return;
        if (info === 25) return this.#skip(2);
        if (info === 26) return this.#skip(4);
        if (info === 27) return this.#skip(8);
        throw new Error(`byte ${bytes[this.at - 1]} at ${this.at - 1} begins no value`);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new Error("the value ends too early");
    this.at += 1;
    return byte;
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.at) throw new Error("the value ends too early");
    this.at += length;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#byte();
    if (info === 25) return this.#byte() * 0x100 + this.#byte();
    if (info !== 26) throw new Error(`a length or number in a form that is not read: ${info}`);
    let value = 0;
    for (let i = 0; i < 4; i++) value = value * 0x100 + this.#byte();
    return value;
  }

  /** Nothing is allocated for a declared length: every item has to be there, with a byte at least. */
  #enter(depth: number): void {
    if (depth >= maxDepth) throw new Error(`nesting is deeper than ${maxDepth} levels`);
  }

  #items(count: number, depth: number): void {
    this.#enter(depth);
    for (let i = 0; i < count; i++) this.item(depth + 1);
  }

  /** Of an object: keys are text. */
  #entries(count: number, depth: number): void {
    this.#enter(depth);
    for (let i = 0; i < count; i++) {
      const first = this.#byte();
      if (first >> 5 !== 3) throw new Error("the key of an object is not a text");
      const length = this.#argument(first & 31);
      if (length === 9) this.#refuseProto();
      this.#text(length);
      this.item(depth + 1);
    }
  }

  #refuseProto(): void {
    for (let i = 0; i < proto.length; i++) {
      if (this.#bytes[this.at + i] !== proto.charCodeAt(i)) return;
    }
    throw new Error("an object has the key __proto__");
  }

  #mapEntries(depth: number): void {
    const count = this.#argument(this.#headOf(5, "a Map"));
    this.#enter(depth);
    for (let i = 0; i < count; i++) {
      this.item(depth + 1);
      this.item(depth + 1);
    }
  }

  /** The next head must be of that major type; returns its low five bits. */
  #headOf(major: number, what: string): number {
    const first = this.#byte();
    if (first >> 5 !== major) throw new Error(`the content of ${what} is of another type`);
    return first & 31;
  }

  #tagged(tag: number, depth: number): void {
    if (tag === 259) return this.#mapEntries(depth);
    if (tag === 258) return this.#items(this.#argument(this.#headOf(4, "a Set")), depth);
    if (typedArrayTagNumbers.has(tag)) {
      return this.#skip(this.#argument(this.#headOf(2, "a typed array")));
    }
    if (tag === 1) return this.#number("a Date");
    this.hasOwnTags = true;
    if (tag === tagExactDate) return this.#number("a Date");
    if (tag !== tagMarkedText && tag !== tagLongBigInt) throw new Error(`tag ${tag} is unknown`);
    this.#text(this.#argument(this.#headOf(3, "a tagged text")));
  }

  #number(what: string): void {
    const first = this.#bytes[this.at] ?? 0xff;
    const isDouble = first === 0xfb;
    if (!isDouble && (first >> 5 > 1 || (first & 31) > 26)) {
      throw new Error(`the content of ${what} is no number`);
    }
    this.item(0);
  }

  #text(length: number): void {
    const from = this.at;
    this.#skip(length);
    const bytes = this.#bytes;
    for (let i = from; i < this.at; i++) {
      if (bytes[i]! >= 0x80) return checkUtf8(bytes, i, this.at);
    }
  }
}

const proto = "__proto__";

/** Smallest code point of a sequence of 2, 3, 4 bytes. */
const smallest: readonly number[] = [0, 0, 0x80, 0x800, 0x10000];

function checkUtf8(bytes: Uint8Array, from: number, to: number): void {
  let i = from;
  while (i < to) {
    const first = bytes[i]!;
    if (first < 0x80) {
      i += 1;
      continue;
    }
    const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    let code = first & (0x7f >> size);
    let good = first >= 0xc2 && first <= 0xf4 && i + size <= to;
    for (let k = 1; good && k < size; k++) {
      const next = bytes[i + k]!;
      good = (next & 0xc0) === 0x80;
      code = (code << 6) | (next & 63);
    }
    if (!good || code < smallest[size]! || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      throw new Error("a text is not UTF-8");
    }
    i += size;
  }
}
