/** Calls of the user's hooks: after the fact, never awaited, never fatal. */
import { messageOf } from "../errors.js";
import { decodeArg, decodeCommandBody, decodeQueryBody } from "../value/body.js";
import type { Entry, Membership } from "../core/types.js";
import type { Codec, Logger } from "../ports.js";
import type { Outcome } from "../value/types.js";
import type { GroupHooks } from "./types.js";

/** Calls gathered in a turn; they run when its effects were performed. */
export type HookCalls = {
  readonly hooks: GroupHooks;
  readonly codec: Codec;
  readonly logger: Logger;
  readonly pending: (() => void)[];
};

export function createHookCalls(hooks: GroupHooks, codec: Codec, logger: Logger): HookCalls {
  return { hooks, codec, logger, pending: [] };
}

export function runHooks(calls: HookCalls): void {
  if (calls.pending.length === 0) return;
  const pending = calls.pending.splice(0);
  for (const call of pending) call();
}

function enqueue<A>(
  calls: HookCalls,
  name: keyof GroupHooks,
  hook: ((arg: A) => unknown) | undefined,
  makeArg: () => A,
): void {
  if (hook === undefined) return;
  calls.pending.push(() => {
    const report = (error: unknown): void => {
      calls.logger.error({ err: error, hook: name }, `hook ${name} failed: ${messageOf(error)}`);
    };
    try {
      const returned = hook(makeArg());
      if (isThenable(returned)) returned.then(undefined, report);
    } catch (error) {
      report(error);
    }
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

export function hookCommand(calls: HookCalls, entry: Entry, outcome: Outcome): void {
  if (outcome.status !== "ok") return;
  enqueue(calls, "onCommandCommitted", calls.hooks.onCommandCommitted, () => {
    const call = decodeCommandBody(entry.body)!;
    return {
      name: call.name,
      arg: decodeArg(calls.codec, entry.body, call),
      reply: calls.codec.decode(outcome.body),
      applied: { index: entry.index, term: entry.term, timeMs: entry.timeMs },
    };
  });
}

export function hookQuery(calls: HookCalls, query: Uint8Array, answer: Uint8Array): void {
  enqueue(calls, "onQueryAnswered", calls.hooks.onQueryAnswered, () => {
    const call = decodeQueryBody(query)!;
    return {
      name: call.name,
      arg: decodeArg(calls.codec, query, call),
      answer: calls.codec.decode(answer),
    };
  });
}

export function hookElected(calls: HookCalls, term: number): void {
  enqueue(calls, "onElected", calls.hooks.onElected, () => ({ term }));
}

export function hookRestored(calls: HookCalls, lastApplied: number): void {
  enqueue(calls, "onRestored", calls.hooks.onRestored, () => ({ lastApplied }));
}

/** Tells who came and who went between two committed memberships. */
export function hookMembership(calls: HookCalls, before: Membership, after: Membership): void {
  const had = new Set(before.members.map((member) => member.id));
  const has = new Set(after.members.map((member) => member.id));
  for (const id of has) {
    if (!had.has(id))
      enqueue(calls, "onFollowerAdded", calls.hooks.onFollowerAdded, () => ({ id }));
  }
  for (const id of had) {
    if (has.has(id)) continue;
    enqueue(calls, "onFollowerRemoved", calls.hooks.onFollowerRemoved, () => ({ id }));
  }
}
