/** Administrative requests that meet each other, a backlog or a failed disk: each gets its own answer. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Storage } from "../../src/ports.js";
import { appendOf, counter, Lab, longLog } from "./harness.js";

async function startLab(change: Parameters<Lab["restore"]>[0] = {}): Promise<Lab> {
  const lab = new Lab(counter);
  await lab.restore(change);
  return lab;
}

/** A leader with one command applied, of whose log a snapshot leaves nothing. */
async function leadWithoutTail(): Promise<{ readonly lab: Lab; readonly session: number }> {
  const lab = await startLab({ trailingLogBytes: 0 });
  lab.lead();
  const session = lab.register();
  lab.command(2, session, 1, "inc", 1);
  lab.settle();
  lab.acknowledge();
  return { lab, session };
}

/** Its follower b#1 acknowledges each beat, c#1 lacks what is not in the log any more and says so. */
function leadForAnElectionTimeout(lab: Lab): void {
  const { config } = lab.member.replica.core;
  const untilMs = lab.clock.nowMs() + config.electionTimeoutMs;
  while (lab.clock.nowMs() <= untilMs) {
    lab.fire();
    const beaten = lab.sent.some(({ to }) => to === "b#1");
    if (!beaten) continue;
    lab.acknowledge();
    lab.refuse("c#1");
  }
  assert.equal(lab.member.role, "leader");
}

function statuses(lab: Lab, ...requests: number[]): string[][] {
  return requests.map((request) => lab.repliesTo(request).map(({ status }) => status));
}

describe("changes of the configuration", () => {
  test("that come in one turn do not undo each other", async () => {
    const lab = await startLab();
    lab.lead();
    lab.admin(1, "changeConfig", { maxSessions: 7 });
    lab.admin(2, "changeConfig", { maxPendingReads: 9 });
    lab.settle();
    lab.acknowledge();
    assert.deepEqual(statuses(lab, 1, 2), [["ok"], ["ok"]]);
    const { maxSessions, maxPendingReads } = lab.member.replica.core.config;
    assert.deepEqual([maxSessions, maxPendingReads], [7, 9]);
  });

  test("do not undo one that is in the log and not applied yet", async () => {
    const lab = await startLab();
    lab.lead();
    lab.admin(1, "changeConfig", { maxSessions: 7 });
    lab.settle();
    lab.admin(2, "changeConfig", { maxPendingReads: 9 });
    lab.settle();
    lab.acknowledge();
    const { maxSessions, maxPendingReads } = lab.member.replica.core.config;
    assert.deepEqual([maxSessions, maxPendingReads], [7, 9]);
  });

  test("count towards maxUncommittedBytes", async () => {
    const lab = await startLab({ maxUncommittedBytes: 1024 });
    lab.lead();
    const requests = Array.from({ length: 100 }, (_, at) => 10 + at);
    for (const request of requests) lab.admin(request, "changeConfig", { maxSessions: request });
    lab.settle();
    const refused = statuses(lab, ...requests).filter(([status]) => status === "overloaded");
    assert.ok(refused.length > 50 && refused.length < 100, `${refused.length} were refused`);
  });
});

test("a membership change is refused until the one before is applied, and its caller answered", async () => {
  const lab = await startLab();
  const entries = longLog(counter, 30_000);
  lab.receive("c#1", appendOf({ entries }));
  lab.lead();
  const { core } = lab.member.replica;
  const join = (request: number, host: string): void => {
    lab.admin(request, "join", {
      ...{ memberId: `${host}#1`, address: `${host}:1` },
      ...{ valueName: "counter", valueVersion: 1, compatibleVersions: [] },
    });
    lab.settle();
  };
  join(11, "d");
  lab.acknowledge();
  assert.ok(core.membershipIndex <= core.commitIndex && core.lastApplied < core.membershipIndex);
  join(12, "e");
  while (lab.later > 0) {
    lab.later = 0;
    lab.member.turn();
    lab.settle();
  }
  assert.equal(core.lastApplied, core.commitIndex);
  assert.deepEqual(statuses(lab, 11, 12), [["ok"], ["uncommittedMembershipChange"]]);
});

test("a snapshot that storage cannot read for a follower is taken and asked for again after a while only", async () => {
  const { lab } = await leadWithoutTail();
  let reads = 0;
  let taken = 0;
  const { beginSnapshot } = lab.storage;
  lab.storage.beginSnapshot = (group) => {
    taken += 1;
    return beginSnapshot.call(lab.storage, group);
  };
  lab.storage.readSnapshotChunk = (_group, to, index, offset) => {
    reads += 1;
    assert.ok(reads < 20, "it goes round in circles");
    lab.member.snapshotChunkRead(to, index, offset, null);
  };
  // What c#1 lacks is not in the log any more; it lives.
  lab.admin(3, "snapshot", null);
  lab.settle();
  assert.deepEqual(statuses(lab, 3), [["ok"]]);
  assert.equal(reads, 1);
  leadForAnElectionTimeout(lab);
  assert.deepEqual({ reads, taken }, { reads: 2, taken: 2 });
});

test("a snapshot that storage cannot read right now is asked for again after a while, and none is taken", async () => {
  const { lab } = await leadWithoutTail();
  let reads = 0;
  lab.storage.readSnapshotChunk = (_group, to, index, offset) => {
    reads += 1;
    lab.member.snapshotChunkRead(to, index, offset, "later");
  };
  lab.admin(3, "snapshot", null);
  lab.settle();
  const { core } = lab.member.replica;
  const { snapshot } = core;
  assert.deepEqual({ reads, index: snapshot!.index }, { reads: 1, index: core.lastApplied });
  leadForAnElectionTimeout(lab);
  assert.equal(reads, 2);
  assert.equal(core.snapshot, snapshot);
  // A client comes again by itself after this code.
  lab.admin(4, "readSnapshot", { index: snapshot!.index, offset: 0, maxBytes: 10 });
  assert.deepEqual(statuses(lab, 4), [["unavailable"]]);
  assert.equal(lab.repliesTo(4)[0]!.applied, "no");
});

test("a snapshot that storage has replaced, and not said so yet, is not taken for damaged", async () => {
  const { lab, session } = await leadWithoutTail();
  const asked: number[] = [];
  lab.storage.readSnapshotChunk = (_group, _to, index) => void asked.push(index);
  lab.admin(3, "snapshot", null);
  lab.settle();
  const [old] = asked;
  lab.command(4, session, 2, "inc", 1);
  lab.settle();
  lab.acknowledge();
  const { beginSnapshot } = lab.storage;
  lab.storage.beginSnapshot = (group) => {
    const sink = beginSnapshot.call(lab.storage, group);
    const commit: typeof sink.commit = (snapshot) => {
      lab.member.snapshotChunkRead("c#1", old!, 0, null);
      sink.commit(snapshot);
    };
    return { ...sink, commit };
  };
  lab.admin(5, "snapshot", null);
  lab.settle();
  assert.deepEqual(statuses(lab, 3, 5), [["ok"], ["ok"]]);
  assert.deepEqual(asked, [old, lab.member.replica.core.snapshot!.index]);
});

describe("when the storage fails", () => {
  /** Takes everything and answers nothing. */
  const silent: Partial<Storage> = {
    beginSnapshot: () => ({
      write: () => undefined,
      commit: () => undefined,
      abort: () => undefined,
    }),
    readSnapshotChunk: () => undefined,
  };

  test("whoever waits for a snapshot that storage has is told", async () => {
    const lab = await startLab();
    lab.lead();
    Object.assign(lab.storage, silent);
    lab.admin(5, "snapshot", null);
    lab.settle();
    assert.deepEqual(statuses(lab, 5), [[]]);
    lab.member.storageFailed("the disk is gone");
    lab.settle();
    lab.admin(6, "snapshot", null);
    lab.settle();
    assert.deepEqual(statuses(lab, 5, 6), [["storageFailed"], ["unavailable"]]);
    assert.equal(lab.repliesTo(5)[0]!.applied, "no");
  });

  test("whoever waits for a piece of one is told, and who asks later at once", async () => {
    const lab = await startLab();
    lab.lead();
    Object.assign(lab.storage, silent);
    lab.admin(6, "readSnapshot", { index: 3, offset: 0, maxBytes: 10 });
    lab.settle();
    assert.deepEqual(statuses(lab, 6), [[]]);
    lab.member.storageFailed("the disk is gone");
    lab.admin(7, "readSnapshot", { index: 3, offset: 0, maxBytes: 10 });
    assert.deepEqual(statuses(lab, 6, 7), [["storageFailed"], ["storageFailed"]]);
  });
});

test("whoever takes a transfer back is told whether there was one", async () => {
  const lab = new Lab(counter);
  await lab.restore();
  lab.lead();
  lab.admin(10, "transfer", { id: null });
  lab.settle();
  lab.admin(11, "transfer", { id: "b#1" });
  lab.settle();
  lab.admin(12, "transfer", { id: null });
  lab.settle();
  assert.deepEqual(
    [10, 11, 12].map((request) => {
      const [reply] = lab.repliesTo(request);
      return [reply?.status, reply?.value];
    }),
    [
      ["ok", false],
      ["pendingLeaderChange", null],
      ["ok", true],
    ],
  );
});
