/** Events that are lost, or tell of another state than the member's, do not go unnoticed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GroupClient, GroupEvent } from "../../src/client/types.js";
import { defaultGroupConfig } from "../../src/core/config.js";
import { emptyMembership } from "../../src/core/state.js";
import type { Member } from "../../src/member/member.js";
import { Heard } from "../../src/sim/heard.js";
import type { AnyDefinedValue } from "../../src/value/types.js";

const member = {
  ...{ role: "follower", term: 3, leader: "b#1" },
  replica: {
    core: {
      config: defaultGroupConfig,
      membership: { ...emptyMembership, voters: ["a#1", "b#1"], learners: [{ id: "c#1" }] },
    },
  },
} as unknown as Member;

const role: GroupEvent = { type: "role", role: "follower", term: 3, leader: "b#1" };
const members: GroupEvent = { type: "members", voters: ["a#1", "b#1"], learners: ["c#1"] };
const config: GroupEvent = { type: "config", config: defaultGroupConfig };

async function differs(told: readonly GroupEvent[]): Promise<string | null> {
  async function* events(): AsyncGenerator<GroupEvent> {
    yield* told;
  }
  const heard = new Heard({ events } as unknown as GroupClient<AnyDefinedValue>);
  await new Promise(setImmediate);
  return heard.differsFrom(member);
}

test("the newest event of each kind is what the member is", async () => {
  const before: GroupEvent = { ...role, term: 2, leader: null };
  assert.equal(await differs([before, members, config, role]), null);
  assert.match((await differs([role, members, config, before]))!, /"term":3.* last is .*"term":2/);
  assert.match((await differs([role, config]))!, /"c#1".* so, and what was heard last is nothing$/);
  const others: GroupEvent = { ...members, learners: [] };
  assert.match((await differs([role, members, config, others]))!, /"learners":\[\]/);
  const fast: GroupEvent = { type: "config", config: { ...defaultGroupConfig, heartbeatMs: 7 } };
  assert.match((await differs([role, members, fast]))!, /"heartbeatMs":7/);
});
