/**
 * The beats of leaders that have nothing to say but what they said before (`Rest`). A host with a thousand
 * idle groups would give each of them a turn at every heartbeat; here they are gone through as one list, and
 * who is not at rest any more gets its turn.
 */
import { restAgain, type Rest } from "../core/index.js";
import { nextBeat } from "../member/deadlines.js";
import type { HostedGroup } from "./hosted-group.js";
import type { PeerChannel } from "./peer-links.js";
import type { Turns, TurnTaker } from "./turns.js";

type Sleeper = {
  readonly group: HostedGroup;
  readonly rest: Rest;
  readonly channels: readonly PeerChannel[];
};

/** Whose next beat is due at the same moment, and the one after it as well. */
type Row = { readonly heartbeatMs: number; dueMs: number; readonly sleepers: Sleeper[] };

export class Resting implements TurnTaker {
  woken = false;
  unfinished = false;
  place = -1;
  /** The members hear of a stall themselves. */
  readonly stallMs = Infinity;
  readonly #turns: Turns;
  #rows: Row[] = [];

  constructor(turns: Turns) {
    this.#turns = turns;
    turns.add(this);
  }

  get earliestMs(): number {
    let earliest = Infinity;
    for (const { dueMs } of this.#rows) if (dueMs < earliest) earliest = dueMs;
    return earliest;
  }

  /** False unless what `group` has just said on its channels is what `rest` would say. */
  takes(group: HostedGroup, rest: Rest, heartbeatMs: number, dueMs: number): boolean {
    const channels: PeerChannel[] = [];
    for (const { id } of rest.peers) {
      const channel = group.repeatingTo(id);
      if (channel === null) return false;
      channels.push(channel);
    }
    this.#add(heartbeatMs, dueMs, { group, rest, channels });
    return true;
  }

  #add(heartbeatMs: number, dueMs: number, sleeper: Sleeper): void {
    const row = this.#rowOf(heartbeatMs, dueMs);
    if (row !== null) row.sleepers.push(sleeper);
    else this.#put({ heartbeatMs, dueMs, sleepers: [sleeper] });
  }

  #put(row: Row): void {
    this.#rows.push(row);
    this.#turns.deadlineSet(this, this.earliestMs);
  }

  #rowOf(heartbeatMs: number, dueMs: number): Row | null {
    for (const row of this.#rows) {
      if (row.dueMs === dueMs && row.heartbeatMs === heartbeatMs) return row;
    }
    return null;
  }

  turn(): void {
    // Nothing but time brings anything here.
  }

  finishTurn(): void {
    // Nor is anything ever left.
  }

  fireTimers(nowMs: number, lateMs: number): void {
    const due = this.#rows.filter(({ dueMs }) => dueMs <= nowMs);
    if (due.length === 0) return;
    this.#rows = this.#rows.filter(({ dueMs }) => dueMs > nowMs);
    for (const row of due) {
      const { heartbeatMs, sleepers } = row;
      const awake = beatAll(sleepers, nowMs);
      row.dueMs = nextBeat(nowMs, heartbeatMs);
      const other = this.#rowOf(heartbeatMs, row.dueMs);
      if (other !== null) for (const sleeper of sleepers) other.sleepers.push(sleeper);
      else if (sleepers.length > 0) this.#put(row);
      for (const { group } of awake) group.member.beatDue(nowMs, lateMs);
    }
  }
}

/** Beats for all that are still at rest; the others leave the list, which is kept, and are returned. */
function beatAll(sleepers: Sleeper[], nowMs: number): Sleeper[] {
  const awake: Sleeper[] = [];
  let kept = 0;
  for (let at = 0; at < sleepers.length; at++) {
    const sleeper = sleepers[at]!;
    if (restAgain(sleeper.rest, nowMs) && repeatAll(sleeper.channels, nowMs)) {
      sleepers[kept++] = sleeper;
    } else {
      awake.push(sleeper);
    }
  }
  // Not otherwise: an array whose length is set gives its room away and has to grow again.
  if (kept < sleepers.length) sleepers.length = kept;
  return awake;
}

function repeatAll(channels: readonly PeerChannel[], nowMs: number): boolean {
  for (const channel of channels) {
    if (!channel.link.canRepeat(channel)) return false;
    channel.link.repeat(channel, nowMs, nowMs);
  }
  return true;
}
