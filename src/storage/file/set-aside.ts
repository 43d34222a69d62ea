/**
 * Takes a group that is damaged here out of a data directory, so that its host can join the group again
 * as a new member. Nothing is deleted: the directory as it was is kept beside the new one.
 */
import { mkdir, readdir, realpath, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { RaftError } from "../../errors.js";
import { asideKind, copyBeside, freeName } from "./copy.js";
import { attempt, systemCode } from "./failure.js";
import { fileStorage } from "./file-storage.js";
import { nodeFileSystem } from "./fs.js";
import { identifyDirectory, type Survey, surveyDirectory } from "./inspect.js";
import { identityName, isOwnName, lockName } from "./names.js";

export type SetAside = {
  /** Where the directory as it was is kept. */
  readonly kept: string;
  /** Groups that go on in the directory. */
  readonly others: readonly string[];
};

/** What src/tools.ts gives under the same name. */
export async function setGroupAside(dir: string, group: string): Promise<SetAside> {
  const fs = nodeFileSystem;
  await identifyDirectory(fs, dir);
  const lock = await fs.lock(dir, { hostId: "doctor" });
  let others: readonly string[];
  let hostId: string | null;
  let kept: string;
  try {
    const survey = await surveyDirectory(fs, dir, true);
    others = isLost(survey) ? [] : checkDamaged(survey, dir, group);
    hostId = survey.identity.type === "found" ? survey.identity.identity.hostId : null;
    if (hostId === null && others.length > 0) throw needsRepair(dir);
    kept = await attempt(`setting ${dir} aside`, async () =>
      // Not the symbolic link that leads to it, in whose place the next one would be on another disk.
      others.length === 0 ? moveDirectory(await realpath(dir)) : copyBeside(fs, dir, asideKind),
    );
  } finally {
    await lock.release();
  }
  if (others.length > 0) await deleteGroup(dir, hostId!, group);
  return { kept, others };
}

/** Which groups there are is not known any more. */
function isLost({ log }: Survey): boolean {
  return log === null || log.lost !== null;
}

function needsRepair(dir: string): RaftError {
  const why = `${dir}/${identityName} is not intact: repair that first, for the other groups`;
  return new RaftError("storageCorrupt", why);
}

/** The other groups of the directory. */
function checkDamaged({ log }: Survey, dir: string, group: string): readonly string[] {
  const groups = log!.groups.map(({ state }) => state);
  const found = groups.find(({ identity }) => identity.group === group);
  const names = groups.map(({ identity }) => identity.group);
  if (found === undefined) {
    const there = names.join(", ") || "none";
    throw new RaftError(
      "storageMismatch",
      `${dir} holds no group "${group}" (it holds: ${there}): check the group's name`,
    );
  }
  if (found.damage === null) {
    throw new RaftError(
      "invalidArgument",
      `group "${group}" is not damaged in ${dir}: start its host, there is nothing to set aside`,
    );
  }
  return names.filter((name) => name !== group);
}

/** Leaves an empty directory in its place; returns where the former one is. */
async function moveDirectory(dir: string): Promise<string> {
  const fs = nodeFileSystem;
  const kept = await freeName(fs, dir, asideKind);
  try {
    await rename(dir, kept);
  } catch (error) {
    // A mounted directory cannot be renamed: its files are copied, then removed.
    if (!["EBUSY", "EXDEV", "EPERM", "EACCES"].includes(systemCode(error))) throw error;
    const copy = await copyBeside(fs, dir, asideKind);
    // Without its identity nobody takes the rest for a data directory, whatever happens meanwhile.
    for (const name of [identityName, ...(await readdir(dir)).filter(isOwnName)]) {
      if (name !== lockName) await rm(join(dir, name), { force: true });
    }
    await fs.syncDirectory(dir);
    return copy;
  }
  await mkdir(dir);
  await fs.syncDirectory(`${dir}/..`);
  return kept;
}

/** The log that the others share goes on, and says that this one is gone. */
async function deleteGroup(dir: string, hostId: string, group: string): Promise<void> {
  const failure: { error: Error | null } = { error: null };
  const storage = fileStorage(dir, { lowSpaceBytes: 0 });
  await storage.open(hostId, {
    onStored: () => undefined,
    onSnapshotChunkWritten: () => undefined,
    onSnapshotSaved: () => undefined,
    onSnapshotChunkRead: () => undefined,
    onFailed: (error) => {
      failure.error = error;
    },
    onWarning: () => undefined,
  });
  storage.deleteGroup(group);
  storage.flush();
  await storage.close();
  if (failure.error !== null) throw failure.error;
}
