/**
 * Durability as tickets (decision 2). What was handed to storage vouches for nothing until its ticket
 * is stored, and never for an entry that took the place of a cut one (hazard 24):
 *
 *     log        1 2 3 4 5a 6a        handed as ticket 7, in flight
 *     cut at 5   1 2 3 4 5b           handed as ticket 8
 *     stored 7   vouches up to 4, not 5
 *     stored 8   vouches up to 5
 */
import { lastIndex, sliceEntries } from "./log.js";
import type { Core, Disk, Out } from "./state.js";
import type { HardState, LogIndex, Term, Ticket } from "./types.js";

export function createDisk(durableIndex: LogIndex): Disk {
  return {
    nextTicket: 1,
    inFlight: [],
    silentSinceMs: 0,
    storedTicket: 0,
    hardStateTicket: 0,
    hardStateDirty: false,
    truncateFrom: 0,
    handedIndex: durableIndex,
    durableIndex,
    heldVotes: [],
  };
}

export function hardStateOf(core: Core): HardState {
  return {
    currentTerm: core.currentTerm,
    votedFor: core.votedFor,
    forcedRemovals: core.forcedRemovals.slice(),
  };
}

/** The ticket that will carry what is dirty now, or that carried it. */
export function hardStateTicket(disk: Disk): Ticket {
  return disk.hardStateDirty ? disk.nextTicket : disk.hardStateTicket;
}

/** Term and vote are durable: a reply of this term may leave (paper Figure 2). */
export function isHardStateStored(disk: Disk): boolean {
  return !disk.hardStateDirty && disk.hardStateTicket <= disk.storedTicket;
}

/** Storage has to forget the entries at and after `index`; nothing vouches for them any more. */
export function forgetHanded(disk: Disk, index: LogIndex): void {
  if (index > disk.handedIndex) return;
  const keep = index - 1;
  disk.truncateFrom = disk.truncateFrom === 0 ? index : Math.min(disk.truncateFrom, index);
  disk.handedIndex = keep;
  disk.durableIndex = Math.min(disk.durableIndex, keep);
  for (const ticket of disk.inFlight) ticket.upTo = Math.min(ticket.upTo, keep);
}

/** A snapshot up to `index` is durable, whatever became of the entries. */
export function coverBySnapshot(disk: Disk, index: LogIndex): void {
  disk.durableIndex = Math.max(disk.durableIndex, index);
  disk.handedIndex = Math.max(disk.handedIndex, index);
}

/**
 * A snapshot took the place of a log that did not agree with it: storage forgets all entries, and
 * the next one that it gets is the one after the snapshot.
 */
export function restartAfterSnapshot(disk: Disk, index: LogIndex): void {
  for (const ticket of disk.inFlight) ticket.upTo = Math.min(ticket.upTo, index);
  disk.truncateFrom = 1;
  disk.handedIndex = index;
  disk.durableIndex = index;
}

/** Hands what is new to storage: at most one ticket a turn. */
export function emitStore(core: Core, out: Out): void {
  const { disk, log } = core;
  const last = lastIndex(log);
  const hasEntries = last > disk.handedIndex;
  if ((!hasEntries && !disk.hardStateDirty && disk.truncateFrom === 0) || core.storageFailed)
    return;
  const ticket = disk.nextTicket;
  disk.nextTicket += 1;
  out.push({
    type: "store",
    ticket,
    hardState: disk.hardStateDirty ? hardStateOf(core) : null,
    truncateFrom: disk.truncateFrom,
    entries: hasEntries ? sliceEntries(log, disk.handedIndex + 1, last) : [],
  });
  if (disk.hardStateDirty) disk.hardStateTicket = ticket;
  disk.hardStateDirty = false;
  disk.truncateFrom = 0;
  disk.handedIndex = last;
  // A proposal brings no time: a leader's clock may lag by a heartbeat here, which is little.
  if (disk.inFlight.length === 0) disk.silentSinceMs = core.nowMs;
  disk.inFlight.push({ ticket, upTo: last });
}

/**
 * The disk hangs (hazard 83): it was given something to store and has acknowledged nothing for the
 * longest time that anybody waits for a silent leader. One that is slow, or deep in work, acknowledges
 * something now and then, and handing leadership to and fro would make it no faster; memory storage
 * acknowledges within the turn. A verdict about liveness alone: it never lets anything leave earlier.
 * Scenarios: hung-disk-of-a-leader, hung-disk-of-a-follower, slow-disk-is-not-hung
 */
export function isDiskHung({ disk, nowMs, config }: Core): boolean {
  return disk.inFlight.length > 0 && nowMs - disk.silentSinceMs >= 2 * config.electionTimeoutMs;
}

/** Storage acknowledged all tickets up to this one. */
export function onStored({ disk, nowMs }: Core, ticket: Ticket): void {
  disk.storedTicket = Math.max(disk.storedTicket, ticket);
  let done = 0;
  while (done < disk.inFlight.length && disk.inFlight[done]!.ticket <= ticket) {
    disk.durableIndex = Math.max(disk.durableIndex, disk.inFlight[done]!.upTo);
    done += 1;
  }
  if (done === 0) return;
  disk.inFlight.splice(0, done);
  disk.silentSinceMs = nowMs;
}

/** Raises the term; the vote of an older term is void, of the same term it stays (hazard 3). */
export function adoptTerm(core: Core, term: Term): void {
  if (term <= core.currentTerm) return;
  core.currentTerm = term;
  core.votedFor = null;
  core.disk.hardStateDirty = true;
}
