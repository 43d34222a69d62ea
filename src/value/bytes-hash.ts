/** A hash of bytes that come in pieces: however they are cut, it is the same. */
import { mix } from "./reply-hashes.js";

export type BytesHash = {
  hash: number;
  length: number;
  /** The bytes that do not fill a word yet, and how many they are. */
  word: number;
  filled: number;
};

export function createBytesHash(): BytesHash {
  return { hash: 0, length: 0, word: 0, filled: 0 };
}

export function addBytes(state: BytesHash, bytes: Uint8Array): void {
  const { length } = bytes;
  let { hash } = state;
  let at = 0;
  while (at < length && state.filled > 0) {
    addByte(state, bytes[at]!);
    at += 1;
    if (state.filled < 4) continue;
    hash = mix(hash, state.word);
    state.filled = 0;
  }
  for (; at + 4 <= length; at += 4) {
    const low = bytes[at]! | (bytes[at + 1]! << 8);
    hash = mix(hash, low | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  }
  for (; at < length; at++) addByte(state, bytes[at]!);
  state.hash = hash;
  state.length += length;
}

function addByte(state: BytesHash, byte: number): void {
  const before = state.filled === 0 ? 0 : state.word;
  state.word = before | (byte << (8 * state.filled));
  state.filled += 1;
}

/** 32 bits, never negative. */
export function hashOf({ hash, length, word, filled }: BytesHash): number {
  const whole = filled === 0 ? hash : mix(hash, word);
  return mix(whole, length | 0) >>> 0;
}
