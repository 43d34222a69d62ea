/** Reads a data directory as it is: marks, segments, snapshots. Writes nothing. */
import { messageOf, RaftError } from "../../errors.js";
import { attempt, isMissing, storageError } from "./failure.js";
import type { FileSystem } from "./fs.js";
import { type FoundMark, decodeMarks, markBytes, noMarkFound } from "./mark.js";
import {
  isSnapshotName,
  markName,
  partialOf,
  segmentName,
  segmentOf,
  snapshotName,
  temporarySuffix,
} from "./names.js";
import { type FinishedGroup, finishGroup } from "./replay.js";
import { type Scan, createScan, finishScan, scanSegment } from "./scan.js";
import { decodeSnapshotHeader, snapshotHeaderBytes } from "./snapshot-file.js";
import { openSnapshot } from "./snapshot-reader.js";

export type ReadLog = {
  readonly foundMark: FoundMark;
  readonly scan: Scan;
  readonly groups: readonly FinishedGroup[];
  /** Files that nothing refers to: temporary ones and snapshots that never became, or no longer are, current. */
  readonly orphans: readonly string[];
  /** By group number: what was received of a snapshot that is newer than the current one. */
  readonly partials: ReadonlyMap<number, string>;
  /** Not null: it is not even known which groups there are. */
  readonly lost: string | null;
};

async function readMark(
  fs: FileSystem,
  dir: string,
  directoryId: Uint8Array,
  names: readonly string[],
): Promise<FoundMark> {
  if (!names.includes(markName)) return noMarkFound;
  const file = await fs.open(`${dir}/${markName}`, "read");
  try {
    return decodeMarks(await file.read(0, markBytes), directoryId);
  } finally {
    await file.close();
  }
}

/** `thorough`: looks also where an orderly close has left nothing to look for. */
export async function readLog(
  fs: FileSystem,
  dir: string,
  directoryId: Uint8Array,
  names: readonly string[],
  thorough: boolean,
): Promise<ReadLog> {
  const foundMark = await readMark(fs, dir, directoryId, names);
  const scan = createScan(directoryId, foundMark.mark);
  const segments = names
    .map(segmentOf)
    .filter((segment) => segment !== null)
    .sort((a, b) => a - b);
  for (const segment of segments) {
    const path = `${dir}/${segmentName(segment)}`;
    await attempt(`reading ${path}`, async () => {
      const file = await fs.open(path, "read");
      try {
        await scanSegment(scan, file, segment, await fs.sizeOf(path), thorough);
      } finally {
        await file.close();
      }
    });
  }
  finishScan(scan);
  const groups = [...scan.replay.groups.values()].map((group) =>
    finishGroup(group, (segment) => whatIsWrongWith(scan, segment)),
  );
  await verifySnapshots(fs, dir, groups, scan);
  const partials = partialsAmong(names, groups);
  const orphans: string[] = [];
  for (const file of orphansAmong(names, groups, partials)) {
    const path = `${dir}/${file}`;
    const strange = await attempt(`reading ${path}`, () => isStranger(fs, path, directoryId));
    if (!strange) orphans.push(file);
    else
      scan.findings.push({ type: "oddity", file, offset: 0, message: `${file}: ${strangerWhy}` });
  }
  return { foundMark, scan, groups, orphans, partials, lost: whatIsLost(scan) };
}

function whatIsWrongWith(scan: Scan, segment: number): string {
  const file = segmentName(segment);
  if (!scan.segments.some((scanned) => scanned.segment === segment)) return `${file} is gone`;
  const finding = scan.findings.find((one) => one.type === "damage" && one.file === file);
  return finding?.message ?? `it is not in ${file}`;
}

function whatIsLost(scan: Scan): string | null {
  if (scan.replay.lostGroups !== null) return scan.replay.lostGroups;
  if (scan.blocks === 0 || scan.replay.based) return null;
  return `${segmentName(scan.segments[0]!.segment)}: its checkpoint is not intact`;
}

/** Reads every snapshot once: what is gone or does not match its checksums makes its group damaged. */
async function verifySnapshots(
  fs: FileSystem,
  dir: string,
  groups: readonly FinishedGroup[],
  scan: Scan,
): Promise<void> {
  for (const { state } of groups) {
    if (state.snapshot === null) continue;
    const file = snapshotName(state.number, state.snapshot);
    try {
      const reader = await openSnapshot(fs, `${dir}/${file}`, state.snapshot);
      try {
        for await (const piece of reader.pieces()) void piece;
      } finally {
        await reader.close();
      }
    } catch (error) {
      if (!isDamage(error)) throw storageError(error, `reading ${dir}/${file}`);
      const reason = messageOf(error);
      const message = error instanceof RaftError ? reason : `${file}: ${reason}`;
      scan.findings.push({ type: "damage", file, offset: 0, message });
      state.damage ??= message;
    }
  }
}

/**
 * What cannot be read now (too many open files, no right to, an error of the disk) says nothing of its bytes and may
 * pass, while damage is carried on until the group is deleted, and a damaged copy may be set aside.
 */
function isDamage(error: unknown): boolean {
  return error instanceof RaftError || isMissing(error);
}

/** At most one of each group: the newest. */
function partialsAmong(
  names: readonly string[],
  groups: readonly FinishedGroup[],
): Map<number, string> {
  const partials = new Map<number, string>();
  for (const { state } of groups) {
    let newest = state.snapshot?.index ?? 0;
    for (const name of names) {
      const partial = partialOf(name);
      if (partial === null || partial.group !== state.number || partial.index <= newest) continue;
      newest = partial.index;
      partials.set(state.number, name);
    }
  }
  return partials;
}

const strangerWhy = "of another data directory; it is left as it is, and nothing here uses it";

/** Somebody copied it here: it is no leftover of ours, and may be the only one that there is. */
async function isStranger(fs: FileSystem, path: string, directoryId: Uint8Array): Promise<boolean> {
  if (path.endsWith(temporarySuffix)) return false;
  const file = await fs.open(path, "read");
  try {
    const header = decodeSnapshotHeader(await file.read(0, snapshotHeaderBytes));
    return header !== null && Buffer.compare(header.directoryId, directoryId) !== 0;
  } finally {
    await file.close();
  }
}

function orphansAmong(
  names: readonly string[],
  groups: readonly FinishedGroup[],
  partials: ReadonlyMap<number, string>,
): string[] {
  const current = new Set<string>(partials.values());
  for (const { state } of groups) {
    if (state.snapshot !== null) current.add(snapshotName(state.number, state.snapshot));
  }
  return names.filter((name) => {
    const mayGo = isSnapshotName(name) || partialOf(name) !== null;
    return name.endsWith(temporarySuffix) || (mayGo && !current.has(name));
  });
}
