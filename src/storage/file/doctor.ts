/**
 * Verifies every checksum of a data directory, explains what it finds, and mends what can be mended
 * without guessing, after making a copy of the directory.
 */
import { copyBeside } from "./copy.js";
import { attempt } from "./failure.js";
import { type FileSystem, nodeFileSystem } from "./fs.js";
import { writeIdentity } from "./identity.js";
import {
  type Inspection,
  type Survey,
  identifyDirectory,
  inspectionOf,
  surveyDirectory,
} from "./inspect.js";
import type { MarkFile } from "./mark.js";
import { formatVersion, identityName, markName, temporarySuffix } from "./names.js";
import { isDamaged, readyLog, readyMark } from "./repair.js";
import type { OpenSegment } from "./segments.js";

export type Problem = {
  readonly file: string;
  readonly offset: number;
  /** One line: what is wrong. */
  readonly message: string;
  /** One line: what it means and what to do. */
  readonly advice: string;
  /** True: repair mends it and loses nothing that was ever acknowledged. */
  readonly repairable: boolean;
};

export type Diagnosis = {
  /** As it is now: after the repair, if there was one. */
  readonly inspection: Inspection;
  /** What was found before any repair. */
  readonly problems: readonly Problem[];
  /** Whether anything was changed. */
  readonly repaired: boolean;
  /** Where the directory as it was before is kept, or null. */
  readonly copy: string | null;
};

export type DoctorOptions = {
  /** Mend what is `repairable`. Default false: nothing is written. */
  readonly repair?: boolean | undefined;
  /** For tests: another file system. */
  readonly fs?: FileSystem | undefined;
};

/** What src/tools.ts gives as `doctor`. */
export async function doctorDirectory(
  dir: string,
  options: DoctorOptions = {},
): Promise<Diagnosis> {
  const fs = options.fs ?? nodeFileSystem;
  // Looked at before it is locked: what is not ours is not even touched by a lock.
  await identifyDirectory(fs, dir);
  const lock = await fs.lock(dir, { hostId: "doctor" });
  try {
    const survey = await surveyDirectory(fs, dir, true);
    const problems = problemsOf(survey);
    const wanted = (options.repair ?? false) && problems.some(({ repairable }) => repairable);
    if (!wanted) {
      return { inspection: inspectionOf(dir, survey, null), problems, repaired: false, copy: null };
    }
    return await attempt(`repairing ${dir}`, async () => {
      const copy = await copyBeside(fs, dir, "before-repair");
      await repair(fs, dir, survey);
      const inspection = inspectionOf(dir, await surveyDirectory(fs, dir, true), null);
      return { inspection, problems, repaired: true, copy };
    });
  } finally {
    await lock.release();
  }
}

/** The host id that all members here were named after, or null (decision 4: `hostId#incarnation`). */
function hostIdOfMembers(survey: Survey): string | null {
  const ids = new Set(
    (survey.log?.groups ?? []).map(({ state }) => {
      const { memberId } = state.identity;
      return memberId.slice(0, Math.max(memberId.lastIndexOf("#"), 0));
    }),
  );
  const [only] = ids;
  return ids.size === 1 && only !== "" ? only! : null;
}

function problemsOf(survey: Survey): Problem[] {
  const problems: Problem[] = [];
  const { identity, log } = survey;
  if (identity.type === "damaged") {
    const hostId = hostIdOfMembers(survey);
    problems.push({
      file: identityName,
      offset: 0,
      message: identity.message,
      advice:
        hostId === null
          ? "whose directory this is can not be told; start the host with an empty one, as a new member"
          : `segments and members say that it is host "${hostId}"'s; repair writes it again`,
      repairable: hostId !== null,
    });
  }
  if (log === null) return problems;
  // Then nothing is mended, and what nothing refers to may be what is left of something that is gone.
  const damaged = isDamaged(log) || log.lost !== null;
  for (const { type, file, offset, message } of log.scan.findings) {
    problems.push({ file, offset, message, ...adviceOn(type, damaged) });
  }
  for (const { state } of log.groups) {
    if (state.damage === null) continue;
    problems.push({
      file: "",
      offset: 0,
      message: `group "${state.identity.group}": ${state.damage}`,
      advice:
        "nothing is served from this group's data; let this host rejoin the group, as a new " +
        "member that catches up from the leader",
      repairable: false,
    });
  }
  if (log.lost !== null) {
    problems.push({
      file: "",
      offset: 0,
      message: log.lost,
      advice: "which groups were here is not known; start the host with an empty directory",
      repairable: false,
    });
  }
  if (log.foundMark.badSlots > 0) {
    problems.push({
      file: markName,
      offset: 0,
      message: "a slot of the mark does not match its checksum",
      advice: damaged
        ? "the log itself says how far it was synced"
        : "the log itself says how far it was synced; repair writes the mark again",
      repairable: !damaged,
    });
  }
  for (const file of log.orphans) {
    problems.push({
      file,
      offset: 0,
      message: `${file}: nothing refers to it`,
      advice: adviceOnOrphan(file, log.lost !== null, damaged),
      repairable: !damaged,
    });
  }
  return problems;
}

function adviceOn(
  type: "torn" | "oddity" | "damage",
  damaged: boolean,
): { readonly advice: string; readonly repairable: boolean } {
  switch (type) {
    case "torn":
      return {
        advice:
          "the write under way when the process or the power went; nobody was promised it; " +
          (damaged
            ? "it stays as it is, like the rest of a damaged log"
            : "opening and repair cut it off"),
        repairable: !damaged,
      };
    case "oddity":
      return { advice: "nothing that was stored is affected", repairable: false };
    case "damage":
      return {
        advice: "this was stored once and does not read back: suspect the disk, and keep a copy",
        repairable: false,
      };
  }
}

function adviceOnOrphan(file: string, lost: boolean, damaged: boolean): string {
  if (!damaged) return "left behind when the process ended; opening and repair remove it";
  if (!file.endsWith(temporarySuffix)) {
    return "what names it may be in what the log has lost; opening and repair leave it as it is";
  }
  return lost
    ? "left behind when the process ended; it stays as it is"
    : "left behind when the process ended; opening removes it";
}

async function repair(fs: FileSystem, dir: string, survey: Survey): Promise<void> {
  const { identity, directoryId, log } = survey;
  const hostId = hostIdOfMembers(survey);
  if (identity.type === "damaged" && hostId !== null && directoryId !== null) {
    await writeIdentity(fs, dir, { format: formatVersion, hostId, directoryId });
  }
  if (log === null || isDamaged(log) || log.lost !== null) return;
  const opened: OpenSegment[] = [];
  try {
    const ready = await readyLog(fs, dir, log, opened);
    const mark = await readyMark(fs, dir, log);
    try {
      await rewriteMark(mark, {
        sequence: ready.nextSequence - 1,
        segment: ready.active?.segment.segment ?? 0,
        endOffset: ready.active?.offset ?? 0,
        nextGroup: log.scan.replay.nextGroup,
        clean: ready.active !== null,
      });
    } finally {
      await mark.close();
    }
  } finally {
    for (const { file } of opened) await file.close();
  }
}

/** Both slots: one of them may be the bad one. */
async function rewriteMark(file: MarkFile, mark: MarkFile["current"]): Promise<void> {
  await file.write(mark);
  await file.write(mark);
  await file.sync();
}
