/**
 * What the log says of one group, entries aside: the same functions run when a record is written and
 * when it is read back, so that a recovered storage knows exactly what the living one knew.
 *
 *     firstIndex ........ lastIndex      places: which segment holds which of them
 *     snapshot.index + 1 >= firstIndex   terms: runs of equal term
 */
import type { HardState, LogIndex, SnapshotMeta, Term } from "../../core/types.js";
import type { GroupIdentity } from "../../ports.js";

export type TermRun = { readonly from: LogIndex; readonly term: Term };
/** Entries [first, last] are in `segment`; `bytes` is about what they take there. */
export type EntryPlace = {
  readonly segment: number;
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly bytes: number;
};

export type GroupState = {
  /** Never used again in this directory, unlike the name. */
  readonly number: number;
  readonly identity: GroupIdentity;
  hardState: HardState;
  snapshot: SnapshotMeta | null;
  firstIndex: LogIndex;
  lastIndex: LogIndex;
  terms: TermRun[];
  places: EntryPlace[];
  /** Not null: records of this group are lost or unreadable; one line, without its name. */
  damage: string | null;
};

export const initialHardState: HardState = Object.freeze({
  currentTerm: 0,
  votedFor: null,
  forcedRemovals: Object.freeze([]),
});

export function createGroupState(number: number, identity: GroupIdentity): GroupState {
  return {
    number,
    identity,
    hardState: initialHardState,
    snapshot: null,
    firstIndex: 1,
    lastIndex: 0,
    terms: [],
    places: [],
    damage: null,
  };
}

/** The term of the entry at `index`, or null outside [firstIndex, lastIndex]. */
export function termAt(group: GroupState, index: LogIndex): Term | null {
  if (index < group.firstIndex || index > group.lastIndex) return null;
  const { terms } = group;
  for (let at = terms.length - 1; at >= 0; at--) {
    if (terms[at]!.from <= index) return terms[at]!.term;
  }
  return null;
}

/** The part of `place` within [first, last], its bytes in proportion; null if nothing is left. */
function clip(place: EntryPlace, first: LogIndex, last: LogIndex): EntryPlace | null {
  if (first <= place.first && last >= place.last) return place;
  const from = Math.max(first, place.first);
  const to = Math.min(last, place.last);
  if (from > to) return null;
  const share = (to - from + 1) / (place.last - place.first + 1);
  return { segment: place.segment, first: from, last: to, bytes: Math.ceil(place.bytes * share) };
}

function pushPlace(places: EntryPlace[], place: EntryPlace | null): void {
  if (place === null) return;
  const last = places.at(-1);
  if (last !== undefined && last.segment === place.segment && last.last + 1 === place.first) {
    const { segment, first } = last;
    places[places.length - 1] = {
      segment,
      first,
      last: place.last,
      bytes: last.bytes + place.bytes,
    };
  } else {
    places.push(place);
  }
}

function clipPlaces(group: GroupState): void {
  const { firstIndex, lastIndex } = group;
  const places: EntryPlace[] = [];
  for (const place of group.places) pushPlace(places, clip(place, firstIndex, lastIndex));
  group.places = places;
}

function clipTerms(group: GroupState): void {
  const { firstIndex, lastIndex, terms } = group;
  if (lastIndex < firstIndex) group.terms = [];
  while (terms.length > 0 && terms.at(-1)!.from > lastIndex) terms.pop();
  while (terms.length > 1 && terms[1]!.from <= firstIndex) terms.shift();
}

function setBounds(group: GroupState, firstIndex: LogIndex, lastIndex: LogIndex): void {
  group.firstIndex = firstIndex;
  group.lastIndex = lastIndex;
  clipPlaces(group);
  clipTerms(group);
}

export type AppendedEntries = {
  readonly segment: number;
  readonly first: LogIndex;
  readonly count: number;
  readonly terms: readonly TermRun[];
  readonly bytes: number;
};

/** The indices from `index` on are gone. What the snapshot covers stays covered. */
export function truncateGroup(group: GroupState, index: LogIndex): void {
  if (index > group.lastIndex) return;
  const covered = group.snapshot?.index ?? 0;
  // A cut at or below the snapshot leaves nothing of the log: entries before it are of no use alone.
  if (index <= covered) setBounds(group, covered + 1, covered);
  else setBounds(group, group.firstIndex, Math.max(index, group.firstIndex) - 1);
}

/**
 * Entries at the end of the log. Those that the snapshot covers are passed over. Returns the first
 * index that counts, or a refusal: they do not follow what is there.
 */
export function appendToGroup(
  group: GroupState,
  entries: AppendedEntries,
): { readonly first: LogIndex } | { readonly refusal: string } {
  const last = entries.first + entries.count - 1;
  const covered = group.snapshot?.index ?? 0;
  const first = Math.min(Math.max(entries.first, covered + 1), last + 1);
  if (first > last) return { first };
  if (first !== group.lastIndex + 1) {
    return { refusal: `entry ${first} does not follow entry ${group.lastIndex}` };
  }
  const { terms } = entries;
  for (let at = 0; at < terms.length; at++) {
    const run = terms[at]!;
    const next = terms[at + 1]?.from ?? last + 1;
    if (next <= first) continue;
    if (group.terms.at(-1)?.term !== run.term) {
      group.terms.push({ from: Math.max(run.from, first), term: run.term });
    }
  }
  const place = { segment: entries.segment, first: entries.first, last, bytes: entries.bytes };
  pushPlace(group.places, clip(place, first, last));
  group.lastIndex = last;
  return { first };
}

/**
 * A snapshot becomes the current one. Entries after it stay if the log agrees with it at its index
 * (hazard 49); otherwise the whole log is dropped (hazard 48). Returns whether entries stay.
 */
export function replaceSnapshot(group: GroupState, snapshot: SnapshotMeta): boolean {
  group.snapshot = snapshot;
  const { index } = snapshot;
  // A log that begins right behind `index` was cut there by a snapshot of that very index.
  if (termAt(group, index) === snapshot.term || group.firstIndex === index + 1) return true;
  group.terms = [];
  setBounds(group, index + 1, index);
  return false;
}

/** Entries before `firstIndex` are not needed any more. */
export function compactGroup(group: GroupState, firstIndex: LogIndex): void {
  if (firstIndex <= group.firstIndex) return;
  setBounds(group, firstIndex, Math.max(group.lastIndex, firstIndex - 1));
}

/** Entries of [first, last] that were in segment `from` have been written again, in `to`. */
export function moveEntries(group: GroupState, from: number, moved: EntryPlace): void {
  const places: EntryPlace[] = [];
  for (const place of group.places) {
    if (place.segment !== from) {
      pushPlace(places, place);
      continue;
    }
    pushPlace(places, clip(place, place.first, moved.first - 1));
    const inside = clip(place, moved.first, moved.last);
    pushPlace(places, inside === null ? null : { ...inside, segment: moved.segment });
    pushPlace(places, clip(place, moved.last + 1, place.last));
  }
  group.places = places;
}

/** About how many bytes of `segment` this group still needs. */
export function bytesIn(group: GroupState, segment: number): number {
  let bytes = 0;
  for (const place of group.places) if (place.segment === segment) bytes += place.bytes;
  return bytes;
}
