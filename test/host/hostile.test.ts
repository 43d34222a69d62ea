/** Whatever stands on the other side of a connection: it is closed with one line, all else goes on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../src/clock/virtual.js";
import { type Frame, protocolVersion, type Repeatable } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { Cluster, counter, createLogBook, type LogLine } from "./cluster.js";

const helloClient: Frame = {
  type: "hello",
  protocol: protocolVersion,
  kind: "client",
  from: "stranger",
};
const helloPeer: Frame = { ...helloClient, kind: "peer" };
const empty = new Uint8Array(0);

/** A group on a host, and a connection to it that speaks only what a test says. */
async function attack(payloads: readonly Uint8Array[]): Promise<{
  frames: Frame[];
  closed: boolean;
  lines: LogLine[];
  next: number;
}> {
  const cluster = new Cluster();
  const book = createLogBook();
  await cluster.start("foo", { logger: book.logger });
  const [foo] = await cluster.group("counter", counter, ["foo"]);
  const frames: Frame[] = [];
  let closed = false;
  const connection = cluster.network.transport("stranger").dial("foo:1", {
    onOpen: () => undefined,
    onPayload: (payload) => void frames.push(decodeFrame(payload)),
    onDrain: () => undefined,
    onClose: () => (closed = true),
  });
  for (const payload of payloads) connection.send(payload);
  await cluster.pass(100);
  const lines = book.lines.filter((line) => line.level === "warn" || line.level === "error");
  const wasClosed = closed;
  const next = await cluster.run(foo!.command("inc", 1));
  await cluster.close();
  return { frames, closed: wasClosed, lines, next };
}

async function isThrownOut(payloads: readonly Uint8Array[], line: RegExp): Promise<void> {
  const { closed, lines, next, frames } = await attack(payloads);
  assert.equal(closed, true, "the connection is closed");
  assert.equal(lines.length, 1, lines.map((each) => each.message).join("\n"));
  assert.match(lines[0]!.message, line);
  assert.equal(frames.at(-1)?.type, "refuse");
  assert.equal(next, 1, "the member goes on");
}

describe("a connection is closed, with one line that says why, that brings", () => {
  test("random bytes", async () => {
    const random = new SeededRandom(7);
    for (let i = 0; i < 20; i++) {
      const bytes = Uint8Array.from({ length: 1 + random.below(200) }, () => random.below(256));
      await isThrownOut([bytes], /closed the connection from/);
    }
  });

  test("an empty payload", () => isThrownOut([empty], /frame type/));

  test("another protocol version", () =>
    isThrownOut([encodeFrame({ ...helloClient, protocol: 99 })], /speaks protocol 99, host foo/));

  test("requests before it has said hello", () =>
    isThrownOut([encodeFrame({ type: "requests", channel: 1, requests: [] })], /does not belong/));

  test("what it is not to send, and nobody reads what it holds", async () => {
    // The type of each is in its first byte; the rest makes no sense.
    await isThrownOut([new Uint8Array([9, 77])], /"requests", which does not belong here/);
    await isThrownOut(
      [encodeFrame(helloClient), new Uint8Array([4, 77])],
      /"peerMessage", which does not belong here/,
    );
  });

  test("millions of requests in one frame", () => {
    const count = 3_000_000;
    const frame = new Uint8Array(9 + 14 * count);
    frame[0] = 9;
    new DataView(frame.buffer).setUint32(5, count, true);
    return isThrownOut(
      [encodeFrame(helloClient), frame],
      /requests declares 3000000, a frame has 131072 at most/,
    );
  });

  test("requests on a channel that it never opened", () =>
    isThrownOut(
      [encodeFrame(helloClient), encodeFrame({ type: "requests", channel: 5, requests: [] })],
      /channel that was not opened/,
    ));

  test("a message of a peer on a client's connection", () =>
    isThrownOut(
      [
        encodeFrame(helloClient),
        encodeFrame({ type: "peerMessage", channel: 1, message: { type: "timeoutNow", term: 9 } }),
      ],
      /"peerMessage", which does not belong here/,
    ));

  test("frames that only a host sends", () =>
    isThrownOut(
      [
        encodeFrame(helloClient),
        encodeFrame({ type: "welcome", protocol: protocolVersion, hostId: "foo" }),
      ],
      /"welcome", which does not belong here/,
    ));

  const echo = {
    ...{ type: "appendEntriesReply" as const, term: 1, success: true, matchIndex: 1, hintIndex: 0 },
    ...{ hintTerm: 0, round: 0, sentAtMs: 0 },
  } satisfies Repeatable as Repeatable;
  const stand = (slot: number): Frame => ({
    ...{ type: "peerStanding", slot, channel: 1, message: echo },
  });
  const repeat = (...slots: number[]): Frame => ({ type: "peerRepeats", sentAtMs: 1, slots });
  const nobody: Frame = {
    ...{ type: "openPeer", channel: 1, group: "counter", groupId: "id", from: "stranger#1" },
    ...{ fromAddress: "stranger:1", to: "foo#1", valueName: "counter", valueVersion: 1 },
    compatibleVersions: [],
  };

  for (const [what, frames, line] of [
    ["a standing message on a channel that it never opened", [stand(0)], /standing message on a/],
    [
      "a standing message far beyond the others",
      [nobody, stand(1)],
      /in slot 1, the next one is 0/,
    ],
    ["a repeat of nothing", [nobody, repeat(0)], /1 repeats, of 0 standing messages/],
    ["a repeat of a slot beyond", [nobody, stand(0), repeat(1)], /slot 1, in which nothing stands/],
    ["one message again and again", [nobody, stand(0), repeat(0, 0)], /2 repeats, of 1 standing/],
  ] as [string, Frame[], RegExp][]) {
    test(what, async () => {
      const payloads = [helloPeer, ...frames].map((frame) => encodeFrame(frame));
      const { closed, lines, next } = await attack(payloads);
      assert.equal(closed, true);
      // The line before it says that the channel is refused.
      assert.match(lines.at(-1)!.message, line);
      assert.equal(next, 1);
    });
  }

  test("a standing message that is none to be repeated", () =>
    isThrownOut(
      [
        encodeFrame(helloPeer),
        encodeFrame({ ...stand(0), message: { ...echo, success: false } } as unknown as Frame),
      ],
      /peerStanding\.message "appendEntriesReply" is not one to be repeated/,
    ));

  test("hello twice", () =>
    isThrownOut([encodeFrame(helloPeer), encodeFrame(helloPeer)], /"hello", which does not/));

  const endless = "x".repeat(70_000);
  const openPeer: Frame = {
    ...{ type: "openPeer", channel: 1, group: "counter", groupId: "id", from: "stranger#1" },
    ...{ fromAddress: "stranger:1", to: "foo#1", valueName: "counter", valueVersion: 1 },
    compatibleVersions: [],
  };
  const openClient: Frame = {
    ...{ type: "openClient", channel: 1, group: "counter", valueName: null, valueVersion: 0 },
    compatibleVersions: [],
  };

  for (const [field, frames] of [
    ["hello.from", [{ ...helloClient, from: endless }]],
    ["openPeer.group", [helloPeer, { ...openPeer, group: endless }]],
    ["openPeer.groupId", [helloPeer, { ...openPeer, groupId: endless }]],
    ["openPeer.from", [helloPeer, { ...openPeer, from: `stranger#${endless}` }]],
    ["openPeer.fromAddress", [helloPeer, { ...openPeer, fromAddress: endless }]],
    ["openPeer.to", [helloPeer, { ...openPeer, to: endless }]],
    ["openPeer.valueName", [helloPeer, { ...openPeer, valueName: endless }]],
    ["openClient.group", [helloClient, { ...openClient, group: endless }]],
    ["openClient.valueName", [helloClient, { ...openClient, valueName: endless }]],
  ] as [string, Frame[]][]) {
    test(`an endless ${field}`, () =>
      isThrownOut(
        frames.map((frame) => encodeFrame(frame)),
        new RegExp(`^.{1,200}${field} has 70\\d{3} characters; 512 are the most that is taken$`),
      ));
  }

  test("a name that would break the log line", () =>
    isThrownOut(
      [encodeFrame(helloClient), encodeFrame({ ...openClient, group: "a\nhost foo: all is well" })],
      /openClient\.group holds a control character at 1$/,
    ));

  test("a truncated frame", () =>
    isThrownOut([encodeFrame(helloClient).subarray(0, 12)], /malformed bytes/));
});

describe("a channel is refused, with one line, to", () => {
  const openPeer: Frame = {
    type: "openPeer",
    channel: 1,
    group: "counter",
    groupId: "another-group",
    from: "stranger#1",
    fromAddress: "stranger:1",
    to: "foo#1",
    valueName: "counter",
    valueVersion: 1,
    compatibleVersions: [],
  };
  const message: Frame = {
    type: "peerMessage",
    channel: 1,
    message: { type: "requestVote", term: 99, lastLogIndex: 99, lastLogTerm: 99, transfer: true },
  };

  const isRefused = async (open: Frame, code: string, text: RegExp): Promise<void> => {
    const first = open.type === "openPeer" ? helloPeer : helloClient;
    const { frames, lines, next, closed } = await attack(
      [first, open, ...(open.type === "openPeer" ? [message] : [])].map((frame) =>
        encodeFrame(frame),
      ),
    );
    const refusal = frames.find((frame) => frame.type === "channelRefused");
    assert.equal(refusal?.code, code);
    assert.match(refusal!.message, text);
    assert.equal(lines.length, 1);
    assert.match(lines[0]!.message, text);
    assert.equal(closed, false, "other channels of the connection go on");
    assert.equal(next, 1);
  };

  test("a peer that means another incarnation", () =>
    isRefused(openPeer, "notMember", /the member of group "counter" here is foo#.*not foo#1/));

  test("a peer that speaks for another host", () =>
    isRefused({ ...openPeer, from: "bar#1" }, "protocolMismatch", /bar#1 is no member of host/));

  test("a peer of a group that is not here", () =>
    isRefused({ ...openPeer, group: "other" }, "unknownGroup", /serves no group "other"/));

  test("a client of a group that is not here", () =>
    isRefused(
      {
        type: "openClient",
        channel: 1,
        group: "other",
        valueName: null,
        valueVersion: 0,
        compatibleVersions: [],
      },
      "unknownGroup",
      /serves no group "other"; it serves: "counter"/,
    ));

  test("a client of another value", () =>
    isRefused(
      {
        type: "openClient",
        channel: 1,
        group: "counter",
        valueName: "queue",
        valueVersion: 1,
        compatibleVersions: [],
      },
      "groupMismatch",
      /serves value "counter", the client has value "queue"/,
    ));

  test("a client of another version", () =>
    isRefused(
      {
        type: "openClient",
        channel: 1,
        group: "counter",
        valueName: "counter",
        valueVersion: 2,
        compatibleVersions: [3],
      },
      "groupMismatch",
      /has version 1 of value "counter", the client has version 2/,
    ));
});

describe("a message of another group's member", () => {
  test("that bears the right member's id is refused by the group's id", async () => {
    const cluster = new Cluster();
    const book = createLogBook();
    await cluster.start("foo", { logger: book.logger });
    const [foo] = await cluster.group("counter", counter, ["foo"]);
    const frames: Frame[] = [];
    const connection = cluster.network.transport("bar").dial("foo:1", {
      onOpen: () => undefined,
      onPayload: (payload) => void frames.push(decodeFrame(payload)),
      onDrain: () => undefined,
      onClose: () => undefined,
    });
    const status = await cluster.run(foo!.status());
    connection.send(encodeFrame({ ...helloPeer, from: "bar" }));
    connection.send(
      encodeFrame({
        type: "openPeer",
        channel: 1,
        group: "counter",
        groupId: "an older life of the group",
        from: "bar#1",
        fromAddress: "bar:1",
        to: foo!.id,
        valueName: "counter",
        valueVersion: 1,
        compatibleVersions: [],
      }),
    );
    connection.send(
      encodeFrame({ type: "peerMessage", channel: 1, message: { type: "timeoutNow", term: 999 } }),
    );
    await cluster.pass(100);
    const refusal = frames.find((frame) => frame.type === "channelRefused");
    assert.equal(refusal?.code, "groupMismatch");
    assert.match(refusal!.message, /two different groups bear the same name/);
    assert.equal((await cluster.run(foo!.status())).term, status.term);
    await cluster.close();
  });
});

test("who comes time and again with the same is told of once in a while", async () => {
  const cluster = new Cluster();
  const book = createLogBook();
  await cluster.start("foo", { logger: book.logger });
  const deaf = { onOpen() {}, onPayload() {}, onDrain() {}, onClose() {} };
  const told = (): number => book.lines.filter(({ level }) => level === "warn").length;
  const come = async (): Promise<void> => {
    for (let times = 0; times < 20; times++) {
      cluster.network
        .transport("stranger")
        .dial("foo:1", deaf)
        .send(new Uint8Array([99]));
      await cluster.pass(10);
    }
  };
  await come();
  assert.equal(told(), 1);
  await cluster.pass(10_000);
  await come();
  assert.equal(told(), 2);
  await cluster.close();
});
