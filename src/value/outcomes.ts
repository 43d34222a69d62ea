/** Outcomes: how they are made, weighed and written. An outcome's bytes never change. */
import type { Outcome } from "./types.js";
import type { ByteReader, ByteWriter } from "./byte-stream.js";
import { encodeUtf8 } from "./utf8.js";

/** Of an error's text, in UTF-16 units; the rest of a longer one is cut off. */
export const maxMessageLength = 512;

/** The order is the format of snapshots: append only. */
const statuses = [
  "ok",
  "commandFailed",
  "unknownCommand",
  "encodeFailed",
  "sessionExpired",
  "overloaded",
] as const satisfies readonly Outcome["status"][];

/**
 * A class because V8 watches where object literals come from: those of a site of which one collection
 * finds most alive, as it finds the replies of a thousand outstanding commands, it makes in the old
 * generation from then on. There they die just as soon, but keep their bytes until a collection of the
 * whole heap: a restart with a million commands took half as long again. Instances of classes are
 * always made young.
 */
class MadeOutcome implements Outcome {
  readonly status: Outcome["status"];
  readonly applied: Outcome["applied"];
  readonly body: Uint8Array;

  constructor(status: Outcome["status"], applied: Outcome["applied"], body: Uint8Array) {
    this.status = status;
    this.applied = applied;
    this.body = body;
  }
}

export function succeeded(body: Uint8Array): Outcome {
  return new MadeOutcome("ok", "maybe", body);
}

export function failed(
  status: Exclude<Outcome["status"], "ok">,
  applied: "no" | "maybe",
  message: string,
): Outcome {
  return new MadeOutcome(status, applied, encodeUtf8(message.slice(0, maxMessageLength)));
}

/** Position of the status in a fixed order, for hashes and snapshots. */
export function statusNumber(outcome: Outcome): number {
  return statuses.indexOf(outcome.status);
}

export function writeOutcome(writer: ByteWriter, outcome: Outcome): void {
  writer.byte(statusNumber(outcome) | (outcome.applied === "maybe" ? 0x80 : 0));
  writer.bytes(outcome.body);
}

/** Its bytes are a copy: a view would keep the whole snapshot in memory. */
export function readOutcome(reader: ByteReader): Outcome {
  const first = reader.byte();
  const status = statuses[first & 0x7f];
  if (status === undefined) throw new Error(`unknown outcome ${String(first)}`);
  return new MadeOutcome(status, first >= 0x80 ? "maybe" : "no", reader.bytes().slice());
}

export function skipOutcome(reader: ByteReader): void {
  reader.byte();
  reader.skip(reader.integer());
}
