/** What a codec of somebody's own returns. */
import { disarm, show } from "../errors.js";
import type { ArrivingBytes, Codec } from "../ports.js";

/**
 * The bytes of `value`. Throws when the codec does, and when it returns anything else (a text, a promise): that
 * would go into the log and the sessions, and stop one member after the other where it is first looked at.
 */
export function encodeWith(codec: Codec, value: unknown): Uint8Array {
  return checkBytes("encode", codec.encode(value));
}

/** `method` of the codec returned it. */
export function checkBytes(method: string, bytes: unknown): Uint8Array {
  if (bytes instanceof Uint8Array || isForeign(bytes)) return bytes as Uint8Array;
  disarm(bytes);
  throw new TypeError(`codec.${method} must return a Uint8Array, got ${show(bytes)}`);
}

/** The value of `bytes`. Throws when the codec does, and when it returns a promise: handlers would be given that. */
export function decodeWith(codec: Codec, bytes: Uint8Array): unknown {
  return checkRead("decode", codec.decode(bytes));
}

/** `method` of the codec returned it. */
export function checkRead<Read>(method: string, read: Read): Read {
  if (disarm(read)) throw new TypeError(`codec.${method} must be synchronous, got a promise`);
  return read;
}

/** The bytes of `value`, piece by piece as far as the codec can. */
export function* encodePieces(codec: Codec, value: unknown): Generator<Uint8Array, void> {
  if (codec.encodeSlices === undefined) return yield encodeWith(codec, value);
  const slices = checkRead("encodeSlices", codec.encodeSlices(value));
  for (;;) {
    const slice = checkRead("encodeSlices", slices.next());
    if (slice.done === true) return;
    yield checkBytes("encodeSlices", slice.value);
  }
}

/** The value of `bytes`, slice by slice as far as the codec can: yields between two of them. */
export function* decodePieces(codec: Codec, bytes: Uint8Array): Generator<undefined, unknown> {
  if (codec.decodeSlices === undefined) return decodeWith(codec, bytes);
  return yield* slicesOf("decodeSlices", codec.decodeSlices(bytes, 0));
}

/** The value of the bytes from `from` on, as they come in, as far as the codec can: yields also to wait for more. */
export function* decodeArriving(
  codec: Codec,
  arriving: ArrivingBytes,
  from: number,
): Generator<undefined, unknown> {
  if (codec.decodeArriving !== undefined && arriving.arrived < arriving.bytes.length) {
    return yield* slicesOf("decodeArriving", codec.decodeArriving(arriving, from), arriving);
  }
  yield* untilArrived(arriving, arriving.bytes.length);
  return yield* decodePieces(codec, arriving.bytes.subarray(from));
}

/** Throws when the codec waits for what will never come: it would be asked to go on for ever. */
function checkWanted({ bytes, wanted }: ArrivingBytes): void {
  if (wanted <= bytes.length) return;
  throw new RangeError(
    `codec.decodeArriving waits for ${show(wanted)} bytes, and there are only ${bytes.length}`,
  );
}

/** Yields until so many bytes have arrived. */
export function* untilArrived(arriving: ArrivingBytes, wanted: number): Generator<undefined, void> {
  while (arriving.arrived < wanted) {
    arriving.wanted = wanted;
    yield undefined;
  }
}

function* slicesOf(
  method: string,
  returned: Iterator<undefined, unknown>,
  arriving: ArrivingBytes | null = null,
): Generator<undefined, unknown> {
  const slices = checkRead(method, returned);
  for (;;) {
    const slice = checkRead(method, slices.next());
    if (slice.done === true) return checkRead(method, slice.value);
    if (arriving !== null) checkWanted(arriving);
    yield undefined;
  }
}

/** A Uint8Array of another realm, or a Buffer there. */
function isForeign(bytes: unknown): boolean {
  return Object.prototype.toString.call(bytes) === "[object Uint8Array]";
}
