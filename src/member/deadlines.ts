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

export type Deadlines = { readonly at: Float64Array; earliestMs: number };

export function createDeadlines(): Deadlines {
  return { at: new Float64Array(timerNames.length).fill(Infinity), earliestMs: Infinity };
}

/** Returns true if the earliest deadline came nearer, which is when the host must hear of it. */
export function setDeadline(
  deadlines: Deadlines,
  timer: TimerName,
  nowMs: number,
  delayMs: number,
): boolean {
  const exact = nowMs + delayMs;
  const due = delayMs >= coarseFromMs ? Math.ceil(exact / coarseMs) * coarseMs : exact;
  deadlines.at[timerNames.indexOf(timer)] = due;
  if (due < deadlines.earliestMs) {
    deadlines.earliestMs = due;
    return true;
  }
  return false;
}

/** `earliestMs` may now be too early; that costs one idle look at the next tick. */
export function clearDeadline(deadlines: Deadlines, timer: TimerName): void {
  deadlines.at[timerNames.indexOf(timer)] = Infinity;
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
