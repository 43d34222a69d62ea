/**
 * Reads the log back: section after section, the same state as when they were written, and the
 * entries themselves.
 *
 * What is lost makes the groups concerned *suspect*. A later checkpoint (every segment begins with
 * one) says again how each group stands, so that only entries that are still needed and nowhere to
 * be found count as damage in the end.
 */
import type { EntryList, LogIndex, Term } from "../../core/types.js";
import { ByteReader } from "../../codec/bytes.js";
import { packedTerm } from "../../packed-entries.js";
import { EntryRuns } from "./entry-runs.js";
import {
  type GroupState,
  type TermRun,
  appendToGroup,
  compactGroup,
  createGroupState,
  moveEntries,
  replaceSnapshot,
  termAt,
  truncateGroup,
} from "./group-state.js";
import {
  readCheckpoint,
  readIdentityBody,
  readIndex,
  readMoved,
  readSnapshotMeta,
  readStored,
  sectionType,
} from "./records.js";

export type ReplayedGroup = {
  state: GroupState;
  entries: EntryRuns;
  /** What was lost since the last checkpoint; one line. */
  suspect: string | null;
  /** What was lost before it, in case that entries are missing in the end. */
  formerSuspect: string | null;
};

export type Replay = {
  readonly groups: Map<number, ReplayedGroup>;
  nextGroup: number;
  /** A checkpoint was seen: no group is unknown that was there before. */
  based: boolean;
  /** Not null: groups may have been created in what was lost. */
  lostGroups: string | null;
};

export function createReplay(): Replay {
  return { groups: new Map(), nextGroup: 1, based: false, lostGroups: null };
}

/** Of `count` entries from `first` on. */
export function termRunsOf(
  first: LogIndex,
  count: number,
  termOf: (index: LogIndex) => Term,
): TermRun[] {
  const runs: TermRun[] = [];
  let term = -1;
  for (let index = first; index < first + count; index++) {
    const own = termOf(index);
    if (own === term) continue;
    term = own;
    runs.push({ from: index, term });
  }
  return runs;
}

function suspectGroup(group: ReplayedGroup, message: string): void {
  group.suspect ??= message;
}

/** Something of unknown content is lost here. */
export function suspectAll(replay: Replay, message: string): void {
  for (const group of replay.groups.values()) suspectGroup(group, message);
}

/** A section of a block whose table is intact cannot be read. */
export function suspectSection(
  replay: Replay,
  section: { readonly group: number; readonly type: number },
  message: string,
): void {
  if (section.type === sectionType.checkpoint) {
    if (!replay.based) replay.lostGroups ??= message;
    return;
  }
  const group = replay.groups.get(section.group);
  if (group !== undefined) suspectGroup(group, message);
  else replay.lostGroups ??= message;
}

function applyCheckpoint(replay: Replay, body: Uint8Array): void {
  const { nextGroup, groups } = readCheckpoint(new ByteReader(body));
  const before = new Map(replay.groups);
  replay.groups.clear();
  for (const state of groups) {
    const known = before.get(state.number);
    const group: ReplayedGroup = {
      state,
      entries: known?.entries ?? new EntryRuns(state.firstIndex),
      suspect: null,
      formerSuspect: known?.suspect ?? known?.formerSuspect ?? null,
    };
    group.entries.dropFrom(state.lastIndex + 1);
    replay.groups.set(state.number, group);
  }
  replay.nextGroup = nextGroup;
  replay.based = true;
  replay.lostGroups = null;
}

function applyStored(
  group: ReplayedGroup,
  reader: ByteReader,
  segment: number,
  where: string,
): void {
  const bytes = reader.end;
  const stored = readStored(reader);
  const { state } = group;
  if (stored.hardState !== null) state.hardState = stored.hardState;
  if (stored.truncateFrom > 0) {
    truncateGroup(state, stored.truncateFrom);
    group.entries.dropFrom(state.lastIndex + 1);
  }
  const { entries } = stored;
  if (entries.count === 0) return;
  const appended = appendToGroup(state, {
    segment,
    first: entries.first,
    count: entries.count,
    terms: termRunsOf(entries.first, entries.count, (index) => packedTerm(entries, index)),
    bytes,
  });
  if ("refusal" in appended) {
    suspectGroup(group, `${where}: ${appended.refusal}`);
    // Whether later entries still belong to the log only a checkpoint can tell.
    state.lastIndex = entries.first + entries.count - 1;
    group.entries.dropFrom(entries.first);
    group.entries.placePacked(entries, 0);
  } else {
    group.entries.placePacked(entries, appended.first - entries.first);
  }
}

function applyMoved(group: ReplayedGroup, reader: ByteReader, segment: number): void {
  const bytes = reader.end;
  const { fromSegment, entries } = readMoved(reader);
  const first = entries[0]?.index;
  if (first === undefined) return;
  const last = first + entries.length - 1;
  moveEntries(group.state, fromSegment, { segment, first, last, bytes });
  // An entry that was cut off while it was copied has another term than the one in its place now, and
  // index and term together name an entry (paper Figure 3, log matching).
  for (const entry of entries) {
    if (entry.term !== termAt(group.state, entry.index)) continue;
    if (group.entries.termAt(entry.index) !== entry.term) group.entries.place([entry]);
  }
}

/** A name is given again only after its group was deleted: the record of that may be lost. */
function dropNamed(replay: Replay, name: string): void {
  for (const [number, { state }] of replay.groups) {
    if (state.identity.group === name) replay.groups.delete(number);
  }
}

/** Applies one intact section. Throws when its content does not decode. */
export function applySection(
  replay: Replay,
  section: { readonly group: number; readonly type: number },
  body: Uint8Array,
  segment: number,
  where: string,
): void {
  if (section.type === sectionType.checkpoint) return applyCheckpoint(replay, body);
  const reader = new ByteReader(body);
  if (section.type === sectionType.created) {
    const state = createGroupState(section.group, readIdentityBody(reader));
    dropNamed(replay, state.identity.group);
    replay.nextGroup = Math.max(replay.nextGroup, section.group + 1);
    replay.groups.set(section.group, {
      state,
      entries: new EntryRuns(1),
      suspect: null,
      formerSuspect: null,
    });
    return;
  }
  const group = replay.groups.get(section.group);
  if (group === undefined) {
    // Before the first checkpoint, or created in what was lost.
    replay.lostGroups ??= `${where}: a record of group number ${section.group}, which is unknown`;
    return;
  }
  switch (section.type) {
    case sectionType.deleted:
      replay.groups.delete(section.group);
      return;
    case sectionType.stored:
      return applyStored(group, reader, segment, where);
    case sectionType.snapshot: {
      const snapshot = readSnapshotMeta(reader);
      if (!replaceSnapshot(group.state, snapshot)) group.entries.dropFrom(0);
      return;
    }
    case sectionType.compacted:
      compactGroup(group.state, readIndex(reader));
      group.entries.forgetBefore(group.state.firstIndex);
      return;
    case sectionType.moved:
      return applyMoved(group, reader, segment);
    default:
      throw new Error(`a record of unknown type ${section.type}`);
  }
}

export type FinishedGroup = {
  readonly state: GroupState;
  /** Contiguous from `state.firstIndex`; all of them unless damaged. */
  readonly entries: EntryList;
};

/** The first index within the log whose entry is missing or not the one that was written, or 0. */
function firstHole({ state, entries }: ReplayedGroup): LogIndex {
  const { firstIndex, lastIndex, terms } = state;
  let hole = 0;
  let from = firstIndex;
  for (let at = 0; hole === 0 && from <= lastIndex; at++) {
    const to = Math.min(lastIndex, (terms[at + 1]?.from ?? lastIndex + 1) - 1);
    hole = entries.firstOtherThan(from, to, terms[at]?.term ?? -1);
    from = Math.max(from, to + 1);
  }
  return hole;
}

/**
 * Draws the line: sets `state.damage`, and hands out what can be relied on. `whereIn` says what is
 * wrong with a segment.
 */
export function finishGroup(
  group: ReplayedGroup,
  whereIn: (segment: number) => string,
): FinishedGroup {
  const { state } = group;
  const hole = firstHole(group);
  if (group.suspect !== null) state.damage ??= group.suspect;
  if (hole > 0) {
    const segment = state.places.find((place) => place.last >= hole)?.segment ?? 0;
    const where = `entry ${hole} is lost: ${whereIn(segment)}`;
    state.damage ??= group.formerSuspect ?? where;
  }
  const end = hole > 0 ? hole : state.lastIndex + 1;
  return { state, entries: group.entries.list(state.firstIndex, end) };
}
