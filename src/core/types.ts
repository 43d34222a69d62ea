/**
 * The words of the core: its state's building blocks, its messages, events and effects.
 *
 * Everything here is plain data. What crosses the core's border is `readonly` and is never touched
 * by the core after it was emitted, so a shell may keep it without copying.
 */

import type { Message } from "./messages.js";

export type * from "./messages.js";

/** A soft brand: arithmetic needs no cast, but a term is not assignable to an index. */
export type Unit<T, Name extends string> = T & { readonly __unit?: Name };

/** Raft term, 0 before the first election. */
export type Term = Unit<number, "term">;
/** Position in the replicated log; the first entry has index 1, 0 means "before the log". */
export type LogIndex = Unit<number, "logIndex">;
/** `hostId#incarnation`: a process that lost its memory comes back under a new one (never reused). */
export type MemberId = Unit<string, "memberId">;
/** Monotonic milliseconds of one member's own clock; never compared between members. */
export type Millis = Unit<number, "millis">;
/** Number of a read round; an acknowledgement echoes the newest round that its sender has seen. */
export type Round = Unit<number, "round">;
/** Number of a `store` effect; tickets are completed in order. */
export type Ticket = Unit<number, "ticket">;
/** The shell's own name for a caller who waits; the core hands it back untouched. */
export type RequestId = Unit<number, "requestId">;

// ---------------------------------------------------------------------------------------------
// Configuration

/** Settings of a group, replicated through the log, in force on a member once it has applied them. */
export type GroupConfig = {
  /** A leader beats this often. Default 200. */
  readonly heartbeatMs: number;
  /** Who has not heard from a leader for one to two of them campaigns. Default 1000. */
  readonly electionTimeoutMs: number;
  /**
   * Subtracted from the leader's lease: by more than that, clocks must not drift apart within an election timeout. Not for
   * machines that are suspended, whose monotonic clock may stand still meanwhile: they would answer with what was true before.
   * Equal to `electionTimeoutMs` means: no lease reads. Default 1000.
   */
  readonly clockDriftMarginMs: number;
  /** Clients that are remembered; beyond, the least recently used is forgotten. Default 100,000. */
  readonly maxSessions: number;
  /** Callers' own ids of commands that are remembered. Default 1000. */
  readonly maxRetainedCommandIds: number;
  /** Replies kept for retries, of one session; beyond, the oldest are dropped. Default 1 MiB. */
  readonly maxReplyBytesPerSession: number;
  /** The same of all sessions and ids together. Default 64 MiB. */
  readonly maxReplyBytes: number;
  /** Of one encoded command; a larger one is refused with `commandTooLarge`. Default 8 MiB. */
  readonly maxCommandBytes: number;
  /** Of commands that a leader has not committed yet; beyond, `overloaded`. Default 64 MiB. */
  readonly maxUncommittedBytes: number;
  /** Of the entries of one message; a single larger one passes. Default 1 MiB. */
  readonly maxAppendBytes: number;
  /** On the way to one follower without its answer, in bytes and in messages. Default 8 MiB, 256. */
  readonly maxInflightBytes: number;
  readonly maxInflightMessages: number;
  /** Queries that wait at one member; beyond, `overloaded`. Default 100,000. */
  readonly maxPendingReads: number;
  /**
   * Of one piece of a snapshot that is sent: up to sixteen times as much, though no more than 4 MiB, while that is faster over the
   * line at hand. Default 256 KiB.
   */
  readonly snapshotChunkBytes: number;
  /**
   * A snapshot is taken once the log has grown by so many times the size of the last one, by `minSnapshotLogBytes`
   * at least and `maxSnapshotLogBytes` at most. Default 10, 4 MiB, 256 MiB. A newcomer has to take a snapshot in
   * before the log has grown by four times that: `maxSnapshotLogBytes` far below the value's size keeps it out
   * for as long as the load is high.
   */
  readonly snapshotLogFactor: number;
  readonly minSnapshotLogBytes: number;
  readonly maxSnapshotLogBytes: number;
  /** How much of the log stays behind a snapshot, for followers that are a little slow. Default 1 MiB. */
  readonly trailingLogBytes: number;
};

/** What is left out, or undefined, stays as it is; in a new group, as it is by default. */
export type GroupConfigChange = {
  readonly [Name in keyof GroupConfig]?: GroupConfig[Name] | undefined;
};

export type MemberInfo = { readonly id: MemberId; readonly address: string };

export type Learner = {
  readonly id: MemberId;
  /** Becomes a voter by itself once it has caught up. */
  readonly promote: boolean;
  /** The dead predecessor that leaves in the same change, or null. */
  readonly replaces: MemberId | null;
};

/** Who belongs to the group. Joint (thesis 4.3) while `outgoing` is not empty. */
export type Membership = {
  readonly voters: readonly MemberId[];
  /** C_old of a joint configuration; decisions then need both majorities. Empty otherwise. */
  readonly outgoing: readonly MemberId[];
  readonly learners: readonly Learner[];
  /** Addresses of everybody named above, in joining order. */
  readonly members: readonly MemberInfo[];
};

// ---------------------------------------------------------------------------------------------
// Log

/**
 * - `noop`: first entry of a term · `command`: body is for the value · `register`: opens a session,
 *   `sequence` is the client's nonce, the session's id is the entry's index · `membership`, `config`:
 *   `payload` carries the decoded content, `body` is empty.
 */
export type EntryKind = "noop" | "command" | "register" | "membership" | "config";

export type Entry = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly session: number;
  readonly sequence: number;
  /** Every sequence of the session below this one has been answered to the client. */
  readonly lowestOutstanding: number;
  /** Stamped by the leader from the shell's wall clock; never smaller than the entry before. */
  readonly timeMs: number;
  readonly body: Uint8Array;
  readonly payload: Membership | GroupConfig | null;
};

/**
 * Entries one behind the other. An array is such a list; one that was read from a long log may make
 * the entries only when they are looked at.
 */
export interface EntryList extends Iterable<Entry> {
  readonly length: number;
  /** Negative positions count from the end. */
  at(position: number): Entry | undefined;
}

export type HardState = {
  readonly currentTerm: Term;
  readonly votedFor: MemberId | null;
  /** Members that `forceRemoveMember` took out here and that the log still names. */
  readonly forcedRemovals: readonly MemberId[];
};

/** What a snapshot stands for. The bytes themselves are the shell's. */
export type SnapshotMeta = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly timeMs: number;
  /** The membership and configuration in force *at* `index`, never newer ones. */
  readonly membership: Membership;
  readonly membershipIndex: LogIndex;
  readonly config: GroupConfig;
  /** Length of the encoded value, sessions and retained ids. */
  readonly sizeBytes: number;
  /** CRC-32 of all those bytes. */
  readonly checksum: number;
  /** Version of the value's definition that wrote it. */
  readonly valueVersion: number;
};

// ---------------------------------------------------------------------------------------------
// Events: what the shell tells the core. One `step` each.

export type TimerName = "election" | "heartbeat" | "commitNotify" | "transfer";

export type MembershipChange =
  | { readonly type: "add"; readonly member: MemberInfo; readonly promote: boolean }
  /** It listens at another address now. */
  | { readonly type: "move"; readonly member: MemberInfo }
  | { readonly type: "remove"; readonly id: MemberId };

/** Why the core refused a request; the shell turns it into a `RaftError` with the same code. */
export type RefusalCode =
  | "notLeader"
  | "overloaded"
  | "commandTooLarge"
  | "pendingLeaderChange"
  | "notMember"
  | "notVoter"
  | "alreadyMember"
  | "uncommittedMembershipChange"
  | "cannotRemoveLeader"
  | "willBreakQuorum"
  | "newLeaderUnresponsive"
  | "alreadyLeader"
  | "unavailable";

export type CoreEvent =
  | { readonly type: "timerFired"; readonly timer: TimerName; readonly nowMs: Millis }
  | {
      readonly type: "messageReceived";
      readonly from: MemberId;
      readonly message: Message;
      readonly nowMs: Millis;
    }
  | { readonly type: "stored"; readonly ticket: Ticket; readonly nowMs: Millis }
  | {
      readonly type: "commandProposed";
      readonly request: RequestId;
      readonly kind: "command" | "register";
      readonly session: number;
      readonly sequence: number;
      readonly lowestOutstanding: number;
      readonly timeMs: number;
      readonly body: Uint8Array;
    }
  | { readonly type: "readRequested"; readonly request: RequestId; readonly nowMs: Millis }
  | {
      readonly type: "membershipChangeRequested";
      readonly request: RequestId;
      readonly change: MembershipChange;
      readonly timeMs: number;
      readonly nowMs: Millis;
    }
  | {
      readonly type: "configChangeRequested";
      readonly request: RequestId;
      readonly config: GroupConfig;
      readonly timeMs: number;
    }
  | {
      readonly type: "transferRequested";
      readonly request: RequestId;
      /** null takes a pending transfer back. */
      readonly target: MemberId | null;
      readonly nowMs: Millis;
    }
  | {
      readonly type: "removalForced";
      readonly request: RequestId;
      readonly id: MemberId;
      readonly nowMs: Millis;
    }
  /** This member's snapshot at `snapshot.index` is whole and durable: the log behind may go. */
  | { readonly type: "snapshotSaved"; readonly snapshot: SnapshotMeta }
  /** Somebody wants a snapshot now; answered by `takeSnapshot` with the same request, or refused. */
  | { readonly type: "snapshotRequested"; readonly request: RequestId }
  /** The snapshot could not be taken now; the core asks again when the log has grown further. */
  | { readonly type: "snapshotFailed"; readonly index: LogIndex }
  /** The leader of our term has taken a snapshot of its own there. Not asked for; may be repeated. */
  | { readonly type: "leaderSnapshotTold"; readonly index: LogIndex; readonly sizeBytes: number }
  /** Answer to `readSnapshotChunk`; `data` null when that snapshot is gone. */
  | {
      readonly type: "snapshotChunkRead";
      readonly to: MemberId;
      readonly index: LogIndex;
      readonly offset: number;
      readonly data: Uint8Array | null;
      readonly nowMs: Millis;
    }
  /** Answer to `writeSnapshotChunk`: the first `sizeBytes` of the incoming snapshot are held. */
  | {
      readonly type: "snapshotChunkWritten";
      readonly index: LogIndex;
      readonly term: Term;
      readonly sizeBytes: number;
    }
  /** Answer to `installSnapshot`: durable, and the value restored. `ok` false: it was damaged, or had no room. */
  | {
      readonly type: "snapshotInstalled";
      readonly index: LogIndex;
      readonly term: Term;
      readonly ok: boolean;
    }
  /** The shell slept (`lateMs` past a deadline): what peers said meanwhile has been delivered. */
  | { readonly type: "stalled"; readonly lateMs: number; readonly nowMs: Millis }
  /** The transport lost what was in flight to a peer (connection closed). */
  | { readonly type: "peerDisconnected"; readonly peer: MemberId }
  /** The disk refuses writes: stop leading, take no more proposals. Only a restart ends it. */
  | { readonly type: "storageFailed" };

// ---------------------------------------------------------------------------------------------
// Effects: what the core asks the shell to do, in this order within a turn. No effect needs the
// role to be understood.

export type CoreEffect =
  | { readonly type: "send"; readonly to: MemberId; readonly message: Message }
  /** Make all of it durable, in ticket order, then say `stored`. truncateFrom 0: no truncation. */
  | {
      readonly type: "store";
      readonly ticket: Ticket;
      readonly hardState: HardState | null;
      readonly truncateFrom: LogIndex;
      readonly entries: readonly Entry[];
    }
  | {
      readonly type: "setTimer";
      readonly timer: TimerName;
      readonly minMs: number;
      readonly maxMs: number;
    }
  | { readonly type: "cancelTimer"; readonly timer: TimerName }
  /** Committed entries, in order, each exactly once. */
  | { readonly type: "apply"; readonly entries: readonly Entry[] }
  /** Applied state is now fresh enough to answer these. leaseUntilMs null: not by lease. */
  | {
      readonly type: "answerReads";
      readonly requests: readonly RequestId[];
      readonly readIndex: LogIndex;
      readonly leaseUntilMs: Millis | null;
    }
  | {
      readonly type: "refused";
      readonly request: RequestId;
      readonly code: RefusalCode;
      readonly applied: "no" | "maybe";
    }
  /** A membership, configuration, transfer or forced-removal request came to its end. */
  | { readonly type: "accepted"; readonly request: RequestId; readonly index: LogIndex }
  | {
      readonly type: "roleChanged";
      readonly role: RoleName;
      readonly term: Term;
      readonly leader: MemberId | null;
    }
  /** `committed` false also when a truncation rolled an uncommitted one back. */
  | {
      readonly type: "membershipChanged";
      readonly membership: Membership;
      readonly index: LogIndex;
      readonly committed: boolean;
    }
  | { readonly type: "configChanged"; readonly config: GroupConfig; readonly index: LogIndex }
  /** This member was taken out of the group by a committed change: it may close. */
  | { readonly type: "removed" }
  /** Encode the value as it is after `index` was applied (it is now), store it, say `snapshotSaved`. */
  | {
      readonly type: "takeSnapshot";
      readonly index: LogIndex;
      readonly term: Term;
      readonly timeMs: number;
      readonly membership: Membership;
      readonly membershipIndex: LogIndex;
      readonly config: GroupConfig;
      /** Who asked for it, or null: the log had grown. */
      readonly request: RequestId | null;
    }
  | {
      readonly type: "readSnapshotChunk";
      readonly to: MemberId;
      readonly index: LogIndex;
      readonly offset: number;
      readonly maxBytes: number;
    }
  /** Offset 0 begins anew and discards an unfinished other one. */
  | {
      readonly type: "writeSnapshotChunk";
      readonly snapshot: SnapshotMeta;
      readonly offset: number;
      readonly data: Uint8Array;
      readonly last: boolean;
    }
  /** All bytes are written: verify, make durable, restore the value from them, say `snapshotInstalled`. */
  | { readonly type: "installSnapshot"; readonly snapshot: SnapshotMeta }
  /** The log in storage before `firstIndex` is no longer needed. */
  | { readonly type: "compactLog"; readonly firstIndex: LogIndex };

export type RoleName = "learner" | "follower" | "preCandidate" | "candidate" | "leader" | "removed";
