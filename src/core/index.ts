/**
 * The pure core of Raft: no I/O, no clock, no randomness, no promises.
 *
 * THE CONTRACT
 *
 * What the shell owes the core
 * - It calls `step` for each event, in the order in which things happened, and `flush` at the end of a
 *   turn; then it performs the effects, in order, before the next turn of the same core.
 * - While `isUnfinished` is true after that it calls `finish`, and performs the effects likewise: best once
 *   the messages of the turn have left, because nobody else waits for what is left to do.
 * - `store`: makes all of it durable, in ticket order, and says `stored` only then. Memory storage says
 *   it at once. A write that failed is never said to be stored: the event is `storageFailed`.
 * - `send`: may lose, delay, repeat and reorder messages; never changes one; delivers a message only to
 *   the member (incarnation) and group that it was for, with the sender's true id.
 * - `setTimer`: draws a delay uniformly from [minMs, maxMs] and says `timerFired` once, not before it has
 *   passed on this member's monotonic clock; setting it again replaces it. Early or late timers cost
 *   liveness, never safety, except for leases, which rest on clocks that drift less than the margin.
 * - `apply`: applies the entries in order before it answers anything that comes behind in the turn.
 * - `takeSnapshot`: takes the value as it is at that very moment. `installSnapshot`: replaces the value
 *   before it says `snapshotInstalled`.
 * - `answerReads` with `leaseUntilMs`: looks at the clock again after the answer was made and before it
 *   leaves; when the lease has run out, asks anew.
 * - Events bring `nowMs`, which never falls.
 * - It may offer a message to `hearSignOfLife` first, and a leader's heartbeat to `beatAgain`, between two
 *   turns: where they return true, that was all, and no turn is due for it. It says `expectTurn` of
 *   events that it keeps for a turn.
 * - If `hasBacklog` is true even then, another turn is due, with or without events, after it has let others
 *   have theirs: a long log is applied in slices.
 *
 * What the core owes the shell
 * - Every request comes to an end: `apply` of its entry, `answerReads`, `accepted` or `refused`, or the
 *   shell's own knowledge that this member no longer leads (`roleChanged`).
 * - No message's content makes it throw. A broken invariant does (AssertionError), and then the member
 *   must stop: its state cannot be trusted any more.
 * - Effects are plain data and are never touched again after they were emitted. At most one `store` from
 *   each of `flush` and `finish`, one `appendEntries` a peer unless a packet is full.
 * - A vote or acknowledgement leaves only when what it promises is stored.
 */
export { bootstrapEntries, createCore, expectTurn, step, type CoreInit } from "./core.js";
export { cloneCore } from "./clone.js";
export { hasBacklog } from "./commit.js";
export { defaultGroupConfig, validateGroupConfig } from "./config.js";
export { checkCluster, checkCore } from "./invariants.js";
export { hostIdOf } from "./memberships.js";
export { readableUntilMs } from "./reads.js";
export {
  beatAgain,
  hearPulse,
  hearSignOfLife,
  type Pulse,
  type Rest,
  restAgain,
  takePulse,
  takeRest,
} from "./sign-of-life.js";
export { endTurn, finish, flush, isUnfinished } from "./turn-end.js";
export { readStatus, type CoreMemberStatus, type CoreStatus } from "./status.js";
export type * from "./types.js";
export type { Core, Out, Peer, Role } from "./state.js";
