/** A frame on its way: as the parts that it lies in, where the connection takes them. */
import type { Connection } from "../ports.js";
import { concatenate, type Slab } from "./bytes.js";
import type { EntriesCache } from "./entries.js";
import type { Frame } from "./types.js";
import { encodeFrameInParts } from "./wire.js";

export function sendFrame(
  connection: Connection,
  frame: Frame,
  cache: EntriesCache | null,
  slab: Slab,
): void {
  const parts = encodeFrameInParts(frame, cache, slab);
  if (parts.length === 1) connection.send(parts[0]!);
  else if (connection.sendParts !== undefined) connection.sendParts(parts);
  else connection.send(concatenate(parts));
}
