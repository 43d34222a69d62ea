/** The only clock that a handler may read: the leader's stamps, which never go back (hazards 87, 92). */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bootstrapEntries,
  createCore,
  defaultGroupConfig,
  endTurn,
  step,
} from "../../src/core/index.js";
import type { CoreEffect, CoreEvent, Entry } from "../../src/core/types.js";

const self = { id: "a#1", address: "a:1" };

test("entries never bear an earlier time than the one before, whatever the wall clock says", () => {
  const entries = bootstrapEntries(self, defaultGroupConfig, 5000);
  const out: CoreEffect[] = [];
  const hardState = { currentTerm: 1, votedFor: null, forcedRemovals: [] };
  const core = createCore(
    {
      ...{ self, nowMs: 0, hardState, snapshot: null, entries, config: defaultGroupConfig },
      ...{ firstReadBatch: 1, restarted: false },
    },
    out,
  );
  const applied: Entry[] = [];
  const turn = (...events: CoreEvent[]): void => {
    out.length = 0;
    for (const event of events) step(core, event, out);
    endTurn(core, out);
    const stores = out.filter((effect) => effect.type === "store");
    for (const effect of out) if (effect.type === "apply") applied.push(...effect.entries);
    for (const { ticket } of stores) turn({ type: "stored", ticket, nowMs: 0 });
  };
  turn({ type: "timerFired", timer: "election", nowMs: 0 });
  for (const timeMs of [6000, 4000, 0, 6001, 6000]) {
    const base = { request: 1, session: 0, sequence: 0, lowestOutstanding: 0, timeMs };
    turn({ type: "commandProposed", kind: "command", body: new Uint8Array(1), ...base });
  }
  const times = applied.map(({ timeMs }) => timeMs);
  // Two of the beginning, the first word of the term, then the commands.
  assert.deepEqual(times, [5000, 5000, 5000, 6000, 6000, 6000, 6001, 6001]);
});
