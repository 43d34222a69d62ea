/** What callers ask of a member: commands and queries. Administrative requests are in admin.ts. */
import { emptyBytes } from "../codec/bytes.js";
import type { ClientRequest } from "../codec/types.js";
import { adminRequested } from "./admin.js";
import { answerStale, queryRequested } from "./reads.js";
import { refuseIfFull } from "./replies.js";
import { type MemberState, post, proposalTimeMs, wait } from "./state.js";
import type { ReplySink } from "./types.js";

export function clientRequested(state: MemberState, sink: ReplySink, request: ClientRequest): void {
  switch (request.type) {
    case "command":
      return commandRequested(state, sink, request);
    case "register":
      return registerRequested(state, sink, request.request, request.nonce);
    case "query":
      if (request.stale) return answerStale(state, sink, request.request, request.body);
      return queryRequested(state, sink, request.request, request.body);
    case "admin":
      return adminRequested(state, sink, request.request, request.verb, request.body);
    default:
      request satisfies never;
  }
}

type Command = Extract<ClientRequest, { readonly type: "command" }>;

function commandRequested(state: MemberState, sink: ReplySink, command: Command): void {
  const { body, session, sequence } = command;
  if (refuseIfFull(state, sink, command.request, body.length)) return;
  const request = wait(state, sink, command.request, "command", session, sequence);
  const event = {
    type: "commandProposed",
    request,
    kind: "command",
    session,
    sequence,
    lowestOutstanding: command.lowestOutstanding,
    timeMs: proposalTimeMs(state),
    body,
  } as const;
  post(state, event, body.length);
}

function registerRequested(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  nonce: number,
): void {
  if (refuseIfFull(state, sink, callerRequest, 0)) return;
  const request = wait(state, sink, callerRequest, "register", 0, nonce);
  const event = {
    type: "commandProposed",
    request,
    kind: "register",
    session: 0,
    sequence: nonce,
    lowestOutstanding: 0,
    timeMs: proposalTimeMs(state),
    body: emptyBytes,
  } as const;
  post(state, event, 0);
}
