/** What a connection keeps for another side that does not read. */
import type { Connection } from "../ports.js";

/** What a payload that waits takes at least: a short frame takes far more than what it says. */
const leastPayloadBytes = 512;

export function owedBytes({ queuedBytes, queuedPayloads = 0 }: Connection): number {
  return Math.max(queuedBytes, leastPayloadBytes * queuedPayloads);
}
