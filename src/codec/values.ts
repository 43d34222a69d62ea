/** The default codec of arguments, replies and values: CBOR (RFC 8949). */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import type { ArrivingBytes, Codec } from "../ports.js";
import { concatenate, Slab } from "./bytes.js";
import { captureValue } from "./value-capture.js";
import { explain } from "./value-explain.js";
import { UnencodableError, weigh, wholeWeight } from "./value-forms.js";
import { restore } from "./value-restore.js";
import { scan } from "./value-scan.js";
import { decodeSimple, encodeSimple, notSimple, type Room, roomBehind } from "./value-simple.js";
import { encodeInSlices } from "./value-slices.js";
import { decodeInSlices } from "./value-unslice.js";

/** cbor-x: go back to where this encoding began, because the bytes are copied at once. */
const resetAfterwards = 1024;
const deskBytes = 1024;
const noHead = new Uint8Array(0);
/** V8 keeps that many bytes beside its objects, where a buffer of its own costs no more than a view. */
const cheapBytes = 64;
/** A call that waits long keeps its slab alive, so slabs are small. */
const slabBytes = 16 * 1024;
const mostFromSlab = 2048;

const ownRoom: Room = (sizeBytes) => new Uint8Array(sizeBytes);

/** For what is let go of in the order in which it was made, as bodies of calls are: a buffer for each costs a microsecond. */
function roomInSlabs(): Room {
  const slab = new Slab(slabBytes, mostFromSlab);
  return (sizeBytes) => {
    const from = sizeBytes > cheapBytes ? slab.take(sizeBytes) : -1;
    return from < 0 ? ownRoom(sizeBytes) : new Uint8Array(slab.bytes.buffer, from, sizeBytes);
  };
}

/** Missing in its types. */
type EncodeWith = (value: unknown, options: number) => Uint8Array;
type DecodeUpTo = (bytes: Uint8Array, end: number) => unknown;

/**
 * CBOR by cbor-x, with a guard before and after it.
 *
 * Carries, and gives back as they were: null, undefined, booleans, numbers (-0, NaN, infinities),
 * BigInt of any length, strings, Date, arrays, plain objects, Map, Set and typed arrays, nested up to
 * 128 levels. Equal values have equal bytes, whatever was encoded before.
 *
 * - Refuses functions, symbols, cycles, objects of other classes (so that none comes back as
 *   something else), also a Map, Set or Date of a subclass or of another realm, the key `__proto__` and keys that
 *   begin with U+FEFF, with an Error that says what and where.
 * - Comes back as something else: holes of arrays as undefined, lone surrogates of strings as U+FFFD,
 *   Buffer as Uint8Array, as any subclass of an array or typed array as what it extends, `arguments` as a plain object,
 *   an object without prototype as a plain one, an object that occurs in two places
 *   as two. Left out are keys that are symbols, properties that are not enumerable, and those that an array,
 *   Map, Set, Date or typed array has beside its content.
 * - What it never writes is refused: other tags, lengths left open, text that is no UTF-8. A number or a length
 *   in a longer form than need be is read, and of a key that comes twice the last value. `decode` takes time and
 *   memory in proportion to the length of what it is given.
 *
 * @example
 * ```ts
 * const codec = createCborCodec();
 * const bytes: Uint8Array = codec.encode(new Map([["a", { at: new Date(0), big: 2n ** 70n }]]));
 * const copy: unknown = codec.decode(bytes);
 * ```
 */
export function createCborCodec(): Required<Codec> {
  const { encodeWhole, encodeBehind } = createEncoding();
  const decodeFrom = createDecoding();
  const decodePart = (part: Uint8Array, depth: number): unknown => decodeFrom(part, 0, depth);
  const bodyRoom = roomInSlabs();

  return {
    canonical: true,

    encode(value: unknown): Uint8Array {
      return encodeBehind(noHead, value, ownRoom);
    },

    encodeBehind(head: Uint8Array, value: unknown): Uint8Array {
      return encodeBehind(head, value, bodyRoom);
    },

    decode(bytes: Uint8Array): unknown {
      return decodeFrom(bytes, 0, 0);
    },

    decodeBehind(bytes: Uint8Array, from: number): unknown {
      return decodeFrom(bytes, from, 0);
    },

    decodeSlices(bytes: Uint8Array, from: number): Iterator<undefined, unknown> {
      return decodeInSlices({ bytes, arrived: bytes.length, wanted: 0 }, from, decodePart);
    },

    decodeArriving(arriving: ArrivingBytes, from: number): Iterator<undefined, unknown> {
      return decodeInSlices(arriving, from, decodePart);
    },

    encodeSlices(value: unknown): Iterator<Uint8Array> {
      return encodeInSlices(value, encodeWhole);
    },

    capture(value: unknown): unknown {
      return captureValue(value, 0);
    },
  };
}

type Encoding = {
  /** What cbor-x makes of it, until its next call. */
  readonly encodeWhole: (value: unknown) => Uint8Array;
  readonly encodeBehind: (head: Uint8Array, value: unknown, room: Room) => Uint8Array;
};

function createEncoding(): Encoding {
  const encoder = new Encoder({
    useRecords: false,
    structuredClone: false,
    variableMapSize: true,
    mapsAsObjects: true,
    tagUint8Array: true,
  });
  const encodeWith = encoder.encode as EncodeWith;
  const encodeWhole = (value: unknown): Uint8Array =>
    encodeWith.call(encoder, value, resetAfterwards);

  const encodeBehind = (head: Uint8Array, value: unknown, room: Room): Uint8Array => {
    const simple = encodeSimple(value, head, room);
    if (simple !== null) return simple;
    if (!isSmall(value)) return concatenate([head, ...encodeInSlices(value, encodeWhole)]);
    const whole = encodeWhole(value);
    const bytes = roomBehind(head, whole.length, room);
    bytes.set(whole, head.length);
    return bytes;
  };
  return { encodeWhole, encodeBehind };
}

/** Reads a value that begins at `from` and lies `depth` deep in another one. */
function createDecoding(): (bytes: Uint8Array, from: number, depth: number) => unknown {
  // Not the encoder: that one keeps the structures which a message defines for the messages after it.
  const decoder = new Decoder({ useRecords: false, mapsAsObjects: true, copyBuffers: true });
  const decodeUpTo = decoder.decode as DecodeUpTo;
  // Short values are laid here: cbor-x leaves a DataView on what it is given, and making that costs as much as reading them.
  const desk = new Uint8Array(deskBytes);

  return (bytes, from, depth) => {
    const simple = decodeSimple(bytes, from);
    if (simple !== notSimple) return simple;
    const length = bytes.length - from;
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset + from, length);
    const isShort = length <= deskBytes;
    if (isShort) desk.set(view);
    const source = isShort ? desk : view;
    const hasOwnTags = scan(source, length, depth);
    const value = decodeUpTo.call(decoder, source, length);
    return hasOwnTags ? restore(value) : value;
  };
}

/** Small and ordinary: cbor-x may have it as a whole. */
function isSmall(value: unknown): boolean {
  try {
    return weigh(value, 0, wholeWeight) >= 0;
  } catch (error) {
    if (error instanceof UnencodableError) throw new Error(explain(value), { cause: error });
    throw error;
  }
}
