/** What storage answers about a snapshot that is being received decides where it goes on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createCore,
  type Core,
  type CoreEffect,
  type CoreEvent,
  defaultGroupConfig,
  endTurn,
  type SnapshotMeta,
  step,
} from "../../src/core/index.js";

const members = ["a#1", "b#1", "c#1"].map((id) => ({ id, address: `${id}:1` }));
const membership = {
  voters: members.map(({ id }) => id),
  outgoing: [],
  learners: [],
  members,
};
const snapshot: SnapshotMeta = {
  ...{ index: 40, term: 2, timeMs: 0, membership, membershipIndex: 2 },
  ...{ config: defaultGroupConfig, sizeBytes: 9000, checksum: 1, valueVersion: 1 },
};

class Receiver {
  readonly #core: Core;

  constructor() {
    const entries = [1, 2].map((index) => ({
      ...{ index, term: 1, session: 0, sequence: 0, lowestOutstanding: 0, timeMs: 0 },
      ...{ kind: "membership" as const, body: new Uint8Array(0), payload: membership },
    }));
    this.#core = createCore(
      {
        ...{ self: members[1]!, nowMs: 0, snapshot: null, entries, config: defaultGroupConfig },
        hardState: { currentTerm: 2, votedFor: null, forcedRemovals: [] },
        ...{ firstReadBatch: 1, restarted: true },
      },
      [],
    );
  }

  #turn(event: CoreEvent): readonly CoreEffect[] {
    const out: CoreEffect[] = [];
    step(this.#core, event, out);
    endTurn(this.#core, out);
    return out;
  }

  /** A chunk from the leader; gives what storage is asked to write, as [offset, bytes]. */
  chunk(offset: number, sizeBytes: number): readonly (readonly [number, number])[] {
    const message = {
      ...{ type: "installSnapshot" as const, term: 2, snapshot, offset },
      ...{ data: new Uint8Array(sizeBytes), round: 1, sentAtMs: 0, promiseMs: 0 },
    };
    const effects = this.#turn({ type: "messageReceived", from: "a#1", message, nowMs: 1 });
    return effects.flatMap((effect) =>
      effect.type === "writeSnapshotChunk" ? [[effect.offset, effect.data.length] as const] : [],
    );
  }

  /** Storage answers; gives the offset that the leader is told, or that it is installed. */
  held(sizeBytes: number): number | "installs" | null {
    const { index, term } = snapshot;
    let told: number | "installs" | null = null;
    for (const effect of this.#turn({ type: "snapshotChunkWritten", index, term, sizeBytes })) {
      if (effect.type === "installSnapshot") return "installs";
      if (effect.type !== "send" || effect.message.type !== "installSnapshotReply") continue;
      told = effect.message.offset;
    }
    return told;
  }
}

describe("a snapshot that is being received", () => {
  test("goes on behind what storage holds from before a restart", () => {
    const receiver = new Receiver();
    assert.deepEqual(receiver.chunk(0, 1000), [[0, 1000]]);
    assert.equal(receiver.held(5000), 5000);
    assert.deepEqual(receiver.chunk(1000, 1000), [], "which it does not need");
    assert.deepEqual(receiver.chunk(5000, 4000), [[5000, 4000]]);
    assert.equal(receiver.held(9000), "installs");
  });

  test("goes on where storage says, should it hold less than was thought", () => {
    const receiver = new Receiver();
    receiver.chunk(0, 1000);
    assert.equal(receiver.held(1000), 1000);
    assert.deepEqual(receiver.chunk(1000, 1000), [[1000, 1000]]);
    assert.equal(receiver.held(0), 0);
    assert.deepEqual(receiver.chunk(0, 1000), [[0, 1000]]);
    assert.equal(receiver.held(1000), 1000);
  });
});
