/**
 * One member in the explorer: a real core with its disk, and what one action does to it. Nodes are
 * never changed; an action makes a new one.
 *
 * Time is abstracted. A core's clock stands at 0 between actions; an action is *aged* if so much time
 * has passed before it that every promise ran out and every peer fell silent.
 */
import { messageOf } from "../errors.js";
import { allEntries, termAt } from "../core/log.js";
import { checkCore, cloneCore, createCore, endTurn, step } from "../core/index.js";
import type { Core, Out } from "../core/state.js";
import type {
  CoreEffect,
  CoreEvent,
  Entry,
  GroupConfig,
  HardState,
  LogIndex,
  MemberId,
  Message,
  RequestId,
  SnapshotMeta,
  Term,
} from "../core/types.js";

type Store = Extract<CoreEffect, { type: "store" }>;
type Compact = Extract<CoreEffect, { type: "compactLog" }>;

export type NodeDisk = {
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMeta | null;
  readonly entries: readonly Entry[];
};

export type Node = {
  readonly id: MemberId;
  readonly core: Core;
  readonly disk: NodeDisk;
  /** Handed to storage and not durable, oldest first. */
  readonly pending: readonly (Store | Compact)[];
  readonly applied: LogIndex;
};

export type Letter = { readonly from: MemberId; readonly to: MemberId; readonly message: Message };

/** What everybody else has to know of an action. */
export type Outcome = {
  readonly node: Node;
  readonly sent: readonly Letter[];
  /** Newly below commitIndex, or applied, or what a snapshot says of its last entry. */
  readonly committed: readonly Entry[];
  readonly installed: { readonly index: LogIndex; readonly term: Term } | null;
  readonly answered: readonly { readonly request: RequestId; readonly readIndex: LogIndex }[];
  readonly refused: readonly RequestId[];
  readonly violations: readonly string[];
  readonly effects: readonly CoreEffect[];
};

/** A deliberate mistake, to see whether it is found. */
export type Tamper = {
  /** What the core is told in place of `event`. */
  readonly event?: (core: Core, event: CoreEvent) => CoreEvent;
  /** Called before and after each turn, to twist the core's state. */
  readonly core?: (core: Core) => void;
  readonly effects?: (core: Core, out: Out) => void;
  readonly restart?: (disk: NodeDisk) => NodeDisk;
};

export type NodeOptions = {
  readonly config: GroupConfig;
  /** Storage acknowledges within the action; otherwise that is an action of its own. */
  readonly storesAtOnce: boolean;
  /** Promises and silence are told apart; otherwise nobody is bound, and every peer was just heard. */
  readonly silence: boolean;
  readonly tamper: Tamper | null;
};

export const agedMs = 1_000_000;
const aliveMs = 1;

/** What an action gathers while it runs. */
type Run = {
  readonly id: MemberId;
  readonly options: NodeOptions;
  readonly core: Core;
  disk: NodeDisk;
  pending: (Store | Compact)[];
  applied: LogIndex;
  commitSeen: LogIndex;
  readonly sent: Letter[];
  readonly committed: Entry[];
  installed: { index: LogIndex; term: Term } | null;
  readonly answered: { request: RequestId; readIndex: LogIndex }[];
  readonly refused: RequestId[];
  readonly violations: string[];
  readonly effects: CoreEffect[];
};

function beginRun(node: Omit<Node, "core">, core: Core, options: NodeOptions): Run {
  const { id, disk, pending, applied } = node;
  return {
    ...{ id, options, core, disk, pending: pending.slice(), applied },
    commitSeen: core.commitIndex,
    ...{ sent: [], committed: [], installed: null, answered: [], refused: [] },
    ...{ violations: [], effects: [] },
  };
}

function endRun(run: Run): Outcome {
  const { id, core, disk, pending, applied, options } = run;
  const { committed, installed, answered, refused } = run;
  const sent = run.sent.filter((letter, at) => !isOvertaken(letter, run.sent.slice(at + 1)));
  run.violations.push(...checkCore(core));
  if (applied !== core.lastApplied)
    run.violations.push(`${id}: lastApplied is not what it applied`);
  standStill(core, options.silence);
  const node: Node = { id, core, disk, pending, applied };
  const { violations, effects } = run;
  return { node, sent, committed, installed, answered, refused, violations, effects };
}

/** Of two acknowledgements that one action sends to one member, only the later one arrives. */
function isOvertaken({ to, message }: Letter, later: readonly Letter[]): boolean {
  if (message.type !== "appendEntriesReply" || !message.success) return false;
  return later.some((other) => other.to === to && other.message.type === "appendEntriesReply");
}

/** Time as two kinds: what still counts, and what is over. */
function standStill(core: Core, silence: boolean): void {
  const { role, nowMs } = core;
  const { electionTimeoutMs } = core.config;
  const bound = silence && core.promisedUntilMs > nowMs;
  core.promisedUntilMs = bound ? electionTimeoutMs : -Infinity;
  core.nextGraceMs = -Infinity;
  // Any write may take any time here, and nobody holds back for it: more can happen, not less.
  core.disk.silentSinceMs = Infinity;
  for (const one of core.reads.asked) one.sinceMs = 0;
  if (role.type === "leader") {
    role.leaseFloorMs = 0;
    for (const peer of role.peers) {
      const responsive = !silence || nowMs - peer.lastContactMs < electionTimeoutMs;
      peer.lastContactMs = responsive ? 0 : -agedMs;
      peer.ackedSentAtMs = -Infinity;
      peer.catchUpSinceMs = 0;
      if (peer.sending !== null) peer.sending.busySinceMs = responsive ? 0 : -agedMs;
    }
  } else if (role.type === "follower" || role.type === "learner") role.sentAtMs = 0;
  core.nowMs = 0;
}

/** Born with this disk, or come back with it. */
export function bootNode(
  id: MemberId,
  disk: NodeDisk,
  firstReadBatch: number,
  restarted: boolean,
  options: NodeOptions,
): Outcome {
  const found = restarted ? (options.tamper?.restart?.(disk) ?? disk) : disk;
  const out: Out = [];
  const core = createCore(
    {
      ...{
        self: { id, address: id },
        nowMs: 0,
        hardState: found.hardState,
        snapshot: found.snapshot,
      },
      ...{ entries: found.entries, config: options.config, firstReadBatch, restarted },
    },
    out,
  );
  const applied = found.snapshot?.index ?? 0;
  const run = beginRun({ id, disk: found, pending: [], applied }, core, options);
  run.commitSeen = applied;
  endTurn(core, out);
  perform(run, out);
  return endRun(run);
}

/** Loses power: of what was handed over, `kept` got to the disk. */
export function restartNode(
  node: Node,
  kept: number,
  firstReadBatch: number,
  options: NodeOptions,
): Outcome {
  const run = beginRun(node, node.core, options);
  persist(run, kept);
  return bootNode(node.id, run.disk, firstReadBatch, true, options);
}

/** The oldest hand-over becomes durable, and storage says so. */
export function storeOne(node: Node, options: NodeOptions): Outcome {
  const run = beginRun(node, cloneCore(node.core), options);
  takeTurns(run, persist(run, 1));
  return endRun(run);
}

/** Each event in a turn of its own. */
export function tellNode(node: Node, events: readonly CoreEvent[], options: NodeOptions): Outcome {
  const run = beginRun(node, cloneCore(node.core), options);
  for (const event of events) takeTurns(run, [event]);
  return endRun(run);
}

function takeTurns(run: Run, events: readonly CoreEvent[]): void {
  const { core } = run;
  const { tamper } = run.options;
  const out: Out = [];
  try {
    tamper?.core?.(core);
    for (const event of events) step(core, tamper?.event?.(core, event) ?? event, out);
    endTurn(core, out);
    tamper?.core?.(core);
    tamper?.effects?.(core, out);
    perform(run, out);
  } catch (error) {
    run.violations.push(`${run.id} threw: ${messageOf(error)}`);
  }
}

/** Carries out a turn's effects; what storage answers at once makes further turns. */
function perform(run: Run, out: readonly CoreEffect[]): void {
  const { core } = run;
  for (const entry of allEntries(core.log)) {
    const isNew = entry.index > run.commitSeen && entry.index <= core.commitIndex;
    if (isNew) run.committed.push(entry);
  }
  run.commitSeen = core.commitIndex;
  const answers: CoreEvent[] = [];
  for (const effect of out) performOne(run, effect, answers);
  run.effects.push(...out);
  if (answers.length > 0) takeTurns(run, answers);
}

function performOne(run: Run, effect: CoreEffect, answers: CoreEvent[]): void {
  switch (effect.type) {
    case "send":
      checkPromise(run, effect.to, effect.message);
      run.sent.push({ from: run.id, to: effect.to, message: withoutTime(effect.message) });
      return;
    case "store":
    case "compactLog":
      run.pending.push(effect);
      if (run.options.storesAtOnce) answers.push(...persist(run, run.pending.length));
      return;
    case "apply":
      for (const entry of effect.entries) {
        if (entry.index !== run.applied + 1) run.violations.push(`${run.id} applies out of order`);
        run.applied = entry.index;
        run.committed.push(entry);
      }
      return;
    case "answerReads":
      for (const request of effect.requests) {
        run.answered.push({ request, readIndex: effect.readIndex });
      }
      if (run.applied < effect.readIndex) run.violations.push(`${run.id} answers too early`);
      return;
    case "refused":
      run.refused.push(effect.request);
      return;
    case "takeSnapshot":
    case "readSnapshotChunk":
    case "writeSnapshotChunk":
    case "installSnapshot":
      answers.push(...performSnapshot(run, effect));
      return;
    case "accepted":
    case "setTimer":
    case "cancelTimer":
    case "roleChanged":
    case "membershipChanged":
    case "configChanged":
    case "removed":
      return;
    default:
      effect satisfies never;
  }
}

type SnapshotEffect = Extract<
  CoreEffect,
  { type: "takeSnapshot" | "readSnapshotChunk" | "writeSnapshotChunk" | "installSnapshot" }
>;

/** A snapshot is one byte: what it stands for is said by its index and term alone. */
function performSnapshot(run: Run, effect: SnapshotEffect): CoreEvent[] {
  switch (effect.type) {
    case "takeSnapshot": {
      const { index, term, timeMs, membership, membershipIndex, config } = effect;
      const meta = { index, term, timeMs, membership, membershipIndex, config };
      const snapshot: SnapshotMeta = { ...meta, sizeBytes: 1, checksum: index, valueVersion: 1 };
      run.disk = { ...run.disk, snapshot };
      return [{ type: "snapshotSaved", snapshot }];
    }
    case "readSnapshotChunk": {
      const { to, index, offset } = effect;
      const held = run.disk.snapshot?.index === index;
      const data = held ? new Uint8Array(1 - offset) : null;
      return [{ type: "snapshotChunkRead", to, index, offset, data, nowMs: run.core.nowMs }];
    }
    case "writeSnapshotChunk": {
      const { index, term } = effect.snapshot;
      return [{ type: "snapshotChunkWritten", index, term, sizeBytes: effect.offset + 1 }];
    }
    case "installSnapshot": {
      const { snapshot } = effect;
      const { index, term } = snapshot;
      if (index <= run.applied) run.violations.push(`${run.id} rewinds to ${index}`);
      run.disk = { ...run.disk, snapshot };
      run.applied = index;
      run.installed = { index, term };
      run.commitSeen = Math.max(run.commitSeen, index);
      return [{ type: "snapshotInstalled", index, term, ok: true }];
    }
    default:
      return effect satisfies never;
  }
}

/** What was handed over becomes durable; returns what storage says then. */
function persist(run: Run, count: number): CoreEvent[] {
  const events: CoreEvent[] = [];
  for (const one of run.pending.splice(0, count)) {
    const { disk } = run;
    if (one.type === "compactLog") {
      const entries = disk.entries.filter(({ index }) => index >= one.firstIndex);
      run.disk = { ...disk, entries };
      continue;
    }
    const { hardState, truncateFrom, ticket } = one;
    let entries = disk.entries;
    if (truncateFrom > 0) entries = entries.filter(({ index }) => index < truncateFrom);
    const next = (entries.at(-1)?.index ?? disk.snapshot?.index ?? 0) + 1;
    const fresh = one.entries.filter(({ index }) => entries.length > 0 || index >= next);
    if (fresh.length > 0 && fresh[0]!.index !== next) {
      run.violations.push(`${run.id} stores ${fresh[0]!.index} where ${next} is due`);
    }
    const before = disk.hardState;
    const sameTerm = hardState !== null && before?.currentTerm === hardState.currentTerm;
    if (sameTerm && before.votedFor !== null && before.votedFor !== hardState.votedFor) {
      run.violations.push(`${run.id} changes its vote of term ${hardState.currentTerm}`);
    }
    run.disk = {
      hardState: hardState ?? before,
      snapshot: disk.snapshot,
      entries: fresh.length > 0 ? [...entries, ...fresh] : entries,
    };
    events.push({ type: "stored", ticket, nowMs: run.core.nowMs });
  }
  return events;
}

/** Persist before send: what leaves as a vote or an acknowledgement is what a crash would leave. */
function checkPromise(run: Run, to: MemberId, message: Message): void {
  const { disk, core, id } = run;
  const broken = (what: string): void => {
    run.violations.push(`${id}->${to} ${message.type}: ${what}`);
  };
  const { hardState } = disk;
  if (message.type === "requestVoteReply" && message.granted) {
    const stored = hardState?.currentTerm === message.term && hardState.votedFor === to;
    if (!stored) broken("the vote is not durable");
  } else if (message.type === "appendEntriesReply" && message.success) {
    const { matchIndex } = message;
    const durable =
      matchIndex <= (disk.snapshot?.index ?? 0) ||
      disk.entries.some(
        ({ index, term }) => index === matchIndex && term === termAt(core.log, index),
      );
    if (!durable) broken(`entry ${matchIndex} is not durable`);
    if ((hardState?.currentTerm ?? 0) < message.term) broken("its term is not durable");
  } else if (message.type === "appendEntries") {
    const stored = hardState?.currentTerm === message.term && hardState.votedFor === id;
    if (!stored) broken("it leads without a durable vote of its own");
  }
}

function withoutTime(message: Message): Message {
  return "sentAtMs" in message ? { ...message, sentAtMs: 0 } : message;
}

/** The time at which an action's event happens. */
export function timeOf(aged: boolean): number {
  return aged ? agedMs : aliveMs;
}
