/** The administrative half of a client, for whoever has no definition of the value. */
import type { AdminVerbs } from "../codec/types.js";
import type { GroupConfig, GroupConfigChange } from "../core/types.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { AdminCalls, AdminOptions } from "./client.js";
import { checkId } from "./options.js";
import type { CallOptions, GroupClient, GroupEvent, GroupStatus, MemberStatus } from "./types.js";

/** Ids are member ids (`hostId#incarnation`) or host ids. Calls behave as those of `connect`. */
export interface AdminClient {
  /** Of the member at `options.host`, or of any that answers. */
  status(options?: AdminOptions): Promise<GroupStatus>;
  /** As the leader sees them, so `matchIndex`, `lastContactMs` and `unresponsive` are known. */
  members(options?: CallOptions): Promise<readonly MemberStatus[]>;
  /** Resolves once the member is out by a committed change. */
  remove(id: string, options?: CallOptions): Promise<void>;
  /** Resolves once that member leads; null takes a pending transfer back. */
  transfer(id: string | null, options?: CallOptions): Promise<void>;
  /** Resolves with the whole configuration in force. */
  changeConfig(change: GroupConfigChange, options?: CallOptions): Promise<GroupConfig>;
  /**
   * UNSAFE, for a group that has lost its majority for good: the member at `options.host` counts `id`
   * out on its own authority. If `id` is alive, the value may split in two. Needs `host` unless
   * only one host was given. Never sent twice: when its answer is lost it rejects with `unavailable`.
   */
  forceRemove(id: string, options?: AdminOptions): Promise<void>;
  /** Makes the member at `options.host`, or any that answers, take a snapshot. */
  snapshot(options?: AdminOptions): Promise<AdminVerbs["snapshot"]["reply"]>;
  events(options?: {
    readonly signal?: AbortSignal | undefined;
  }): AsyncIterableIterator<GroupEvent>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  readonly closed: Promise<void>;
}

export function createAdminClient(client: GroupClient<AnyDefinedValue> & AdminCalls): AdminClient {
  return {
    status: (options) => client.admin("status", null, options) as Promise<GroupStatus>,
    async members(options) {
      const status = await client.admin("status", null, { ...options, leader: true });
      return (status as GroupStatus).members;
    },
    remove: (id, options) => client.removeMember(id, options),
    transfer: (id, options) => client.transferLeadership(id, options),
    changeConfig: (change, options) => client.changeConfig(change, options),
    async forceRemove(id, options) {
      await client.admin("forceRemove", { id: checkId(id) }, options);
    },
    snapshot: (options) => client.admin("snapshot", null, options),
    events: (options) => client.events(options),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
    closed: client.closed,
  };
}
