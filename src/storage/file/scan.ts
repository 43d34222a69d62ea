/**
 * Reads the whole log and judges what is bad in it. Writes nothing.
 *
 * One flush is one block, and a block is written only when the one before it is synced. So
 * - bad bytes with an intact later block behind them were synced: damage (hazard 79);
 * - so were bad bytes of a block that `mark` covers, and those of a file that has become shorter;
 * - otherwise they are the one block that was under way when the process or the power went, which
 *   nobody was promised: a torn tail, to be cut (hazard 78).
 */
import { messageOf } from "../../errors.js";
import type { BlockHeader } from "./block.js";
import { type Mark } from "./mark.js";
import { segmentName } from "./names.js";
import { type Replay, applySection, createReplay, suspectAll, suspectSection } from "./replay.js";
import { PlaceSeeds, checksum } from "./checksum.js";
import { type SegmentHeader, decodeSegmentHeader, segmentHeaderBytes } from "./segment-header.js";
import { SegmentReader } from "./segment-reader.js";
import type { File } from "./fs.js";

export type Finding = {
  readonly type: "torn" | "damage" | "oddity";
  readonly file: string;
  readonly offset: number;
  readonly message: string;
};

export type ScannedSegment = {
  readonly segment: number;
  readonly sizeBytes: number;
  readonly header: SegmentHeader | null;
  /** False: preallocated and not yet used. */
  used: boolean;
};

/** Bytes to be overwritten with zeros: nobody was promised what they were meant to be. */
export type Litter = { readonly segment: number; readonly from: number; readonly to: number };

export type LogEnd = {
  readonly segment: number;
  readonly offset: number;
  /** Where the last block begins; 0 if there is none, or it is not intact. */
  readonly lastBlockOffset: number;
};

export type Scan = {
  readonly directoryId: Uint8Array;
  readonly seeds: PlaceSeeds;
  readonly mark: Mark;
  readonly replay: Replay;
  readonly segments: ScannedSegment[];
  readonly findings: Finding[];
  readonly litter: Litter[];
  /** The sequence that the next block has, and the check of the last one. */
  expected: number;
  previousCheck: number;
  end: LogEnd | null;
  /** The log ends where `mark` says that it was closed. */
  clean: boolean;
  blocks: number;
  /** Bad bytes that are not judged yet. */
  pending: Bad[];
};

type Bad = {
  readonly segment: number;
  readonly offset: number;
  /** Behind the last byte that is not zero. */
  readonly usedEnd: number;
  readonly message: string;
  /** Not null: the table is intact, some bodies are not (those are null). */
  readonly block: { readonly header: BlockHeader; readonly bodies: (Uint8Array | null)[] } | null;
  /** End of the log before it. */
  readonly before: LogEnd | null;
};

export function createScan(directoryId: Uint8Array, mark: Mark): Scan {
  return {
    directoryId,
    seeds: new PlaceSeeds(directoryId),
    mark,
    replay: createReplay(),
    segments: [],
    findings: [],
    litter: [],
    expected: 0,
    previousCheck: 0,
    end: null,
    clean: false,
    blocks: 0,
    pending: [],
  };
}

function report(
  scan: Scan,
  type: Finding["type"],
  bad: Omit<Bad, "block" | "before" | "usedEnd">,
): void {
  const { segment, offset, message } = bad;
  scan.findings.push({ type, file: segmentName(segment), offset, message });
}

/** Applies a block whose table is intact; bodies that are null or do not decode are lost. */
function applyBlock(
  scan: Scan,
  header: BlockHeader,
  bodies: readonly (Uint8Array | null)[],
  segment: number,
  offset: number,
): void {
  const where = `${segmentName(segment)} at offset ${offset}, block ${header.sequence}`;
  for (const [at, section] of header.sections.entries()) {
    const body = bodies[at] ?? null;
    let message = `${where}: a record does not match its checksum`;
    if (body !== null) {
      try {
        applySection(scan.replay, section, body, segment, where);
        continue;
      } catch (error) {
        message = `${where}: ${messageOf(error)}`;
        report(scan, "damage", { segment, offset, message });
      }
    }
    suspectSection(scan.replay, section, message);
  }
}

/** What was pending was synced: somebody may have been promised it. */
function confirmDamage(scan: Scan): void {
  for (const bad of scan.pending.splice(0)) {
    report(scan, "damage", bad);
    if (bad.block === null) suspectAll(scan.replay, bad.message);
    else applyBlock(scan, bad.block.header, bad.block.bodies, bad.segment, bad.offset);
  }
}

/** Right behind the header of the first segment there is, which does not say what it begins with any more. */
function isFirst(scan: Scan, offset: number): boolean {
  return scan.expected === 0 && scan.segments.length === 1 && offset === segmentHeaderBytes;
}

/** An intact block was found: judges what is pending before it. */
function resolvePending(scan: Scan, header: BlockHeader, segment: number, offset: number): void {
  if (isInsteadOfTorn(scan, header, segment)) {
    const torn = scan.pending.pop()!;
    report(scan, "oddity", torn);
    takeBack(scan, torn);
  }
  const gap = header.sequence !== scan.expected && !isFirst(scan, offset);
  const junk = scan.pending.every((bad) => bad.block === null);
  if (!gap && junk) {
    // No block is missing, so nothing was there: a flipped bit in unused room, or what an earlier
    // process left half written where it could not clean up.
    for (const bad of scan.pending.splice(0)) report(scan, "oddity", bad);
    return;
  }
  confirmDamage(scan);
  if (!gap) return;
  const which =
    scan.expected === 0 ? "blocks" : `blocks ${scan.expected} to ${header.sequence - 1}`;
  const message = `${segmentName(segment)} at offset ${offset}: ${which} before it are missing`;
  report(scan, "damage", { segment, offset, message });
  suspectAll(scan.replay, message);
  // Unless it begins with a checkpoint, which makes the groups known again.
  if (header.nextGroup !== scan.replay.nextGroup) scan.replay.lostGroups ??= message;
}

/**
 * True if the bad block that the segment before ends with was a torn tail, and the log went on here: in a damaged
 * log nothing is overwritten (repair.ts).
 */
function isInsteadOfTorn(scan: Scan, header: BlockHeader, segment: number): boolean {
  const bad = scan.pending.at(-1);
  const torn = bad?.block?.header;
  if (bad === undefined || torn === undefined || bad.segment === segment) return false;
  return header.sequence === torn.sequence && header.previousCheck === torn.previousCheck;
}

/** The log ends before this block again. */
function takeBack(scan: Scan, { block, before }: Bad): void {
  if (block === null) return;
  scan.expected = block.header.sequence;
  scan.previousCheck = block.header.previousCheck;
  scan.end = before;
  scan.blocks--;
}

/** True if this is the next block of the log, or a later one. */
function isNext(scan: Scan, header: BlockHeader, segment: number): boolean {
  if (scan.expected === 0 || header.sequence > scan.expected) return true;
  if (header.sequence < scan.expected) return isInsteadOfTorn(scan, header, segment);
  // What the first block there is follows is not here any more.
  return scan.blocks === 0 || header.previousCheck === scan.previousCheck;
}

async function takeBlock(
  scan: Scan,
  reader: SegmentReader,
  header: BlockHeader,
  offset: number,
): Promise<number> {
  const { segment } = reader;
  resolvePending(scan, header, segment, offset);
  const bodyAt = offset + header.headerBytes;
  const all = await reader.view(bodyAt, header.bodyBytes);
  const bodies: (Uint8Array | null)[] = [];
  let at = 0;
  let intact = true;
  for (const section of header.sections) {
    const body = all.subarray(at, at + section.bytes);
    at += section.bytes;
    const matches = body.length === section.bytes && checksum(body) === section.crc;
    bodies.push(matches ? body : null);
    intact &&= matches;
  }
  const end = Math.min(bodyAt + header.bodyBytes, reader.sizeBytes);
  if (intact) {
    applyBlock(scan, header, bodies, segment, offset);
  } else {
    const message = `${segmentName(segment)} at offset ${offset}: block ${header.sequence} does not match its checksum`;
    const block = { header, bodies };
    scan.pending.push({ segment, offset, usedEnd: end, message, block, before: scan.end });
  }
  scan.blocks++;
  scan.expected = header.sequence + 1;
  scan.previousCheck = header.check;
  scan.end = { segment, offset: end, lastBlockOffset: intact ? offset : 0 };
  return end;
}

/** True where the log was closed in order: behind it is nothing that one need look for. */
function isCleanEnd(scan: Scan, segment: number, offset: number): boolean {
  const { mark } = scan;
  return (
    mark.clean &&
    mark.segment === segment &&
    mark.endOffset === offset &&
    mark.sequence === scan.expected - 1
  );
}

/**
 * Reads one segment; they come in order. `thorough`: looks behind the end of a log that was closed in
 * order as well.
 */
export async function scanSegment(
  scan: Scan,
  file: File,
  segment: number,
  sizeBytes: number,
  thorough: boolean,
): Promise<void> {
  const reader = new SegmentReader(file, segment, sizeBytes, scan.seeds);
  const headerView = (await reader.view(0, segmentHeaderBytes)).slice();
  const header = decodeSegmentHeader(headerView);
  const scanned: ScannedSegment = { segment, sizeBytes, header, used: false };
  // The first segment there is: its header says what it begins with, unless it is the very first.
  if (scan.segments.length === 0) scan.expected = segment === 1 ? 1 : (header?.firstSequence ?? 0);
  scan.segments.push(scanned);
  const headerIsBlank = headerView.every((byte) => byte === 0);
  for (let offset = segmentHeaderBytes; ;) {
    const block = await reader.header(offset);
    if (block !== null && isNext(scan, block, segment)) {
      scanned.used = true;
      offset = await takeBlock(scan, reader, block, offset);
      continue;
    }
    scan.clean ||= isCleanEnd(scan, segment, offset);
    if (scan.clean && !thorough) break;
    const { found, usedEnd } = await reader.find(offset, (next) => isNext(scan, next, segment));
    if (usedEnd > offset) pushBad(scan, segment, offset, usedEnd);
    if (found === null) break;
    offset = found;
  }
  if (scanned.used) judgeHeader(scan, scanned, headerIsBlank);
  else if (header !== null && !isOwn(scan, header)) suspectStrange(scan, segment);
  else if (!headerIsBlank) beginAtHeader(scan, segment);
}

function isOwn(scan: Scan, header: SegmentHeader): boolean {
  return Buffer.compare(header.directoryId, scan.directoryId) === 0;
}

/**
 * An intact header of another directory, and no block of this one behind it: no write of this directory was cut
 * short there. Its blocks cannot be read with the identity that lies beside them, and must not be cut off with it.
 */
function suspectStrange(scan: Scan, segment: number): void {
  if (scan.pending.at(-1)?.segment === segment) scan.pending.pop();
  const message =
    `${segmentName(segment)} is of another directory than the file identity: ` +
    "take away the one that does not belong here (doctor makes a lost identity anew)";
  report(scan, "damage", { segment, offset: 0, message });
  suspectAll(scan.replay, message);
  if (scan.replay.groups.size === 0) scan.replay.lostGroups ??= message;
}

/** Of an unused segment the header was to be written together with the first block. */
function beginAtHeader(scan: Scan, segment: number): void {
  const last = scan.pending.at(-1);
  if (last?.segment === segment) scan.pending.pop();
  pushBad(scan, segment, 0, last?.segment === segment ? last.usedEnd : segmentHeaderBytes);
}

function pushBad(scan: Scan, segment: number, offset: number, usedEnd: number): void {
  const message = `${segmentName(segment)} at offset ${offset}: bytes that are no block`;
  scan.pending.push({ segment, offset, usedEnd, message, block: null, before: scan.end });
}

function judgeHeader(scan: Scan, scanned: ScannedSegment, blank: boolean): void {
  const { segment, header } = scanned;
  if (header !== null && isOwn(scan, header) && header.segment === segment) return;
  const message = `${segmentName(segment)}: its header is ${blank ? "blank" : "not intact"}, its blocks are`;
  report(scan, "oddity", { segment, offset: 0, message });
}

/** The last segment in use has lost its end: preallocated room does not go away by itself. */
function shortenedTo(scan: Scan): ScannedSegment | null {
  const last = scan.segments.findLast((segment) => segment.used);
  if (last === undefined || last.header === null) return null;
  return last.sizeBytes < last.header.sizeBytes ? last : null;
}

/** Whether what the log ends with was synced once, although it is bad or gone now; null: no. */
function whySynced(scan: Scan): string | null {
  const { mark, pending, end } = scan;
  const bad = pending[0];
  const next = bad?.block?.header.sequence ?? Math.max(scan.expected, 1);
  if (next <= mark.sequence) {
    const where =
      bad !== undefined
        ? `${segmentName(bad.segment)} at offset ${bad.offset}`
        : end !== null
          ? `${segmentName(end.segment)} at offset ${end.offset}`
          : segmentName(mark.segment);
    return `${where}: blocks up to ${mark.sequence} were synced, ${next} is not intact`;
  }
  if (pending.length > 1) return `${bad!.message}, and more of them behind`;
  const short = shortenedTo(scan);
  if (short === null || scan.clean) return null;
  // Four bytes of unused room show that no block begins here.
  const hasRoom =
    end !== null && end.segment === short.segment && short.sizeBytes - end.offset >= 4;
  if (bad === undefined && hasRoom) {
    const { segment, sizeBytes } = short;
    const message = `${segmentName(segment)}: unused room at its end is gone`;
    report(scan, "oddity", { segment, offset: sizeBytes, message });
    scan.litter.push({ segment, from: sizeBytes, to: short.header!.sizeBytes });
    return null;
  }
  return `${segmentName(short.segment)}: ${short.sizeBytes} bytes long, was ${short.header!.sizeBytes}`;
}

/** All that `mark` covers is found, good or bad, and a log that is known to be damaged goes on in a new segment. */
function endsTornBehindDamage(scan: Scan): boolean {
  const bad = scan.pending.at(-1);
  if (bad === undefined || scan.pending.length < 2 || bad.block !== null) return false;
  const isAlone = bad.before !== null && bad.before.segment < bad.segment;
  return isAlone && scan.expected > scan.mark.sequence && shortenedTo(scan) === null;
}

/** Judges what is bad at the end of the log. Call it after the last segment. */
export function finishScan(scan: Scan): void {
  const why = whySynced(scan);
  if (why !== null) {
    if (endsTornBehindDamage(scan)) report(scan, "torn", scan.pending.pop()!);
    const at = scan.pending[0] ?? scan.end ?? { segment: scan.mark.segment, offset: 0 };
    report(scan, "damage", { segment: at.segment, offset: at.offset, message: why });
    const whole =
      scan.pending.some((bad) => bad.block === null) || scan.expected <= scan.mark.sequence;
    const shortened = shortenedTo(scan) !== null;
    confirmDamage(scan);
    if (whole || shortened) suspectAll(scan.replay, why);
    const { mark, replay } = scan;
    const unknown = mark.nextGroup !== replay.nextGroup || replay.groups.size === 0;
    if ((scan.expected <= mark.sequence || shortened) && unknown) replay.lostGroups ??= why;
    return;
  }
  for (const bad of scan.pending.splice(0)) {
    report(scan, "torn", bad);
    // A segment that was only just begun is blank again, its header included.
    const from = bad.before?.segment === bad.segment ? bad.offset : 0;
    scan.litter.push({ segment: bad.segment, from, to: bad.usedEnd });
    takeBack(scan, bad);
  }
}
