/** The messages between members (Figure 2 and thesis). The envelope (from, to, group) is the shell's. */
import type { Entry, LogIndex, Millis, Round, SnapshotMeta, Term } from "./types.js";

export type PreVote = {
  readonly type: "preVote";
  /** The term that the sender would campaign in, one above its current one. */
  readonly term: Term;
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
};
export type PreVoteReply = {
  readonly type: "preVoteReply";
  /** The replier's current term. */
  readonly term: Term;
  /** Echo of the request's term, so that an older round is not counted. */
  readonly requestTerm: Term;
  readonly granted: boolean;
  /** The replier knows a committed membership that no longer names the asker. */
  readonly removed: boolean;
};
export type RequestVote = {
  readonly type: "requestVote";
  readonly term: Term;
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
  /** Asked for by the leader itself (timeoutNow), so voters need not wait out its lease. */
  readonly transfer: boolean;
};
export type RequestVoteReply = {
  readonly type: "requestVoteReply";
  readonly term: Term;
  readonly granted: boolean;
};
export type AppendEntries = {
  readonly type: "appendEntries";
  readonly term: Term;
  readonly prevLogIndex: LogIndex;
  readonly prevLogTerm: Term;
  readonly commitIndex: LogIndex;
  readonly round: Round;
  /** The leader's own clock when it sent this; echoed, so that a lease counts from sending. */
  readonly sentAtMs: Millis;
  /** The patience that the leader counts on for its lease: no vote for anybody for so long. */
  readonly promiseMs: number;
  readonly entries: readonly Entry[];
};
export type AppendEntriesReply = {
  readonly type: "appendEntriesReply";
  readonly term: Term;
  readonly success: boolean;
  /** success: everything up to here is the leader's and durable. refused: the refused prevLogIndex. */
  readonly matchIndex: LogIndex;
  /** refused: the highest index that may still agree, and the term there (fast backtracking). */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
  readonly round: Round;
  readonly sentAtMs: Millis;
};
export type InstallSnapshot = {
  readonly type: "installSnapshot";
  readonly term: Term;
  readonly snapshot: SnapshotMeta;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly round: Round;
  readonly sentAtMs: Millis;
  readonly promiseMs: number;
};
export type InstallSnapshotReply = {
  readonly type: "installSnapshotReply";
  readonly term: Term;
  readonly snapshotIndex: LogIndex;
  readonly snapshotTerm: Term;
  /** Bytes that the receiver holds durably: the offset to go on from (resume). */
  readonly offset: number;
  /** The snapshot is installed (or was not needed): go on with appendEntries after it. */
  readonly installed: boolean;
  readonly round: Round;
  readonly sentAtMs: Millis;
};
export type TimeoutNow = { readonly type: "timeoutNow"; readonly term: Term };
export type ReadIndex = {
  readonly type: "readIndex";
  readonly term: Term;
  /** The follower's own number for its batch of reads. */
  readonly batch: number;
};
export type ReadIndexReply = {
  readonly type: "readIndexReply";
  readonly term: Term;
  readonly batch: number;
  /** 0 means refused: not the leader, or overloaded. */
  readonly readIndex: LogIndex;
};
/** Hashes of the replies at some applied indices: the net for non-deterministic handlers. */
export type CompareHashes = {
  readonly type: "compareHashes";
  readonly term: Term;
  readonly indices: readonly LogIndex[];
  readonly hashes: readonly number[];
  /** Of a leader: the newest snapshot that it has taken itself; otherwise null. */
  readonly snapshot: SnapshotMark | null;
};
/** What members compare of snapshots that they took at the same index, each by itself. */
export type SnapshotMark = {
  readonly index: LogIndex;
  /** Of the value's bytes: sessions hold texts of errors, which may differ between engines. */
  readonly valueHash: number;
  /** Values of different versions have different bytes. */
  readonly valueVersion: number;
  readonly sizeBytes: number;
};

export type Message =
  | PreVote
  | PreVoteReply
  | RequestVote
  | RequestVoteReply
  | AppendEntries
  | AppendEntriesReply
  | InstallSnapshot
  | InstallSnapshotReply
  | TimeoutNow
  | ReadIndex
  | ReadIndexReply
  | CompareHashes;
