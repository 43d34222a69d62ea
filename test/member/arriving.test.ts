/** A leader's snapshot is read while its chunks come in, and thrown away when it is not what the leader has. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SnapshotMeta } from "../../src/core/types.js";
import type { ArrivingBytes, Codec } from "../../src/ports.js";
import { bigMap, chunkOf, entries, type MadeSnapshot, makeSnapshot, slowDown } from "./big-map.js";
import { appendOf, codec, counter, Lab, longLog } from "./harness.js";

type Steps = Iterator<undefined, unknown>;

/** Who goes on asking it would ask for ever. */
function waitsForTooMuch(arriving: ArrivingBytes): Steps {
  let asked = 0;
  const next = (): IteratorResult<undefined, unknown> => {
    assert.ok((asked += 1) < 1000, "it is asked again and again");
    arriving.wanted = arriving.bytes.length + 1;
    return { done: false, value: undefined };
  };
  return { next };
}

/** A follower whose value is read with `decodeArriving`, and how often storage was asked for what it has. */
class Receiver {
  readonly lab: Lab;
  loads = 0;
  /** Slices of the value that were read by now, or waited for. */
  slices = 0;
  #begun = false;

  constructor(
    decodeArriving: Codec["decodeArriving"] | null = (arriving, from) =>
      codec.decodeArriving!(arriving, from),
  ) {
    const counting = (arriving: ArrivingBytes, from: number): Steps => {
      const read = this.#begun ? decodeArriving! : codec.decodeArriving!;
      const steps = read(arriving, from);
      return { next: () => ((this.slices += 1), steps.next()) };
    };
    const { encode, decode, decodeSlices } = codec;
    const plain: Codec = { encode, decode, decodeSlices: decodeSlices! };
    this.lab = new Lab(
      bigMap,
      decodeArriving === null ? plain : { ...plain, decodeArriving: counting },
    );
  }

  async begin(): Promise<void> {
    const { lab } = this;
    await lab.restore();
    // Founding has tried the codec.
    this.#begun = true;
    this.slices = 0;
    const load = lab.storage.loadSnapshot.bind(lab.storage);
    lab.storage.loadSnapshot = (group) => {
      this.loads += 1;
      return load(group);
    };
  }

  get isEmpty(): boolean {
    return this.lab.member.replica.applier.lastApplied === 0;
  }

  /** Sends it in so many chunks, and lets the turns pass that each asks for. */
  send(made: MadeSnapshot, chunks: number, first = 0, end = chunks): void {
    const size = Math.ceil(made.data.length / chunks);
    for (let i = first; i < end; i++) {
      this.lab.receive("b#1", chunkOf(made, i * size, Math.min((i + 1) * size, made.data.length)));
      this.lab.laterTurns();
    }
  }

  /** Everything that is still to be read. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.lab.settle();
    this.lab.laterTurns();
  }

  hasAll({ index }: SnapshotMeta): void {
    const { applier } = this.lab.member.replica;
    assert.equal(applier.lastApplied, index);
    const map = applier.value as Map<string, number>;
    assert.equal(map.size, entries);
    assert.equal(map.get(`key-${entries - 1}`), entries - 1);
  }
}

async function receiver(decodeArriving?: Codec["decodeArriving"] | null): Promise<Receiver> {
  const made = new Receiver(decodeArriving);
  await made.begin();
  return made;
}

describe("a snapshot that comes in chunks", () => {
  test("is mostly read when the last one comes, and in force once storage has all of it", async () => {
    const made = await makeSnapshot();
    const to = await receiver();
    to.send(made, 8, 0, 7);
    const before = to.slices;
    assert.ok(to.isEmpty);
    to.send(made, 8, 7);
    await to.rest();
    to.hasAll(made.meta);
    assert.equal(to.loads, 0, "nothing is read back");
    assert.ok(before > 0.7 * to.slices, `${before} of ${to.slices} slices were read before`);
  });

  test("is read for a while at the end of turns, which answer first", async () => {
    const made = await makeSnapshot();
    const to = await receiver();
    slowDown(to.lab);
    to.lab.receive("b#1", chunkOf(made, 0, 100_000));
    assert.equal(to.lab.take("b#1", "installSnapshotReply").offset, 100_000);
    assert.equal(to.slices, 0, "the head alone");
    const turns = to.lab.laterTurns().length;
    assert.ok(turns > 2, `${turns} turns`);
    assert.equal(to.slices, turns, "one slice a turn, and no turn in vain");
  });

  test("is not in force while storage has not said that it has it", async () => {
    const made = await makeSnapshot();
    const to = await receiver();
    to.send(made, 4, 0, 3);
    const { storage } = to.lab;
    const installed: SnapshotMeta[] = [];
    storage.installSnapshot = (_group, snapshot) => void installed.push(snapshot);
    to.send(made, 4, 3);
    await to.rest();
    assert.deepEqual(installed, [made.meta]);
    assert.ok(to.isEmpty);
    to.lab.member.snapshotSaved(made.meta, true);
    await to.rest();
    to.hasAll(made.meta);
  });

  test("is forgotten when storage finds it damaged, and taken in when it comes again", async () => {
    const made = await makeSnapshot();
    const damaged = { ...made, data: made.data.slice() };
    damaged.data[damaged.data.length >> 1]! ^= 1;
    const to = await receiver();
    to.send(damaged, 4);
    await to.rest();
    assert.ok(to.isEmpty);
    assert.equal(to.lab.take("b#1", "installSnapshotReply").offset, 0);
    to.send(made, 4);
    await to.rest();
    to.hasAll(made.meta);
    assert.equal(to.loads, 0);
  });

  test("is read from storage when memory holds something else than the leader's checksum says", async () => {
    const made = await makeSnapshot();
    const to = await receiver();
    const harmed = { ...made, data: made.data.slice() };
    // It can be read, as another number.
    harmed.data[harmed.data.length - 1]! ^= 1;
    const { storage } = to.lab;
    const write = storage.writeSnapshotChunk.bind(storage);
    storage.writeSnapshotChunk = (group, snapshot, offset, { length }) =>
      write(group, snapshot, offset, made.data.subarray(offset, offset + length));
    to.send(harmed, 4);
    await to.rest();
    to.hasAll(made.meta);
    assert.equal(to.loads, 1);
  });

  const fallbacks: readonly (readonly [string, Codec["decodeArriving"] | null, number])[] = [
    ["whose codec cannot read what is still coming in", null, 4],
    ["that is one chunk", undefined, 1],
    [
      "whose reader throws",
      () => ({
        next() {
          throw new Error("too early");
        },
      }),
      4,
    ],
    [
      "whose reader comes to an end too early",
      () => ({ next: () => ({ done: true, value: new Map() }) }),
      4,
    ],
    ["whose reader waits for more than there will ever be", waitsForTooMuch, 4],
  ];
  for (const [what, decodeArriving, chunks] of fallbacks) {
    test(`is read from storage: one ${what}`, async () => {
      const made = await makeSnapshot();
      const to = await receiver(decodeArriving);
      to.send(made, chunks);
      await to.rest();
      to.hasAll(made.meta);
      assert.equal(to.loads, 1);
    });
  }

  test("takes no turns in vain with a reader that does not say what it waits for", async () => {
    const made = await makeSnapshot();
    let asked = 0;
    const never: IteratorResult<undefined, unknown> = { done: false, value: undefined };
    const to = await receiver((arriving, from) => {
      const whole = codec.decodeArriving!(arriving, from);
      return {
        next: () => {
          assert.ok((asked += 1) < 200_000, "it is asked again and again");
          return arriving.arrived < arriving.bytes.length ? never : whole.next();
        },
      };
    });
    to.lab.receive("b#1", chunkOf(made, 0, 100_000));
    to.lab.laterTurns();
    assert.ok(asked > 0 && asked <= 100_000, `it is asked ${asked} times`);
    to.lab.receive("b#1", chunkOf(made, 100_000));
    await to.rest();
    to.hasAll(made.meta);
    assert.equal(to.loads, 0);
  });

  test("gives way to a later one, of which nothing was read before", async () => {
    const made = await makeSnapshot();
    const later = { ...made, meta: { ...made.meta, term: made.term, index: made.meta.index + 5 } };
    const to = await receiver();
    to.send(later, 4, 0, 3);
    to.send(made, 4);
    await to.rest();
    to.hasAll(made.meta);
    assert.equal(to.loads, 0);
  });

  /** What lets go of a snapshot that has begun to come: nothing more of it is read. */
  const ends: readonly (readonly [string, (lab: Lab, made: MadeSnapshot) => void])[] = [
    ["with its leader", (lab, { term }) => lab.receive("c#1", appendOf({ term: term + 1 }))],
    [
      "when entries came that reach as far",
      (lab, { meta: { index }, term }) => {
        const entries = longLog(counter, index).slice(0, index - 2);
        const last = { commitIndex: index, prevLogIndex: 2, prevLogTerm: 1 };
        lab.receive("b#1", appendOf({ term, ...last, entries }));
      },
    ],
    [
      "when storage has failed, which will never say that it has it",
      (lab) => lab.member.storageFailed("no disk"),
    ],
    ["by a member that is stopped", (lab) => lab.member.stop()],
  ];
  for (const [when, end] of ends) {
    test(`is let go ${when}`, async () => {
      const made = await makeSnapshot();
      const to = await receiver();
      slowDown(to.lab);
      to.lab.receive("b#1", chunkOf(made, 0, 100_000));
      const { slices } = to;
      end(to.lab, made);
      to.lab.settle();
      to.lab.laterTurns();
      assert.equal(to.slices, slices);
    });
  }
});
