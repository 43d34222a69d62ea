/** Forced removals at a member that came back with its log: in force as stored, until the log is clean. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  bootstrapEntries,
  type Core,
  type CoreEffect,
  type CoreEvent,
  createCore,
  defaultGroupConfig,
  endTurn,
  type Entry,
  type HardState,
  type Membership,
  type SnapshotMeta,
  step,
} from "../../src/core/index.js";

const self = { id: "a#1", address: "a:1" };
const trio = ["a#1", "b#1", "c#1"];

function membershipOf(ids: readonly string[], change: Partial<Membership> = {}): Membership {
  const members = ids.map((id) => ({ id, address: `${id[0]}:1` }));
  return { voters: ids, outgoing: [], learners: [], members, ...change };
}

/** As a group comes to be: one member creates it, the others join one by one. */
function logOfJoins(): Entry[] {
  const body = new Uint8Array(0);
  const base = { term: 2, session: 0, sequence: 0, lowestOutstanding: 0, timeMs: 0, body };
  const memberships = [1, 2].flatMap((count) => {
    const [before, after] = [trio.slice(0, count), trio.slice(0, count + 1)];
    const learners = [{ id: after[count]!, promote: true, replaces: null }];
    return [
      membershipOf(after, { voters: before, learners }),
      membershipOf(after, { outgoing: before }),
      membershipOf(after),
    ];
  });
  return [
    ...bootstrapEntries(self, defaultGroupConfig, 0),
    { ...base, index: 3, kind: "noop", payload: null },
    ...memberships.map((payload, at): Entry => ({
      ...base,
      index: 4 + at,
      kind: "membership",
      payload,
    })),
  ];
}

/** Restored, and nothing of its log is known to be committed. */
class Survivor {
  readonly core: Core;
  readonly told: CoreEffect[] = [];
  hardState: HardState;
  /** The disk answers at once; false: when `storeNext` says so. */
  storesAtOnce = true;
  readonly #held: number[] = [];
  #nowMs = 0;

  constructor(
    forcedRemovals: readonly string[],
    entries = logOfJoins(),
    snapshot: SnapshotMeta | null = null,
  ) {
    this.hardState = { currentTerm: 2, votedFor: "a#1", forcedRemovals };
    this.core = createCore(
      {
        ...{ self, nowMs: 0, hardState: this.hardState, snapshot, entries },
        ...{ config: defaultGroupConfig, firstReadBatch: 1, restarted: true },
      },
      [],
    );
    // Its promise to a leader of before has run out.
    this.#nowMs = 5000;
  }

  force(request: number, id: string): void {
    this.#turn({ type: "removalForced", request, id, nowMs: this.#nowMs });
  }

  campaign(): void {
    this.#turn({ type: "timerFired", timer: "election", nowMs: this.#nowMs });
  }

  storeNext(): void {
    this.#turn({ type: "stored", ticket: this.#held.shift()!, nowMs: this.#nowMs });
  }

  #turn(event: CoreEvent): void {
    const out: CoreEffect[] = [];
    step(this.core, event, out);
    endTurn(this.core, out);
    this.told.push(...out);
    for (const effect of out) {
      if (effect.type !== "store") continue;
      this.hardState = effect.hardState ?? this.hardState;
      this.#held.push(effect.ticket);
      if (this.storesAtOnce) this.storeNext();
    }
  }
}

describe("a forced removal", () => {
  test("is not undone by an older membership in the log that has fewer members", () => {
    const one = new Survivor([]);
    assert.deepEqual(one.core.membership.voters, trio);
    one.force(1, "b#1");
    one.force(2, "c#1");
    assert.equal(one.told.filter(({ type }) => type === "accepted").length, 2);
    one.campaign();
    assert.equal(one.core.role.type, "leader");
    assert.deepEqual(one.core.membership.voters, ["a#1"]);
  });

  test("lasts over a crash, until the clean membership is committed", () => {
    const one = new Survivor(["b#1", "c#1"]);
    one.campaign();
    assert.equal(one.core.role.type, "leader");
    assert.deepEqual(one.core.membership.voters, ["a#1"]);
    assert.deepEqual(one.hardState.forcedRemovals, []);
  });

  test("lasts over a crash if its member joined behind the snapshot", () => {
    const log = logOfJoins();
    const snapshot: SnapshotMeta = {
      ...{ index: 6, term: 2, timeMs: 0, membershipIndex: 6, membership: membershipOf(["a#1"]) },
      ...{ config: defaultGroupConfig, sizeBytes: 1, checksum: 1, valueVersion: 1 },
    };
    const one = new Survivor(["b#1", "c#1"], log.slice(6), snapshot);
    assert.deepEqual(one.core.membership.voters, ["a#1"]);
    assert.deepEqual(one.core.forcedRemovals, ["b#1", "c#1"]);
    one.campaign();
    assert.equal(one.core.role.type, "leader");
  });

  test("is not in force because the one before it is stored", () => {
    const one = new Survivor([]);
    one.storesAtOnce = false;
    one.force(1, "b#1");
    one.force(2, "c#1");
    one.storeNext();
    assert.deepEqual(one.core.membership.voters, ["a#1", "c#1"]);
    one.storeNext();
    assert.deepEqual(one.core.membership.voters, ["a#1"]);
  });

  // Two members of which a leaves: b alone decides from then on, and it is b that is lost.
  const leaving = { voters: ["b#1"], outgoing: ["a#1", "b#1"] };
  // a has joined, and b was lost before it could promote a.
  const learning = { voters: ["b#1"], learners: [{ id: "a#1", promote: true, replaces: null }] };
  for (const [what, change] of Object.entries({ leaving, learning })) {
    test(`that would leave no voter at all is refused: nothing brings one back (${what})`, () => {
      const log = logOfJoins().slice(0, 3);
      const joint = membershipOf(["a#1", "b#1"], change);
      const one = new Survivor([], [...log, { ...logOfJoins()[3]!, payload: joint }]);
      one.force(1, "b#1");
      assert.deepEqual(
        one.told.filter(({ type }) => type === "refused" || type === "accepted"),
        [{ type: "refused", request: 1, code: "willBreakQuorum", applied: "no" }],
      );
      assert.deepEqual(one.hardState.forcedRemovals, []);
      assert.deepEqual(one.core.membership, joint);
    });
  }

  test("counts those that are not stored yet when it looks for a voter that is left", () => {
    const log = logOfJoins().slice(0, 3);
    const joint = membershipOf(trio, { voters: ["b#1", "c#1"], outgoing: trio });
    const one = new Survivor([], [...log, { ...logOfJoins()[3]!, payload: joint }]);
    one.storesAtOnce = false;
    one.force(1, "b#1");
    one.force(2, "c#1");
    assert.deepEqual(
      one.told.filter(({ type }) => type === "refused"),
      [{ type: "refused", request: 2, code: "willBreakQuorum", applied: "no" }],
    );
  });
});
