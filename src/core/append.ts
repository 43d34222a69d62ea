/** The leader's own appends. */
import { appendEntry, entryAt, entrySizeBytes, lastIndex } from "./log.js";
import { pushMembership } from "./memberships.js";
import { emptyBody, type Core, type LeaderRole, type Out } from "./state.js";
import type { Entry, EntryKind, GroupConfig, LogIndex, Membership } from "./types.js";

/** Time of the newest entry; what a leader stamps is never below it. */
export function lastTimeMs(core: Core): number {
  const { log, snapshot } = core;
  const last = lastIndex(log);
  return last > log.offset ? entryAt(log, last).timeMs : (snapshot?.timeMs ?? 0);
}

export function appendOwn(core: Core, role: LeaderRole, entry: Entry): void {
  appendEntry(core.log, entry);
  role.uncommittedBytes += entrySizeBytes(entry);
}

/** Appends an entry that the protocol itself needs; returns its index. */
export function appendSpecial(
  core: Core,
  role: LeaderRole,
  kind: Exclude<EntryKind, "command" | "register">,
  payload: Membership | GroupConfig | null,
  timeMs: number,
  out: Out,
): LogIndex {
  const entry: Entry = {
    index: lastIndex(core.log) + 1,
    term: core.currentTerm,
    kind,
    session: 0,
    sequence: 0,
    lowestOutstanding: 0,
    timeMs: Math.max(timeMs, lastTimeMs(core)),
    body: emptyBody,
    payload,
  };
  appendOwn(core, role, entry);
  if (kind === "membership") pushMembership(core, entry, out);
  return entry.index;
}
