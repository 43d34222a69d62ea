/**
 * Makes a log that was read ready to be written: what was torn is overwritten with zeros, the last
 * block is written once more, what nothing refers to is removed. Of a damaged log nothing is changed.
 */
import { passOverMissing } from "./failure.js";
import type { FileSystem } from "./fs.js";
import { MarkFile, markBytes } from "./mark.js";
import { markName, segmentName, temporarySuffix } from "./names.js";
import type { ReadLog } from "./read-log.js";
import type { Litter, Scan } from "./scan.js";
import type { OpenSegment, Segment } from "./segments.js";

const pieceBytes = 1024 * 1024;

export function isDamaged(log: ReadLog): boolean {
  return (
    log.scan.findings.some((finding) => finding.type === "damage") ||
    log.groups.some(({ state }) => state.damage !== null)
  );
}

async function clearLitter(fs: FileSystem, dir: string, litter: Litter): Promise<void> {
  const file = await fs.open(`${dir}/${segmentName(litter.segment)}`, "write");
  try {
    for (let at = litter.from; at < litter.to; at += pieceBytes) {
      await file.write(at, [new Uint8Array(Math.min(pieceBytes, litter.to - at))]);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Writes the last block again and syncs. It may be one whose sync had failed: then it can be read (the
 * system has it in memory) although it is not on the disk, and a sync alone would do nothing
 * (Rebello et al., ATC 2020).
 */
async function rewriteLastBlock(segment: OpenSegment, from: number, to: number): Promise<void> {
  if (from > 0) await segment.file.write(from, [await segment.file.read(from, to - from)]);
  await segment.file.sync();
}

async function openForWriting(fs: FileSystem, dir: string, segment: number): Promise<OpenSegment> {
  const path = `${dir}/${segmentName(segment)}`;
  return { segment, sizeBytes: await fs.sizeOf(path), file: await fs.open(path, "write") };
}

export type ReadyLog = {
  readonly used: readonly Segment[];
  readonly unused: readonly OpenSegment[];
  /** Null: the next block begins a new segment. */
  readonly active: { readonly segment: OpenSegment; readonly offset: number } | null;
  readonly nextSequence: number;
};

/** `opened` takes the files, so that they are closed if a later step fails. */
export async function readyLog(
  fs: FileSystem,
  dir: string,
  log: ReadLog,
  opened: OpenSegment[],
): Promise<ReadyLog> {
  const { scan } = log;
  const { end } = scan;
  if (isDamaged(log)) return readyDamaged(fs, dir, log, opened);
  for (const litter of scan.litter) await clearLitter(fs, dir, litter);
  for (const name of log.orphans) await fs.remove(`${dir}/${name}`).catch(passOverMissing);
  const unused = await readyUnused(fs, dir, scan, opened);
  const nextSequence = Math.max(scan.expected, 1);
  if (end === null) return { used: [], unused, active: null, nextSequence };
  const segment = await openForWriting(fs, dir, end.segment);
  opened.push(segment);
  if (!scan.clean) await rewriteLastBlock(segment, end.lastBlockOffset, end.offset);
  const before = scan.segments.filter((one) => one.used && one.segment < end.segment);
  return {
    used: [...before.map((one) => ({ segment: one.segment, sizeBytes: one.sizeBytes })), segment],
    unused,
    active: { segment, offset: end.offset },
    nextSequence,
  };
}

/**
 * What is bad stays as it is, to be seen again; the log goes on in a new segment, whose checkpoint
 * carries the damage on. One that an earlier opening has prepared for that, and not used, will do.
 */
async function readyDamaged(
  fs: FileSystem,
  dir: string,
  log: ReadLog,
  opened: OpenSegment[],
): Promise<ReadyLog> {
  const { scan } = log;
  for (const name of log.orphans) {
    if (name.endsWith(temporarySuffix)) await fs.remove(`${dir}/${name}`).catch(passOverMissing);
  }
  await keepLastBlock(fs, dir, scan);
  const used = scan.segments.map(({ segment, sizeBytes }) => ({ segment, sizeBytes }));
  const nextSequence = Math.max(scan.expected, scan.mark.sequence + 1);
  const last = scan.segments.at(-1);
  const isBlank =
    last !== undefined &&
    !last.used &&
    scan.findings.every(({ file }) => file !== segmentName(last.segment));
  if (!isBlank) return { used, unused: [], active: null, nextSequence };
  const blank = await openForWriting(fs, dir, last.segment);
  opened.push(blank);
  return { used: used.slice(0, -1), unused: [blank], active: null, nextSequence };
}

/** Groups that are whole count on it from now on, as they do where nothing is damaged. The bytes stay the same. */
async function keepLastBlock(fs: FileSystem, dir: string, { end, clean }: Scan): Promise<void> {
  if (end === null || clean) return;
  const segment = await openForWriting(fs, dir, end.segment);
  try {
    await rewriteLastBlock(segment, end.lastBlockOffset, end.offset);
  } finally {
    await segment.file.close();
  }
}

/** Keeps the one unused segment that comes next. */
async function readyUnused(
  fs: FileSystem,
  dir: string,
  scan: Scan,
  opened: OpenSegment[],
): Promise<OpenSegment[]> {
  const last = scan.end?.segment ?? 0;
  const unused: OpenSegment[] = [];
  for (const { segment, used } of scan.segments) {
    if (used && segment <= last) continue;
    if (segment > last && unused.length === 0) {
      const ready = await openForWriting(fs, dir, segment);
      opened.push(ready);
      unused.push(ready);
    } else {
      await fs.remove(`${dir}/${segmentName(segment)}`);
    }
  }
  return unused;
}

/**
 * Opens the mark, made if it is missing and made longer if it is too short. The slot that is left of
 * it stays: it may be what shows that the log is damaged.
 */
export async function readyMark(fs: FileSystem, dir: string, log: ReadLog): Promise<MarkFile> {
  const path = `${dir}/${markName}`;
  const { directoryId } = log.scan;
  const sizeBytes = await fs.sizeOf(path).catch(() => -1);
  const file = await fs.open(path, sizeBytes < 0 ? "create" : "write");
  const from = Math.max(sizeBytes, 0);
  try {
    if (from < markBytes) {
      await file.write(from, [new Uint8Array(markBytes - from)]);
      await file.sync();
      await fs.syncDirectory(dir);
    }
    return new MarkFile(file, directoryId, log.foundMark);
  } catch (error) {
    await file.close();
    throw error;
  }
}
