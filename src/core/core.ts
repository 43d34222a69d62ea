/** The core's border: create and step; `flush` and `finish` are in turn-end.ts. See index.ts for the contract. */
import { dropForcedRemovals } from "./commit.js";
import { createDisk, onStored, restartAfterSnapshot } from "./disk.js";
import {
  onElectionTimer,
  onPreVote,
  onPreVoteReply,
  onRequestVote,
  onRequestVoteReply,
  onTimeoutNow,
} from "./elections.js";
import { onAppendEntries } from "./follower.js";
import { activateRemovals, onRemovalForced } from "./forced-removal.js";
import {
  noteContact,
  onAppendEntriesReply,
  onCommandProposed,
  onCommitNotifyTimer,
  onHeartbeatTimer,
  onPeerDisconnected,
  whyNot,
} from "./leader.js";
import { lastIndex, lastTerm, type Log, restoreLog, specialEntries } from "./log.js";
import { onMembershipChangeRequested } from "./membership.js";
import { isSoleVoter, resetMemberships } from "./memberships.js";
import { onReadIndex, onReadIndexReply, onReadRequested } from "./reads.js";
import { onChunkWritten, onInstalled, onInstallSnapshot } from "./receive-snapshot.js";
import { armElection, createFollowerRole, leadIfElected } from "./roles.js";
import { onInstallSnapshotReply, onSnapshotChunkRead } from "./send-snapshot.js";
import {
  emptyBody,
  emptyMembership,
  type Core,
  type Disk,
  type LeaderRole,
  type Out,
} from "./state.js";
import {
  onLeaderSnapshotTold,
  onSnapshotFailed,
  onSnapshotRequested,
  onSnapshotSaved,
} from "./take-snapshot.js";
import { onStorageFailed } from "./storage-failed.js";
import { onTransferRequested, onTransferTimer } from "./transfer.js";
import { appendSpecial } from "./append.js";
import type {
  CoreEvent,
  Entry,
  EntryList,
  GroupConfig,
  HardState,
  MemberId,
  MemberInfo,
  Message,
  Millis,
  SnapshotMeta,
  TimerName,
} from "./types.js";

export type CoreInit = {
  readonly self: MemberInfo;
  readonly nowMs: Millis;
  /** What storage holds; null and empty for a member that was just born. */
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMeta | null;
  readonly entries: EntryList;
  /** In force until the log or the snapshot says otherwise. */
  readonly config: GroupConfig;
  /**
   * Reads that wait here are asked of the leader in batches with numbers from here on. An answer to a
   * batch of an earlier life of this member must not be taken for one of this life, so lives
   * begin far apart (hazard 40).
   */
  readonly firstReadBatch: number;
  /** It came back with its storage, and may have promised patience to a leader (hazard 46). */
  readonly restarted: boolean;
  /** Entries that one turn applies at most, of a longer backlog the beginning. */
  readonly maxAppliedPerTurn?: number | undefined;
};

/**
 * So few that applying them is no stall, and that what they leave behind dies young: with 4096, every
 * third restart with a million commands took half as long again. Few busy turns are cut in two.
 */
const defaultAppliedPerTurn = 1024;

/** The log of a new group: its configuration, and its first member as the only voter. */
export function bootstrapEntries(
  self: MemberInfo,
  config: GroupConfig,
  timeMs: number,
): readonly Entry[] {
  const base = { term: 1, session: 0, sequence: 0, lowestOutstanding: 0, timeMs, body: emptyBody };
  const membership = { voters: [self.id], outgoing: [], learners: [], members: [self] };
  return [
    { ...base, index: 1, kind: "config", payload: config },
    { ...base, index: 2, kind: "membership", payload: membership },
  ];
}

/** Emits the first timer. A joiner has none: it waits for a leader to find it. */
export function createCore(init: CoreInit, out: Out): Core {
  const { snapshot, hardState } = init;
  const log = restoreLog(snapshot, init.entries);
  const disk = restoreDisk(log, init);
  const start = snapshot?.index ?? 0;
  const core: Core = {
    self: init.self,
    nowMs: init.nowMs,
    currentTerm: Math.max(hardState?.currentTerm ?? 0, lastTerm(log)),
    votedFor: disk.hardStateDirty ? null : (hardState?.votedFor ?? null),
    log,
    commitIndex: start,
    lastApplied: start,
    role: { type: "removed", leader: null },
    disk,
    membership: emptyMembership,
    membershipIndex: 0,
    memberships: [],
    wasMember: false,
    config: snapshot?.config ?? init.config,
    configIndex: start,
    forcedRemovals: hardState?.forcedRemovals.slice() ?? [],
    activeRemovals: hardState?.forcedRemovals.slice() ?? [],
    snapshot,
    takingSnapshotAt: 0,
    takingSnapshotBytes: 0,
    snapshotRequest: null,
    incoming: null,
    maxAppliedPerTurn: init.maxAppliedPerTurn ?? defaultAppliedPerTurn,
    appliedBytes: 0,
    countedFrom: start,
    countedSizeBytes: snapshot?.sizeBytes ?? 0,
    promisedUntilMs: -Infinity,
    rearmElection: false,
    nextGraceMs: -Infinity,
    reads: { nextBatch: init.firstReadBatch, collecting: [], asked: [], waiting: [] },
    transferOutcome: null,
    awaitingStore: [],
    storageFailed: false,
    quiet: false,
    rest: null,
  };
  const base =
    snapshot === null ? null : { index: snapshot.membershipIndex, membership: snapshot.membership };
  resetMemberships(core, base);
  // Noted behind the snapshot, so a crash may have come between. Scenario: forced-removal-ends-before-a-crash
  if (base !== null && base.index === core.membershipIndex) {
    dropForcedRemovals(core, base.membership);
  }
  core.role = createFollowerRole(core, null);
  if (init.restarted && !isSoleVoter(core)) {
    core.promisedUntilMs = init.nowMs + longestPatienceMs(core);
  }
  armElection(core, out);
  return core;
}

function restoreDisk(log: Log, { hardState, entries }: CoreInit): Disk {
  const disk = createDisk(lastIndex(log));
  // What storage still has of a log that the snapshot took the place of must not come before the
  // next entry there.
  if (lastIndex(log) === log.offset && entries.length > 0) restartAfterSnapshot(disk, log.offset);
  // A snapshot may have become durable before the term of its last entry. Nobody has heard anything
  // of this member in that term. Scenario: snapshot-ahead-of-the-term
  disk.hardStateDirty = lastTerm(log) > (hardState?.currentTerm ?? 0);
  return disk;
}

function longestPatienceMs(core: Core): number {
  let longest = core.config.electionTimeoutMs;
  for (const entry of specialEntries(core.log)) {
    if (entry.kind !== "config") continue;
    longest = Math.max(longest, (entry.payload as GroupConfig).electionTimeoutMs);
  }
  return longest;
}

/** One event. Changes the state; what it asks of the shell is complete only after `flush`. */
export function step(core: Core, event: CoreEvent, out: Out): void {
  expectTurn(core);
  // Most of what comes, and without a time of its own.
  if (event.type === "commandProposed") return onCommandProposed(core, event, out);
  if ("nowMs" in event) core.nowMs = Math.max(core.nowMs, event.nowMs);
  switch (event.type) {
    case "messageReceived":
      return onMessage(core, event.from, event.message, out);
    case "stored":
      return onStoredEvent(core, event.ticket, out);
    case "timerFired":
      return onTimer(core, event.timer, out);
    case "readRequested":
      return onReadRequested(core, event, out);
    case "membershipChangeRequested":
      return onMembershipChangeRequested(core, event, out);
    case "configChangeRequested":
      return onConfigChangeRequested(core, event, out);
    case "transferRequested":
      return onTransferRequested(core, event, out);
    case "removalForced":
      return onRemovalForced(core, event, out);
    case "snapshotRequested":
      return onSnapshotRequested(core, event.request, out);
    case "snapshotSaved":
      return onSnapshotSaved(core, event.snapshot, out);
    case "snapshotFailed":
      return onSnapshotFailed(core, event.index);
    case "leaderSnapshotTold":
      return onLeaderSnapshotTold(core, event.index, event.sizeBytes);
    case "snapshotChunkRead":
      return onSnapshotChunkRead(core, event, out);
    case "snapshotChunkWritten":
      return onChunkWritten(core, event, out);
    case "snapshotInstalled":
      return onInstalled(core, event, out);
    case "stalled":
      return onStalled(core);
    case "peerDisconnected":
      return onPeerDisconnected(core, event.peer);
    case "storageFailed":
      return onStorageFailed(core, out);
    default:
      event satisfies never;
  }
}

function onMessage(core: Core, from: MemberId, message: Message, out: Out): void {
  switch (message.type) {
    case "appendEntries":
      return onAppendEntries(core, from, message, out);
    case "appendEntriesReply":
      return onAppendEntriesReply(core, from, message, out);
    case "preVote":
      return onPreVote(core, from, message, out);
    case "preVoteReply":
      return onPreVoteReply(core, from, message, out);
    case "requestVote":
      return onRequestVote(core, from, message, out);
    case "requestVoteReply":
      return onRequestVoteReply(core, from, message, out);
    case "installSnapshot":
      return onInstallSnapshot(core, from, message, out);
    case "installSnapshotReply": {
      const peer = noteContact(core, from, message, out);
      return peer === null ? undefined : onInstallSnapshotReply(core, peer, message);
    }
    case "timeoutNow":
      return onTimeoutNow(core, from, message, out);
    case "readIndex":
      return onReadIndex(core, from, message, out);
    case "readIndexReply":
      return onReadIndexReply(core, message, out);
    case "compareHashes":
      // The replica's business.
      return;
    default:
      message satisfies never;
  }
}

function onTimer(core: Core, timer: TimerName, out: Out): void {
  switch (timer) {
    case "election":
      return onElectionTimer(core, out);
    case "heartbeat":
      return onHeartbeatTimer(core, out);
    case "commitNotify":
      return onCommitNotifyTimer(core);
    case "transfer":
      return onTransferTimer(core, out);
    default:
      timer satisfies never;
  }
}

function onStoredEvent(core: Core, ticket: number, out: Out): void {
  onStored(core, ticket);
  if (core.role.type === "leader") core.role.matchChanged = true;
  leadIfElected(core, out);
  if (core.awaitingStore.length > 0) activateRemovals(core, out);
}

function onConfigChangeRequested(
  core: Core,
  event: Extract<CoreEvent, { type: "configChangeRequested" }>,
  out: Out,
): void {
  const { request } = event;
  const code = whyNot(core, 0);
  if (code !== null) {
    out.push({ type: "refused", request, code, applied: "no" });
    return;
  }
  const role = core.role as LeaderRole;
  const index = appendSpecial(core, role, "config", event.config, event.timeMs, out);
  role.configRequests.push({ request, index });
}

/**
 * Our own loop was late: nobody is to blame, and no lease is to be trusted (decision 9). A machine that
 * is late all the time gets this grace once in a few timeouts, or it would never elect anybody.
 */
function onStalled(core: Core): void {
  const { role } = core;
  if (role.type === "leader") role.leaseFloorMs = core.nowMs;
  if (core.nowMs < core.nextGraceMs) return;
  core.nextGraceMs = core.nowMs + gracePauseTimeouts * core.config.electionTimeoutMs;
  // What the disk acknowledged meanwhile may not have come in yet.
  core.disk.silentSinceMs = core.nowMs;
  if (role.type === "leader") for (const peer of role.peers) peer.lastContactMs = core.nowMs;
  else core.rearmElection = true;
}

/** Election timeouts from one grace to the next. */
const gracePauseTimeouts = 4;

/** An event waits for the next turn: what is nothing but a sign of life shall not overtake it. */
export function expectTurn(core: Core): void {
  core.quiet = false;
  core.rest = null;
}
