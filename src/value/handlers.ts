/** Running a user's handlers: whatever they do comes out as data, and nothing escapes. */
import { disarm, messageOf } from "../errors.js";
import type { Codec } from "../ports.js";
import { encodeWith } from "./encoded.js";
import { failed, succeeded } from "./outcomes.js";
import type { AnyDefinedValue, AppliedInfo, Outcome } from "./types.js";

type Handler = (...args: unknown[]) => unknown;
type HandlerTable = Readonly<Record<string, Handler>>;

/** A command's outcome and the value afterwards. */
export type Run = { readonly outcome: Outcome; readonly value: unknown };

/** The handler of that name, or null: inherited names ("constructor") are none. */
export function ownHandler(table: unknown, name: string): Handler | null {
  return Object.hasOwn(table as HandlerTable, name) ? (table as HandlerTable)[name]! : null;
}

/** Pure: when anything goes wrong, the value that it was given stays. */
export function runPure(
  codec: Codec,
  name: string,
  handler: Handler,
  value: unknown,
  arg: unknown,
  applied: AppliedInfo,
): Run {
  let reply: unknown;
  let next: unknown;
  try {
    const result = handler(value, arg, applied);
    const problem = problemOf(result);
    if (problem !== null)
      return { outcome: failed("commandFailed", "no", `${name}: ${problem}`), value };
    ({ reply, value: next } = result as { readonly reply: unknown; readonly value: unknown });
    const isPromised = disarm(reply);
    if (disarm(next) || isPromised) {
      return { outcome: failed("commandFailed", "no", `${name}: ${promiseRefusal}`), value };
    }
  } catch (error) {
    return { outcome: failed("commandFailed", "no", messageOf(error)), value };
  }
  const outcome = encodeReply(codec, name, reply, "no");
  return { outcome, value: outcome.status === "ok" ? next : value };
}

/** Mutable: what the handler changed before it failed stays changed, on all members alike. */
export function runMutable(
  codec: Codec,
  name: string,
  handler: Handler,
  value: unknown,
  arg: unknown,
  applied: AppliedInfo,
): Run {
  let reply: unknown;
  try {
    reply = handler(value, arg, applied);
    if (disarm(reply)) {
      return { outcome: failed("commandFailed", "maybe", `${name}: ${promiseRefusal}`), value };
    }
  } catch (error) {
    return { outcome: failed("commandFailed", "maybe", messageOf(error)), value };
  }
  return { outcome: encodeReply(codec, name, reply, "maybe"), value };
}

function encodeReply(codec: Codec, name: string, reply: unknown, applied: "no" | "maybe"): Outcome {
  try {
    return succeeded(encodeWith(codec, reply));
  } catch (error) {
    disarmWithin(reply);
    return failed("encodeFailed", applied, `the reply of command "${name}": ${messageOf(error)}`);
  }
}

const returnedPromise = "the handler returned a promise; handlers are synchronous";
const promiseRefusal = `${returnedPromise}, so await before you send the command`;

/** What is wrong with the result of a pure command, or null. */
function problemOf(result: unknown): string | null {
  if (disarm(result)) return promiseRefusal;
  if (typeof result === "object" && result !== null && "value" in result) return null;
  return "a pure command must return { reply, value } (or define the value with mutable: true)";
}

export type Answer = {
  readonly status: "ok" | "unknownQuery" | "queryFailed" | "encodeFailed";
  /** ok: the encoded answer. Otherwise: the message as UTF-8. */
  readonly body: Uint8Array;
};

export function runQuery(
  definition: AnyDefinedValue,
  codec: Codec,
  value: unknown,
  name: string,
  arg: unknown,
): Answer {
  const handler = ownHandler(definition.queries, name);
  if (handler === null) return refuseQuery("unknownQuery", unknownName(definition, "query", name));
  let answer: unknown;
  try {
    answer = handler(value, arg);
    if (disarm(answer)) return refuseQuery("queryFailed", `${name}: ${returnedPromise}`);
  } catch (error) {
    return refuseQuery("queryFailed", messageOf(error));
  }
  try {
    return { status: "ok", body: encodeWith(codec, answer) };
  } catch (error) {
    disarmWithin(answer);
    return refuseQuery("encodeFailed", `the answer of query "${name}": ${messageOf(error)}`);
  }
}

export function refuseQuery(status: Exclude<Answer["status"], "ok">, message: string): Answer {
  return { status, body: failed("commandFailed", "no", message).body };
}

export function unknownName(
  definition: AnyDefinedValue,
  kind: "command" | "query",
  name: string,
): string {
  const table = (kind === "command" ? definition.commands : definition.queries) as object;
  return (
    `value "${definition.name}" version ${definition.version} defines no ${kind} ` +
    `"${name.slice(0, 80)}"; it has: ${Object.keys(table).join(", ") || "none"}`
  );
}

/** So many parts of a reply without encoding are looked at: it may hold the whole value. */
const mostParts = 100_000;

/** The same of everything that `result` holds, which had no encoding, maybe for promises in it. */
function disarmWithin(result: unknown): void {
  const met = new Set<object>();
  const meet = (part: unknown): void => {
    if (typeof part !== "object" || part === null || ArrayBuffer.isView(part)) return;
    if (met.size < mostParts) met.add(part);
  };
  meet(result);
  for (const part of met) {
    try {
      if (disarm(part)) continue;
      if (part instanceof Map) part.forEach((_, key) => meet(key));
      const isCollection = part instanceof Map || part instanceof Set;
      for (const inner of isCollection ? part.values() : Object.values(part)) meet(inner);
    } catch {
      // It cannot be looked at.
    }
  }
}
