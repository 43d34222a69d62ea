/**
 * The inverse of `value-slices.ts`: a value's encoding read in pieces of bounded size, so that a big one does
 * not hold up the event loop.
 *
 * What is short goes to cbor-x as a whole. A container that is long is opened here, and its items are read in
 * runs: as many as fit into a slice, with the head of an array before them. Every byte but the heads of opened
 * containers has gone through the scan when cbor-x sees it.
 *
 * The bytes may still be coming in (decision 43): nothing is looked at before two slices of it are there, or the rest.
 */
import type { ArrivingBytes } from "../ports.js";
import { maxDepth, wholeWeight } from "./value-forms.js";
import { decodeCount, headBytes, writeHead } from "./value-simple.js";

/** Decodes one item, which lies so deep in the value. */
export type DecodeWhole = (bytes: Uint8Array, depth: number) => unknown;

type Slices<T> = Generator<undefined, T>;

/**
 * The value that the bytes from `from` on hold; throws as `decode` does. Yields between two slices, and where it
 * waits for more bytes.
 */
export function* decodeInSlices(
  arriving: ArrivingBytes,
  from: number,
  decodeWhole: DecodeWhole,
): Slices<unknown> {
  const reader = new SliceReader(arriving, from, decodeWhole);
  const value = yield* readItem(reader, 0);
  if (reader.at !== arriving.bytes.length)
    throw new Error("bytes follow after the end of the value");
  return value;
}

/** What a container's items come to, in the order in which they were written: of a map keys and values in turn. */
interface Collector {
  /** Keys are texts. */
  readonly isObject: boolean;
  readonly value: unknown;
  add(items: readonly unknown[]): void;
}

function collectArray(): Collector {
  const value: unknown[] = [];
  return {
    isObject: false,
    value,
    add(items) {
      for (let i = 0; i < items.length; i++) value.push(items[i]);
    },
  };
}

function collectSet(): Collector {
  const value = new Set<unknown>();
  return {
    isObject: false,
    value,
    add(items) {
      for (let i = 0; i < items.length; i++) value.add(items[i]);
    },
  };
}

/** Whose value has not come yet. */
const noKey: unique symbol = Symbol("no key");

function collectMap(): Collector {
  const value = new Map<unknown, unknown>();
  return { isObject: false, value, add: inPairs((key, item) => void value.set(key, item)) };
}

function collectObject(): Collector {
  const value: Record<string, unknown> = {};
  const put = (key: unknown, item: unknown): void => {
    if (key === "__proto__") throw new Error("an object has the key __proto__");
    value[key as string] = item;
  };
  return { isObject: true, value, add: inPairs(put) };
}

function inPairs(put: (key: unknown, item: unknown) => void): Collector["add"] {
  let key: unknown = noKey;
  return (items) => {
    for (let i = 0; i < items.length; i++) {
      if (key === noKey) key = items[i];
      else {
        put(key, items[i]);
        key = noKey;
      }
    }
  };
}

class SliceReader {
  at: number;
  readonly #arriving: ArrivingBytes;
  readonly #bytes: Uint8Array;
  readonly #decodeWhole: DecodeWhole;

  constructor(arriving: ArrivingBytes, from: number, decodeWhole: DecodeWhole) {
    this.#arriving = arriving;
    this.#bytes = arriving.bytes;
    this.at = from;
    this.#decodeWhole = decodeWhole;
  }

  /** What the next step looks at has arrived. */
  ahead(): Slices<void> {
    return this.until(this.at + 2 * wholeWeight);
  }

  /** The bytes before `end` have arrived, or all that there will be. */
  *until(end: number): Slices<void> {
    const arriving = this.#arriving;
    const wanted = Math.min(end, this.#bytes.length);
    while (arriving.arrived < wanted) {
      arriving.wanted = wanted;
      yield undefined;
    }
  }

  /** Where the item at `from` ends; -1 if it is longer than a slice, or than what there is. */
  endOf(from: number): number {
    const bytes = this.#bytes;
    const limit = Math.min(bytes.length, from + wholeWeight);
    let at = from;
    for (let items = 1; items > 0; items--) {
      if (at >= limit) return -1;
      const first = bytes[at]!;
      const major = first >> 5;
      let argument = first & 31;
      at += 1;
      if (argument >= 24) {
        const from = at;
        at += sizeOfArgument(argument, major);
        if (at > limit) return -1;
        argument = decodeCount(bytes, from, at);
      }
      // Numbers and simple values have nothing behind their head.
      if (major < 2 || major === 7) continue;
      if (major < 4) at += argument;
      else items += major === 4 ? argument : major === 5 ? 2 * argument : 1;
    }
    return at <= limit ? at : -1;
  }

  *whole(end: number, depth: number): Slices<unknown> {
    yield* this.until(end);
    const from = this.at;
    if (end > this.#bytes.length) throw new Error("the value ends too early");
    this.at = end;
    return this.#decodeWhole(this.#bytes.subarray(from, end), depth);
  }

  head(): Head {
    const head = readHead(this.#bytes, this.at);
    this.at = head.end;
    return head;
  }

  /** The short ones of the next `most` items, and no more than fit into a slice; empty: the next one is long. */
  run(most: number, depth: number, keyAt: 0 | 1 | null): readonly unknown[] {
    const from = this.at;
    let count = 0;
    while (count < most && this.at - from < wholeWeight) {
      if (count % 2 === keyAt) this.#checkKey();
      const end = this.endOf(this.at);
      if (end < 0) break;
      this.at = end;
      count += 1;
    }
    if (count === 0) return [];
    const head = headBytes(count);
    const run = new Uint8Array(head + this.at - from);
    writeHead(run, 0, 4, count);
    run.set(this.#bytes.subarray(from, this.at), head);
    return this.#decodeWhole(run, depth) as unknown[];
  }

  #checkKey(): void {
    const first = this.#bytes[this.at];
    if (first !== undefined && first >> 5 !== 3) {
      throw new Error("the key of an object is not a text");
    }
  }
}

type Head = { readonly major: number; readonly argument: number; readonly end: number };

function readHead(bytes: Uint8Array, at: number): Head {
  const first = bytes[at];
  if (first === undefined) throw new Error("the value ends too early");
  const major = first >> 5;
  const info = first & 31;
  if (info < 24) return { major, argument: info, end: at + 1 };
  const end = at + 1 + sizeOfArgument(info, major);
  if (end > bytes.length) throw new Error("the value ends too early");
  return { major, argument: decodeCount(bytes, at + 1, end), end };
}

/** In bytes, by the low bits of the first byte, which are 24 at least. */
function sizeOfArgument(info: number, major: number): number {
  // Numbers of 64 bits there are, lengths there are not.
  if (info < 27 || (info === 27 && (major < 2 || major === 7))) return 1 << (info - 24);
  throw new Error(`a length or number in a form that is not read: ${info}`);
}

function* readItem(reader: SliceReader, depth: number): Slices<unknown> {
  yield* reader.ahead();
  const end = reader.endOf(reader.at);
  if (end >= 0) return yield* reader.whole(end, depth);
  const { at } = reader;
  const head = reader.head();
  switch (head.major) {
    case 4:
      return yield* readItems(reader, head.argument, depth, collectArray());
    case 5:
      return yield* readItems(reader, 2 * head.argument, depth, collectObject());
    case 6:
      return yield* readTagged(reader, at, head, depth);
    default:
      // One long text, or bytes: in one piece.
      reader.at = at;
      return yield* reader.whole(head.end + head.argument, depth);
  }
}

function* readTagged(
  reader: SliceReader,
  at: number,
  { argument: tag }: Head,
  depth: number,
): Slices<unknown> {
  const inner = reader.head();
  if (tag === 259 && inner.major === 5) {
    return yield* readItems(reader, 2 * inner.argument, depth, collectMap());
  }
  if (tag === 258 && inner.major === 4) {
    return yield* readItems(reader, inner.argument, depth, collectSet());
  }
  reader.at = at;
  if (inner.major !== 2 && inner.major !== 3) {
    // Nothing that is written: the scan says why.
    return yield* reader.whole(at + 1, depth);
  }
  return yield* reader.whole(inner.end + inner.argument, depth);
}

function* readItems(
  reader: SliceReader,
  count: number,
  depth: number,
  collector: Collector,
): Slices<unknown> {
  if (depth >= maxDepth) throw new Error(`nesting is deeper than ${maxDepth} levels`);
  let read = 0;
  while (read < count) {
    const keyAt = collector.isObject ? ((read % 2) as 0 | 1) : null;
    yield* reader.ahead();
    let items = reader.run(count - read, depth, keyAt);
    if (items.length === 0) items = [yield* readItem(reader, depth + 1)];
    collector.add(items);
    read += items.length;
    yield undefined;
  }
  return collector.value;
}
