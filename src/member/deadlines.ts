/**
 * The timers of one member as stored deadlines: setting one is two array writes, and the host has a
 * single clock timer for the earliest of all its members.
 */
import type { TimerName } from "../core/types.js";

export const timerNames: readonly TimerName[] = [
  "election",
  "heartbeat",
  "commitNotify",
  "transfer",
];

/** Long delays are rounded up to this, so that many idle groups wake the host together. */
const coarseMs = 5;
/** Shorter delays are kept as they are. */
const coarseFromMs = 40;
/**
 * Heartbeats fall on a grid of so many steps, the same for all members of a host that beat equally
 * often: a turn then carries the beats of many groups, in one write for each connection.
 */
const beatSteps = 2;

export type Deadlines = { readonly at: Float64Array; earliestMs: number };

export function createDeadlines(): Deadlines {
  return { at: new Float64Array(timerNames.length).fill(Infinity), earliestMs: Infinity };
}

/** Returns true if another deadline is the earliest now, which is when the host must hear of it. */
export function setDeadline(
  deadlines: Deadlines,
  timer: TimerName,
  nowMs: number,
  delayMs: number,
): boolean {
  const due = timer === "heartbeat" ? nextBeat(nowMs, delayMs) : roundUp(nowMs, delayMs);
  const before = deadlines.earliestMs;
  putDeadline(deadlines, timer, due);
  return deadlines.earliestMs !== before;
}

/** After one at `nowMs`. Rounded down: who waits for a beat does not wait for longer than was agreed. */
export function nextBeat(nowMs: number, delayMs: number): number {
  const stepMs = delayMs / beatSteps;
  return stepMs > 0 ? Math.floor((nowMs + delayMs) / stepMs) * stepMs : nowMs;
}

function roundUp(nowMs: number, delayMs: number): number {
  const exact = nowMs + delayMs;
  return delayMs >= coarseFromMs ? Math.ceil(exact / coarseMs) * coarseMs : exact;
}

/** To that very moment, which `setDeadline` would round. */
export function putDeadline(deadlines: Deadlines, timer: TimerName, dueMs: number): void {
  const { at } = deadlines;
  const which = timerNames.indexOf(timer);
  const wasEarliest = at[which]! === deadlines.earliestMs;
  at[which] = dueMs;
  if (dueMs < deadlines.earliestMs) deadlines.earliestMs = dueMs;
  else if (wasEarliest) {
    // Exact, or every member would wake the host for each deadline that a message has moved on.
    let earliest = Infinity;
    for (let i = 0; i < at.length; i++) if (at[i]! < earliest) earliest = at[i]!;
    deadlines.earliestMs = earliest;
  }
}

export function deadlineOf(deadlines: Deadlines, timer: TimerName): number {
  return deadlines.at[timerNames.indexOf(timer)]!;
}

/** As `setDeadline`. */
export function clearDeadline(deadlines: Deadlines, timer: TimerName): boolean {
  const before = deadlines.earliestMs;
  putDeadline(deadlines, timer, Infinity);
  return deadlines.earliestMs !== before;
}

export function clearDeadlines(deadlines: Deadlines): void {
  deadlines.at.fill(Infinity);
  deadlines.earliestMs = Infinity;
}

/** Takes out what ran out and recomputes the earliest of the rest. */
export function takeDue(deadlines: Deadlines, nowMs: number, due: TimerName[]): void {
  let earliest = Infinity;
  for (let i = 0; i < timerNames.length; i++) {
    const at = deadlines.at[i]!;
    if (at <= nowMs) {
      deadlines.at[i] = Infinity;
      due.push(timerNames[i]!);
    } else if (at < earliest) earliest = at;
  }
  deadlines.earliestMs = earliest;
}
