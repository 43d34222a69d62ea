/**
 * Reads bytes from outside before cbor-x does, and lets through only the kinds of it that the codec writes.
 *
 * cbor-x knows many extensions that a stranger can turn against us: shared references that take
 * exponential time, BigInts that take quadratic time, definitions that outlive the message, nesting
 * without a limit. And text that is not UTF-8 is read differently with and without its native
 * part: two members would apply two different commands.
 */
import { isUtf8 } from "node:buffer";
import { maxDepth, tagExactDate, tagLongBigInt, tagMarkedText } from "./value-forms.js";

/**
 * Of the first `end` bytes. Throws an ordinary Error. Returns whether there are tags of our own to be replaced. `depth`:
 * how deep the value lies in another one.
 */
export function scan(bytes: Uint8Array, end: number, depth: number): boolean {
  const scanner = new Scanner(bytes, end);
  scanner.item(depth);
  if (scanner.at !== end) throw new Error("bytes follow after the end of the value");
  return scanner.hasOwnTags;
}

const typedArrayTagNumbers: ReadonlySet<number> = new Set([
  64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 77, 78, 79, 81, 82, 85, 86,
]);

class Scanner {
  at = 0;
  hasOwnTags = false;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, end: number) {
    this.#bytes = bytes;
    this.#end = end;
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
    if (this.at >= this.#end) throw new Error("the value ends too early");
    return this.#bytes[this.at++]!;
  }

  #skip(length: number): void {
    if (length > this.#end - this.at) throw new Error("the value ends too early");
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
      const from = this.at;
      this.#text(length);
      if (length === proto.length) this.#refuseProto(from);
      this.item(depth + 1);
    }
  }

  #refuseProto(from: number): void {
    for (let i = 0; i < proto.length; i++) {
      if (this.#bytes[from + i] !== proto.charCodeAt(i)) return;
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
    const first = this.at < this.#end ? this.#bytes[this.at]! : 0xff;
    const isDouble = first === 0xfb;
    if (!isDouble && (first >> 5 > 1 || (first & 31) > 26)) {
      throw new Error(`the content of ${what} is no number`);
    }
    this.item(0);
  }

  #text(length: number): void {
    const from = this.at;
    this.#skip(length);
    if (length < nativeFromBytes && isAscii(this.#bytes, from, this.at)) return;
    const { buffer, byteOffset } = this.#bytes;
    if (!isUtf8(new Uint8Array(buffer, byteOffset + from, length))) {
      throw new Error("a text is not UTF-8");
    }
  }
}

const proto = "__proto__";

/** From here on Node's check costs less than a look at each byte. */
const nativeFromBytes = 48;

function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}
