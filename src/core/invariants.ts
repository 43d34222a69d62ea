/**
 * What must hold of one core, and of several of one group at the same moment (paper Figure 3).
 * Checks that need history (committed entries stay committed) are the caller's: `CommittedLedger`.
 */
import { allEntries, entryAt, firstIndex, lastIndex, lastTerm, sizeAt, termAt } from "./log.js";
import { isSelfVoter } from "./memberships.js";
import { findPeer } from "./progress.js";
import { isQuorum } from "./quorum.js";
import { leaseUntilMs } from "./reads.js";
import type { Core } from "./state.js";
import type { Entry, LogIndex } from "./types.js";

/** Each string is one broken invariant. */
export function checkCore(core: Core): string[] {
  const broken: string[] = [];
  const id = core.self.id;
  const expect = (holds: boolean, what: string): void => {
    if (!holds) broken.push(`${id}: ${what}`);
  };
  const { log, disk, role, commitIndex, lastApplied } = core;
  const last = lastIndex(log);
  expect(lastApplied <= commitIndex, `lastApplied ${lastApplied} > commitIndex ${commitIndex}`);
  expect((core.snapshot?.index ?? 0) <= lastApplied, "the snapshot is ahead of lastApplied");
  expect(log.offset <= (core.snapshot?.index ?? 0), "compacted beyond the snapshot");
  expect(
    commitIndex <= last || role.type !== "leader",
    `commitIndex ${commitIndex} > last ${last}`,
  );
  expect(
    disk.durableIndex <= Math.max(last, log.offset),
    `durable ${disk.durableIndex} > last ${last}`,
  );
  expect(disk.storedTicket < disk.nextTicket, "a ticket was stored that was never handed out");
  expect(lastTerm(log) <= core.currentTerm, "the log's last term is above currentTerm");
  let before = log.offsetTerm;
  for (const entry of allEntries(log)) {
    expect(entry.term >= before, `terms fall at ${entry.index}`);
    before = entry.term;
  }
  if (role.type === "leader") {
    expect(core.votedFor === id, "leads without its own vote");
    let bytes = 0;
    for (let index = commitIndex + 1; index <= last; index++) bytes += sizeAt(log, index);
    const counted = role.uncommittedBytes;
    expect(counted === bytes, `counts ${counted} uncommitted bytes, there are ${bytes}`);
    // Elsewhere commitIndex may lag behind what is committed, after a restart by far.
    const uncommitted = core.memberships.filter((one) => one.index > commitIndex).length;
    expect(
      uncommitted <= 1 || commitIndex < role.termStartIndex,
      `${uncommitted} uncommitted membership changes`,
    );
    const { readableUntilMs } = role;
    const readable = commitIndex >= role.termStartIndex && lastApplied === commitIndex;
    expect(readableUntilMs === -Infinity || readable, "answers at once what is not applied");
    expect(readableUntilMs <= leaseUntilMs(core, role), "answers at once when its lease is over");
    for (const peer of role.peers) {
      expect(peer.matchIndex < peer.nextIndex, `matchIndex >= nextIndex for ${peer.id}`);
      expect(peer.matchIndex <= last, `matchIndex ${peer.matchIndex} > last for ${peer.id}`);
      expect(peer.inFlightBytes >= 0, `bytes in flight below zero for ${peer.id}`);
    }
  }
  if (role.type === "follower" || role.type === "learner") {
    expect(role.ackedIndex <= role.matchedIndex, "acknowledged more than matched");
  }
  return broken;
}

function sameEntry(a: Entry, b: Entry): boolean {
  if (a.term !== b.term || a.kind !== b.kind || a.body.length !== b.body.length) return false;
  if (a.body === b.body) return true;
  for (let i = 0; i < a.body.length; i++) if (a.body[i] !== b.body[i]) return false;
  return true;
}

/** Log Matching: same index and term, then everything before is the same. */
function checkLogMatching(a: Core, b: Core): string | null {
  const from = Math.max(firstIndex(a.log), firstIndex(b.log));
  let agree: LogIndex = Math.min(lastIndex(a.log), lastIndex(b.log));
  while (agree >= from && termAt(a.log, agree) !== termAt(b.log, agree)) agree -= 1;
  for (let index = from; index <= agree; index++) {
    const left = entryAt(a.log, index);
    const right = entryAt(b.log, index);
    if (!sameEntry(left, right)) {
      return `logs of ${a.self.id} and ${b.self.id} agree at ${agree} and differ at ${index}`;
    }
  }
  return null;
}

/** State Machine Safety, as far as both logs reach: what both committed is the same. */
function checkCommitted(a: Core, b: Core): string | null {
  const to = Math.min(a.commitIndex, b.commitIndex, lastIndex(a.log), lastIndex(b.log));
  const from = Math.max(firstIndex(a.log), firstIndex(b.log));
  for (let index = from; index <= to; index++) {
    const left = entryAt(a.log, index);
    const right = entryAt(b.log, index);
    if (!sameEntry(left, right)) {
      return `${a.self.id} and ${b.self.id} committed different entries at ${index}`;
    }
  }
  return null;
}

/** Election Safety and Leader Completeness at one moment. */
function checkLeaders(cores: readonly Core[]): string[] {
  const broken: string[] = [];
  const leaders = cores.filter((core) => core.role.type === "leader");
  for (const leader of leaders) {
    for (const other of leaders) {
      if (leader !== other && leader.currentTerm === other.currentTerm) {
        broken.push(
          `two leaders of term ${leader.currentTerm}: ${leader.self.id}, ${other.self.id}`,
        );
      }
    }
    for (const core of cores) {
      if (core.currentTerm > leader.currentTerm) continue;
      const last = Math.min(core.commitIndex, lastIndex(core.log));
      if (last > lastIndex(leader.log) || (last > 0 && differs(core, leader, last))) {
        broken.push(
          `leader ${leader.self.id} of term ${leader.currentTerm} lacks entry ${last}, ` +
            `which ${core.self.id} committed`,
        );
      }
    }
  }
  return broken;
}

function differs(a: Core, b: Core, index: LogIndex): boolean {
  const left = termAt(a.log, index);
  const right = termAt(b.log, index);
  return left !== null && right !== null && left !== right;
}

/**
 * Electable (fires before the damage): nobody who lacks a committed entry could gather a quorum of
 * those that are up, by the up-to-date rule alone.
 */
function checkElectable(cores: readonly Core[]): string[] {
  const byId = new Map(cores.map((core) => [core.self.id, core]));
  const committer = cores.reduce<Core | null>(
    (best, core) => (best === null || core.commitIndex > best.commitIndex ? core : best),
    null,
  );
  if (committer === null || committer.commitIndex === 0) return [];
  const { commitIndex } = committer;
  const broken: string[] = [];
  for (const core of cores) {
    if (core.membership.voters.length === 0 || core.activeRemovals.length > 0) continue;
    if (!isSelfVoter(core)) continue;
    const lacks =
      lastIndex(core.log) < commitIndex ||
      (commitIndex > core.log.offset && differs(core, committer, commitIndex));
    if (!lacks) continue;
    const grants = (voter: Core): boolean =>
      lastTerm(core.log) > lastTerm(voter.log) ||
      (lastTerm(core.log) === lastTerm(voter.log) && lastIndex(core.log) >= lastIndex(voter.log));
    const wins = isQuorum(core.membership, (id) => {
      const voter = byId.get(id);
      return voter !== undefined && grants(voter);
    });
    if (wins)
      broken.push(`${core.self.id} lacks committed entry ${commitIndex} and could be elected`);
  }
  return broken;
}

/**
 * What a leader counts is there: a follower that has heard of nobody newer holds what it acknowledged.
 * Fires before an entry that only seems to be on a quorum is lost.
 */
function checkCounted(leader: Core, follower: Core): string | null {
  const { role } = leader;
  if (role.type !== "leader" || follower.currentTerm !== leader.currentTerm) return null;
  const counted = findPeer(role, follower.self.id)?.matchIndex ?? 0;
  const { log, self } = follower;
  const has = lastIndex(log) >= counted && !differs(leader, follower, counted);
  return has
    ? null
    : `${leader.self.id} counts ${self.id} up to ${counted}, whose log ends at ${lastIndex(log)} ` +
        `or differs there`;
}

/** All cores of one group that are up, at one moment. */
export function checkCluster(cores: readonly Core[]): string[] {
  const broken: string[] = [];
  for (const core of cores) broken.push(...checkCore(core));
  for (let i = 0; i < cores.length; i++) {
    for (let j = i + 1; j < cores.length; j++) {
      const matching = checkLogMatching(cores[i]!, cores[j]!);
      if (matching !== null) broken.push(matching);
      const committed = checkCommitted(cores[i]!, cores[j]!);
      if (committed !== null) broken.push(committed);
    }
    for (const other of cores) {
      const counted = other === cores[i] ? null : checkCounted(cores[i]!, other);
      if (counted !== null) broken.push(counted);
    }
  }
  broken.push(...checkLeaders(cores), ...checkElectable(cores));
  return broken;
}
