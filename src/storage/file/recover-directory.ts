/**
 * After the loss of a majority: makes a new group of one member of the best copy that is left.
 *
 * What the lost majority had committed and no survivor has is lost. Of the survivors the one with the
 * highest (last term, last index) is taken, as an election would: it has everything that was committed
 * on any majority that it was part of.
 */
import { realpath } from "node:fs/promises";
import type { Entry, LogIndex, MemberId, Membership, Term } from "../../core/types.js";
import { RaftError } from "../../errors.js";
import { attempt } from "./failure.js";
import { nodeFileSystem } from "./fs.js";
import { newestMembership, surveyDirectory } from "./inspect.js";
import type { Lock } from "./lock.js";
import { snapshotName } from "./names.js";
import { checkEmpty, makeDataDirectory } from "./new-directory.js";
import type { FinishedGroup } from "./replay.js";
import { type Founder, soleMembership } from "./restore-directory.js";
import { openSnapshot } from "./snapshot-reader.js";

export type Survivor = {
  readonly dir: string;
  readonly hostId: string;
  readonly memberId: MemberId;
  readonly groupId: string;
  readonly valueName: string;
  readonly currentTerm: Term;
  readonly lastTerm: Term;
  readonly lastIndex: LogIndex;
  readonly snapshotIndex: LogIndex;
  /** Not null: not used, whatever its rank. */
  readonly damage: string | null;
};

export type Ranking = {
  readonly group: string;
  /** The best first, damaged ones last. */
  readonly survivors: readonly Survivor[];
  /** Voters, outgoing ones too, as the best one knows them, of which there is no directory. */
  readonly lostVoters: readonly MemberId[];
  /** False: most of the voters are here, undamaged. To start them loses nothing. */
  readonly majorityLost: boolean;
};

type Copy = { readonly survivor: Survivor; readonly found: FinishedGroup };

/**
 * Looks at the directories and ranks them. Writes nothing.
 *
 * Rejects with `storageLocked` if one is in use, `storageMismatch` if one is no data directory, holds no
 * such group, or another group of that name; `storageCorrupt` if every copy is damaged.
 */
export async function rankSurvivors(dirs: readonly string[], group: string): Promise<Ranking> {
  return rankingOf(group, await readCopies(await distinct(dirs), group));
}

/**
 * Makes the directory `out` of the best one. Rejects with what `rankSurvivors` does, and with
 * `storageMismatch` if `out` is there and not empty. The survivors' directories stay as they are.
 */
export async function recoverDirectory(
  dirs: readonly string[],
  out: string,
  founder: Founder & { readonly group: string },
): Promise<Ranking> {
  await checkEmpty(out);
  const locks: Lock[] = [];
  try {
    const survivors = await distinct(dirs);
    for (const dir of survivors) {
      // What is no data directory is refused before a lock touches it.
      await surveyDirectory(nodeFileSystem, dir, false);
      locks.push(await nodeFileSystem.lock(dir, { hostId: "recover" }));
    }
    const copies = await readCopies(survivors, founder.group, true);
    const ranking = rankingOf(founder.group, copies);
    const best = copies.find(({ survivor }) => survivor === ranking.survivors[0])!;
    await build(best, ranking, out, founder);
    return ranking;
  } finally {
    for (const lock of locks) await lock.release();
  }
}

/** Each directory once, by the first of the names that are given for it. */
async function distinct(dirs: readonly string[]): Promise<readonly string[]> {
  const names = new Map<string, string>();
  for (const dir of dirs) {
    // What cannot be found is refused where it is read.
    const path = await realpath(dir).catch(() => dir);
    if (!names.has(path)) names.set(path, dir);
  }
  return [...names.values()];
}

async function readCopies(
  dirs: readonly string[],
  group: string,
  locked = false,
): Promise<readonly Copy[]> {
  const copies: Copy[] = [];
  for (const dir of dirs) copies.push(await readCopy(dir, group, locked));
  const [first] = copies;
  for (const { survivor } of copies) {
    if (survivor.groupId === first!.survivor.groupId) continue;
    throw new RaftError(
      "storageMismatch",
      `${first!.survivor.dir} and ${survivor.dir} hold different groups of the name "${group}" ` +
        `(${first!.survivor.groupId}, ${survivor.groupId}): give directories of one group`,
    );
  }
  return copies;
}

async function readCopy(dir: string, group: string, locked: boolean): Promise<Copy> {
  const { identity, log } = await surveyDirectory(nodeFileSystem, dir, true);
  const holder = locked ? null : await nodeFileSystem.lockHolder(dir);
  if (holder !== null) {
    throw new RaftError("storageLocked", `${dir} is in use by ${holder}: stop it first`);
  }
  const found = log?.groups.find(({ state }) => state.identity.group === group);
  if (found === undefined) {
    const there = log?.groups.map(({ state }) => state.identity.group).join(", ");
    const lost = log?.lost ?? (there ? `it holds ${there}` : "it holds no group");
    const why = `${dir} holds no group "${group}" (${lost}): leave it out, or check --group`;
    throw new RaftError("storageMismatch", why);
  }
  const { state, entries } = found;
  const last = entries.at(-1);
  const hostId = identity.type === "found" ? identity.identity.hostId : "";
  return {
    found,
    survivor: {
      dir,
      hostId,
      memberId: state.identity.memberId,
      groupId: state.identity.groupId,
      valueName: state.identity.valueName,
      currentTerm: state.hardState.currentTerm,
      lastTerm: last?.term ?? state.snapshot?.term ?? 0,
      lastIndex: last?.index ?? state.firstIndex - 1,
      snapshotIndex: state.snapshot?.index ?? 0,
      damage: state.damage,
    },
  };
}

function rankingOf(group: string, copies: readonly Copy[]): Ranking {
  if (copies.length === 0) {
    throw new RaftError("invalidArgument", "dirs: name the directories of the survivors");
  }
  const survivors = copies.map(({ survivor }) => survivor).sort(byRank);
  const best = survivors[0]!;
  if (best.damage !== null || best.lastIndex === 0) {
    const damage = best.damage === null ? null : `group "${group}": ${best.damage}`;
    const why = damage ?? `${best.dir} holds nothing of the group's log`;
    throw new RaftError(
      "storageCorrupt",
      `no directory has an undamaged copy of group "${group}" (${why}): restore a backup`,
    );
  }
  const found = copies.find(({ survivor }) => survivor === best)!.found;
  const { voters, outgoing } = membershipOf(found);
  const here = survivors.filter(({ damage }) => damage === null).map(({ memberId }) => memberId);
  const lostOf = (ids: readonly MemberId[]): readonly MemberId[] =>
    ids.filter((id) => !here.includes(id));
  // In the midst of a change nothing is decided without both majorities.
  const majorities = outgoing.length === 0 ? [voters] : [voters, outgoing];
  return {
    group,
    survivors,
    lostVoters: lostOf([...new Set([...voters, ...outgoing])]),
    majorityLost: majorities.some((ids) => lostOf(ids).length * 2 >= ids.length),
  };
}

/** As an election ranks them: last term, then last index. */
function byRank(a: Survivor, b: Survivor): number {
  const damaged = Number(a.damage !== null) - Number(b.damage !== null);
  return damaged || b.lastTerm - a.lastTerm || b.lastIndex - a.lastIndex;
}

function membershipOf({ state, entries }: FinishedGroup): Membership {
  const none = { voters: [], outgoing: [], learners: [], members: [] };
  return newestMembership(entries) ?? state.snapshot?.membership ?? none;
}

/** Of the host's former incarnation, if it was a member. */
function formerAddress(found: FinishedGroup, hostId: string): string | null {
  const { members } = membershipOf(found);
  return members.findLast(({ id }) => id.startsWith(`${hostId}#`))?.address ?? null;
}

async function build(
  { survivor, found }: Copy,
  { survivors }: Ranking,
  out: string,
  founder: Founder & { readonly group: string },
): Promise<void> {
  const { state, entries } = found;
  const { snapshot } = state;
  const address = founder.address ?? formerAddress(found, founder.hostId);
  const membership = soleMembership({ ...founder, address });
  // Later than any term that somebody may have voted in.
  const terms = survivors.map(({ currentTerm }) => currentTerm);
  const currentTerm = Math.max(survivor.lastTerm, ...terms);
  const kept = [...entries]
    .filter(({ index }) => index > (snapshot?.index ?? 0))
    .map((entry): Entry => {
      return entry.kind === "membership" ? { ...entry, payload: membership } : entry;
    });
  const reader =
    snapshot === null
      ? null
      : await attempt(`reading ${survivor.dir}`, () =>
          openSnapshot(
            nodeFileSystem,
            `${survivor.dir}/${snapshotName(state.number, snapshot)}`,
            snapshot,
          ),
        );
  try {
    await makeDataDirectory(out, founder.hostId, {
      identity: {
        group: founder.group,
        groupId: founder.groupId,
        memberId: founder.memberId,
        address: membership.members[0]!.address,
        valueName: survivor.valueName,
      },
      hardState: { currentTerm, votedFor: null, forcedRemovals: [] },
      snapshot:
        reader === null ? null : { meta: { ...reader.meta, membership }, pieces: reader.pieces() },
      entries: kept,
    });
  } finally {
    await reader?.close();
  }
}
