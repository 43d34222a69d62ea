/** When the log is worth a snapshot: a factor of the last one's size, a floor and a cap in bytes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bootstrapEntries,
  createCore,
  type CoreEffect,
  type CoreEvent,
  defaultGroupConfig,
  type Entry,
  endTurn,
  step,
} from "../../src/core/index.js";

const self = { id: "b#1", address: "b:1" };
const leader = { id: "a#1", address: "a:1" };
const config = {
  ...defaultGroupConfig,
  ...{ minSnapshotLogBytes: 1000, maxSnapshotLogBytes: 20_000, trailingLogBytes: 0 },
};
/** With its 64 bytes of bookkeeping an entry counts for 100. */
const body = new Uint8Array(36);

test("a snapshot is due at ten times the last one's size, not below the floor and not above the cap", () => {
  const [first, second] = bootstrapEntries(self, config, 0) as [Entry, Entry];
  const members = [self, leader];
  const membership = { voters: [leader.id, self.id], outgoing: [], learners: [], members };
  const core = createCore(
    {
      ...{ self, nowMs: 0, snapshot: null, config, firstReadBatch: 1, restarted: false },
      entries: [first, { ...second, payload: membership }],
      hardState: { currentTerm: 2, votedFor: null, forcedRemovals: [] },
    },
    [],
  );
  const turn = (event: CoreEvent): readonly CoreEffect[] => {
    const out: CoreEffect[] = [];
    step(core, event, out);
    endTurn(core, out);
    return out;
  };
  let last = 2;
  /** Entries, each committed in a turn of its own, until a snapshot is taken; gives its index. */
  const appendUntilTaken = (): number => {
    for (;;) {
      const prevLogTerm = last === 2 ? 1 : 2;
      const base = { term: 2, session: 0, sequence: 0, lowestOutstanding: 0, timeMs: 0 };
      const entry = { ...base, index: last + 1, kind: "command" as const, body, payload: null };
      const message = {
        ...{ type: "appendEntries" as const, term: 2, prevLogIndex: last, prevLogTerm },
        ...{ commitIndex: last + 1, round: 1, sentAtMs: 0, promiseMs: 0, entries: [entry] },
      };
      last += 1;
      const out = turn({ type: "messageReceived", from: leader.id, message, nowMs: 1 });
      const taken = out.find(({ type }) => type === "takeSnapshot");
      if (taken?.type === "takeSnapshot") return taken.index;
      assert.ok(last < 2000, "none was taken");
    }
  };
  const save = (index: number, sizeBytes: number): void => {
    const meta = { index, term: 2, timeMs: 0, membership, membershipIndex: 2, config, sizeBytes };
    turn({ type: "snapshotSaved", snapshot: { ...meta, checksum: 1, valueVersion: 1 } });
  };
  assert.equal(defaultGroupConfig.snapshotLogFactor, 10);
  const floor = appendUntilTaken();
  assert.equal(floor, 11, "two first entries of 64 bytes and nine of 100 are 1000");
  save(floor, 500);
  const factor = appendUntilTaken();
  assert.equal(factor - floor, 50, "ten times 500 bytes");
  save(factor, 10_000);
  const cap = appendUntilTaken();
  assert.equal(cap - factor, 200, "20,000 bytes, and not ten times 10,000");
  save(cap, 5);
  assert.equal(appendUntilTaken() - cap, 10, "the floor again");
});
