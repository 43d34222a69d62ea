/** Pauses between tries: they double, and no two clients draw the same ones. */
import type { Random } from "../ports.js";

/** Beyond it, doubling has long reached any sensible bound. */
const mostDoublings = 20;

/** Milliseconds before try number `tries` (0: the first repeat): the upper half of a doubling span. */
export function backOffMs(random: Random, tries: number, firstMs: number, mostMs: number): number {
  const span = Math.min(mostMs, firstMs * 2 ** Math.min(tries, mostDoublings));
  return span / 2 + (random.next() * span) / 2;
}
