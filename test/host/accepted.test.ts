/** What an accepted connection does with channels, looked at without hosts around it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Frame, Repeatable } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { AcceptedConnection } from "../../src/host/accepted.js";
import type { HostContext } from "../../src/host/context.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
import { defaultHostLimits } from "../../src/host/limits.js";
import { silentLogger } from "../../src/host/options.js";
import type { Connection } from "../../src/ports.js";
import { counter } from "./cluster.js";

const value = { valueName: "counter", valueVersion: 1, compatibleVersions: [] };
const echo: Repeatable = {
  ...{ type: "appendEntriesReply", term: 1, success: true, matchIndex: 1, hintIndex: 0 },
  ...{ hintTerm: 0, round: 0, sentAtMs: 0 },
};

/** A host "foo" with the group "g", and a connection to it from "bar". */
class Desk {
  readonly sent: Frame[] = [];
  /** What the rest of the host was told. */
  readonly told: unknown[] = [];
  readonly opening = new Set<string>();
  readonly endings = new Map<Promise<void>, string>();
  readonly member = {
    ...{ id: "foo#1", groupId: "id" as string | null, leaderHint: () => hint },
    receiveRepeat: () => ((this.received += 1), null),
  };
  readonly group = {
    ...{ name: "g", member: this.member, definition: counter, channels: new Set<unknown>() },
    leaderChanged: () => void this.told.push("leaderChanged"),
  };
  readonly accepted: AcceptedConnection;
  known: string | null = null;
  /** Messages that were repeated. */
  received = 0;

  constructor(kind: "peer" | "client", maxChannelsPerConnection = 10) {
    const connection: Connection = {
      ...{ remote: "bar", queuedBytes: 0, close: () => undefined, destroy: () => undefined },
      send: (payload) => void this.sent.push(decodeFrame(payload)),
    };
    const context = {
      ...{ id: "foo", clock: { nowMs: () => 0 }, logger: silentLogger },
      ...{ limits: { ...defaultHostLimits, maxChannelsPerConnection } },
      ...{ turns: { payloadArrived: () => undefined }, rateLimit: { admits: () => false } },
      ...{ groups: new Map([["g", this.group]]), recovered: new Map(), opening: this.opening },
      endings: this.endings,
      adoptGroup: (_group: HostedGroup, id: string) => void this.told.push(["adopted", id]),
      announced: {
        set: (_id: string, address: string): boolean => {
          const isNew = this.known !== address;
          this.known = address;
          return isNew;
        },
      },
      links: { heardFrom: (address: string) => void this.told.push(["heardFrom", address]) },
    } as unknown as HostContext;
    this.accepted = new AcceptedConnection(context, connection, {
      greeted: () => null,
      ended: () => undefined,
    });
    this.say({ type: "hello", protocol: protocolVersion, kind, from: "bar" });
    this.sent.length = 0;
  }

  say(frame: Frame): void {
    this.accepted.onPayload(encodeFrame(frame));
  }

  openPeer(channel: number, groupId = "id", fromAddress = "bar:1"): void {
    const who = { from: "bar#1", fromAddress, to: "foo#1" };
    this.say({ type: "openPeer", channel, group: "g", groupId, ...who, ...value });
  }

  openClient(channel: number, group = "g"): void {
    this.say({ type: "openClient", channel, group, ...value });
  }

  get answers(): string[] {
    return this.sent.map((frame) => ("code" in frame ? `${frame.type} ${frame.code}` : frame.type));
  }
}

const hint = {
  ...{ type: "leaderHint", channel: 1, term: 1, leader: null, address: null },
  hosts: [],
};

describe("a peer's channel", () => {
  test("has its host dialled at once, and clients told where it is if that is news", () => {
    const desk = new Desk("peer");
    desk.openPeer(1);
    desk.openPeer(2);
    desk.openPeer(3, "id", "bar:2");
    assert.deepEqual(desk.told, [
      "leaderChanged",
      ["heardFrom", "bar:1"],
      ["heardFrom", "bar:1"],
      "leaderChanged",
      ["heardFrom", "bar:2"],
    ]);
    assert.deepEqual(desk.answers, []);
  });

  test("tells a newcomer its group, unless the peer is a newcomer itself", () => {
    const desk = new Desk("peer");
    desk.member.groupId = null;
    desk.openPeer(1, "");
    assert.deepEqual([desk.answers, desk.told], [["channelRefused groupMismatch"], []]);
    desk.openPeer(1, "its id");
    assert.deepEqual(desk.told[0], ["adopted", "its id"]);
  });

  test("fills no more slots with standing messages than there may be channels", () => {
    const desk = new Desk("peer", 2);
    desk.openPeer(1);
    for (const slot of [0, 1]) desk.say({ type: "peerStanding", slot, channel: 1, message: echo });
    assert.deepEqual(desk.answers, []);
    desk.say({ type: "peerStanding", slot: 2, channel: 1, message: echo });
    assert.deepEqual(desk.answers, ["refuse protocolMismatch"]);
  });
});

test("a peer's channel under the number of another takes its place, and nothing of that one is kept", () => {
  const desk = new Desk("peer");
  desk.openPeer(1);
  desk.say({ type: "peerStanding", slot: 0, channel: 1, message: echo });
  desk.openPeer(1);
  desk.say({ type: "peerRepeats", sentAtMs: 0, slots: [0] });
  assert.deepEqual([desk.answers, desk.received], [[], 0]);
});

describe("channels of one connection", () => {
  for (const kind of ["peer", "client"] as const) {
    test(`are as many as the limit says, and not one more (${kind})`, () => {
      const desk = new Desk(kind, 2);
      const open = (channel: number): void =>
        kind === "peer" ? desk.openPeer(channel) : desk.openClient(channel);
      open(1);
      open(2);
      assert.ok(!desk.answers.includes("refuse overloaded"));
      open(2);
      assert.ok(!desk.answers.includes("refuse overloaded"), "that one is open");
      open(3);
      assert.equal(desk.answers.at(-1), "refuse overloaded");
    });
  }

  test("are let go by their group when the connection is gone", () => {
    const desk = new Desk("client");
    desk.openClient(1);
    desk.openClient(2);
    assert.equal(desk.group.channels.size, 2);
    desk.accepted.onClose(null);
    assert.equal(desk.group.channels.size, 0);
  });

  test("that are opened a second time are not kept twice", () => {
    const desk = new Desk("client");
    for (let i = 0; i < 10; i++) desk.openClient(1);
    assert.equal(desk.group.channels.size, 1);
  });

  test("to a group that is being opened, or has just ended, are asked for again later, to an unknown one not", () => {
    const desk = new Desk("client");
    desk.opening.add("soon");
    desk.endings.set(Promise.resolve(), "ended");
    desk.openClient(1, "soon");
    desk.openClient(2, "ended");
    desk.openClient(3, "never");
    assert.deepEqual(desk.answers, [
      "channelRefused unavailable",
      "channelRefused closed",
      "channelRefused unknownGroup",
    ]);
  });
});
