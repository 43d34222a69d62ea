/**
 * The one error that this library rejects with, and the closed set of its codes.
 */

/** Every code, with what it means and what to do about it. The keys are the closed set. */
export const errorCodes = {
  // The caller's input.
  invalidArgument: "an argument of the call itself is wrong; the message names the field",
  invalidConfig: "a configuration value is out of range or contradicts another",
  invalidValue: "the value's definition is not usable, or the value file does not load",
  unknownCommand: "the value defines no command of that name",
  unknownQuery: "the value defines no query of that name",
  encodeFailed: "an argument or reply has no encoding (function, symbol, cycle)",
  commandTooLarge: "the encoded command is larger than maxCommandBytes",
  // The value's own handlers.
  commandFailed:
    "the command handler threw, the same on all members; the value is as before unless it is mutable",
  queryFailed: "the query handler threw",
  // Finding and reaching the group.
  timeout: "no answer within timeoutMs",
  aborted: "the caller's AbortSignal fired",
  closed: "the client, group handle or host was closed",
  unavailable: "no leader could be reached, or it lost its majority",
  notLeader: "the member asked is not the leader",
  connectFailed: "the address could not be reached or refused",
  protocolMismatch: "the other side speaks another protocol or version, or is no rafted-value port",
  unknownGroup: "the host serves no such group",
  groupMismatch: "another group id, value name or value version on the other side",
  listenFailed: "the listen address is in use or not available",
  overloaded: "a limit is reached; retry later",
  sessionExpired:
    "the session or the kept reply is gone; whether an earlier try was applied is unknown",
  // Membership and leadership.
  alreadyMember: "a live member of that host id belongs to the group already",
  notMember: "the group has no such member",
  notVoter: "the member is a learner",
  uncommittedMembershipChange: "another membership change is still under way",
  cannotRemoveLeader: "transfer leadership first",
  willBreakQuorum: "the change would leave no live majority",
  pendingLeaderChange: "a leadership transfer is under way",
  newLeaderUnresponsive: "the transfer's target has not answered within an election timeout",
  alreadyLeader: "the transfer's target leads already",
  removed: "this member was taken out of the group",
  // Storage.
  storageFailed: "the storage failed; the member stopped",
  diskFull: "no space left; the member stopped accepting",
  storageCorrupt: "damaged storage; the member refuses to serve from it",
  storageLocked: "another process holds the directory",
  storageMismatch: "the directory belongs to another host, group, program or format",
  // Defects.
  divergence: "members disagree on the outcome of the same entry: a handler is not deterministic",
  internal: "a broken invariant inside the library; the member stopped",
} as const;

export type RaftErrorCode = keyof typeof errorCodes;

/** Whether the command that failed may have changed the value all the same. */
export type Applied = "no" | "maybe";

/**
 * Why a call failed.
 *
 * @example
 * ```ts
 * try {
 *   await group.command("enqueue", "a");
 * } catch (error) {
 *   if (error instanceof RaftError && error.applied === "maybe") {
 *     // The command may have been applied: look before you send it again.
 *   } else throw error;
 * }
 * ```
 */
export class RaftError extends Error {
  override readonly name = "RaftError";
  readonly code: RaftErrorCode;
  /** "no": certainly without effect. "maybe": the outcome is unknown, it may still be applied. */
  readonly applied: Applied;

  constructor(
    code: RaftErrorCode,
    message: string,
    options: { applied?: Applied; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.applied = options.applied ?? "no";
  }
}

/** A broken invariant: never the caller's fault, always the end of the member that found it. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Assertions stay on in production: a member that finds itself wrong stops instead of going on. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) broken(message);
}

/** For what runs with every entry, as `if (wrong) broken(...)`: to put a message together costs more than to look. */
export function broken(message: string): never {
  throw new AssertionError(message);
}

/** What somebody gave, for a message: texts in quotes and cut. */
export function show(given: unknown): string {
  if (typeof given === "string") return JSON.stringify(given.slice(0, 80));
  if (typeof given === "function") return "a function";
  if (given === null || typeof given !== "object") return String(given).slice(0, 80);
  if (Array.isArray(given)) return "an array";
  const kind = kindOf(given);
  return `${/^[AEIOU]/i.test(kind) ? "an" : "a"} ${kind === "Object" ? "object" : kind}`;
}

/** `Object`, `Map`, `Date`, `Promise`, ... */
function kindOf(given: object): string {
  return Object.prototype.toString.call(given).slice("[object ".length, -1).slice(0, 80);
}

/**
 * Whether this may be what callers give as options: arrays, maps, dates, promises that nobody awaited and
 * the like have no names to look at, and would pass for none.
 */
export function isOptions(given: unknown): given is object {
  if (typeof given !== "object" || given === null) return false;
  const kind = kindOf(given);
  return kind === "Object" || kind === "Module";
}

/** One that is none of `names`: a misspelt field or option would be as good as none, and show under load. */
export function unknownName(fields: object, names: readonly string[]): string | undefined {
  return Object.keys(fields).find((name) => !names.includes(name));
}

/** What somebody threw, as one text. Never throws, whatever it was: every field may be anything. */
export function messageOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return String(error);
    const { message, name } = error as { readonly message: unknown; readonly name: unknown };
    const text = message === "" || message === undefined ? name : message;
    if (text !== "" && text !== undefined) return String(text);
  } catch {
    // What it has cannot even be looked at.
  }
  return "something was thrown that has no text";
}

/**
 * Whether this is a promise or behaves like one. A real one that nobody awaits could reject later and
 * take the process down, so its rejection is swallowed; the `then` of others is left alone, because
 * for some it starts the work.
 */
export function disarm(result: unknown): boolean {
  if (typeof result !== "object" || result === null || !("then" in result)) return false;
  const { then } = result;
  if (typeof then !== "function") return false;
  const isReal = Object.prototype.toString.call(result) === "[object Promise]";
  if (isReal) then.call(result, ignore, ignore);
  return true;
}

function ignore(): void {
  // Its result is used by nobody.
}
