/** Looks at a data directory from outside. Never writes, takes no lock, works on one that is in use. */
import type { EntryList, LogIndex, MemberId, Membership, Term } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import { attempt, isMissing, storageError, systemCode } from "./failure.js";
import { type FileSystem, nodeFileSystem } from "./fs.js";
import { type FoundIdentity, readIdentity, refuseNewer } from "./identity.js";
import { segmentName, snapshotName } from "./names.js";
import { type ReadLog, readLog } from "./read-log.js";
import type { FinishedGroup } from "./replay.js";
import type { Finding } from "./scan.js";
import { decodeSegmentHeader, segmentHeaderBytes } from "./segment-header.js";
import { segmentOf } from "./names.js";

export type InspectedGroup = {
  readonly group: string;
  readonly groupId: string;
  readonly memberId: MemberId;
  readonly address: string;
  readonly valueName: string;
  readonly currentTerm: Term;
  readonly votedFor: MemberId | null;
  readonly forcedRemovals: readonly MemberId[];
  /** Of the log; lastIndex is firstIndex - 1 if it holds no entry. Of a damaged one what is readable. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Of the last entry, or of the snapshot if the log is empty: ranks survivors. */
  readonly lastTerm: Term;
  readonly snapshot: {
    readonly index: LogIndex;
    readonly term: Term;
    readonly sizeBytes: number;
    readonly valueVersion: number;
    readonly file: string;
  } | null;
  /** The newest in the log, committed or not, else the snapshot's; null: none known. */
  readonly membership: Membership | null;
  /** Not null: nothing is served from this copy. One line: which file, at which offset. */
  readonly damage: string | null;
};

export type InspectedSegment = {
  readonly file: string;
  readonly sizeBytes: number;
  /** False: prepared for later. */
  readonly used: boolean;
};

export type Inspection = {
  readonly dir: string;
  /** null: the identity file is damaged. */
  readonly hostId: string | null;
  readonly format: number | null;
  /** In words: who has it open now. What was under way then may look torn. */
  readonly heldBy: string | null;
  /**
   * `good`: as it should be. `torn`: the last write was cut short; nothing promised is lost, opening
   * mends it. `damaged`: some groups, or all, cannot be served from here.
   */
  readonly health: "good" | "torn" | "damaged";
  readonly closedInOrder: boolean;
  readonly groups: readonly InspectedGroup[];
  readonly segments: readonly InspectedSegment[];
  /** What nothing refers to: leftovers of a crash, removed on opening. */
  readonly leftovers: readonly string[];
  readonly findings: readonly Finding[];
};

export type InspectOptions = {
  /** For tests: another file system. */
  readonly fs?: FileSystem | undefined;
};

/** A directory that is being written may lose a segment while it is read, or look damaged. */
const maxTries = 5;

/** What src/tools.ts gives as `inspect`. */
export async function inspectDirectory(
  dir: string,
  options: InspectOptions = {},
): Promise<Inspection> {
  const fs = options.fs ?? nodeFileSystem;
  let seen: string | null = null;
  for (let tries = 1; ; tries++) {
    try {
      const survey = await surveyDirectory(fs, dir, false);
      const inspection = inspectionOf(dir, survey, await fs.lockHolder(dir));
      const damage = damageIn(inspection);
      // What is damaged looks the same a second time; what was replaced or begun meanwhile does not.
      if (damage === null || damage === seen || tries === maxTries) return inspection;
      seen = damage;
    } catch (error) {
      const cause = error instanceof RaftError ? error.cause : error;
      if (!isMissing(cause) || tries === maxTries) throw error;
    }
  }
}

function damageIn({ health, findings }: Inspection): string | null {
  if (health !== "damaged") return null;
  return JSON.stringify(findings.filter(({ type }) => type === "damage"));
}

/** Everything that can be read of a directory. */
export type Survey = {
  readonly identity: FoundIdentity;
  readonly directoryId: Uint8Array | null;
  readonly log: ReadLog | null;
};

async function listDirectory(fs: FileSystem, dir: string): Promise<readonly string[]> {
  try {
    return await fs.list(dir);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOENT" && code !== "ENOTDIR") throw storageError(error, `reading ${dir}`);
    const what = code === "ENOENT" ? "does not exist" : "is not a directory";
    // Without the cause: to try again is in vain.
    throw new RaftError("storageMismatch", `${dir} ${what}: name a data directory`);
  }
}

/** Rejects with `storageMismatch` unless it is a data directory, intact or not. */
export async function identifyDirectory(
  fs: FileSystem,
  dir: string,
): Promise<{ readonly names: readonly string[]; readonly identity: FoundIdentity }> {
  const names = await listDirectory(fs, dir);
  const identity = await attempt(`reading ${dir}`, () => readIdentity(fs, dir, names));
  if (identity.type === "foreign" || identity.type === "empty") {
    const what = identity.type === "foreign" ? identity.message : `${dir} is empty`;
    throw new RaftError("storageMismatch", `${what}: name a data directory`);
  }
  // What one does not know one neither explains nor mends.
  if (identity.type === "found") refuseNewer(identity.identity, dir);
  return { names, identity };
}

export async function surveyDirectory(
  fs: FileSystem,
  dir: string,
  thorough: boolean,
): Promise<Survey> {
  const { names, identity } = await identifyDirectory(fs, dir);
  return attempt(`reading ${dir}`, async () => {
    const directoryId =
      identity.type === "found"
        ? identity.identity.directoryId
        : await directoryIdOfSegments(fs, dir, names);
    const log = directoryId === null ? null : await readLog(fs, dir, directoryId, names, thorough);
    return { identity, directoryId, log };
  });
}

/** From the headers of the segments, if there is one that is intact and no two that disagree. */
async function directoryIdOfSegments(
  fs: FileSystem,
  dir: string,
  names: readonly string[],
): Promise<Uint8Array | null> {
  let found: Uint8Array | null = null;
  for (const name of names) {
    if (segmentOf(name) === null) continue;
    const file = await fs.open(`${dir}/${name}`, "read");
    try {
      const header = decodeSegmentHeader(await file.read(0, segmentHeaderBytes));
      if (header === null) continue;
      if (found !== null && Buffer.compare(found, header.directoryId) !== 0) return null;
      found = header.directoryId;
    } finally {
      await file.close();
    }
  }
  return found;
}

export function inspectionOf(dir: string, survey: Survey, heldBy: string | null): Inspection {
  const { identity, log } = survey;
  const own = identity.type === "found" ? identity.identity : null;
  const groups = log === null ? [] : log.groups.map(inspectedGroup);
  const findings = [...(log?.scan.findings ?? [])];
  if (identity.type === "damaged") {
    findings.unshift({ type: "damage", file: "identity", offset: 0, message: identity.message });
  }
  if (log !== null && log.lost !== null) {
    findings.push({ type: "damage", file: "", offset: 0, message: `${log.lost}: groups are lost` });
  }
  const damaged =
    findings.some(({ type }) => type === "damage") || groups.some(({ damage }) => damage !== null);
  const torn = findings.some(({ type }) => type === "torn");
  return {
    dir,
    hostId: own?.hostId ?? null,
    format: own?.format ?? null,
    heldBy,
    health: damaged ? "damaged" : torn ? "torn" : "good",
    closedInOrder: log?.scan.clean ?? false,
    groups,
    segments: (log?.scan.segments ?? []).map(({ segment, sizeBytes, used }) => ({
      file: segmentName(segment),
      sizeBytes,
      used,
    })),
    leftovers: log?.orphans ?? [],
    findings,
  };
}

/** Committed or not; null if there is none among them. */
export function newestMembership(entries: EntryList): Membership | null {
  let newest: Membership | null = null;
  for (const { kind, payload } of entries) {
    if (kind === "membership") newest = payload as Membership;
  }
  return newest;
}

function inspectedGroup({ state, entries }: FinishedGroup): InspectedGroup {
  const { identity, hardState, snapshot, number } = state;
  const last = entries.at(-1);
  return {
    group: identity.group,
    groupId: identity.groupId,
    memberId: identity.memberId,
    address: identity.address,
    valueName: identity.valueName,
    ...hardState,
    firstIndex: state.firstIndex,
    lastIndex: last?.index ?? state.firstIndex - 1,
    lastTerm: last?.term ?? snapshot?.term ?? 0,
    snapshot:
      snapshot === null
        ? null
        : {
            index: snapshot.index,
            term: snapshot.term,
            sizeBytes: snapshot.sizeBytes,
            valueVersion: snapshot.valueVersion,
            file: snapshotName(number, snapshot),
          },
    membership: newestMembership(entries) ?? snapshot?.membership ?? null,
    damage: state.damage,
  };
}
