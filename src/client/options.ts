/** Checks of what callers hand in: every refusal is `invalidArgument` and names the field. */
import { isOptions, RaftError, show, unknownName } from "../errors.js";
import { callOptionNames as argumentOptionNames } from "../value/define.js";
import type { CallOptions } from "./types.js";

export const defaultTimeoutMs = 5000;
/** Calls without an answer. A host of the defaults takes so many of one client, and refuses more. */
export const defaultMaxOutstanding = 65_536;
/** Streams of events that one client may read. A host takes so many of one client, and refuses more. */
export const maxSubscriptions = 64;
const maxNameLength = 256;
const maxHosts = 64;

/** The call's own timeout in milliseconds, or the client's. */
export function timeoutOf(options: CallOptions | undefined, fallbackMs: number): number {
  const timeoutMs = options?.timeoutMs;
  return timeoutMs === undefined ? fallbackMs : checkTimeout("timeoutMs", timeoutMs);
}

export function checkTimeout(field: string, timeoutMs: unknown): number {
  if (typeof timeoutMs === "number" && timeoutMs >= 1 && timeoutMs < Infinity) return timeoutMs;
  throw invalid(field, `must be a number of milliseconds, 1 or more, got ${show(timeoutMs)}`);
}

/** Null when there is none. */
export function signalOf(
  options: { readonly signal?: AbortSignal | undefined } | undefined,
): AbortSignal | null {
  const signal: unknown = options?.signal;
  if (signal === undefined) return null;
  if (typeof signal === "object" && signal !== null && "aborted" in signal) {
    // The last is called while answers are handed out: missing, it would cost others theirs.
    const missing = missingMethod(signal, ["addEventListener", "removeEventListener"]);
    if (missing === undefined) return signal as AbortSignal;
  }
  throw invalid("signal", `must be an AbortSignal, got ${show(signal)}`);
}

/** What hosts take is what clients may ask for: another name is a mistake, and no group to wait for. */
export function isGroupName(name: unknown): name is string {
  return typeof name === "string" && /^[A-Za-z0-9_.:-]{1,64}$/.test(name);
}

export function checkGroup(group: unknown): string {
  if (isGroupName(group)) return group;
  const rule = "1 to 64 letters, digits or _ . : -";
  throw invalid("group", `must be the group's name (${rule}), got ${show(group)}`);
}

/** `parse` refuses an address that cannot be one. */
export function checkHosts(
  hosts: unknown,
  parse: (address: string, field: string) => unknown,
): readonly string[] {
  if (!Array.isArray(hosts) || hosts.length < 1 || hosts.length > maxHosts) {
    const example = 'such as ["127.0.0.1:7101"]';
    throw invalid("hosts", `must be an array of 1 to ${maxHosts} addresses ${example}`);
  }
  hosts.forEach((address: unknown, i) => {
    if (typeof address !== "string" || address === "") {
      throw invalid(`hosts[${i}]`, `must be an address "host:port", got ${show(address)}`);
    }
    parse(address, `hosts[${i}]`);
  });
  return [...new Set(hosts as string[])];
}

export function checkLimit(field: string, limit: unknown, fallback: number): number {
  if (limit === undefined) return fallback;
  if (typeof limit === "number" && Number.isSafeInteger(limit) && limit >= 1) return limit;
  throw invalid(field, `must be a whole number, 1 or more, got ${show(limit)}`);
}

/** A member id (`hostId#incarnation`) or a host id. */
export function checkId(id: unknown): string {
  if (typeof id === "string" && id.length >= 1 && id.length <= maxNameLength) return id;
  throw invalid("id", `must be a member id or a host id, got ${show(id)}`);
}

export function checkNames(options: object, names: readonly string[]): void {
  const strange = unknownName(options, names);
  if (strange !== undefined) {
    throw invalid(strange, `is no option; there are ${names.join(", ")}`);
  }
}

/** What a port that was handed in lacks; a wrong object must fail at once and not under load. */
export function missingMethod(port: unknown, methods: readonly string[]): string | undefined {
  const fields = port as Readonly<Record<string, unknown>> | null | undefined;
  return methods.find((method) => typeof fields?.[method] !== "function");
}

export function checkPort(field: string, port: unknown, methods: readonly string[]): void {
  if (port === undefined) return;
  const missing = missingMethod(port, methods);
  if (missing === undefined) return;
  throw invalid(field, `must be an object with a method "${missing}", got ${show(port)}`);
}

export const callOptionNames = {
  ...argumentOptionNames,
  admin: ["timeoutMs", "signal", "host", "leader"],
  events: ["signal"],
} as const satisfies Record<string, readonly string[]>;

/** A misspelt `timeoutMs` or `id` would be as good as none, and show when it is needed. */
export function checkCallOptions(options: unknown, names: readonly string[]): void {
  if (!isOptions(options)) {
    throw invalid("options", `must be an object such as { timeoutMs: 2000 }, got ${show(options)}`);
  }
  checkNames(options, names);
}

/**
 * The leader checks the rest, and knows which settings there are. What has no encoding would be refused
 * without a name, and what is no number of an object that is none would be lost in it.
 */
export function checkConfigChange(change: unknown): void {
  if (!isOptions(change)) {
    const example = "{ heartbeatMs: 200, electionTimeoutMs: 1000 }";
    throw badConfig("config", `expected an object such as ${example}`, change);
  }
  for (const [name, setting] of Object.entries(change) as [string, unknown][]) {
    if (setting === undefined || typeof setting === "number") continue;
    throw badConfig(`config.${name}`, "expected a number", setting);
  }
}

function badConfig(field: string, expected: string, given: unknown): RaftError {
  return new RaftError("invalidConfig", `${field}: ${expected}, got ${show(given)}`);
}

export function invalid(field: string, problem: string): RaftError {
  return new RaftError("invalidArgument", `${field} ${problem}`);
}
