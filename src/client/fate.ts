/** What becomes of a call when a server refuses it or its connection breaks: pure decisions. */
import { RaftError, type Applied, type RaftErrorCode } from "../errors.js";
import type { Call } from "./call.js";

/**
 * - settle: the refusal is the caller's answer · done: an earlier try has had the effect asked for.
 * - redirect: another member leads · backOff: the same again, a little later.
 */
export type Fate = "settle" | "done" | "redirect" | "backOff";

/** The codes that say something about a member or a moment, and nothing about the call. */
const passing: ReadonlySet<RaftErrorCode> = new Set([
  "unavailable",
  "overloaded",
  "closed",
  "removed",
  "storageFailed",
  "diskFull",
  "unknownGroup",
]);

export function fateOf(call: Call, code: RaftErrorCode): Fate {
  if (code === "notLeader") return "redirect";
  // It was tried, with as much room as there was: to try again and again would fill the disk each time.
  if (code === "storageFailed" && call.verb === "snapshot") return "settle";
  if (passing.has(code)) return mayRepeat(call) || !call.ambiguous ? "backOff" : "settle";
  if (call.type !== "admin") return code === "pendingLeaderChange" ? "backOff" : "settle";
  return call.ambiguous ? fateOfRepeated(call.verb, code) : "settle";
}

/** The refusals that an earlier, unanswered try of the same verb may have brought about itself. */
function fateOfRepeated(verb: string, code: RaftErrorCode): Fate {
  if (verb === "remove") {
    if (code === "notMember") return "done";
    return code === "uncommittedMembershipChange" ? "backOff" : "settle";
  }
  if (verb === "transfer") {
    if (code === "alreadyLeader") return "done";
    return code === "pendingLeaderChange" ? "backOff" : "settle";
  }
  if (verb === "join" || verb === "move" || verb === "changeConfig") {
    return code === "uncommittedMembershipChange" ? "backOff" : "settle";
  }
  return "settle";
}

/**
 * Whether a call whose fate is unknown may be sent again. Commands carry session and sequence,
 * queries have no effect. A verb may if a second effect equals the first: not `forceRemove`, and not
 * `remove` by host id, which might hit the member that has come back in the meantime.
 */
export function mayRepeat(call: Call): boolean {
  if (call.type !== "admin") return true;
  if (call.verb === "forceRemove") return false;
  return call.verb !== "remove" || call.name.includes("#");
}

const idleVerbs: readonly string[] = [
  ...["status", "subscribe", "unsubscribe", "snapshot", "readSnapshot", "barrier"],
];

/** Whether calls of this kind change anything at all. */
export function hasEffect(call: Call): boolean {
  if (call.type === "query") return false;
  if (call.type !== "admin") return true;
  return !idleVerbs.includes(call.verb);
}

/** What can truly be said of a call that ends without an answer from the log. */
export function appliedSoFar(call: Call): Applied {
  return hasEffect(call) && (call.ambiguous || call.link !== null) ? "maybe" : "no";
}

/**
 * What can truly be said of a call that a server has answered with `code`.
 *
 * `commandFailed` and `encodeFailed` come from the one time that the command was applied, and speak
 * for every try. Any other refusal speaks for the try that it answers alone.
 */
export function appliedAfter(call: Call, code: RaftErrorCode, said: Applied): Applied {
  if (!hasEffect(call)) return "no";
  if (code === "commandFailed" || code === "encodeFailed") return said;
  if (code === "sessionExpired") return "maybe";
  return call.ambiguous ? "maybe" : said;
}

/** Codes of a host that will not serve this client however often it is asked. */
const verdicts: readonly RaftErrorCode[] = ["groupMismatch", "protocolMismatch", "unknownGroup"];

export function isVerdict(error: RaftError): boolean {
  return verdicts.includes(error.code);
}

/** One error for "every host refuses for good", with the gravest of their codes. */
export function verdictOf(errors: readonly RaftError[]): RaftError {
  const code =
    verdicts.find((candidate) => errors.some((error) => error.code === candidate)) ?? "unavailable";
  return new RaftError(code, errors.map((error) => error.message).join("; "), {
    cause: errors[0],
  });
}
