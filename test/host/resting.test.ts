/** The list of leaders at rest: each beats in its time, and none is lost from it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rest } from "../../src/core/index.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
import { Resting } from "../../src/host/resting.js";
import type { Turns } from "../../src/host/turns.js";

/** A leader with one peer, as far as a list of them looks at it. */
class Leader {
  readonly beats: number[] = [];
  readonly awake: number[] = [];
  canRepeat = true;
  readonly #core: { rest: Rest | null; nowMs: number; config: object };
  readonly #rest: Rest;

  constructor() {
    this.#core = { rest: null, nowMs: 0, config: { electionTimeoutMs: Infinity } };
    const peers = [{ id: "far", lastContactMs: 0 }];
    this.#rest = { core: this.#core, peers } as unknown as Rest;
    this.#core.rest = this.#rest;
  }

  rest(resting: Resting, heartbeatMs: number, dueMs: number): void {
    const link = {
      canRepeat: () => this.canRepeat,
      repeat: (_channel: object, nowMs: number) => void this.beats.push(nowMs),
    };
    const group = {
      repeatingTo: () => ({ link }),
      member: { beatDue: (nowMs: number) => void this.awake.push(nowMs) },
    };
    assert.ok(resting.takes(group as unknown as HostedGroup, this.#rest, heartbeatMs, dueMs));
  }

  wake(): void {
    this.#core.rest = null;
  }
}

function start(): Resting {
  const turns = { add: () => undefined, deadlineSet: () => undefined };
  return new Resting(turns as unknown as Turns);
}

test("leaders whose beats were due at different times and came late together go on together", () => {
  const resting = start();
  const leaders = [100, 125, 150].map((dueMs) => {
    const leader = new Leader();
    leader.rest(resting, 200, dueMs);
    return leader;
  });
  resting.fireTimers(160, 60);
  resting.fireTimers(resting.earliestMs, 0);
  for (const { beats } of leaders) assert.equal(beats.length, 2);
  for (const leader of leaders) leader.wake();
  const nowMs = resting.earliestMs;
  resting.fireTimers(nowMs, 0);
  for (const { awake } of leaders) assert.deepEqual(awake, [nowMs]);
  assert.equal(resting.earliestMs, Infinity);
});

test("leaders of other heartbeats that are due at one time keep their own pace", () => {
  const resting = start();
  const [slow, fast] = [new Leader(), new Leader()];
  slow.rest(resting, 1000, 1000);
  fast.rest(resting, 100, 1000);
  for (let nowMs = 1000; nowMs <= 1950; nowMs = resting.earliestMs) resting.fireTimers(nowMs, 0);
  assert.equal(slow.beats.length, 1);
  assert.ok(fast.beats.length >= 10, `${fast.beats.length} beats`);
});

test("a leader whose peer cannot be told so any more gets its turn", () => {
  const resting = start();
  const leader = new Leader();
  leader.rest(resting, 100, 100);
  leader.canRepeat = false;
  resting.fireTimers(100, 0);
  assert.deepEqual([leader.beats, leader.awake], [[], [100]]);
});

test("a leader that cannot repeat itself to one of its peers does not come on the list", () => {
  const resting = start();
  const rest = { core: {}, peers: [{ id: "far" }, { id: "gone" }] } as unknown as Rest;
  const repeatingTo = (id: string) => (id === "gone" ? null : { link: {} });
  const group = { repeatingTo } as unknown as HostedGroup;
  assert.equal(resting.takes(group, rest, 100, 100), false);
  assert.equal(resting.earliestMs, Infinity);
});

test("a leader that is not at rest any more says nothing of before", () => {
  const resting = start();
  const leader = new Leader();
  leader.rest(resting, 100, 100);
  leader.wake();
  resting.fireTimers(100, 0);
  assert.deepEqual([leader.beats, leader.awake], [[], [100]]);
});
