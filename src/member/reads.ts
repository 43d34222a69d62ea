/** Queries: linearizable ones wait for a read index, stale ones are answered at once. */
import { emptyBytes } from "../codec/bytes.js";
import { readableUntilMs } from "../core/index.js";
import { answerQuery } from "../replica.js";
import { hookQuery } from "./hooks.js";
import { refuseIfFull, refuseOverloaded } from "./replies.js";
import { type MemberState, post, wait } from "./state.js";
import type { ReplySink } from "./types.js";
import { takeRequest } from "./waiting.js";

export function queryRequested(
  state: MemberState,
  sink: ReplySink,
  callerRequest: number,
  body: Uint8Array,
): void {
  if (answerByLease(state, sink, callerRequest, body)) return;
  if (refuseIfFull(state, sink, callerRequest, body.length)) return;
  // Without a majority nobody is answered until the leader gives up, and the bodies of all are kept until then.
  const keptBytes = state.waiting.queryBytes + body.length;
  if (keptBytes > state.maxInboxBytes) return refuseOverloaded(state, sink, callerRequest);
  const request = wait(state, sink, callerRequest, "query", 0, 0, body);
  const nowMs = state.services.clock.nowMs();
  post(state, { type: "readRequested", request, nowMs }, body.length);
}

/**
 * Without a turn, if nothing waits for one: false where the query has to. The clock is asked once the answer is made,
 * as `answerReads` does. Hooks run in turns.
 */
function answerByLease(
  { replica, hooks, services }: MemberState,
  sink: ReplySink,
  request: number,
  body: Uint8Array,
): boolean {
  const untilMs = readableUntilMs(replica.core);
  if (untilMs === -Infinity || hooks.hooks.onQueryAnswered !== undefined) return false;
  const answer = answerQuery(replica, body);
  if (services.clock.nowMs() >= untilMs) return false;
  sink.reply(request, answer.status, "no", 0, answer.body);
  return true;
}

/** Answered when a linearizable query asked now would be; tells that this member has caught up. */
export function barrierRequested(state: MemberState, sink: ReplySink, callerRequest: number): void {
  const request = wait(state, sink, callerRequest, "barrier");
  post(state, { type: "readRequested", request, nowMs: state.services.clock.nowMs() }, 0);
}

export function answerStale(
  state: MemberState,
  sink: ReplySink,
  request: number,
  body: Uint8Array,
): void {
  const { status, body: answer } = answerQuery(state.replica, body);
  sink.reply(request, status, "no", 0, answer);
}

/**
 * Answers queries whose read index is applied. A lease is looked at again with the clock after each
 * answer was made (hazard 44): if it ran out meanwhile, the query goes through a read round.
 */
export function answerReads(
  state: MemberState,
  requests: readonly number[],
  leaseUntilMs: number | null,
): void {
  const { clock } = state.services;
  for (const request of requests) {
    const waiter = state.waiting.byRequest.get(request);
    if (waiter === undefined) continue;
    const query = waiter.body;
    const answer = query === null ? null : answerQuery(state.replica, query);
    const nowMs = clock.nowMs();
    if (leaseUntilMs !== null && nowMs >= leaseUntilMs) {
      post(state, { type: "readRequested", request, nowMs }, 0);
      continue;
    }
    takeRequest(state.waiting, request);
    if (answer === null || query === null) {
      waiter.sink.reply(waiter.request, "ok", "no", state.replica.core.lastApplied, emptyBytes);
      continue;
    }
    waiter.sink.reply(waiter.request, answer.status, "no", 0, answer.body);
    if (answer.status === "ok" && state.role === "leader") {
      hookQuery(state.hooks, query, answer.body);
    }
  }
}
