/**
 * What the explorer carries along in each state beside the members: what was ever committed, who led
 * which term, which reads are open, and how much of each bound is used.
 */
import type { Entry, LogIndex, MemberId, RequestId } from "../core/types.js";
import { keyOfEntry, type Rename } from "./explorer-key.js";
import type { Outcome } from "./explorer-node.js";

export type Bound =
  "commands" | "crashes" | "duplicates" | "reads" | "changes" | "transfers" | "snapshots";

export type OpenRead = {
  readonly request: RequestId;
  readonly at: MemberId;
  /** Committed anywhere when it was asked: the answer must not be older. */
  readonly floor: LogIndex;
};

export type Ghost = {
  /** By index, the first one at 0. */
  readonly committed: readonly Entry[];
  /** By term. */
  readonly leaders: readonly (MemberId | null)[];
  readonly reads: readonly OpenRead[];
  readonly used: Readonly<Record<Bound, number>>;
};

export const newGhost: Ghost = Object.freeze({
  committed: [],
  leaders: [],
  reads: [],
  used: {
    ...{ commands: 0, crashes: 0, duplicates: 0, reads: 0, changes: 0, transfers: 0 },
    snapshots: 0,
  },
});

export function keyOfGhost(ghost: Ghost, rename: Rename): string {
  const leaders = ghost.leaders.map((id) => (id === null ? "-" : rename(id)));
  const reads = ghost.reads.map(({ request, at, floor }) => `${request}${rename(at)}${floor}`);
  const entries = ghost.committed.map((entry) => keyOfEntry(entry, rename));
  return `${entries.join()}|${leaders.join("")}|${reads.sort().join()}|${Object.values(ghost.used).join()}`;
}

/** The same object where nothing has changed, so that it need not be looked up again. */
export function observe(ghost: Ghost, outcome: Outcome, violations: string[]): Ghost {
  const committed = observeCommitted(ghost, outcome, violations);
  const leaders = observeLeader(ghost, outcome, violations);
  const reads = observeReads(ghost, outcome, violations);
  if (committed === ghost.committed && leaders === ghost.leaders && reads === ghost.reads) {
    return ghost;
  }
  return { committed, leaders, reads, used: ghost.used };
}

const sameName: Rename = (id) => id;

function observeCommitted(
  ghost: Ghost,
  { node, committed, installed }: Outcome,
  violations: string[],
): readonly Entry[] {
  let known = ghost.committed;
  for (const entry of committed) {
    const before = known[entry.index - 1];
    if (before === undefined) {
      if (entry.index !== known.length + 1)
        violations.push(`${node.id}: a gap in what is committed`);
      known = [...known, entry];
    } else if (before !== entry && keyOfEntry(before, sameName) !== keyOfEntry(entry, sameName)) {
      violations.push(
        `${node.id} has committed ${entry.index}@${entry.term}, ` +
          `where ${before.index}@${before.term} was committed before`,
      );
    }
  }
  if (installed !== null && known[installed.index - 1]?.term !== installed.term) {
    violations.push(`${node.id} installed ${installed.index}@${installed.term}: not committed`);
  }
  return known;
}

function observeLeader(
  ghost: Ghost,
  { node }: Outcome,
  violations: string[],
): readonly (MemberId | null)[] {
  const { role, currentTerm } = node.core;
  if (role.type !== "leader") return ghost.leaders;
  const known: MemberId | null = ghost.leaders[currentTerm] ?? null;
  if (known === node.id) return ghost.leaders;
  if (known !== null) {
    violations.push(`term ${currentTerm} is led by ${known} and by ${node.id}`);
    return ghost.leaders;
  }
  const leaders = ghost.leaders.slice();
  while (leaders.length < currentTerm) leaders.push(null);
  leaders[currentTerm] = node.id;
  return leaders;
}

function observeReads(
  ghost: Ghost,
  { node, answered, refused }: Outcome,
  violations: string[],
): readonly OpenRead[] {
  if (answered.length === 0 && refused.length === 0) return ghost.reads;
  for (const { request, readIndex } of answered) {
    const open = ghost.reads.find((read) => read.request === request);
    if (open === undefined) violations.push(`${node.id} answers read ${request}, which is settled`);
    else if (readIndex < open.floor) {
      violations.push(
        `${node.id} answers read ${request} at ${readIndex}, but ${open.floor} was committed ` +
          `before it was asked`,
      );
    }
  }
  const settled = [...answered.map(({ request }) => request), ...refused];
  const open = ghost.reads.filter(({ request }) => !settled.includes(request));
  return open.length === ghost.reads.length ? ghost.reads : open;
}

export function use(ghost: Ghost, bound: Bound): Ghost {
  return { ...ghost, used: { ...ghost.used, [bound]: ghost.used[bound] + 1 } };
}

export function openRead(ghost: Ghost, at: MemberId): Ghost {
  const read = { request: ghost.used.reads + 1, at, floor: ghost.committed.length };
  return { ...use(ghost, "reads"), reads: [...ghost.reads, read] };
}

/** Nobody waits any more at a member that crashed. */
export function dropReads(ghost: Ghost, at: MemberId): Ghost {
  return { ...ghost, reads: ghost.reads.filter((read) => read.at !== at) };
}
