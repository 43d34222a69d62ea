/**
 * One group's replica in one process: an inbox of events, and turns.
 *
 *     a turn:  step every event of the inbox -> flush -> carry out the effects
 *     its rest, once they have left:           finish -> carry out the effects
 *
 * Everything is synchronous and nothing calls upward: storage, transport and clock answer by putting
 * events into the inbox. Memory storage answers within the turn, so the host runs turns until no
 * inbox holds anything. Timers that ran out become events only after what peers said meanwhile was
 * taken in (`fireTimers`), because a member that slept itself must not take its peers for silent.
 *
 * A broken invariant or a committed record that does not decode ends the member, and only it
 * (fail-stop): its callers hear `internal`, the host and its other groups go on.
 */
import type { GroupEvent } from "../client/types.js";
import type { ClientRequest, LeaderHint } from "../codec/types.js";
import { expectTurn, hearSignOfLife, type Pulse, takePulse, takeRest } from "../core/index.js";
import type {
  CoreEffect,
  LogIndex,
  MemberId,
  Membership,
  Message,
  RoleName,
  SnapshotMeta,
  Term,
  Ticket,
  TimerName,
} from "../core/types.js";
import { messageOf, RaftError } from "../errors.js";
import {
  beatReplicaAgain,
  finishReplica,
  flushReplica,
  isBehind,
  isUnfinishedReplica,
  type Replica,
  stepReplica,
} from "../replica.js";
import type { AnyDefinedValue } from "../value/types.js";
import { createMemberState, type MemberOptions } from "./create.js";
import { clearDeadline, clearDeadlines, deadlineOf, putDeadline, takeDue } from "./deadlines.js";
import { runHooks } from "./hooks.js";
import { performAll, setTimer } from "./perform.js";
import { answerEnded } from "./replies.js";
import { barrierRequested } from "./reads.js";
import { clientRequested } from "./requests.js";
import { letGoArrived, snapshotLost, snapshotsGoOn, snapshotWasSaved } from "./saved.js";
import { snapshotPieceRead, snapshotPiecesFailed } from "./snapshot-pieces.js";
import { abortTaking, hasSnapshotWork } from "./snapshots.js";
import { addressOf, isInboxFull, type MemberState, post } from "./state.js";
import { currentEvents, leaderHintOf } from "./status.js";
import type { ReplySink } from "./types.js";
import { takeAll } from "./waiting.js";

export class Member {
  readonly #state: MemberState;
  readonly #due: TimerName[] = [];

  constructor(options: MemberOptions) {
    this.#state = createMemberState(options);
    options.services.wake();
  }

  // -------------------------------------------------------------------------------------------
  // What the host may know

  get id(): MemberId {
    return this.#state.self.id;
  }
  get groupId(): string | null {
    return this.#state.groupId;
  }
  get definition(): AnyDefinedValue {
    return this.#state.definition;
  }
  get role(): RoleName {
    return this.#state.role;
  }
  get term(): Term {
    return this.#state.term;
  }
  get leader(): MemberId | null {
    return this.#state.leader;
  }
  /** The membership in force, committed or not. */
  get membership(): Membership {
    return this.#state.replica.core.membership;
  }
  get stopped(): boolean {
    return this.#state.stopped;
  }
  /** The earliest deadline, exactly: one that is too early would wake the host for nothing. */
  get earliestMs(): number {
    return this.#state.deadlines.earliestMs;
  }
  /** A loop that was late by less than this has not slept. */
  get stallMs(): number {
    return this.#state.replica.core.config.heartbeatMs / 2;
  }
  get electionTimeoutMs(): number {
    return this.#state.replica.core.config.electionTimeoutMs;
  }
  /** For invariant checks in tests; never written to. */
  get replica(): Replica {
    return this.#state.replica;
  }

  get lastHeardMs(): number {
    return this.#state.lastHeardMs;
  }

  addressOf(id: MemberId): string | null {
    return addressOf(this.#state, id);
  }

  leaderHint(channel: number): LeaderHint {
    return leaderHintOf(this.#state, channel);
  }

  currentEvents(): readonly GroupEvent[] {
    return currentEvents(this.#state);
  }

  /** A newcomer learns the id of the group that took it in. */
  adopt(groupId: string): void {
    this.#state.groupId = groupId;
  }

  // -------------------------------------------------------------------------------------------
  // From peers and storage

  /**
   * A message that does not fit into the inbox is dropped, as a network might. True: it was nothing but a sign
   * of life, and no turn is due for it.
   */
  receive(from: MemberId, message: Message, sizeBytes: number): boolean {
    const state = this.#state;
    if (state.stopped || isInboxFull(state, sizeBytes)) return false;
    const nowMs = state.services.clock.nowMs();
    state.lastHeardMs = nowMs;
    try {
      const { replica, inbox } = state;
      const out = state.out as CoreEffect[];
      if (inbox.length === 0 && hearSignOfLife(replica.core, from, message, nowMs, out)) {
        this.#perform();
        return true;
      }
      post(state, { type: "messageReceived", from, message, nowMs }, sizeBytes);
    } catch (cause) {
      this.#break(cause);
    }
    return false;
  }

  /** As `receive`. Returns the short way for the same message at another time, if there is one. */
  receiveRepeat(from: MemberId, message: Message, sizeBytes: number): Pulse | null {
    return this.receive(from, message, sizeBytes)
      ? takePulse(this.#state.replica.core, from, message)
      : null;
  }

  /** A beat was heard the short way: what the last one brought besides its echo. */
  beatHeard(nowMs: number): void {
    const state = this.#state;
    state.lastHeardMs = nowMs;
    if (state.election !== null) setTimer(state, state.election);
  }

  peerDisconnected(peer: MemberId): void {
    post(this.#state, { type: "peerDisconnected", peer }, 0);
  }

  storedTicket(ticket: Ticket): void {
    const nowMs = this.#state.services.clock.nowMs();
    post(this.#state, { type: "stored", ticket, nowMs }, 0);
  }

  snapshotChunkWritten(index: LogIndex, term: Term, sizeBytes: number): void {
    post(this.#state, { type: "snapshotChunkWritten", index, term, sizeBytes }, 0);
  }

  snapshotSaved(snapshot: SnapshotMeta, ok: boolean): void {
    if (!this.#state.stopped) snapshotWasSaved(this.#state, snapshot, ok);
  }

  snapshotChunkRead(
    to: MemberId,
    index: LogIndex,
    offset: number,
    data: Uint8Array | "later" | null,
  ): void {
    if (snapshotPieceRead(this.#state, to, index, data)) return;
    // The core asks again after an election timeout, as it does when an answer never came.
    if (data === "later") return;
    const nowMs = this.#state.services.clock.nowMs();
    post(
      this.#state,
      { type: "snapshotChunkRead", to, index, offset, data, nowMs },
      data?.length ?? 0,
    );
  }

  storageFailed(message: string): void {
    const state = this.#state;
    if (state.stopped || state.storageFailure !== null) return;
    state.storageFailure = message;
    state.services.notify({ type: "storage", message });
    snapshotLost(state);
    snapshotPiecesFailed(state);
    post(state, { type: "storageFailed" }, 0);
  }

  // -------------------------------------------------------------------------------------------
  // From callers

  request(sink: ReplySink, request: ClientRequest): void {
    const state = this.#state;
    if (state.stopped) {
      sink.reply(request.request, "unavailable", "no", 0, new Uint8Array(0));
      return;
    }
    try {
      clientRequested(state, sink, request);
    } catch (cause) {
      this.#break(cause);
    }
  }

  /** Answers "ok" once this member has applied what was committed when it was asked. */
  barrier(sink: ReplySink, request: number): void {
    barrierRequested(this.#state, sink, request);
  }

  // -------------------------------------------------------------------------------------------
  // Turns

  turn(): void {
    const state = this.#state;
    if (state.stopped) return;
    try {
      this.#step();
    } catch (cause) {
      this.#break(cause);
    }
  }

  /**
   * Acts on the deadlines that have passed. The host calls it when the sockets have been read since
   * they passed; `lateMs` is how long after its time it comes.
   */
  fireTimers(nowMs: number, lateMs: number): void {
    const state = this.#state;
    if (state.stopped) return;
    try {
      if (lateMs >= this.stallMs) post(state, { type: "stalled", lateMs, nowMs }, 0);
      // What peers said first: it may move the very deadline that has passed.
      this.#step();
      const due = this.#due;
      takeDue(state.deadlines, nowMs, due);
      if (due.length === 1 && due[0] === "heartbeat" && this.#beatAgain(nowMs)) return;
      for (const timer of due) post(state, { type: "timerFired", timer, nowMs }, 0);
      due.length = 0;
      this.#step();
    } catch (cause) {
      this.#break(cause);
    }
  }

  /** The host has sent this leader's beats so far (`takesBeats`), and the next ones are not the same. */
  beatDue(nowMs: number, lateMs: number): void {
    putDeadline(this.#state.deadlines, "heartbeat", nowMs);
    this.fireTimers(nowMs, lateMs);
  }

  #beatAgain(nowMs: number): boolean {
    const { replica, out, deadlines, services } = this.#state;
    if (!beatReplicaAgain(replica, nowMs, out)) return false;
    this.#due.length = 0;
    this.#perform();
    const { heartbeatMs } = replica.core.config;
    const dueMs = deadlineOf(deadlines, "heartbeat");
    if (services.takesBeats(takeRest(replica.core), heartbeatMs, dueMs)) {
      clearDeadline(deadlines, "heartbeat");
      services.deadlineSet(deadlines.earliestMs);
    }
    return true;
  }

  #step(): void {
    const state = this.#state;
    if (state.stopped) return;
    const { replica, snapshots } = state;
    if (state.inbox.length > 0 || state.out.length > 0 || isBehind(replica)) this.#stepAll();
    const isUnfinished = isUnfinishedReplica(replica) || hasSnapshotWork(snapshots);
    if (!state.stopped && isUnfinished) state.services.finishLater();
  }

  #stepAll(): void {
    const state = this.#state;
    const { replica, inbox, out } = state;
    state.inbox = [];
    state.inboxBytes = 0;
    state.proposedAtMs = null;
    for (let i = 0; i < inbox.length; i++) stepReplica(replica, inbox[i]!, out);
    flushReplica(replica, out);
    // Who waits with a leader of before has the exact answer in the turn that tells of it.
    if (state.role === "leader" && replica.core.role.type !== "leader") finishReplica(replica, out);
    this.#perform();
    runHooks(state.hooks);
    letGoArrived(state);
  }

  /** What is left of a turn (`finishLater`), once what it has sent has left. */
  finishTurn(): void {
    const state = this.#state;
    if (state.stopped) return;
    try {
      const { replica, out } = state;
      finishReplica(replica, out);
      this.#perform();
      runHooks(state.hooks);
      if (state.stopped) return;
      snapshotsGoOn(state);
      if (isBehind(replica)) state.services.wakeLater();
    } catch (cause) {
      this.#break(cause);
    }
  }

  /** Carries out what `out` has gathered. */
  #perform(): void {
    const state = this.#state;
    const { out } = state;
    if (out.length === 0) return;
    state.out = [];
    if (performAll(state, out)) this.#end(this.#removedError());
  }

  /** The group has taken this member out while it could not hear of it. */
  removedUnheard(): void {
    if (!this.#state.stopped) this.#end(this.#removedError());
  }

  /** Ends the member: everybody who waits is answered. Idempotent. */
  stop(): void {
    if (!this.#state.stopped) this.#end(null);
  }

  /** Something was thrown where nothing may: this member cannot go on. */
  #break(cause: unknown): void {
    if (this.#state.stopped) return;
    const why = messageOf(cause);
    const { group, self, services } = this.#state;
    // What a value or a storage refuses is no defect of ours: its own code says what to do.
    const code = cause instanceof RaftError ? cause.code : "internal";
    const how = code === "internal" ? "found itself broken and stopped" : "had to stop";
    const message = `member ${self.id} of group "${group}" ${how}: ${why}`;
    services.logger.error({ group, member: self.id, err: cause }, message);
    this.#end(new RaftError(code, message, { applied: "maybe", cause }));
  }

  #end(error: RaftError | null): void {
    const state = this.#state;
    const { group, self, services } = state;
    abortTaking(state.snapshots);
    state.stopped = true;
    clearDeadlines(state.deadlines);
    state.inbox = [];
    state.inboxBytes = 0;
    state.snapshots.arriving = null;
    state.snapshots.loading = null;
    expectTurn(state.replica.core);
    const message = error?.message ?? `member ${self.id} of group "${group}" was closed`;
    answerEnded(takeAll(state.waiting), error?.code ?? "closed", message);
    services.stopped(error);
  }

  #removedError(): RaftError {
    const { group, self } = this.#state;
    return new RaftError("removed", `member ${self.id} was taken out of group "${group}"`);
  }
}
