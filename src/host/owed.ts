/** What a connection keeps for another side that does not read. */
import { heldBytes } from "../codec/frame.js";
import type { Connection } from "../ports.js";

export function owedBytes({ queuedBytes, queuedPayloads = 0 }: Connection): number {
  return heldBytes(queuedBytes, queuedPayloads);
}
