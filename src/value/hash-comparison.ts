/**
 * Finding the first entry on whose outcome two members disagree.
 *
 * The hashes roll, so from that entry on all of them differ and before it none does. The leader sends
 * hashes at a few indices; a follower that finds a difference answers with its own in between, and so
 * on: every message narrows the gap by its number of samples.
 *
 *     leader's    10 . . . 20 . . . 30        equal up to 20, different at 30
 *     follower's             20 22 24 .. 30   the leader finds: equal up to 24, different at 26
 *     leader's                     24 25 26   the follower finds: 25 is the first that differs
 */
import type { CompareHashes, LogIndex, Term } from "../core/types.js";
import { hashAt, type ReplyHashes } from "./reply-hashes.js";

/** Hashes in one message, at most. */
const sampleCount = 64;

/**
 * Our hashes from `from` to `to`, both included as far as they are still known; all of them if they
 * are few. Null when there is nothing to tell.
 */
export function sampleHashes(
  hashes: ReplyHashes,
  term: Term,
  from: LogIndex,
  to: LogIndex,
): CompareHashes | null {
  const indices: LogIndex[] = [];
  const samples: number[] = [];
  const first = Math.max(from, hashes.from);
  const step = Math.max(1, Math.ceil((to - first) / (sampleCount - 1)));
  for (let index = first; index <= to; index = index < to ? Math.min(index + step, to) : to + 1) {
    const hash = hashAt(hashes, index);
    if (hash === null) continue;
    indices.push(index);
    samples.push(hash);
  }
  if (indices.length === 0) return null;
  return { type: "compareHashes", term, indices, hashes: samples, snapshot: null };
}

/** `equalAt` null: nothing before the difference could be compared. */
export type Difference = { readonly equalAt: LogIndex | null; readonly differsAt: LogIndex };

/** Null while everything that both know is equal. The message may hold anything. */
export function findDifference(hashes: ReplyHashes, message: CompareHashes): Difference | null {
  let equalAt: LogIndex | null = null;
  let differsAt: LogIndex | null = null;
  const { indices } = message;
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    const own = hashAt(hashes, index);
    if (own === null) continue;
    if (own === message.hashes[i]) equalAt = Math.max(equalAt ?? index, index);
    else differsAt = Math.min(differsAt ?? index, index);
  }
  if (differsAt === null) return null;
  return { equalAt: equalAt !== null && equalAt < differsAt ? equalAt : null, differsAt };
}

/** What both say together. */
export function narrower(one: Difference, other: Difference): Difference {
  const differsAt = Math.min(one.differsAt, other.differsAt);
  const equalAt = Math.max(one.equalAt ?? -1, other.equalAt ?? -1);
  return { equalAt: equalAt >= 0 && equalAt < differsAt ? equalAt : null, differsAt };
}
