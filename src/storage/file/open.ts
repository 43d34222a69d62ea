/** Opens a data directory: lock, identity, log, and what has to be mended before the log goes on. */
import { RaftError, messageOf } from "../../errors.js";
import type { RecoveredGroup } from "../../ports.js";
import { attempt, storageError, systemCode } from "./failure.js";
import type { FileSystem } from "./fs.js";
import type { GroupState } from "./group-state.js";
import {
  type Identity,
  checkIdentity,
  newIdentity,
  readIdentity,
  writeIdentity,
} from "./identity.js";
import type { Lock } from "./lock.js";
import type { MarkFile } from "./mark.js";
import type { Settings } from "./options.js";
import { type ReadLog, readLog } from "./read-log.js";
import { readyLog, readyMark } from "./repair.js";
import type { FinishedGroup } from "./replay.js";
import { type OpenSegment, Segments } from "./segments.js";
import type { WalStart } from "./wal.js";

export type Opened = {
  readonly lock: Lock;
  readonly walStart: WalStart;
  readonly recovered: readonly RecoveredGroup[];
  /** By group number: the file of a snapshot that was received in part. */
  readonly partials: ReadonlyMap<number, string>;
  /** What was found and mended, a line each. */
  readonly warnings: readonly string[];
};

/** Creates it if need be, and names what is wrong with it otherwise. */
async function readyDirectory(fs: FileSystem, dir: string): Promise<readonly string[]> {
  try {
    await fs.makeDirectory(dir);
    return await fs.list(dir);
  } catch (error) {
    const code = systemCode(error);
    if (code === "EEXIST" || code === "ENOTDIR") {
      throw new RaftError(
        "storageMismatch",
        `${dir} is not a directory: name one, or a path where one can be made`,
        { cause: error },
      );
    }
    const doing = `opening the directory ${dir}`;
    if (code !== "ENOENT") throw storageError(error, doing);
    // What is missing is made, unless the system will not have it there.
    const why = "a symbolic link on the way leads nowhere, or its disk is not mounted";
    throw new RaftError("storageFailed", `${doing}: ${messageOf(error)}; ${why}`, { cause: error });
  }
}

async function readyIdentity(
  fs: FileSystem,
  dir: string,
  hostId: string,
): Promise<{ readonly identity: Identity; readonly names: readonly string[] }> {
  // Listed again under the lock: a process that just ended may have changed it.
  const names = await fs.list(dir);
  const found = checkIdentity(await readIdentity(fs, dir, names), dir, hostId);
  if (found !== null) {
    // A process that was killed may have left names that are in the system's memory only: of a segment, a
    // snapshot, the identity itself. What is acknowledged from now on relies on them.
    await fs.syncDirectory(dir);
    return { identity: found, names };
  }
  const identity = newIdentity(hostId);
  await writeIdentity(fs, dir, identity);
  return { identity, names: await fs.list(dir) };
}

function recoveredOf({ state, entries }: FinishedGroup): RecoveredGroup {
  const { identity, hardState, snapshot, damage } = state;
  return { identity, hardState, snapshot, entries, damage };
}

function warningsOf(log: ReadLog): string[] {
  const warnings: string[] = [];
  for (const { type, message } of log.scan.findings) {
    if (type === "torn")
      warnings.push(`${message}: the last write was cut short and never promised; it is cut off`);
    else if (type === "oddity") warnings.push(message);
    else warnings.push(`${message}: damaged`);
  }
  if (log.foundMark.badSlots > 0) warnings.push("the file mark is partly damaged; it is made anew");
  return warnings;
}

/** Rejects with `storageLocked`, `storageMismatch`, `storageCorrupt`, `storageFailed` or `diskFull`. */
export async function openDirectory(
  dir: string,
  hostId: string,
  settings: Settings,
): Promise<Opened> {
  const { fs } = settings;
  await readyDirectory(fs, dir);
  const lock = await fs.lock(dir, { hostId });
  const opened: OpenSegment[] = [];
  let mark: MarkFile | null = null;
  try {
    return await attempt(`opening ${dir}`, async () => {
      const { identity, names } = await readyIdentity(fs, dir, hostId);
      const log = await readLog(fs, dir, identity.directoryId, names, false);
      if (log.lost !== null) {
        throw new RaftError(
          "storageCorrupt",
          `${dir}: ${log.lost}: which groups were here is not known; run doctor on it, or start ` +
            "this host with an empty directory, as a new member",
        );
      }
      mark = await readyMark(fs, dir, log);
      const ready = await readyLog(fs, dir, log, opened);
      const groups = new Map<number, GroupState>();
      for (const { state } of log.groups) groups.set(state.number, state);
      const sizes = { firstBytes: settings.firstSegmentBytes, maxBytes: settings.segmentBytes };
      const segments = new Segments(fs, dir, sizes, ready.used, ready.unused);
      const walStart: WalStart = {
        directoryId: identity.directoryId,
        segments,
        mark,
        markLagMs: settings.markLagMs,
        groups,
        nextGroup: log.scan.replay.nextGroup,
        nextSequence: ready.nextSequence,
        previousCheck: log.scan.previousCheck,
        active: ready.active,
      };
      // The room for the first write is there before anybody counts on it.
      if (ready.active === null) opened.push(await segments.prepare());
      return {
        lock,
        walStart,
        recovered: log.groups.map(recoveredOf),
        partials: log.partials,
        warnings: warningsOf(log),
      };
    });
  } catch (error) {
    for (const { file } of opened) await file.close().catch(() => undefined);
    await (mark as MarkFile | null)?.close().catch(() => undefined);
    await lock.release();
    throw error;
  }
}
