/** How a call of a simulated client ended. */
import type { RaftError } from "../errors.js";

export type CallOutcome =
  | { readonly type: "ok"; readonly reply: unknown }
  | { readonly type: "refused"; readonly error: RaftError }
  /** Nobody is left who could tell. */
  | { readonly type: "lost" };

/** It was applied and threw. */
export function hasThrown(outcome: CallOutcome): boolean {
  if (outcome.type !== "refused") return false;
  const { code } = outcome.error;
  return code === "commandFailed" || code === "queryFailed";
}

/** Whether the call took effect, or will, is not known. */
export function isInDoubt(outcome: CallOutcome): boolean {
  return (
    outcome.type === "lost" || (outcome.type === "refused" && outcome.error.applied === "maybe")
  );
}
