/** What the command line prints: results on stdout, one line per error on stderr. */
import { inspect } from "node:util";
import { messageOf, RaftError, type RaftErrorCode } from "../errors.js";
import type { Logger } from "../ports.js";
import { UsageError } from "./usage.js";

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Replies may hold what JSON has no word for: maps become pairs, sets lists, bytes base64. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, replaceForJson) ?? "null";
}

function replaceForJson(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map || value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** A reply or answer for a person: as JSON where that says everything. */
export function showValue(value: unknown): string {
  return isJson(value) ? toJson(value) : inspect(value, { depth: 8, breakLength: 100 });
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value as object).every(isJson);
}

/** What to do about an error, where its own message cannot know that it came from a command line. */
const remedies: Readonly<Partial<Record<RaftErrorCode, string>>> = Object.freeze({
  unavailable: "check --hosts and that a majority of the members runs",
  timeout: "check that a majority of the members runs, or raise --timeout-ms",
  unknownGroup: "check --group",
  groupMismatch: "check --group and --value",
  protocolMismatch: "check that the address is a rafted-value port of the same version",
  alreadyMember: "choose another --id, or stop the member that has it",
  cannotRemoveLeader: "see: rafted-value transfer",
  uncommittedMembershipChange: "try again once it is done",
});

export type ErrorLine = {
  readonly code: string;
  readonly message: string;
  readonly applied: "no" | "maybe";
};

/** Everything that can go wrong, as one line without line breaks. */
export function errorLine(error: unknown): ErrorLine {
  if (error instanceof UsageError) return { code: "usage", message: error.message, applied: "no" };
  if (!(error instanceof RaftError)) {
    const message = messageOf(error);
    return { code: "internal", message: oneLine(message), applied: "no" };
  }
  const remedy = remedies[error.code];
  const may = error.applied === "maybe" ? "; the command may have been applied all the same" : "";
  const message = `${error.message}${remedy === undefined ? "" : `; ${remedy}`}${may}`;
  return { code: error.code, message: oneLine(message), applied: error.applied };
}

export function printError(verb: string | null, error: unknown, json: boolean): void {
  const line = errorLine(error);
  const program = verb === null ? "rafted-value" : `rafted-value ${verb}`;
  if (json) process.stderr.write(`${JSON.stringify({ error: line })}\n`);
  else process.stderr.write(`${program}: ${line.code}: ${line.message}\n`);
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim();
}

export type StderrLog = {
  readonly logger: Logger;
  /** How many lines of level error there were. */
  readonly errors: () => number;
};

/** Warnings and errors of a running member go to stderr, a line each; the rest is not printed. */
export function createStderrLog(): StderrLog {
  let errors = 0;
  const write = (level: string, fields: object, message: string): void => {
    const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${showField(value)}`);
    process.stderr.write(`${level}: ${oneLine(message)}${rest.join("")}\n`);
  };
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (fields, message) => write("warn", fields, message),
    error: (fields, message) => {
      errors += 1;
      write("error", fields, message);
    },
  };
  return { logger, errors: () => errors };
}

function showField(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(oneLine(value.message));
  if (typeof value === "string") return /^[\w.:#@-]+$/.test(value) ? value : JSON.stringify(value);
  return oneLine(inspect(value, { breakLength: Infinity }));
}
