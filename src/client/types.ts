/** The public shapes of a group handle. `host.group()` and `connect()` give the same interface. */
import type { GroupConfig, GroupConfigChange, RoleName } from "../core/types.js";
import type {
  AnyDefinedValue,
  CommandArgs,
  CommandName,
  CommandReply,
  QueryAnswer,
  QueryArgs,
  QueryName,
} from "../value/types.js";

export type CallOptions = {
  /** Milliseconds until the call rejects with `timeout`; 1 or more. Default: the client's, 5000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

export type CommandOptions = CallOptions & {
  /**
   * The caller's own idempotency key, 1 to 256 characters of well-formed Unicode: a repeat with the same key, from any
   * process, within the next `maxRetainedCommandIds` such commands returns the first one's reply.
   */
  readonly id?: string | undefined;
};

export type MemberStatus = {
  readonly id: string;
  readonly hostId: string;
  readonly address: string;
  /** "outgoing": leaves with the membership change under way. */
  readonly state: "voter" | "learner" | "outgoing";
  /** Known to the leader only; null elsewhere. */
  readonly matchIndex: number | null;
  /** Milliseconds since the leader heard from it. */
  readonly lastContactMs: number | null;
  readonly unresponsive: boolean | null;
};

export type GroupStatus = {
  readonly group: string;
  readonly groupId: string;
  /** Member id, `hostId#incarnation`. */
  readonly id: string;
  readonly hostId: string;
  readonly role: RoleName;
  readonly leader: string | null;
  readonly term: number;
  readonly members: readonly MemberStatus[];
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly lastLogIndex: number;
  readonly firstLogIndex: number;
  readonly snapshotIndex: number;
  readonly logBytes: number;
  readonly sessions: number;
  readonly pendingMembershipChange: boolean;
  readonly pendingTransfer: string | null;
  readonly config: GroupConfig;
  readonly valueName: string;
  readonly valueVersion: number;
  readonly durable: boolean;
  /** Longest time, in milliseconds, that the event loop kept this host waiting in the last minute. */
  readonly loopDelayMs: number;
  /**
   * First index at which this member's replies were seen to differ from the leader's, or after which its
   * value was; null if neither.
   */
  readonly divergedAt: number | null;
  /** Why this member's storage failed: until its host is started again, it takes nothing on. Null if it did not. */
  readonly storageFailure: string | null;
};

export type GroupEvent =
  | {
      readonly type: "role";
      readonly role: RoleName;
      readonly term: number;
      readonly leader: string | null;
    }
  | {
      readonly type: "members";
      readonly voters: readonly string[];
      readonly learners: readonly string[];
    }
  | { readonly type: "config"; readonly config: GroupConfig }
  | { readonly type: "divergence"; readonly index: number }
  | { readonly type: "storage"; readonly message: string }
  | { readonly type: "closed" };

/** What a program does with a group, from inside (a member's host) or outside (a client). */
export interface GroupClient<D extends AnyDefinedValue> {
  /**
   * Resolves with the handler's reply, once the command is committed and applied.
   *
   * One thing after the name is the argument if the handler declares one. If it declares none, or one with a
   * default, an object with no other keys than `timeoutMs`, `signal` and `id` is taken for the options:
   * where the argument itself may look like that, pass `{}` behind it.
   */
  command<N extends CommandName<D>>(
    name: N,
    ...rest: [...args: CommandArgs<D, N>, options?: CommandOptions]
  ): Promise<CommandReply<D, N>>;
  /** Linearizable. Arguments and options as for `command`, less `id`. */
  query<N extends QueryName<D>>(
    name: N,
    ...rest: [...args: QueryArgs<D, N>, options?: CallOptions]
  ): Promise<QueryAnswer<D, N>>;
  /** Answered from one member's own copy, which may lag behind. */
  queryStale<N extends QueryName<D>>(
    name: N,
    ...rest: [...args: QueryArgs<D, N>, options?: CallOptions]
  ): Promise<QueryAnswer<D, N>>;
  /** What one member knows of itself and the group: a handle asks its own member, `connect` any that answers. */
  status(options?: CallOptions): Promise<GroupStatus>;
  /**
   * Current role and leader first, then changes; a slow reader sees the newest of each kind. A handle tells of its
   * own member, `connect` of any. Of one client 64 may be read at a time: one more rejects with `overloaded`.
   * Ends by leaving the loop, without an error when `signal` fires, and behind "closed".
   */
  events(options?: {
    readonly signal?: AbortSignal | undefined;
  }): AsyncIterableIterator<GroupEvent>;
  /**
   * Resolves with the whole configuration once it is committed; `status` of a follower shows it a little later.
   * Refuses with `invalidConfig`, which names the setting and its range.
   */
  changeConfig(change: GroupConfigChange, options?: CallOptions): Promise<GroupConfig>;
  /**
   * Takes a member out, by its host id or member id; resolves once that is committed. Refuses with `notMember`,
   * `cannotRemoveLeader`, `willBreakQuorum`, `pendingLeaderChange`, and with `uncommittedMembershipChange` while
   * another change is under way, such as that by which a newcomer becomes a voter.
   */
  removeMember(id: string, options?: CallOptions): Promise<void>;
  /**
   * Resolves once that member leads, by its host id or member id; null takes a pending transfer back. Refuses with
   * `notMember`, `notVoter`, `alreadyLeader`, `newLeaderUnresponsive`, `pendingLeaderChange`, and
   * `uncommittedMembershipChange`.
   */
  transferLeadership(id: string | null, options?: CallOptions): Promise<void>;
  /** Makes the asked member take a snapshot now. */
  snapshot(options?: CallOptions): Promise<{ readonly index: number; readonly sizeBytes: number }>;
  /**
   * Of a handle, ends the member on its host, which serves the group again when it is started anew; of `connect`,
   * ends its connections. Calls without an answer reject with `closed`. Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  readonly closed: Promise<void>;
}
