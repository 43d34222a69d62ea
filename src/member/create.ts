/** A member as it begins: what it consists of, and its replica. */
import type { MemberInfo } from "../core/types.js";
import type { Codec } from "../ports.js";
import { createReplica, type Replica, type ReplicaInit } from "../replica.js";
import type { AnyDefinedValue } from "../value/types.js";
import { createDeadlines } from "./deadlines.js";
import { createHookCalls } from "./hooks.js";
import { createSnapshots } from "./snapshots.js";
import type { MemberState } from "./state.js";
import type { GroupHooks, MemberServices } from "./types.js";
import { createWaiting } from "./waiting.js";

export type MemberOptions = {
  readonly group: string;
  /** null: a newcomer; see `adopt`. */
  readonly groupId: string | null;
  readonly self: MemberInfo;
  readonly definition: AnyDefinedValue;
  readonly valueCodec: Codec;
  readonly hooks: GroupHooks;
  readonly services: MemberServices;
  readonly start: ReplicaInit["start"];
  /** Freeze values and arguments, so that a pure handler that mutates fails at once. */
  readonly freeze: boolean;
  readonly maxAppliedPerTurn?: number | undefined;
  readonly maxInboxBytes: number;
};

export function createMemberState(options: MemberOptions): MemberState {
  const { services, group, self } = options;
  const { clock, storage, logger } = services;
  const state: Omit<MemberState, "replica"> & { replica: Replica | null } = {
    group,
    self,
    definition: options.definition,
    services,
    replica: null,
    waiting: createWaiting(),
    deadlines: createDeadlines(),
    snapshots: createSnapshots(group, storage, clock),
    hooks: createHookCalls(options.hooks, options.valueCodec, logger),
    maxInboxBytes: options.maxInboxBytes,
    groupId: options.groupId,
    inbox: [],
    inboxBytes: 0,
    out: [],
    nextRequest: 1,
    proposedAtMs: null,
    role: "learner",
    term: 0,
    leader: null,
    committed: null,
    restored: options.start.type === "restore",
    divergedAt: null,
    election: null,
    lastHeardMs: clock.nowMs(),
    storageFailure: null,
    stopped: false,
  };
  const init: ReplicaInit = {
    definition: options.definition,
    codec: options.valueCodec,
    self,
    nowMs: clock.nowMs(),
    timeMs: clock.wallMs(),
    firstReadBatch: firstReadBatchOf(services),
    freeze: options.freeze,
    maxAppliedPerTurn: options.maxAppliedPerTurn,
    start: options.start,
  };
  state.replica = createReplica(init, state.out);
  state.role = state.replica.core.role.type;
  if (state.restored) state.committed = state.replica.core.membership;
  return state as MemberState;
}

/** As many numbers as a member may begin at, with room above for all that it will ask. */
const readBatches = 2 ** 52;

/** Two lives begin apart although the wall clock was set back between them, or starts at the same time with every boot. */
function firstReadBatchOf({ clock, random }: MemberServices): number {
  const byChance = Math.floor(random.next() * readBatches);
  return 1 + ((Math.floor(clock.wallMs()) * 1024 + byChance) % readBatches);
}
