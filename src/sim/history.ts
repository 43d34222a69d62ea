/**
 * What clients did and saw: the one form in which the simulator, chaos tests and workloads record it,
 * so that this checker or any other can judge it. On disk: JSON lines, one operation each.
 *
 * ```
 * {"client":0,"call":1000,"return":2000,"kind":"command","name":"add","arg":1,"reply":1,"outcome":"ok"}
 * ```
 */
import { RaftError } from "../errors.js";
import { fromJson, toJson } from "./json-values.js";

/**
 * - `ok`: answered, `reply` is what the client saw.
 * - `failed`: certainly without effect.
 * - `unknown`: may have taken effect at any moment after the call, or may never do so.
 */
export type OperationOutcome = "ok" | "failed" | "unknown";

export type Operation = {
  /** Small integer; one client may have several operations under way. */
  readonly client: number;
  /** Nanoseconds on one clock that all clients share. */
  readonly call: number;
  /** Nanoseconds; null when the call was never answered. */
  readonly return: number | null;
  readonly kind: "command" | "query";
  readonly name: string;
  /** undefined: a call without argument. */
  readonly arg: unknown;
  /** undefined unless `outcome` is `ok`. */
  readonly reply: unknown;
  readonly outcome: OperationOutcome;
};

export type History = readonly Operation[];

/** The history as JSON lines, in the order given, with a newline at the end of each. */
export function formatHistory(history: History): string {
  return history.map((operation) => `${formatOperation(operation)}\n`).join("");
}

export function formatOperation(operation: Operation): string {
  return JSON.stringify({
    client: operation.client,
    call: operation.call,
    return: operation.return,
    kind: operation.kind,
    name: operation.name,
    arg: toJson(operation.arg),
    reply: toJson(operation.reply),
    outcome: operation.outcome,
  });
}

/** Refuses with RaftError `invalidArgument`, which names the line and what is wrong with it. */
export function parseHistory(text: string): Operation[] {
  const history: Operation[] = [];
  text.split("\n").forEach((line, at) => {
    if (line.trim() !== "") history.push(parseOperation(line, at + 1));
  });
  return history;
}

function parseOperation(line: string, lineNumber: number): Operation {
  const refuse = (problem: string): never => {
    throw new RaftError("invalidArgument", `history line ${lineNumber}: ${problem}`);
  };
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return refuse("not a JSON object");
  }
  if (typeof fields !== "object" || fields === null) return refuse("not a JSON object");
  const { client, call, kind, name, outcome } = fields;
  const returned = fields["return"] ?? null;
  if (!Number.isSafeInteger(client)) return refuse("client must be an integer");
  if (!isTime(call)) return refuse("call must be nanoseconds, an integer of 0 or more");
  if (returned !== null && !isTime(returned)) return refuse("return must be nanoseconds or null");
  if (returned !== null && returned < call) return refuse("return lies before call");
  if (kind !== "command" && kind !== "query") return refuse("kind must be command or query");
  if (typeof name !== "string" || name === "") return refuse("name must be a handler's name");
  if (outcome !== "ok" && outcome !== "failed" && outcome !== "unknown") {
    return refuse("outcome must be ok, failed or unknown");
  }
  if (outcome === "ok" && returned === null) return refuse("an ok operation needs a return");
  return {
    client: client as number,
    call,
    return: returned,
    kind,
    name,
    arg: fromJson(fields["arg"]),
    reply: fromJson(fields["reply"]),
    outcome,
  };
}

function isTime(candidate: unknown): candidate is number {
  return Number.isSafeInteger(candidate) && (candidate as number) >= 0;
}

/**
 * Records operations while they happen. Every call and every return gets a time of its own, so that
 * an order that was observed is never lost to a clock that stands still within one turn.
 */
export class HistoryRecorder {
  readonly #nowNs: () => number;
  readonly #operations: Operation[] = [];
  /** Per handler, such as `command "enqueue"`: how often it has thrown, and what it said last. */
  readonly #thrown = new Map<string, { times: number; why: string }>();
  #lastNs = -1;

  /** `nowNs`: nanoseconds since some beginning; fractions are cut off. */
  constructor(nowNs: () => number) {
    this.#nowNs = nowNs;
  }

  /** In the order of their calls. An operation still under way is shown as `unknown`. */
  get operations(): History {
    return this.#operations;
  }

  begin(client: number, kind: "command" | "query", name: string, arg: unknown): RecordedCall {
    const at = this.#operations.length;
    const call = this.#tick();
    const base = { client, call, return: null, kind, name, arg, reply: undefined };
    this.#operations.push({ ...base, outcome: "unknown" });
    const end = (reply: unknown, outcome: OperationOutcome): void => {
      this.#operations[at] = { ...base, return: this.#tick(), reply, outcome };
    };
    return {
      ok: (reply) => end(reply, "ok"),
      failed: () => end(undefined, "failed"),
      unknown: () => end(undefined, "unknown"),
    };
  }

  threw(kind: "command" | "query", name: string, why: string): void {
    const handler = `${kind} ${JSON.stringify(name)}`;
    this.#thrown.set(handler, { times: (this.#thrown.get(handler)?.times ?? 0) + 1, why });
  }

  /** Says which handler has thrown so often or oftener and never answered, or null. */
  neverAnswered(times: number): string | null {
    const answered = new Set(
      this.#operations
        .filter(({ outcome }) => outcome === "ok")
        .map(({ kind, name }) => `${kind} ${JSON.stringify(name)}`),
    );
    for (const [handler, thrown] of this.#thrown) {
      if (thrown.times < times || answered.has(handler)) continue;
      return `${handler} has thrown ${thrown.times} times and never answered: ${thrown.why}`;
    }
    return null;
  }

  #tick(): number {
    this.#lastNs = Math.max(this.#lastNs + 1, Math.floor(this.#nowNs()));
    return this.#lastNs;
  }
}

export type RecordedCall = {
  ok(reply: unknown): void;
  failed(): void;
  unknown(): void;
};
