/** A leader that sends its snapshot: how long the chunks are. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { InstallSnapshot, InstallSnapshotReply } from "../../src/core/types.js";
import { leadingLab } from "./big-map.js";
import type { Lab } from "./harness.js";

const chunkBytes = 1000;

/** A leader with a large snapshot, whose follower c#1 has nothing of it: the first chunk is on its way. */
async function sendingLab(): Promise<Lab> {
  const lab = await leadingLab({ snapshotChunkBytes: chunkBytes, trailingLogBytes: 0 });
  lab.admin(3, "snapshot", null);
  lab.settle();
  lab.fire();
  lab.refuse("c#1");
  return lab;
}

/** The chunk that was sent last is answered after so long; returns its length. */
function answer(lab: Lab, tookMs: number): number {
  const { term, snapshot, offset, data, round, sentAtMs } = taken(lab);
  lab.clock.advance(tookMs);
  lab.receive("c#1", {
    ...{ type: "installSnapshotReply", term, round, sentAtMs, installed: false },
    ...{ snapshotIndex: snapshot.index, snapshotTerm: snapshot.term },
    offset: offset + data.length,
  });
  return data.length;
}

function taken(lab: Lab): InstallSnapshot {
  return lab.take("c#1", "installSnapshot");
}

describe("the chunks of a snapshot that is sent", () => {
  test("are as configured where answers come at once, and longer where they take a while", async () => {
    const lab = await sendingLab();
    assert.deepEqual([answer(lab, 0), answer(lab, 1), answer(lab, 50)], [1000, 1000, 1000]);
    assert.deepEqual([answer(lab, 50), answer(lab, 50), answer(lab, 50)], [2000, 4000, 8000]);
  });

  test("are half as long after one that nobody answered", async () => {
    const lab = await sendingLab();
    for (let i = 0; i < 3; i++) answer(lab, 50);
    const lost = taken(lab);
    assert.equal(lost.data.length, 8000);
    const untilMs = lab.clock.nowMs() + lab.member.replica.core.config.electionTimeoutMs;
    while (lab.clock.nowMs() <= untilMs) {
      lab.fire();
      // It is alive: only the chunk is gone.
      lab.refuse("c#1");
    }
    const again = taken(lab);
    assert.deepEqual([again.offset, again.data.length], [lost.offset, 4000]);
  });

  test("are half as long after one whose connection broke", async () => {
    const lab = await sendingLab();
    for (let i = 0; i < 3; i++) answer(lab, 50);
    assert.equal(taken(lab).data.length, 8000);
    lab.member.peerDisconnected("c#1");
    lab.settle();
    lab.fire();
    lab.refuse("c#1");
    assert.equal(taken(lab).data.length, 4000);
  });

  test("are no longer than a smaller `snapshotChunkBytes` allows, once that is in force", async () => {
    const lab = await sendingLab();
    for (let i = 0; i < 3; i++) answer(lab, 50);
    lab.admin(4, "changeConfig", { snapshotChunkBytes: 64 });
    lab.settle();
    lab.acknowledge();
    answer(lab, 50);
    assert.equal(taken(lab).data.length, 16 * 64);
  });

  test("are asked for once by an answer that comes twice", async () => {
    const lab = await sendingLab();
    const { term, snapshot, data, round, sentAtMs } = taken(lab);
    const reply: InstallSnapshotReply = {
      ...{ type: "installSnapshotReply", term, round, sentAtMs, installed: false },
      ...{ snapshotIndex: snapshot.index, snapshotTerm: snapshot.term, offset: data.length },
    };
    lab.receive("c#1", reply);
    assert.equal(taken(lab).offset, data.length);
    const before = lab.sent.length;
    lab.receive("c#1", reply);
    assert.deepEqual(
      lab.sent.slice(before).filter(({ message }) => message.type === "installSnapshot"),
      [],
      "the answer to that one is still to come",
    );
    lab.receive("c#1", { ...reply, offset: 0 });
    assert.equal(taken(lab).offset, 0, "who has lost what it had gets it again");
  });
});
