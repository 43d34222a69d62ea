/** Frames that are well-formed and make no sense: from clients and from peers, in any order. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../src/clock/virtual.js";
import { createCborCodec } from "../../src/codec/values.js";
import type { ClientRequest, Frame } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import type { Message } from "../../src/core/types.js";
import { encodeCommandBody } from "../../src/value/body.js";
import { Cluster, counter, createLogBook } from "./cluster.js";

const codec = createCborCodec();
const verbs = [
  "status",
  "join",
  "remove",
  "transfer",
  "changeConfig",
  "forceRemove",
  "snapshot",
  "subscribe",
  "unsubscribe",
  "barrier",
  "no such verb",
];
const values: readonly unknown[] = [
  null,
  {},
  [],
  7,
  "foo",
  { id: null },
  { id: "" },
  { id: "foo" },
  { id: 7 },
  { heartbeatMs: 1e9 },
  {
    memberId: "x#1",
    address: "x:1",
    valueName: "counter",
    valueVersion: 2,
    compatibleVersions: [],
  },
  { request: 3 },
];

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.below(list.length)]!;
}

function someNumber(random: SeededRandom): number {
  return pick(random, [0, 1, 2, 3, 5, 100, 2 ** 32, 2 ** 40, random.below(1000)]);
}

function someBody(random: SeededRandom): Uint8Array {
  if (random.below(3) === 0) {
    return Uint8Array.from({ length: random.below(30) }, () => random.below(256));
  }
  if (random.below(2) === 0) return codec.encode(pick(random, values));
  return encodeCommandBody(counter, codec, "inc", true, random.below(10), null);
}

function someRequest(random: SeededRandom): ClientRequest {
  const request = someNumber(random);
  switch (random.below(4)) {
    case 0:
      return { type: "register", request, nonce: someNumber(random) };
    case 1:
      return {
        type: "command",
        request,
        session: someNumber(random),
        sequence: someNumber(random),
        lowestOutstanding: someNumber(random),
        body: someBody(random),
      };
    case 2:
      return { type: "query", request, stale: random.below(2) === 0, body: someBody(random) };
    default:
      return { type: "admin", request, verb: pick(random, verbs), body: someBody(random) };
  }
}

/** Terms stay low: whoever bears the group's own id may of course depose its leader. */
function someMessage(random: SeededRandom): Message {
  const term = random.below(4);
  const n = (): number => someNumber(random);
  switch (random.below(8)) {
    case 0:
      return { type: "preVoteReply", term, requestTerm: n(), granted: true, removed: true };
    case 1:
      return { type: "requestVoteReply", term, granted: true };
    case 2:
      return {
        type: "appendEntriesReply",
        term,
        success: random.below(2) === 0,
        matchIndex: n(),
        hintIndex: n(),
        hintTerm: n(),
        round: n(),
        sentAtMs: n(),
      };
    case 3:
      return {
        type: "installSnapshotReply",
        term,
        snapshotIndex: n(),
        snapshotTerm: n(),
        offset: n(),
        installed: random.below(2) === 0,
        round: n(),
        sentAtMs: n(),
      };
    case 4:
      return { type: "readIndex", term, batch: n() };
    case 5:
      return { type: "readIndexReply", term, batch: n(), readIndex: n() };
    case 6:
      return {
        ...{ type: "compareHashes", term, indices: [n(), n()], hashes: [n(), n()] },
        snapshot: { index: n(), valueHash: n(), valueVersion: n(), sizeBytes: n() },
      };
    default:
      return { type: "requestVote", term, lastLogIndex: n(), lastLogTerm: n(), transfer: true };
  }
}

function clientFrames(random: SeededRandom): Frame[] {
  const base = { valueVersion: 1, compatibleVersions: [] };
  const frames: Frame[] = [
    { type: "hello", protocol: protocolVersion, kind: "client", from: "x" },
    { type: "openClient", channel: 1, group: "counter", valueName: "counter", ...base },
  ];
  for (let i = 0; i < 30; i++) {
    const requests = Array.from({ length: random.below(5) }, () => someRequest(random));
    frames.push({ type: "requests", channel: 1, requests });
  }
  return frames;
}

function peerFrames(random: SeededRandom, groupId: string, to: string): Frame[] {
  const from = pick(random, ["x#1", "x#2"]);
  const frames: Frame[] = [
    { type: "hello", protocol: protocolVersion, kind: "peer", from: "x" },
    {
      type: "openPeer",
      channel: 1,
      group: "counter",
      groupId,
      from,
      fromAddress: "x:1",
      to,
      valueName: "counter",
      valueVersion: 1,
      compatibleVersions: [],
    },
  ];
  for (let i = 0; i < 30; i++) {
    frames.push({ type: "peerMessage", channel: 1, message: someMessage(random) });
  }
  return frames;
}

describe("frames that make no sense", () => {
  test("stop no member, leave no request without an answer, and change only what they may", async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const cluster = new Cluster(seed);
      const random = new SeededRandom(seed);
      const book = createLogBook();
      await cluster.start("foo", { logger: book.logger });
      const [foo] = await cluster.group("counter", counter, ["foo"]);
      const { groupId } = await cluster.run(foo!.status());
      for (let i = 0; i < 6; i++) {
        let answers = 0;
        const stranger = cluster.network.transport("x").dial("foo:1", {
          onOpen: () => undefined,
          onPayload(payload) {
            const frame = decodeFrame(payload);
            if (frame.type === "replies") answers += frame.replies.length;
          },
          onDrain: () => undefined,
          onClose: () => undefined,
        });
        const frames = i % 2 === 0 ? clientFrames(random) : peerFrames(random, groupId, foo!.id);
        const asked = frames.reduce(
          (sum, frame) => sum + (frame.type === "requests" ? frame.requests.length : 0),
          0,
        );
        for (const frame of frames) {
          stranger.send(encodeFrame(frame));
          if (random.below(4) === 0) await cluster.pass(5);
        }
        await cluster.until(`seed ${seed}: every request is answered`, () => answers === asked);
      }
      assert.deepEqual(
        book.lines.filter((line) => line.level === "error").map((line) => line.message),
        [],
        `seed ${seed}`,
      );
      const value = await cluster.run(foo!.query("get"));
      assert.equal(await cluster.run(foo!.command("inc", 1)), value + 1, `seed ${seed}`);
      await cluster.close();
    }
  });
});
