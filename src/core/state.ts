/**
 * The core's state: plain data, owned by the core and changed in place.
 */
import type {
  CoreEffect,
  GroupConfig,
  LogIndex,
  MemberId,
  Membership,
  MemberInfo,
  Millis,
  RequestId,
  Round,
  SnapshotMeta,
  Term,
  Ticket,
} from "./types.js";
import type { Log } from "./log.js";

/** Where effects of a turn are gathered. */
export type Out = CoreEffect[];

export type Core = {
  readonly self: MemberInfo;
  /** The newest time that any event brought. */
  nowMs: Millis;

  // Figure 2, persistent.
  currentTerm: Term;
  votedFor: MemberId | null;
  readonly log: Log;
  // Figure 2, volatile.
  commitIndex: LogIndex;
  lastApplied: LogIndex;

  role: Role;
  disk: Disk;

  /** Newest in the log, committed or not (thesis 4.1), less the members forced out here. */
  membership: Membership;
  membershipIndex: LogIndex;
  /** Those at and after the newest applied one, oldest first; the last one is in force. */
  memberships: { index: LogIndex; membership: Membership }[];
  /** A committed membership has named this member: one that does not any more removes it. */
  wasMember: boolean;
  /** In force since it was applied. */
  config: GroupConfig;
  configIndex: LogIndex;
  /** Stored as part of the hard state; in force once that is durable. */
  forcedRemovals: MemberId[];
  activeRemovals: MemberId[];

  snapshot: SnapshotMeta | null;
  /** Index of the snapshot that the shell is taking, or 0. */
  takingSnapshotAt: LogIndex;
  /** `appliedBytes` when it began. */
  takingSnapshotBytes: number;
  snapshotRequest: RequestId | null;
  incoming: IncomingSnapshot | null;
  readonly maxAppliedPerTurn: number;
  /** Bytes of entries applied since `countedFrom`; a snapshot is due when they are worth it. */
  appliedBytes: number;
  /** Where our newest snapshot was taken, or the leader's. */
  countedFrom: LogIndex;
  /** Its size: the measure of what is worth another one. */
  countedSizeBytes: number;

  /** No vote for anybody before this (thesis 4.2.3 and 6.4): the leader's lease counts on it. */
  promisedUntilMs: Millis;
  /** The election timer has to start anew at the end of this turn. */
  rearmElection: boolean;
  /** A stall of our own loop before this moment is no excuse any more. */
  nextGraceMs: Millis;

  reads: FollowerReads;
  /** A transfer that this member began as leader, until its outcome is known. */
  transferOutcome: { request: RequestId; target: MemberId } | null;
  /** Forced removals that are in force, and answered, once a ticket is stored. */
  awaitingStore: { ticket: Ticket; request: RequestId; id: MemberId }[];
  storageFailed: boolean;
  /** For sign-of-life.ts. False: a turn is due, or something is waited for; null: not looked into yet. */
  quiet: boolean | null;
  /** Nothing but signs of life has come since this was taken. */
  rest: object | null;
};

/** Durability: what was handed to storage and what came back. */
export type Disk = {
  nextTicket: Ticket;
  /** Handed out, not yet stored, oldest first. Truncation lowers what they vouch for (hazard 24). */
  inFlight: { ticket: Ticket; upTo: LogIndex }[];
  /** While something is in flight: since when the disk has acknowledged nothing. */
  silentSinceMs: Millis;
  storedTicket: Ticket;
  /** The ticket that carries the newest hard state; replies of this term wait for it. */
  hardStateTicket: Ticket;
  hardStateDirty: boolean;
  /** 0, or the index from which storage must forget what it was handed. */
  truncateFrom: LogIndex;
  /** Highest index handed to storage. */
  handedIndex: LogIndex;
  /** Highest index known durable, and still the same entry. */
  durableIndex: LogIndex;
  /** Votes that leave once their ticket is stored. */
  heldVotes: { ticket: Ticket; to: MemberId; term: Term }[];
};

export type IncomingSnapshot = {
  readonly meta: SnapshotMeta;
  /** Bytes handed to storage, and bytes that it holds. */
  requestedBytes: number;
  heldBytes: number;
  installing: boolean;
};

/** Linearizable reads at a member that does not lead. */
export type FollowerReads = {
  nextBatch: number;
  /** Not yet asked for. */
  collecting: RequestId[];
  /** Asked the leader. */
  asked: { batch: number; requests: RequestId[]; sinceMs: Millis }[];
  /** Index known; wait for it to be applied. */
  waiting: { readIndex: LogIndex; requests: RequestId[]; leaseUntilMs: Millis | null }[];
};

export type Role = FollowerRole | PreCandidateRole | CandidateRole | LeaderRole | RemovedRole;

export type FollowerRole = {
  type: "follower" | "learner";
  leader: MemberId | null;
  /** Our log is the leader's up to here (this leader, this term). */
  matchedIndex: LogIndex;
  /** What we have told it. */
  ackedIndex: LogIndex;
  round: Round;
  sentAtMs: Millis;
  ackedRound: Round;
  /** An appendEntries has not been answered in full. */
  replyWanted: boolean;
  /** It was a heartbeat or began a read round: answer without waiting for the disk. */
  echoWanted: boolean;
  refusal: { prevLogIndex: LogIndex; hintIndex: LogIndex; hintTerm: Term } | null;
  snapshotReplyWanted: SnapshotMeta | null;
};

export type PreCandidateRole = { type: "preCandidate"; leader: null; grants: MemberId[] };

export type CandidateRole = {
  type: "candidate";
  leader: null;
  grants: MemberId[];
  /** Our own vote counts, and nothing else does, before this is stored. */
  selfVoteTicket: Ticket;
};

export type RemovedRole = { type: "removed"; leader: null };

export type LeaderRole = {
  type: "leader";
  leader: MemberId;
  peers: Peer[];
  /** Index of this term's first entry: the no-op. */
  termStartIndex: LogIndex;
  round: Round;
  /** Read rounds under way, oldest first. */
  rounds: ReadRound[];
  pendingReads: RequestId[];
  pendingRemoteReads: { from: MemberId; batch: number }[];
  /** Acknowledgements of messages sent before this do not count for the lease. */
  leaseFloorMs: Millis;
  /** False for the rest of the term once timeoutNow was sent (hazard 45). */
  leaseAllowed: boolean;
  /** The shortest patience that this leader has asked for in this term. */
  leasePatienceMs: number;
  /** What `readableUntilMs` found after the last turn; -Infinity: nobody has asked, or there is none. */
  readableUntilMs: Millis;
  transfer: { target: MemberId; sent: boolean } | null;
  /** The membership request to answer when the change is committed. */
  membershipRequest: RequestId | null;
  configRequests: { request: RequestId; index: LogIndex }[];
  /** Bytes of entries not yet committed. */
  uncommittedBytes: number;
  /** What the followers should know when the timer `commitNotify` runs out; 0 while it does not run. */
  commitNotifyIndex: LogIndex;
  matchChanged: boolean;
  heartbeatDue: boolean;
};

export type ReadRound = {
  readonly round: Round;
  readonly readIndex: LogIndex;
  readonly requests: RequestId[];
  readonly remote: { from: MemberId; batch: number }[];
};

/**
 * What the leader knows of one other member.
 *
 * - `probe`: where its log agrees is not known; one message at a time.
 * - `replicate`: known; messages are pipelined within a window in bytes and in count.
 * - `snapshot`: what it lacks is compacted away; chunks go out one by one.
 *
 * Always matchIndex < nextIndex.
 */
export type Peer = {
  readonly id: MemberId;
  mode: "probe" | "replicate" | "snapshot";
  nextIndex: LogIndex;
  matchIndex: LogIndex;
  probeSent: boolean;
  inFlight: { to: LogIndex; bytes: number }[];
  inFlightBytes: number;
  sending: SendingSnapshot | null;
  ackedRound: Round;
  ackedSentAtMs: Millis;
  lastContactMs: Millis;
  /** False: its connection broke, and nothing has come from it since. */
  heard: boolean;
  commitSent: LogIndex;
  /** Has to hear something this turn even if there is no entry for it. */
  beatWanted: boolean;
  /** Learners: the catch-up round of thesis 4.2.1. */
  catchUpTarget: LogIndex;
  catchUpSinceMs: Millis;
  caughtUp: boolean;
  /** Not null: out of the membership since the entry at this index; leaves once it was told. */
  departsAt: LogIndex | null;
};

export type SendingSnapshot = {
  meta: SnapshotMeta;
  /**
   * Whether another one is taken for this peer first, because much was written since or because this one
   * is damaged; nothing is sent while it is awaited.
   */
  fresh: "unasked" | "damaged" | "awaited" | "settled";
  offset: number;
  /** A chunk was asked for from storage or is on its way. */
  busy: boolean;
  busySinceMs: Millis;
  /** Of the next chunk; see chunk-size.ts. */
  chunkBytes: number;
  longestChunkBytes: number;
  /** Bytes per millisecond of chunks half as long, while one of this length is on trial; else 0. */
  rateBefore: number;
  /** Of the longest, that went well. */
  chunksInARow: number;
  /** So many of these, and a longer one is tried. */
  trialChunks: number;
};

export const emptyMembership: Membership = Object.freeze({
  voters: Object.freeze([]),
  outgoing: Object.freeze([]),
  learners: Object.freeze([]),
  members: Object.freeze([]),
});

/** Shared by entries without a body; of length 0, so nothing can be written to it. */
export const emptyBody: Uint8Array = new Uint8Array(0);
