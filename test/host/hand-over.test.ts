/** Whom a leader that is about to go asks to follow it, and how often. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../src/clock/virtual.js";
import { textOf, utf8 } from "../../src/codec/bytes.js";
import type { HostContext } from "../../src/host/context.js";
import { handOver } from "../../src/host/hand-over.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
import type { ReplySink } from "../../src/member/types.js";
import { createLogBook } from "./cluster.js";

type Other = { readonly id: string; readonly matchIndex: number; readonly learner?: boolean };

/** A leader of these others, as far as one looks at it that hands over, and whom that asks. */
function leaderOf(others: readonly Other[]) {
  const voters = others.filter(({ learner }) => learner !== true).map(({ id }) => id);
  const members = [{ id: "me" }, ...others].map(({ id }) => ({ id, address: `${id}:1` }));
  const core = {
    role: { type: "leader", peers: others.map((other) => ({ ...other, lastContactMs: 0 })) },
    log: { offset: 0, base: 0, entries: [], sizeBytes: 0 },
    membership: { voters: ["me", ...voters], outgoing: [], learners: [], members },
    ...{ self: { id: "me" }, disk: { durableIndex: 9 }, nowMs: 0, snapshot: null },
    config: { electionTimeoutMs: 1000 },
  };
  const asked: string[] = [];
  let answer: (status: "ok" | "uncommittedMembershipChange") => void = () => undefined;
  const request = (sink: ReplySink, { body }: { readonly body: Uint8Array }): void => {
    asked.push((JSON.parse(textOf(body, "request")) as { readonly id: string }).id);
    answer = (status) => sink.reply(0, status, "no", 0, utf8("{}"));
  };
  const member = { id: "me", role: "leader", electionTimeoutMs: 1000, replica: { core }, request };
  const codec = {
    encode: (value: unknown) => utf8(JSON.stringify(value)),
    decode: (bytes: Uint8Array): unknown => JSON.parse(textOf(bytes, "reply")),
  };
  const channelTo = () => ({ openedOn: {} });
  const group = { name: "g", ended: null, handingOver: null, member, codec, channelTo };
  const clock = new VirtualClock();
  const context = { id: "near", clock, logger: createLogBook().logger } as unknown as HostContext;
  return {
    ...{ asked, clock, member },
    answer: (status: Parameters<typeof answer>[0]) => answer(status),
    begin: () => handOver(context, [group as unknown as HostedGroup]),
  };
}

/** Whatever follows without the clock. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the voter that has most of the log is asked, wherever it stands among the members", async () => {
  const [most, less] = [
    { id: "most", matchIndex: 8 },
    { id: "less", matchIndex: 5 },
  ];
  const learner = { id: "learner", matchIndex: 9, learner: true };
  for (const others of [
    [learner, most, less],
    [less, most, learner],
  ]) {
    const leader = leaderOf(others);
    const done = leader.begin();
    assert.deepEqual(leader.asked, ["most"]);
    leader.answer("ok");
    await done;
    assert.equal(leader.asked.length, 1);
  }
  const alone = leaderOf([learner]);
  await alone.begin();
  assert.deepEqual(alone.asked, []);
});

test("who hands a group over that is being handed over already waits for that, and asks nobody", async () => {
  const leader = leaderOf([{ id: "far", matchIndex: 1 }]);
  const both = [leader.begin(), leader.begin()];
  assert.deepEqual(leader.asked, ["far"]);
  leader.answer("ok");
  await Promise.all(both);
});

test("while a membership change is in the way it is asked again now and then, not again and again", async () => {
  const leader = leaderOf([{ id: "far", matchIndex: 1 }]);
  const done = leader.begin();
  for (const times of [1, 2, 3]) {
    assert.equal(leader.asked.length, times);
    leader.answer("uncommittedMembershipChange");
    await settled();
    assert.equal(leader.asked.length, times, "no time has passed");
    leader.clock.advance(100);
    await settled();
  }
  assert.equal(leader.asked.length, 4);
  leader.answer("ok");
  await done;
});
