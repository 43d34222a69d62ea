/** A leader's snapshot of a large value is read over several turns, and the member goes on meanwhile. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SnapshotMeta, Term } from "../../src/core/types.js";
import { bigMap, chunkOf, entries, leadingLab, makeSnapshot, slowDown } from "./big-map.js";
import { Lab } from "./harness.js";

/** A follower that has been sent all of it, and has it on its disk. */
async function loadingLab(): Promise<{ lab: Lab; meta: SnapshotMeta; term: Term }> {
  const made = await makeSnapshot();
  const { meta, term } = made;
  const lab = new Lab(bigMap);
  await lab.restore();
  lab.receive("b#1", chunkOf(made));
  slowDown(lab);
  // Storage reads it back.
  await new Promise((resolve) => setImmediate(resolve));
  return { lab, meta, term };
}

describe("a snapshot of a large value", () => {
  test("is read over several turns, and beats are answered meanwhile", async () => {
    const { lab, meta, term } = await loadingLab();
    let turns = 0;
    for (; lab.member.replica.core.lastApplied < meta.index; turns++) {
      assert.ok(turns < 1000, "it comes to an end");
      lab.turn();
      if (turns !== 2) continue;
      assert.equal(lab.member.replica.applier.lastApplied, 0, "nothing of it is in force yet");
      lab.sent = [];
      const { index, term: prevLogTerm } = meta;
      const beat = { type: "appendEntries", term, prevLogIndex: index, prevLogTerm } as const;
      const rest = { commitIndex: index, round: 1, sentAtMs: 5, promiseMs: 1000, entries: [] };
      lab.member.receive("b#1", { ...beat, ...rest }, 100);
      lab.turn();
      assert.equal(lab.take("b#1", "appendEntriesReply").sentAtMs, 5);
    }
    assert.ok(turns > 4, `${turns} turns`);
    assert.ok(lab.later > 4, "each asked for another one");
    const value = lab.member.replica.applier.value as Map<string, number>;
    assert.equal(value.size, entries);
    assert.equal(value.get(`key-${entries - 1}`), entries - 1);
  });

  test("is let go by a member that is stopped while it reads", async () => {
    const { lab } = await loadingLab();
    lab.turn();
    lab.member.stop();
    const { later } = lab;
    lab.turn();
    assert.equal(lab.later, later);
    assert.deepEqual(lab.ended, { error: null });
  });
});

describe("a snapshot of a large value that is being taken", () => {
  /** A leader that has been asked for one, in request 3, and has encoded a part of it. */
  async function takingLab(): Promise<Lab> {
    const lab = await leadingLab();
    slowDown(lab);
    lab.admin(3, "snapshot", null);
    lab.settle();
    assert.deepEqual(lab.repliesTo(3), []);
    return lab;
  }

  test("waits while storage takes no more, and costs no turns meanwhile", async () => {
    const lab = await leadingLab();
    slowDown(lab);
    const { beginSnapshot } = lab.storage;
    let then: (() => void) | null = null;
    let written = 0;
    let waits = 0;
    lab.storage.beginSnapshot = (group) => {
      const sink = beginSnapshot.call(lab.storage, group);
      const write = (data: Uint8Array): void => {
        assert.equal(then, null, "it was told to wait");
        written += data.length;
        sink.write(data);
      };
      const takesMore = (go: () => void): boolean => {
        assert.equal(then, null, "it asks once");
        if (written > 0) then = go;
        return then === null;
      };
      return { ...sink, write, takesMore };
    };
    lab.admin(3, "snapshot", null);
    lab.settle();
    for (let rounds = 0; lab.repliesTo(3).length === 0; rounds++) {
      assert.ok(rounds < 1000, "it comes to an end");
      lab.laterTurns();
      if (then === null) continue;
      const { later } = lab;
      lab.turn();
      assert.equal(lab.later, later, "no further turn is asked for");
      const go: () => void = then;
      then = null;
      waits += 1;
      written = 0;
      go();
      lab.settle();
    }
    assert.equal(lab.repliesTo(3)[0]!.status, "ok");
    assert.ok(waits > 2, `${waits} waits`);
  });

  test("is not gone on with by storage that has room when it has ended", async () => {
    const lab = await leadingLab();
    const { beginSnapshot } = lab.storage;
    const waiting: (() => void)[] = [];
    lab.storage.beginSnapshot = (group) => {
      const sink = beginSnapshot.call(lab.storage, group);
      return { ...sink, takesMore: (then) => waiting.push(then) === 0 };
    };
    lab.admin(3, "snapshot", null);
    lab.settle();
    lab.member.stop();
    for (const then of waiting) then();
    lab.settle();
    assert.equal(waiting.length, 1);
    assert.equal(lab.repliesTo(3)[0]!.status, "closed");
  });

  test("ends with the member: who asked for it hears that it was closed", async () => {
    const lab = await takingLab();
    lab.member.stop();
    const [reply] = lab.repliesTo(3);
    assert.equal(reply?.status, "closed");
  });

  test("gives way to a leader's: who asked for it may ask again", async () => {
    const lab = await takingLab();
    const made = await makeSnapshot();
    const meta = { ...made.meta, index: made.meta.index + 10 };
    lab.receive("b#1", chunkOf({ ...made, meta, term: lab.member.term + 1 }));
    const [reply] = lab.repliesTo(3);
    assert.equal(reply?.status, "unavailable");
  });
});
