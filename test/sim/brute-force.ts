/** The definition of linearizability, word for word, for histories of up to seven operations. */
import type { History, Operation } from "../../src/sim/history.js";
import type { AnyDefinedValue } from "../../src/value/types.js";

type Handler = (value: unknown, arg: unknown, applied: object) => unknown;

export function bruteForceLinearizable(definition: AnyDefinedValue, history: History): boolean {
  const telling = history.filter((entry) => entry.outcome !== "failed");
  const required = telling.filter((entry) => entry.outcome === "ok");
  const optional = telling.filter((entry) => entry.outcome === "unknown");
  for (let subset = 0; subset < 1 << optional.length; subset++) {
    const chosen = optional.filter((_, at) => (subset & (1 << at)) !== 0);
    for (const order of permutations([...required, ...chosen])) {
      if (keepsRealTime(order) && replays(definition, order)) return true;
    }
  }
  return false;
}

function* permutations(items: readonly Operation[]): Generator<readonly Operation[]> {
  if (items.length === 0) yield [];
  for (let at = 0; at < items.length; at++) {
    const rest = [...items.slice(0, at), ...items.slice(at + 1)];
    for (const tail of permutations(rest)) yield [items[at]!, ...tail];
  }
}

function keepsRealTime(order: readonly Operation[]): boolean {
  return order.every((later, at) =>
    order.slice(0, at).every((earlier) => {
      const laterEnd = later.outcome === "ok" ? later.return! : Infinity;
      return !(laterEnd < earlier.call);
    }),
  );
}

function replays(definition: AnyDefinedValue, order: readonly Operation[]): boolean {
  let value: unknown = definition.initial();
  for (const { kind, name, arg, reply, outcome } of order) {
    const handler = (kind === "command" ? definition.commands : definition.queries)[
      name
    ] as Handler;
    const result = handler(value, arg, { index: 0, term: 0, timeMs: 0 });
    const answer = kind === "query" ? result : (result as { reply: unknown }).reply;
    if (outcome === "ok" && answer !== reply) return false;
    if (kind === "command") value = (result as { value: unknown }).value;
  }
  return true;
}
