/** Turns the system's errors into the library's own, with what was being done and what to do now. */
import { AssertionError, messageOf, RaftError, type RaftErrorCode } from "../../errors.js";

export function systemCode(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

export function isDiskFull(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOSPC" || code === "EDQUOT" || code === "diskFull";
}

/** Of an attempt to open a file, also one to be made: nothing was written yet, and it may go well the next time. */
export function isOutOfFiles(error: unknown): boolean {
  return ["EMFILE", "ENFILE"].includes(systemCode(error));
}

export function isMissing(error: unknown): boolean {
  return systemCode(error) === "ENOENT";
}

/** For `catch` of a removal: what is gone already need not be removed. */
export function passOverMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

/** Of an attempt to open a file for reading: it may go well the next time, and says nothing of the disk. */
export function isRefusedForNow(error: unknown): boolean {
  return isOutOfFiles(error) || systemCode(error) === "EACCES";
}

const remedies: Readonly<Record<string, string>> = Object.freeze({
  EACCES: "give this process the right to read and write there",
  EPERM: "give this process the right to read and write there",
  ENOENT: "it was removed, its disk is not mounted, or the name is not the right one",
  EROFS: "the file system is mounted read-only: mount it for writing",
  EIO: "the disk reports an error: check it before you start again",
  EMFILE: "raise the limit of open files",
  ENFILE: "raise the system's limit of open files",
});

const cannotSync = ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];

function remedyFor(error: unknown): string | undefined {
  const code = systemCode(error);
  const { syscall } = (error ?? {}) as { readonly syscall?: unknown };
  if (cannotSync.includes(code) && (syscall === "fsync" || syscall === "fdatasync")) {
    return "this file system cannot make files and their names durable: use one that can, on a local disk";
  }
  return remedies[code];
}

/** `doing` says what failed, in the form "writing wal-00000001.log". `goesOn`: nobody need start again. */
export function storageError(error: unknown, doing: string, goesOn = false): RaftError {
  if (error instanceof RaftError) return error;
  if (error instanceof AssertionError) {
    return new RaftError("internal", error.message, { cause: error });
  }
  const reason = messageOf(error);
  const full = isDiskFull(error);
  const code: RaftErrorCode = full ? "diskFull" : "storageFailed";
  const forFull = goesOn ? "free some space" : "free some space and start again";
  const remedy = full ? forFull : remedyFor(error);
  const message = `${doing}: ${reason}${remedy === undefined ? "" : `; ${remedy}`}`;
  return new RaftError(code, message, { cause: error });
}

/** Runs `work`; a failure says what was being done. */
export async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, doing);
  }
}
