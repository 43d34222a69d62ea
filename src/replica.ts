/**
 * One member's core and value together, still pure: what `apply` means.
 *
 * The core decides what is committed; the applier turns committed entries into outcomes. The shell
 * (member/) sees one `step`, one `flush` and effects as plain data.
 *
 *     event -> stepReplica -> step(core)          a retry may be answered from the sessions at once
 *              flushReplica, finishReplica -> flush(core), finish(core)
 *                 apply        -> applied         with outcomes
 *                 takeSnapshot -> snapshotStarted with pieces
 *
 * The leader also tells the others hashes of its outcomes now and then (`compareHashes`), which the
 * core knows nothing of: see value/divergence.ts. Signs of life are the core's business alone: the shell offers
 * them to it directly, but for the heartbeat (`beatReplicaAgain`).
 */
import {
  beatAgain,
  bootstrapEntries,
  cloneCore,
  type Core,
  createCore,
  defaultGroupConfig,
  finish,
  flush,
  hasBacklog,
  isUnfinished,
  step,
} from "./core/index.js";
import type {
  CompareHashes,
  CoreEffect,
  CoreEvent,
  Entry,
  EntryList,
  GroupConfig,
  HardState,
  LogIndex,
  MemberId,
  MemberInfo,
  Millis,
  RequestId,
  SnapshotMeta,
  Term,
} from "./core/types.js";
import { broken } from "./errors.js";
import type { ArrivingBytes, Codec } from "./ports.js";
import {
  answer,
  type Applier,
  applyEntry,
  cloneApplier,
  createApplier,
  refuseUnknown,
} from "./value/applier.js";
import {
  cloneComparison,
  type Comparison,
  comparePending,
  createComparison,
  type DivergenceEffect,
  forgetComparison,
  noteOwnSnapshot,
  onCompareHashes,
  tellHashes,
} from "./value/divergence.js";
import type { Answer } from "./value/handlers.js";
import { createBytesHash, hashOf } from "./value/bytes-hash.js";
import { findOutcome } from "./value/sessions.js";
import {
  adoptSnapshot,
  type DecodedSnapshot,
  decodeSnapshot,
  encodeSnapshot,
  restoreSnapshot,
} from "./value/snapshot.js";
import type { AnyDefinedValue, Outcome } from "./value/types.js";

/** What the shell may tell a replica, beside what it tells the core. */
export type ReplicaEvent =
  | CoreEvent
  /**
   * The snapshot that the leader sent is durable and these are its bytes: the value is restored from
   * them. `decoded` (`readSnapshot`) null: the bytes did not match. Stands in for the core's `snapshotInstalled`.
   */
  | {
      readonly type: "snapshotLoaded";
      readonly snapshot: SnapshotMeta;
      readonly decoded: DecodedSnapshot | null;
    };

export type ReplicaEffect =
  | Exclude<CoreEffect, { readonly type: "apply" | "takeSnapshot" }>
  /**
   * Committed entries were applied, in order. `outcomes[i]` belongs to `entries[i]` and is null for
   * entries that are neither command nor register. A register's outcome is `ok` with an empty body:
   * the session's id is the entry's index, `sequence` its nonce.
   */
  | {
      readonly type: "applied";
      readonly entries: readonly Entry[];
      readonly outcomes: readonly (Outcome | null)[];
    }
  /** A retried command whose outcome was kept, or one that the leader does not have: answered without a new entry. */
  | { readonly type: "commandAnswered"; readonly request: RequestId; readonly outcome: Outcome }
  /**
   * The value's encoding, pulled piece by piece within the shell's budget per turn. `immediate`: it is
   * encoded already, and pulling all of it at once costs nothing (a mutable value of a codec that
   * cannot copy).
   */
  | {
      readonly type: "snapshotStarted";
      readonly index: LogIndex;
      readonly term: Term;
      /** The caller who asked for it, or null. */
      readonly request: RequestId | null;
      readonly immediate: boolean;
      readonly pieces: Iterator<Uint8Array>;
      readonly finish: (sizeBytes: number, checksum: number) => SnapshotMeta;
    }
  | Extract<DivergenceEffect, { readonly type: "diverged" }>;

export type ReplicaInit = {
  readonly definition: AnyDefinedValue;
  /** For values that name no codec of their own. */
  readonly codec: Codec;
  readonly self: MemberInfo;
  readonly nowMs: Millis;
  /** Milliseconds since 1970, for the first entries of a new group. */
  readonly timeMs: number;
  /** Far from those of other lives of this member: see the core's. */
  readonly firstReadBatch: number;
  /** Freeze what pure handlers are given: for development. */
  readonly freeze: boolean;
  readonly maxAppliedPerTurn?: number | undefined;
  readonly start: ReplicaStart;
};

export type ReplicaStart =
  /** The first member of a new group. */
  | { readonly type: "create"; readonly config: GroupConfig }
  /** Waits for the group's leader to find it. */
  | { readonly type: "join" }
  /** Came back with its storage; `pieces` of the snapshot, none if there is none. */
  | {
      readonly type: "restore";
      readonly hardState: HardState;
      readonly snapshot: SnapshotMeta | null;
      readonly entries: EntryList;
      readonly pieces: readonly Uint8Array[];
    };

/** To be read by others (status, invariants) and changed by the functions of this file only. */
export type Replica = {
  readonly core: Core;
  readonly applier: Applier;
  readonly comparison: Comparison;
};

// ---------------------------------------------------------------------------------------------
// Birth

/**
 * Refuses with RaftError: `invalidValue` (the initial value has no encoding; an older version's snapshot
 * without `upgrade`), `storageMismatch` (a newer version's), `storageCorrupt`.
 */
export function createReplica(init: ReplicaInit, out: ReplicaEffect[]): Replica {
  const { definition, start, self, nowMs } = init;
  const durable = durableStart(init, out);
  const config = initialConfig(durable);
  const applier = createApplier(definition, definition.codec ?? init.codec, config, init.freeze);
  if (durable !== null && durable.snapshot !== null) {
    restoreSnapshot(applier, durable.snapshot, durable.pieces);
  }
  const core = createCore(
    {
      self,
      nowMs,
      hardState: durable?.hardState ?? null,
      snapshot: durable?.snapshot ?? null,
      entries: durable?.entries ?? [],
      config,
      firstReadBatch: init.firstReadBatch,
      restarted: start.type === "restore",
      maxAppliedPerTurn: init.maxAppliedPerTurn,
    },
    out as CoreEffect[],
  );
  return { core, applier, comparison: createComparison() };
}

type Durable = Extract<ReplicaStart, { readonly type: "restore" }>;

/** Until a snapshot or the log says otherwise: that of the group's entry 1, which every member has. */
function initialConfig(durable: Durable | null): GroupConfig {
  const first = durable?.entries.at(0);
  return first?.kind === "config" ? (first.payload as GroupConfig) : defaultGroupConfig;
}

/**
 * What storage holds, or null.
 *
 * The first entries of a new group are to be stored before everything else, and the core takes them
 * for durable at once: tickets are stored in order, so its own first vote, without which it does
 * nothing, comes after them. Nobody waits for ticket 0 itself.
 */
function durableStart({ start, self, timeMs }: ReplicaInit, out: ReplicaEffect[]): Durable | null {
  if (start.type === "join") return null;
  if (start.type === "restore") return start;
  const entries = bootstrapEntries(self, start.config, timeMs);
  const hardState: HardState = { currentTerm: 1, votedFor: null, forcedRemovals: [] };
  out.push({ type: "store", ticket: 0, hardState, truncateFrom: 0, entries });
  return { type: "restore", hardState, snapshot: null, entries, pieces: [] };
}

/** For the explorer, and for values that are not `mutable`. What never changes is shared. */
export function cloneReplica(replica: Replica): Replica {
  return {
    core: cloneCore(replica.core),
    applier: cloneApplier(replica.applier),
    comparison: cloneComparison(replica.comparison),
  };
}

// ---------------------------------------------------------------------------------------------
// Turns

/** One event. What it asks of the shell is complete only after `flushReplica`. */
export function stepReplica(replica: Replica, event: ReplicaEvent, out: ReplicaEffect[]): void {
  const { core, applier, comparison } = replica;
  if (event.type === "commandProposed") {
    if (answerAtOnce(replica, event, out)) return;
  } else if (event.type === "messageReceived") {
    const { from, message } = event;
    if (message.type === "compareHashes") {
      onCompareHashes(comparison, core, applier, from, message, out);
      return onSnapshotTold(core, from, message, out);
    }
  } else if (event.type === "timerFired") {
    if (event.timer === "heartbeat") comparison.due = true;
  } else if (event.type === "snapshotLoaded") {
    return onSnapshotLoaded(replica, event.snapshot, event.decoded, out);
  }
  step(core, event, out as CoreEffect[]);
}

/** The leader's newest snapshot: ours shall come at the same entries. */
function onSnapshotTold(
  core: Core,
  from: MemberId,
  { term, snapshot }: CompareHashes,
  out: ReplicaEffect[],
): void {
  if (snapshot === null || term !== core.currentTerm || from !== core.role.leader) return;
  const { index, sizeBytes } = snapshot;
  step(core, { type: "leaderSnapshotTold", index, sizeBytes }, out as CoreEffect[]);
}

type CommandProposed = Extract<CoreEvent, { readonly type: "commandProposed" }>;

/**
 * A retry whose outcome is kept, or certainly not kept any more, needs no new entry. Any member may
 * say so: what it has applied is committed. Nor does a command that the leader does not have.
 */
function answerAtOnce(
  { core, applier }: Replica,
  { kind, session, sequence, request, body }: CommandProposed,
  out: ReplicaEffect[],
): boolean {
  if (kind === "register") return false;
  const outcome =
    findOutcome(applier.sessions, session, sequence, applier.lastApplied) ??
    (core.role.type === "leader" ? refuseUnknown(applier, body) : null);
  if (outcome === null) return false;
  out.push({ type: "commandAnswered", request, outcome });
  return true;
}

/** As `beatAgain` of the core, where the heartbeat has no hashes to bring with it either. */
export function beatReplicaAgain(
  { core, comparison }: Replica,
  nowMs: number,
  out: ReplicaEffect[],
): boolean {
  if (!comparison.toldAll) return false;
  return beatAgain(core, nowMs, out as CoreEffect[]);
}

/** The end of a turn, what others wait for: `out` is what the shell has to do, in order. */
export function flushReplica(replica: Replica, out: ReplicaEffect[]): void {
  const { core } = replica;
  flush(core, out as CoreEffect[]);
  applyCommitted(replica, out);
}

/** `finishReplica` is due. */
export function isUnfinishedReplica(replica: Replica): boolean {
  return isUnfinished(replica.core);
}

/** The rest of a turn, which nobody else waits for: best after the messages of the turn have left. */
export function finishReplica(replica: Replica, out: ReplicaEffect[]): void {
  finish(replica.core, out as CoreEffect[]);
  applyCommitted(replica, out);
}

function applyCommitted(replica: Replica, out: ReplicaEffect[]): void {
  const { core, applier } = replica;
  const effects: (CoreEffect | ReplicaEffect)[] = out;
  for (let i = 0; i < effects.length; i++) {
    const effect = effects[i]!;
    if (effect.type === "apply") effects[i] = applyAll(applier, effect.entries);
    else if (effect.type === "takeSnapshot") effects[i] = startSnapshot(replica, effect);
  }
  if (applier.lastApplied !== core.lastApplied) {
    broken(`replica: applied up to ${applier.lastApplied}, the core says ${core.lastApplied}`);
  }
  comparePending(replica.comparison, core, applier, out);
  tellHashes(replica.comparison, core, applier, out);
}

/** The next turn has something to apply, whether or not anything happens. */
export function isBehind(replica: Replica): boolean {
  return hasBacklog(replica.core);
}

function applyAll(applier: Applier, entries: readonly Entry[]): ReplicaEffect {
  const outcomes = new Array<Outcome | null>(entries.length);
  for (let i = 0; i < entries.length; i++) outcomes[i] = applyEntry(applier, entries[i]!);
  return { type: "applied", entries, outcomes };
}

type TakeSnapshot = Extract<CoreEffect, { readonly type: "takeSnapshot" }>;

function startSnapshot({ applier, comparison }: Replica, effect: TakeSnapshot): ReplicaEffect {
  const { index, term, timeMs, membership, membershipIndex, config, request } = effect;
  const { version } = applier.definition;
  // A codec that writes the same value in more than one way says nothing about the value.
  const hash = applier.codec.canonical === true ? createBytesHash() : null;
  const finish = (sizeBytes: number, checksum: number): SnapshotMeta => {
    if (hash !== null) {
      const valueHash = hashOf(hash);
      noteOwnSnapshot(comparison, { index, valueHash, valueVersion: version, sizeBytes });
    }
    return {
      ...{ index, term, timeMs, membership, membershipIndex, config },
      ...{ sizeBytes, checksum, valueVersion: version },
    };
  };
  const { pieces, immediate } = encodeSnapshot(applier, hash);
  return { type: "snapshotStarted", index, term, immediate, pieces, finish, request };
}

function onSnapshotLoaded(
  replica: Replica,
  snapshot: SnapshotMeta,
  decoded: DecodedSnapshot | null,
  out: ReplicaEffect[],
): void {
  const { core, applier } = replica;
  const { index, term } = snapshot;
  const { incoming } = core;
  const awaited =
    incoming?.installing === true && incoming.meta.index === index && incoming.meta.term === term;
  if (!awaited) return;
  // One that is older than what was applied meanwhile must not rewind the value (hazard 50).
  const ok = decoded !== null && index > applier.lastApplied;
  if (ok) {
    adoptSnapshot(applier, snapshot, decoded);
    forgetComparison(replica.comparison);
  }
  step(core, { type: "snapshotInstalled", index, term, ok }, out as CoreEffect[]);
}

/** What `snapshotLoaded` brings, read slice by slice as it comes in. Refuses as `restoreSnapshot` does. */
export function readSnapshot(
  { applier }: Replica,
  snapshot: SnapshotMeta,
  arriving: ArrivingBytes,
): Iterator<undefined, DecodedSnapshot> {
  return decodeSnapshot(applier, snapshot, arriving);
}

/**
 * Answers a query from the value as it is. `body` of the answer: the encoded answer if `ok`,
 * otherwise a message as UTF-8.
 */
export function answerQuery(replica: Replica, body: Uint8Array): Answer {
  return answer(replica.applier, body);
}

/** Sessions that the group keeps, for status. */
export function countSessions(replica: Replica): number {
  return replica.applier.sessions.byId.size;
}
