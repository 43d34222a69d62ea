/**
 * Copies of a data directory, kept beside it. A copy bears its name only once all of it is durable: one
 * that was cut short is begun again in the same place, so crash after crash takes room for one.
 */
import { dirname, resolve } from "node:path";
import { RaftError } from "../../errors.js";
import { isMissing, systemCode } from "./failure.js";
import type { FileSystem } from "./fs.js";
import {
  isOwnName,
  isSnapshotName,
  lockName,
  markName,
  partialOf,
  segmentOf,
  temporarySuffix,
} from "./names.js";

/** Where the log ends that may go on while it is copied. */
export type LogEnd = { readonly segment: number; readonly offset: number };

/** What copies for the sake of a damaged group are called, behind the name of their directory. */
export const asideKind = "set-aside";

const pieceBytes = 1024 * 1024;
const maxCopies = 10_000;

/**
 * Copies `dir` to a new directory `dir.kind-1` (or `-2` ...) and returns its path. `endOfLog`: the log is
 * being written; asked once the mark was read, so that the copy holds all that its mark vouches for.
 */
export async function copyBeside(
  fs: FileSystem,
  dir: string,
  kind: string,
  endOfLog: (() => LogEnd) | null = null,
): Promise<string> {
  const unfinished = `${baseOf(dir)}.${kind}-unfinished`;
  await clear(fs, unfinished);
  await fs.makeDirectory(unfinished);
  try {
    await copyFiles(fs, dir, unfinished, endOfLog);
    await fs.syncDirectory(unfinished);
  } catch (error) {
    // The room that it takes may be what is missing.
    await clear(fs, unfinished).catch(() => undefined);
    throw error;
  }
  const name = await freeName(fs, dir, kind);
  await fs.rename(unfinished, name);
  await fs.syncDirectory(dirname(resolve(name)));
  return name;
}

/** `dir.kind-1`, or the next number that is not taken. */
export async function freeName(fs: FileSystem, dir: string, kind: string): Promise<string> {
  const base = `${baseOf(dir)}.${kind}`;
  for (let number = 1; number < maxCopies; number++) {
    const name = `${base}-${number}`;
    try {
      if ((await fs.list(name)).length === 0) return name;
    } catch (error) {
      if (isMissing(error)) return name;
      if (systemCode(error) !== "ENOTDIR") throw error;
    }
  }
  throw new RaftError("storageFailed", `${base}-*: remove some of these copies first`);
}

/** Of `.` the name that it has above: what is put behind the dot would lie within. */
function baseOf(dir: string): string {
  return resolve(dir);
}

async function clear(fs: FileSystem, dir: string): Promise<void> {
  const names = await fs.list(dir).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const name of names) await fs.remove(`${dir}/${name}`);
}

async function copyFiles(
  fs: FileSystem,
  dir: string,
  to: string,
  endOfLog: (() => LogEnd) | null,
): Promise<void> {
  const copy = (name: string, endOffset = Infinity): Promise<void> =>
    copyFile(fs, `${dir}/${name}`, `${to}/${name}`, endOffset);
  if ((await fs.list(dir)).includes(markName)) await copy(markName);
  const end = endOfLog?.() ?? null;
  // Only now: of a log that goes on, the last segment may have been begun meanwhile.
  for (const name of await fs.list(dir)) {
    const segment = segmentOf(name);
    if (!isOwnName(name) || name === lockName || name === markName) continue;
    if (end === null) {
      await copy(name);
    } else if (segment !== null) {
      if (segment <= end.segment) await copy(name, segment < end.segment ? Infinity : end.offset);
    } else if (!name.endsWith(temporarySuffix)) {
      await copy(name).catch((error: unknown) => {
        // Of a group that goes on: a newer one has taken its place.
        const replaced = isSnapshotName(name) || partialOf(name) !== null;
        if (!replaced || !isMissing(error)) throw error;
      });
    }
  }
}

/** Zeros take the place of what is behind `endOffset`: a segment has its full length from the start. */
async function copyFile(
  fs: FileSystem,
  path: string,
  copy: string,
  endOffset: number,
): Promise<void> {
  const from = await fs.open(path, "read");
  try {
    const to = await fs.open(copy, "create");
    try {
      for (let at = 0; ; at += pieceBytes) {
        const piece = await from.read(at, pieceBytes);
        if (at + piece.length > endOffset) piece.fill(0, Math.max(endOffset - at, 0));
        if (piece.length > 0) await to.write(at, [piece]);
        if (piece.length < pieceBytes) break;
      }
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}
