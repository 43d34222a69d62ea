/** Outcomes: how they are made, weighed and written. An outcome's bytes never change. */
import type { Outcome } from "./types.js";
import type { ByteReader, ByteWriter } from "./byte-stream.js";
import { encodeUtf8 } from "./utf8.js";

const maxMessageLength = 1024;

/** The order is the format of snapshots: append only. */
const statuses = [
  "ok",
  "commandFailed",
  "unknownCommand",
  "encodeFailed",
  "sessionExpired",
  "overloaded",
] as const satisfies readonly Outcome["status"][];

export function succeeded(body: Uint8Array): Outcome {
  return { status: "ok", applied: "maybe", body };
}

export function failed(
  status: Exclude<Outcome["status"], "ok">,
  applied: "no" | "maybe",
  message: string,
): Outcome {
  return { status, applied, body: encodeUtf8(message.slice(0, maxMessageLength)) };
}

/** Position of the status in a fixed order, for hashes and snapshots. */
export function statusNumber(outcome: Outcome): number {
  return statuses.indexOf(outcome.status);
}

export function writeOutcome(writer: ByteWriter, outcome: Outcome): void {
  writer.byte(statusNumber(outcome) | (outcome.applied === "maybe" ? 0x80 : 0));
  writer.bytes(outcome.body);
}

export function readOutcome(reader: ByteReader): Outcome {
  const first = reader.byte();
  const status = statuses[first & 0x7f];
  if (status === undefined) throw new Error(`unknown outcome ${String(first)}`);
  return { status, applied: first >= 0x80 ? "maybe" : "no", body: reader.bytes() };
}
