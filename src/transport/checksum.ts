/** The fastest CRC-32 at hand. */
import * as zlib from "node:zlib";
import { type Checksum, crc32 } from "../codec/crc32.js";

/** Below this size the call out of JavaScript costs more than the checksum itself (measured). */
const nativeFromBytes = 160;

/** zlib's CRC-32 where the platform has it (Node 20.15, 22.2), else the one in plain JavaScript. */
export function platformChecksum(): Checksum {
  if (!("crc32" in zlib) || typeof zlib.crc32 !== "function") return crc32;
  const native = zlib.crc32 as Checksum;
  return (bytes, before = 0) =>
    bytes.length < nativeFromBytes ? crc32(bytes, before) : native(bytes, before);
}
