/** What a codec of somebody's own returns. */
import { disarm, show } from "../errors.js";
import type { Codec } from "../ports.js";

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

/** A Uint8Array of another realm, or a Buffer there. */
function isForeign(bytes: unknown): boolean {
  return Object.prototype.toString.call(bytes) === "[object Uint8Array]";
}
