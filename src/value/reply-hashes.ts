/**
 * A rolling hash over the outcomes of all applied entries: the net for handlers that are not
 * deterministic (hazard 92). Two members that agree at an index agree on everything before it.
 *
 * Of an outcome that is not `ok`, the hash takes the status and leaves the text out: an error's message
 * may differ between versions of the engine, and nothing was replicated by it.
 */
import { statusNumber } from "./outcomes.js";
import type { Outcome } from "./types.js";

export type ReplyHashes = {
  /** Of the entry at `from + i`. */
  recent: number[];
  from: number;
  /** Up to and including the newest applied entry. */
  current: number;
};

/** How many indices back a comparison can reach. */
const recentCount = 4096;

export function createReplyHashes(index: number, current: number): ReplyHashes {
  return { recent: [current], from: index, current };
}

/** Takes in the outcome of the next entry; null for one that has none. */
export function addOutcome(hashes: ReplyHashes, index: number, outcome: Outcome | null): void {
  let hash = mix(hashes.current, index | 0);
  if (outcome !== null) {
    hash = mix(hash, statusNumber(outcome) + 1);
    if (outcome.status === "ok") hash = mixBytes(hash, outcome.body);
  }
  hashes.current = hash >>> 0;
  hashes.recent.push(hashes.current);
  if (hashes.recent.length >= recentCount * 2) {
    hashes.recent = hashes.recent.slice(recentCount);
    hashes.from += recentCount;
  }
}

/** Null when that index is too old, or not applied yet. */
export function hashAt(hashes: ReplyHashes, index: number): number | null {
  return hashes.recent[index - hashes.from] ?? null;
}

export function cloneReplyHashes(hashes: ReplyHashes): ReplyHashes {
  return { ...hashes, recent: hashes.recent.slice() };
}

/** One step of MurmurHash3. */
export function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function mixBytes(hash: number, bytes: Uint8Array): number {
  const { length } = bytes;
  let h = mix(hash, length);
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const low = bytes[i]! | (bytes[i + 1]! << 8);
    h = mix(h, low | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
  }
  for (; i < length; i++) h = mix(h, bytes[i]!);
  return h;
}
