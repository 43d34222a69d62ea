/**
 * The frames that travel over a connection. Types only; `wire.ts` turns them into bytes and back.
 *
 * A connection opens with `hello` from the dialling side and `welcome` (or `refuse`, then close) from the
 * other. Then channels are opened on it: one per (group, member pair) between hosts, one per group
 * for a client. A channel is a small number chosen by the dialling side.
 */
import type {
  AppendEntries,
  AppendEntriesReply,
  LogIndex,
  MemberId,
  Message,
  SnapshotMeta,
} from "../core/types.js";

/** Raised when frames change so that older code cannot read them. */
export const protocolVersion = 2;

export type Hello = {
  readonly type: "hello";
  readonly protocol: number;
  readonly kind: "peer" | "client";
  /** Host id of a peer; a client's random name. */
  readonly from: string;
};
export type Welcome = {
  readonly type: "welcome";
  readonly protocol: number;
  readonly hostId: string;
};

/** Peer channel: dialler -> listener only (each host dials its own way for what it sends). */
export type OpenPeer = {
  readonly type: "openPeer";
  readonly channel: number;
  readonly group: string;
  readonly groupId: string;
  readonly from: MemberId;
  /** Where `from` can be dialled: a newcomer does not know the membership yet. */
  readonly fromAddress: string;
  readonly to: MemberId;
  readonly valueName: string;
  readonly valueVersion: number;
  readonly compatibleVersions: readonly number[];
};
export type PeerMessage = {
  readonly type: "peerMessage";
  readonly channel: number;
  readonly message: Message;
};

/** A beat or the acknowledgement of one: what idle members say to each other again and again. */
export type Repeatable = AppendEntries | AppendEntriesReply;
/**
 * On this connection `slot` stands for that message on that channel from here on; it is not delivered. The
 * dialler takes the lowest slot that is free, so they are dense from 0 on.
 */
export type PeerStanding = {
  readonly type: "peerStanding";
  readonly slot: number;
  readonly channel: number;
  readonly message: Repeatable;
};
/** The message of each slot again, with another `sentAtMs`. */
export type PeerRepeats = {
  readonly type: "peerRepeats";
  readonly sentAtMs: number;
  readonly slots: readonly number[];
};

export type OpenClient = {
  readonly type: "openClient";
  readonly channel: number;
  readonly group: string;
  /** null: an administrative client that sends no commands (`status`, `members` ...). */
  readonly valueName: string | null;
  readonly valueVersion: number;
  readonly compatibleVersions: readonly number[];
};
export type ChannelOpened = {
  readonly type: "channelOpened";
  readonly channel: number;
  readonly groupId: string;
  readonly memberId: MemberId;
};
/** The channel is not served (also later, when a member goes away). The connection stays. */
export type ChannelRefused = {
  readonly type: "channelRefused";
  readonly channel: number;
  readonly code: string;
  readonly message: string;
};
/** The whole connection is refused; it is closed after this frame. */
export type Refuse = { readonly type: "refuse"; readonly code: string; readonly message: string };

/** One client request inside a `requests` frame. `request` is the client's own number. */
export type ClientRequest =
  | { readonly type: "register"; readonly request: number; readonly nonce: number }
  | {
      readonly type: "command";
      readonly request: number;
      readonly session: number;
      readonly sequence: number;
      readonly lowestOutstanding: number;
      readonly body: Uint8Array;
    }
  | {
      readonly type: "query";
      readonly request: number;
      readonly stale: boolean;
      readonly body: Uint8Array;
    }
  /** verb: status, join, remove, transfer, changeConfig, forceRemove, snapshot, subscribe, unsubscribe ... */
  | {
      readonly type: "admin";
      readonly request: number;
      readonly verb: string;
      readonly body: Uint8Array;
    };

export type Requests = {
  readonly type: "requests";
  readonly channel: number;
  readonly requests: readonly ClientRequest[];
};

/** `status` is "ok" or an error code of errors.ts; `body` the encoded reply or a UTF-8 message. */
export type ClientReply = {
  readonly request: number;
  readonly status: string;
  readonly applied: "no" | "maybe";
  /** register: the session id. Otherwise 0. */
  readonly index: number;
  readonly body: Uint8Array;
};
export type Replies = {
  readonly type: "replies";
  readonly channel: number;
  readonly replies: readonly ClientReply[];
};
/** Pushed on every change, so that a client need not guess. address null: none known. */
export type LeaderHint = {
  readonly type: "leaderHint";
  readonly channel: number;
  readonly term: number;
  readonly leader: MemberId | null;
  readonly address: string | null;
  /** Addresses of all members, for a client whose own list has grown old. */
  readonly hosts: readonly string[];
};
/** An event of `events()`; the body is encoded with the default codec. */
export type Notify = {
  readonly type: "notify";
  readonly channel: number;
  readonly request: number;
  readonly body: Uint8Array;
};
/** Keeps a silent connection honest: answered by the same frame with `reply` true. */
export type Ping = { readonly type: "ping"; readonly reply: boolean; readonly sentAtMs: number };

export type Frame =
  | Hello
  | Welcome
  | OpenPeer
  | PeerMessage
  | PeerStanding
  | PeerRepeats
  | OpenClient
  | ChannelOpened
  | ChannelRefused
  | Refuse
  | Requests
  | Replies
  | LeaderHint
  | Notify
  | Ping;

/**
 * Bodies and replies of the administrative verbs, encoded with the default codec (CBOR). Ids in
 * `remove`, `transfer` and `forceRemove` may be a host id or a whole member id.
 *
 * - `status` -> `GroupStatus` of the member asked.
 * - `join`, leader only -> once the newcomer is a learner by a committed entry.
 * - `move`, leader only -> once a committed entry has the member at that address.
 * - `remove`, `transfer` (id null takes a pending one back, and is told whether there was one), `changeConfig` ->
 *   when done; leader only.
 * - `forceRemove`: local to the member asked, unsafe. `snapshot`: of the member asked.
 * - `barrier` -> once the member asked has applied what was committed when it was asked.
 * - `readSnapshot`: a piece of the snapshot that the member asked took at `index`; see its reply.
 * - `subscribe` -> then `notify` frames under the same request number, each body one `GroupEvent`.
 */
export type AdminVerbs = {
  readonly status: { readonly body: null; readonly reply: unknown };
  readonly join: { readonly body: JoinRequest; readonly reply: JoinReply };
  readonly move: {
    readonly body: { readonly memberId: MemberId; readonly address: string };
    readonly reply: null;
  };
  readonly remove: { readonly body: { readonly id: string }; readonly reply: null };
  readonly transfer: {
    readonly body: { readonly id: string | null };
    readonly reply: boolean | null;
  };
  /** body: GroupConfigChange, reply: the whole GroupConfig in force. */
  readonly changeConfig: { readonly body: unknown; readonly reply: unknown };
  readonly forceRemove: { readonly body: { readonly id: string }; readonly reply: null };
  readonly snapshot: {
    readonly body: null;
    readonly reply: { readonly index: number; readonly sizeBytes: number };
  };
  readonly barrier: { readonly body: null; readonly reply: null };
  readonly readSnapshot: { readonly body: ReadSnapshot; readonly reply: SnapshotPiece };
  readonly subscribe: { readonly body: null; readonly reply: null };
  readonly unsubscribe: { readonly body: { readonly request: number }; readonly reply: null };
};

export type JoinRequest = {
  readonly memberId: MemberId;
  readonly address: string;
  readonly valueName: string;
  readonly valueVersion: number;
  readonly compatibleVersions: readonly number[];
};
export type JoinReply = { readonly groupId: string; readonly hosts: readonly string[] };

export type ReadSnapshot = {
  readonly index: LogIndex;
  readonly offset: number;
  readonly maxBytes: number;
};
export type SnapshotPiece = {
  /** What the pieces make together; null unless `index` is the member's current snapshot. */
  readonly snapshot: SnapshotMeta | null;
  /** null: that snapshot is not there any more, or cannot be read. Empty at its end. */
  readonly data: Uint8Array | null;
};
