/** What is said again and again travels as a list of numbers, and nobody hears anything else for it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Frame, Repeatable } from "../../src/codec/types.js";
import { decodeFrame } from "../../src/codec/wire.js";
import type { GroupHandle } from "../../src/host/handle.js";
import { createSaying, Repeats, type Saying } from "../../src/host/repeats.js";
import type { TurnFlusher } from "../../src/host/turns.js";
import type { Connection } from "../../src/ports.js";
import { Cluster, type Counter, counter } from "./cluster.js";
import { recorded } from "./recorded.js";

const beat = (sentAtMs: number, changes: object = {}): Repeatable => ({
  ...{ type: "appendEntries", term: 3, prevLogIndex: 7, prevLogTerm: 2, commitIndex: 7, round: 4 },
  ...{ sentAtMs, promiseMs: 1000, entries: [] },
  ...changes,
});
const echo = (sentAtMs: number, changes: object = {}): Repeatable => ({
  ...{ type: "appendEntriesReply", term: 3, success: true, matchIndex: 7 },
  ...{ hintIndex: 0, hintTerm: 0, round: 4, sentAtMs },
  ...changes,
});

class Line {
  readonly sent: Frame[] = [];
  readonly repeats: Repeats;
  #due: TurnFlusher[] = [];

  constructor() {
    const connection: Connection = {
      remote: "far",
      queuedBytes: 0,
      send: (payload) => void this.sent.push(decodeFrame(payload)),
      close: () => undefined,
      destroy: () => undefined,
    };
    this.repeats = new Repeats(connection, { afterEnd: (output) => void this.#due.push(output) });
  }

  /** As a link does: what is not taken is sent as it is. */
  say(channel: number, saying: Saying, message: Repeatable): void {
    if (this.repeats.takes(channel, saying, message)) return;
    this.repeats.keepOrder(saying);
    this.sent.push({ type: "peerMessage", channel, message });
  }

  open(): Saying {
    const saying = createSaying();
    this.repeats.reopened(saying);
    return saying;
  }

  endTurn(): Frame[] {
    const due = this.#due;
    this.#due = [];
    for (const output of due) output.flushTurn();
    return this.sent.splice(0);
  }
}

/** What arrives, by channel, from frames in order. */
function heard(frames: readonly Frame[]): [number, Repeatable][] {
  const standing: { channel: number; message: Repeatable }[] = [];
  return frames.flatMap((frame): [number, Repeatable][] => {
    if (frame.type === "peerMessage") return [[frame.channel, frame.message as Repeatable]];
    if (frame.type === "peerStanding") standing[frame.slot] = frame;
    if (frame.type !== "peerRepeats") return [];
    const { sentAtMs } = frame;
    return frame.slots.map((slot) => {
      const { channel, message } = standing[slot]!;
      return [channel, { ...message, sentAtMs }];
    });
  });
}

describe("repeats", () => {
  for (const say of [beat, echo]) {
    test(`of ${say(0).type}: the second one is made to stand, the third is a number`, () => {
      const line = new Line();
      const saying = line.open();
      const types: string[][] = [];
      const all: Frame[] = [];
      for (const at of [10, 20, 30, 40]) {
        line.say(1, saying, say(at));
        const frames = line.endTurn();
        types.push(frames.map(({ type }) => type));
        all.push(...frames);
      }
      assert.deepEqual(types, [
        ["peerMessage"],
        ["peerStanding", "peerRepeats"],
        ["peerRepeats"],
        ["peerRepeats"],
      ]);
      assert.deepEqual(
        heard(all),
        [10, 20, 30, 40].map((at) => [1, say(at)]),
      );
    });
  }

  test("of many channels are one frame for each moment", () => {
    const line = new Line();
    const sayings = Array.from({ length: 50 }, () => line.open());
    const sayAll = (at: number): void => sayings.forEach((one, i) => line.say(i, one, beat(at)));
    sayAll(1);
    sayAll(2);
    line.endTurn();
    sayAll(3);
    const slots = Array.from({ length: 50 }, (_, at) => at);
    assert.deepEqual(line.endTurn(), [{ type: "peerRepeats", sentAtMs: 3, slots }]);
    line.say(0, sayings[0]!, beat(4));
    line.say(1, sayings[1]!, beat(5));
    assert.deepEqual(line.endTurn(), [
      { type: "peerRepeats", sentAtMs: 4, slots: [0] },
      { type: "peerRepeats", sentAtMs: 5, slots: [1] },
    ]);
  });

  test("are nothing that differs in more than the time", () => {
    for (const changes of [
      ...[{ term: 4 }, { prevLogIndex: 8 }, { prevLogTerm: 3 }, { commitIndex: 8 }, { round: 5 }],
      { promiseMs: 999 },
    ]) {
      const line = new Line();
      const saying = line.open();
      for (const at of [1, 2, 3]) line.say(1, saying, beat(at));
      line.say(1, saying, beat(4, changes));
      const arrived = heard(line.endTurn());
      assert.deepEqual(arrived.at(-1), [1, beat(4, changes)], JSON.stringify(changes));
    }
    for (const changes of [{ term: 4 }, { matchIndex: 8 }, { round: 5 }]) {
      const line = new Line();
      const saying = line.open();
      for (const at of [1, 2, 3]) line.say(1, saying, echo(at));
      line.say(1, saying, echo(4, changes));
      assert.deepEqual(heard(line.endTurn()).at(-1), [1, echo(4, changes)]);
    }
  });

  test("are neither refusals nor entries", () => {
    const line = new Line();
    const saying = line.open();
    for (const at of [1, 2, 3]) line.say(1, saying, echo(at, { success: false, hintIndex: 5 }));
    assert.deepEqual(
      line.endTurn().map(({ type }) => type),
      ["peerMessage", "peerMessage", "peerMessage"],
    );
  });

  test("keep the order of their channel, whatever is said in between", () => {
    const line = new Line();
    const saying = line.open();
    const said = [
      beat(1),
      beat(2),
      beat(3),
      beat(4, { commitIndex: 8 }),
      beat(5),
      beat(6),
      beat(6),
    ];
    for (const message of said) line.say(1, saying, message);
    assert.deepEqual(
      heard(line.endTurn()),
      said.map((message) => [1, message]),
    );
  });

  test("of a channel that was opened anew begin anew, on the same connection in their old slot", () => {
    const line = new Line();
    const saying = line.open();
    for (const at of [1, 2]) line.say(1, saying, beat(at));
    line.endTurn();
    line.repeats.reopened(saying);
    for (const at of [3, 4]) line.say(1, saying, beat(at));
    const [first, second] = line.endTurn();
    assert.equal(first?.type, "peerMessage");
    assert.deepEqual(second, { type: "peerStanding", slot: 0, channel: 1, message: beat(4) });

    const other = new Line();
    other.say(9, other.open(), beat(1));
    other.repeats.reopened(saying);
    for (const at of [5, 6]) other.say(1, saying, beat(at));
    assert.deepEqual(heard(other.endTurn()).slice(1), [
      [1, beat(5)],
      [1, beat(6)],
    ]);
  });

  test("leave their slot to another channel, and what they still had to say comes before it", () => {
    const line = new Line();
    const [one, other] = [line.open(), line.open()];
    for (const at of [1, 2, 3]) line.say(1, one, beat(at));
    line.repeats.release(one);
    for (const at of [4, 5]) line.say(2, other, beat(at, { term: 9 }));
    const frames = line.endTurn();
    assert.deepEqual(heard(frames), [
      ...[1, 2, 3].map((at) => [1, beat(at)]),
      ...[4, 5].map((at) => [2, beat(at, { term: 9 })]),
    ]);
    const slots = frames.flatMap((frame) => (frame.type === "peerStanding" ? [frame.slot] : []));
    assert.deepEqual(slots, [0, 0]);
  });
});

const ids = ["foo", "bar", "baz"] as const;

type AtRest = {
  readonly cluster: Cluster;
  /** What each host sends from when the groups are at rest. */
  readonly sent: ReadonlyMap<string, Frame[]>;
  /** Of the leader, and of a follower. */
  readonly handles: readonly (readonly GroupHandle<Counter>[])[];
};

/** A process whose sockets are listened in on cannot stand still: its clock does not hold them up. */
async function atRest(groups: number, listensIn = true): Promise<AtRest> {
  const cluster = new Cluster();
  const sent = new Map<string, Frame[]>();
  for (const id of ids) {
    const frames: Frame[] = [];
    sent.set(id, frames);
    const transport = recorded(cluster.network.transport(id), frames);
    await cluster.start(id, listensIn ? { transport } : {});
  }
  const handles: GroupHandle<Counter>[][] = [];
  for (let at = 0; at < groups; at++) {
    handles.push(await cluster.group(`group-${at}`, counter, ids));
  }
  await cluster.pass(2000);
  for (const frames of sent.values()) frames.length = 0;
  return { cluster, sent, handles };
}

function typesOf(frames: readonly Frame[]): string[] {
  const types = new Set(frames.map(({ type }) => type));
  types.delete("ping");
  return [...types].sort();
}

describe("a group at rest", () => {
  test("costs a number for each beat: frames do not grow with the number of groups", async () => {
    const { cluster, sent } = await atRest(30);
    await cluster.pass(10_000);
    for (const id of ids) {
      const frames = sent.get(id)!.filter(({ type }) => type !== "ping");
      assert.deepEqual(typesOf(frames), ["peerRepeats"], id);
      // 50 heartbeats on a grid of two steps, to two others or to the leader.
      const most = 50 * 2 * (id === "foo" ? 2 : 1) + 4;
      assert.ok(frames.length <= most, `${id} sends ${frames.length} frames, at most ${most}`);
      const said = frames.reduce(
        (sum, frame) => sum + ("slots" in frame ? frame.slots.length : 0),
        0,
      );
      const beats = 30 * 50 * (id === "foo" ? 2 : 1);
      assert.ok(Math.abs(said - beats) <= beats / 20, `${id} says ${said}, expected ${beats}`);
    }
    for (let at = 0; at < 30; at++) assert.deepEqual(cluster.leaders(`group-${at}`), ["foo"]);
    await cluster.close();
  });

  test("wakes up for a command and for a query, and rests again", async () => {
    const { cluster, sent, handles } = await atRest(3);
    const [leader, follower] = handles[1]!;
    assert.equal(await cluster.run(leader!.command("inc", 2)), 2);
    assert.equal(await cluster.run(follower!.query("get")), 2);
    await cluster.pass(1000);
    assert.ok(typesOf(sent.get("foo")!).includes("peerMessage"));
    for (const frames of sent.values()) frames.length = 0;
    await cluster.pass(5000);
    for (const id of ids) assert.deepEqual(typesOf(sent.get(id)!), ["peerRepeats"], id);
    assert.equal(await cluster.run(follower!.command("inc", 3)), 5);
    await cluster.close();
  });

  test("elects another leader when its own is gone", async () => {
    const { cluster } = await atRest(3);
    await cluster.pass(30_000);
    cluster.kill("foo");
    await cluster.until("others lead", () =>
      [0, 1, 2].every((at) => cluster.leaders(`group-${at}`).length === 1),
    );
    await cluster.close();
  });

  test("loses its leader when a majority stands still", async () => {
    const { cluster } = await atRest(3, false);
    await cluster.pass(10_000);
    for (const id of ["bar", "baz"]) cluster.clocks.get(id)!.freeze();
    // An election timeout and a heartbeat: long before a ping finds out.
    const leads = (at: number): boolean =>
      cluster.host("foo").memberOf(`group-${at}`)?.role === "leader";
    await cluster.until("foo leads nothing", () => ![0, 1, 2].some(leads), 1500);
    await cluster.close();
  });

  test("keeps its leader while one member stands still, and that one follows it again", async () => {
    const { cluster, handles } = await atRest(3, false);
    cluster.clocks.get("baz")!.freeze();
    await cluster.pass(10_000);
    assert.deepEqual(cluster.leaders("group-0"), ["foo"]);
    assert.equal(await cluster.run(handles[0]![0]!.command("inc", 1)), 1);
    cluster.clocks.get("baz")!.thaw();
    await cluster.pass(5000);
    assert.deepEqual(cluster.leaders("group-0"), ["foo"]);
    assert.equal(await cluster.run(handles[0]![2]!.queryStale("get")), 1);
    await cluster.close();
  });

  test("hears nothing more from a member that has ended, and tells those that speak to it", async () => {
    const { cluster, sent, handles } = await atRest(2);
    await cluster.run(handles[0]![2]!.close());
    for (const frames of sent.values()) frames.length = 0;
    await cluster.pass(5000);
    const refusals = sent.get("baz")!.filter(({ type }) => type === "channelRefused");
    assert.ok(refusals.length > 0, "foo is told that nobody is there");
    assert.deepEqual(cluster.leaders("group-0"), ["foo"]);
    assert.deepEqual(cluster.leaders("group-1"), ["foo"]);
    await cluster.close();
  });
});
