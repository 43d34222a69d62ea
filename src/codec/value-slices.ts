/**
 * A value's encoding in pieces of bounded size, so that a big one does not hold up the event loop.
 *
 * What is small and ordinary goes to cbor-x as a whole; containers that are big, or that hold a rare
 * form, are opened here. The bytes are the same however often the iterator pauses.
 */
import { explain } from "./value-explain.js";
import {
  CapturedEntries,
  checkKey,
  formOf,
  startsWithMark,
  tagExactDate,
  tagLongBigInt,
  tagMarkedText,
  typedArrayTag,
  UnencodableError,
  weigh,
  wholeWeight,
} from "./value-forms.js";
import { isCount, writeHead } from "./value-simple.js";

const pieceBytes = 64 * 1024;

/** Encodes something small and ordinary; the bytes may be overwritten by the next call. */
export type EncodeWhole = (value: unknown) => Uint8Array;

type Pieces = Generator<Uint8Array, void>;

/** Throws an ordinary Error that says what has no encoding and where. */
export function* encodeInSlices(value: unknown, encodeWhole: EncodeWhole): Pieces {
  const writer = new SliceWriter(encodeWhole);
  try {
    yield* writeItem(writer, value, 0);
  } catch (error) {
    if (error instanceof UnencodableError) throw new Error(explain(value), { cause: error });
    throw error;
  }
  if (writer.used > 0) yield writer.take();
}

class SliceWriter {
  readonly encodeWhole: EncodeWhole;
  used = 0;
  #piece = new Uint8Array(pieceBytes);

  constructor(encodeWhole: EncodeWhole) {
    this.encodeWhole = encodeWhole;
  }

  fits(size: number): boolean {
    return this.used + size <= pieceBytes;
  }

  take(): Uint8Array {
    const piece = this.#piece.slice(0, this.used);
    this.used = 0;
    return piece;
  }

  /** The caller has made sure that it fits. */
  put(bytes: Uint8Array): void {
    this.#piece.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** Major type 0 to 6 with its argument: at most 9 bytes. */
  head(major: number, argument: number): void {
    this.used = writeHead(this.#piece, this.used, major, argument);
  }

  /** A text shorter than `shortText`, if it is ASCII and there is room. */
  word(text: string): boolean {
    const { length } = text;
    if (!this.fits(1 + length)) return false;
    const piece = this.#piece;
    const from = this.used + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return false;
      piece[from + i] = code;
    }
    piece[this.used] = 0x60 | length;
    this.used = from + length;
    return true;
  }

  double(value: number): void {
    const piece = this.#piece;
    piece[this.used] = 0xfb;
    new DataView(piece.buffer).setFloat64(this.used + 1, value);
    // One NaN for all: the others' bits depend on the machine and on the compiler's mood.
    if (value !== value) piece.set(canonicalNaN, this.used + 1);
    this.used += 9;
  }
}

const canonicalNaN: readonly number[] = [0x7f, 0xf8, 0, 0, 0, 0, 0, 0];
/** Room for any head, tag and number. */
const headRoom = 16;
/** Texts below this length have a head of one byte. */
const shortText = 24;

/** Counts and short words, of which large values are mostly made: the bytes of cbor-x without the call. */
function writeSimple(writer: SliceWriter, value: unknown): boolean {
  if (typeof value === "number") {
    if (!isCount(value) || !writer.fits(headRoom)) return false;
    writer.head(0, value);
    return true;
  }
  return typeof value === "string" && value.length < shortText && writer.word(value);
}

/** Small, ordinary, and there is room: written without a pause. */
function writeWhole(writer: SliceWriter, value: unknown, depth: number): boolean {
  if (writeSimple(writer, value)) return true;
  if (weigh(value, depth, wholeWeight) < 0) return false;
  const bytes = writer.encodeWhole(value);
  if (!writer.fits(bytes.length)) return false;
  writer.put(bytes);
  return true;
}

/** After `writeWhole` has declined. */
function* writeItem(writer: SliceWriter, value: unknown, depth: number): Pieces {
  if (weigh(value, depth, wholeWeight) >= 0) {
    // It did not fit: either the piece is nearly full, or it is longer than it weighs.
    yield writer.take();
    if (!writeWhole(writer, value, depth)) yield writer.encodeWhole(value).slice();
    return;
  }
  if (!writer.fits(headRoom)) yield writer.take();
  if (typeof value === "number") return writer.double(value);
  if (typeof value === "string") return yield* writeRareText(writer, value);
  if (typeof value === "bigint") {
    writer.head(6, tagLongBigInt);
    return yield* writeText(writer, toHex(value));
  }
  return yield* writeObject(writer, value as object, depth);
}

function writeRareText(writer: SliceWriter, text: string): Pieces {
  if (!startsWithMark(text)) return writeText(writer, text);
  writer.head(6, tagMarkedText);
  return writeText(writer, "." + text);
}

function toHex(value: bigint): string {
  return value < 0n ? "-" + (-value).toString(16) : value.toString(16);
}

function* writeObject(writer: SliceWriter, value: object, depth: number): Pieces {
  if (value instanceof CapturedEntries) return yield* writeCaptured(writer, value, depth);
  const form = formOf(value);
  if (form === null) throw new UnencodableError();
  switch (form) {
    case "array":
      return yield* writeArray(writer, value as unknown[], depth);
    case "object":
      return yield* writePlain(writer, value as Record<string, unknown>, depth);
    case "map":
      writer.head(6, 259);
      writer.head(5, (value as Map<unknown, unknown>).size);
      for (const [key, item] of value as Map<unknown, unknown>) {
        if (!writeWhole(writer, key, depth + 1)) yield* writeItem(writer, key, depth + 1);
        if (!writeWhole(writer, item, depth + 1)) yield* writeItem(writer, item, depth + 1);
      }
      return;
    case "set":
      writer.head(6, 258);
      writer.head(4, (value as Set<unknown>).size);
      for (const item of value as Set<unknown>) {
        if (!writeWhole(writer, item, depth + 1)) yield* writeItem(writer, item, depth + 1);
      }
      return;
    case "date":
      writer.head(6, tagExactDate);
      writer.double((value as Date).getTime());
      return;
    case "bytes":
      return yield* writeView(writer, value as ArrayBufferView);
  }
}

function* writeCaptured(
  writer: SliceWriter,
  { keys, values }: CapturedEntries,
  depth: number,
): Pieces {
  writer.head(6, values === null ? 258 : 259);
  writer.head(values === null ? 4 : 5, keys.length);
  for (let i = 0; i < keys.length; i++) {
    if (!writeWhole(writer, keys[i], depth + 1)) yield* writeItem(writer, keys[i], depth + 1);
    if (values === null) continue;
    if (!writeWhole(writer, values[i], depth + 1)) yield* writeItem(writer, values[i], depth + 1);
  }
}

function* writeArray(writer: SliceWriter, value: readonly unknown[], depth: number): Pieces {
  const { length } = value;
  writer.head(4, length);
  for (let i = 0; i < length; i++) {
    const item = value[i];
    if (!writeWhole(writer, item, depth + 1)) yield* writeItem(writer, item, depth + 1);
  }
}

function* writePlain(writer: SliceWriter, value: Record<string, unknown>, depth: number): Pieces {
  const keys = Object.keys(value);
  writer.head(5, keys.length);
  for (const key of keys) {
    checkKey(key);
    if (!writeWhole(writer, key, depth)) yield* writeItem(writer, key, depth);
    const item = value[key];
    if (!writeWhole(writer, item, depth + 1)) yield* writeItem(writer, item, depth + 1);
  }
}

function* writeText(writer: SliceWriter, text: string): Pieces {
  // Lone surrogates, which have no UTF-8, become U+FFFD here.
  const bytes = new TextEncoder().encode(text);
  if (!writer.fits(headRoom)) yield writer.take();
  writer.head(3, bytes.length);
  yield* writeBytes(writer, bytes);
}

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function* writeView(writer: SliceWriter, value: ArrayBufferView): Pieces {
  const tag = typedArrayTag(value);
  if (tag === null) throw new UnencodableError();
  const oneByte = tag === 64 || tag === 68 || tag === 72;
  writer.head(6, isLittleEndian || oneByte ? tag : tag - 4);
  writer.head(2, value.byteLength);
  yield* writeBytes(writer, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
}

function* writeBytes(writer: SliceWriter, bytes: Uint8Array): Pieces {
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + pieceBytes - writer.used);
    writer.put(bytes.subarray(at, end));
    at = end;
    if (at < bytes.length) yield writer.take();
  }
}
