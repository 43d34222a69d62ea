/** The names of the files of a data directory, and the numbers that its formats share. */

/** Raised when any file changes so that older code cannot read it. */
export const formatVersion = 1;

export const identityName = "identity";
export const markName = "mark";
export const lockName = "lock";
/** The folder in which `restore` and `recover` build a directory. */
export const unfinishedName = "unfinished";
/** What was not finished carries it; such files are removed on open. */
export const temporarySuffix = ".tmp";

export function segmentName(segment: number): string {
  return `wal-${String(segment).padStart(8, "0")}.log`;
}

/** The number of a segment's file, or null for other names. */
export function segmentOf(name: string): number | null {
  const match = /^wal-([0-9]{8,15})\.log$/.exec(name);
  const segment = Number(match?.[1]);
  // A copy with more zeros is not the one that would be opened in its place.
  return segmentName(segment) === name ? segment : null;
}

/** The checksum is part of the name: two snapshots of one name have the same bytes. */
export function snapshotName(
  group: number,
  snapshot: { readonly index: number; readonly term: number; readonly checksum: number },
): string {
  const checksum = snapshot.checksum.toString(16).padStart(8, "0");
  return `snapshot-${group}-${snapshot.index}-${snapshot.term}-${checksum}.snap`;
}

const partialSuffix = ".part";

/** What a leader has sent of that snapshot so far; more may come after a restart. */
export function partialName(
  group: number,
  snapshot: { readonly index: number; readonly term: number; readonly checksum: number },
): string {
  return snapshotName(group, snapshot).replace(/\.snap$/, partialSuffix);
}

/** Group and index, or null for other names. */
export function partialOf(name: string): { readonly group: number; readonly index: number } | null {
  const match = /^snapshot-([0-9]+)-([0-9]+)-[0-9]+-[0-9a-f]{8}\.part$/.exec(name);
  return match === null ? null : { group: Number(match[1]), index: Number(match[2]) };
}

export function isSnapshotName(name: string): boolean {
  return /^snapshot-[0-9]+-[0-9]+-[0-9]+-[0-9a-f]{8}\.snap$/.test(name);
}

/** True for everything that this format puts into a directory. */
export function isOwnName(name: string): boolean {
  return (
    name === identityName ||
    name === markName ||
    name === lockName ||
    name.endsWith(temporarySuffix) ||
    segmentOf(name) !== null ||
    partialOf(name) !== null ||
    isSnapshotName(name)
  );
}
