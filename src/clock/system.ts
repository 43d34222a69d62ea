/** The real clock and real randomness of a Node process. */
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Clock, Random, TimerHandle } from "../ports.js";

/** Longest delay that setTimeout takes; beyond, it would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

/** A clock over `performance.now`, `Date.now`, `setTimeout` and `setImmediate`. */
export function createSystemClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after(delayMs: number, callback: () => void): TimerHandle {
      return waitOn(performance.now() + delayMs, callback);
    },
    soon(callback: () => void): void {
      setImmediate(callback);
    },
    poll(callback: () => void): void {
      setImmediate(callback);
    },
  };
}

/** setTimeout truncates to whole milliseconds and may fire a little early: wait again until it is due. */
function waitOn(dueMs: number, callback: () => void): TimerHandle {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const leftMs = dueMs - performance.now();
    if (leftMs <= 0) return callback();
    timer = setTimeout(arm, Math.min(Math.ceil(leftMs), longestDelayMs));
  };
  timer = setTimeout(
    arm,
    Math.min(Math.max(0, Math.ceil(dueMs - performance.now())), longestDelayMs),
  );
  return { cancel: () => clearTimeout(timer) };
}

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** `id()` carries 100 bits of the operating system's randomness. */
export function createSystemRandom(): Random {
  return {
    // Jitter of timers: drawn at every heartbeat, and nobody gains by guessing it.
    next: () => Math.random(),
    id(): string {
      let id = "";
      for (const byte of randomBytes(20)) id += alphabet[byte & 31]!;
      return id;
    },
  };
}
