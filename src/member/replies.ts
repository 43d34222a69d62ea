/** Answers to callers, and the words of a refusal. */
import { utf8 } from "../codec/bytes.js";
import type { RefusalCode } from "../core/types.js";
import { errorCodes, type RaftErrorCode } from "../errors.js";
import { isInboxFull, type MemberState } from "./state.js";
import type { ReplySink } from "./types.js";
import type { Waiter } from "./waiting.js";

export function replyError(
  sink: ReplySink,
  request: number,
  code: RaftErrorCode,
  applied: "no" | "maybe",
  message: string,
): void {
  sink.reply(request, code, applied, 0, utf8(message));
}

/** Why this member refuses, with what it knows that helps. */
export function refusalText(state: MemberState, code: RefusalCode): string {
  const { storageFailure } = state;
  const self = `member ${state.self.id} of group "${state.group}"`;
  // Most callers see nothing of this host but its answers: its log is elsewhere.
  const who = storageFailure === null ? self : `${self}, whose storage failed (${storageFailure}),`;
  switch (code) {
    case "notLeader":
      return state.leader === null
        ? `${who} is not the leader and knows none`
        : `${who} is not the leader; ${state.leader} is`;
    case "commandTooLarge": {
      const { maxCommandBytes } = state.replica.core.config;
      return `the encoded command is over maxCommandBytes (${maxCommandBytes}) of group "${state.group}"`;
    }
    case "overloaded":
      return `${who} has reached a limit of what it keeps waiting; retry later`;
    case "uncommittedMembershipChange":
      return `${who}: another membership change is still under way; retry when it is done`;
    case "unavailable":
      return `${who} cannot serve this now`;
    case "alreadyLeader":
    case "alreadyMember":
    case "cannotRemoveLeader":
    case "newLeaderUnresponsive":
    case "notMember":
    case "notVoter":
    case "pendingLeaderChange":
    case "willBreakQuorum":
      return `${who}: ${errorCodes[code]}`;
    default:
      return code satisfies never;
  }
}

/** The inbox is bounded: what does not fit is refused before it could have any effect. */
export function refuseIfFull(
  state: MemberState,
  sink: ReplySink,
  request: number,
  bodyBytes: number,
): boolean {
  if (!isInboxFull(state, bodyBytes)) return false;
  refuseOverloaded(state, sink, request);
  return true;
}

export function refuseOverloaded(state: MemberState, sink: ReplySink, request: number): void {
  replyError(sink, request, "overloaded", "no", refusalText(state, "overloaded"));
}

/** What callers are told when the member ends; proposals may have been applied all the same. */
export function answerEnded(
  waiters: readonly Waiter[],
  code: RaftErrorCode,
  message: string,
): void {
  const body = utf8(message);
  for (const waiter of waiters) {
    waiter.sink.reply(waiter.request, code, appliedOnLoss(waiter), 0, body);
  }
}

/** What only reads has no effect; whatever was proposed may still come to pass. */
export function appliedOnLoss({ kind }: Waiter): "no" | "maybe" {
  return kind === "query" || kind === "barrier" || kind === "piece" ? "no" : "maybe";
}
