/** Addresses that members have named themselves: kept while they are needed, and no longer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCborCodec } from "../../src/codec/values.js";
import type { Frame, JoinRequest, OpenPeer } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import type { Connection } from "../../src/ports.js";
import { Cluster, counter } from "./cluster.js";

const welcome: Frame = { type: "welcome", protocol: protocolVersion, hostId: "foo" };
const beat: Frame = {
  type: "peerMessage",
  channel: 1,
  message: {
    type: "appendEntries",
    ...{ term: 2, prevLogIndex: 4, prevLogTerm: 2, commitIndex: 4, round: 0, sentAtMs: 0 },
    ...{ promiseMs: 1000, entries: [] },
  },
};

/** Answers like a host whose group takes everybody in, and does nothing else by itself. */
class FakeHost {
  joining: JoinRequest | null = null;
  /** Says to the newcomer that it was taken in. */
  takeIn: () => void = () => undefined;
  readonly heard: Frame[] = [];

  async listen(cluster: Cluster): Promise<void> {
    await cluster.network.transport("foo").listen("foo:1", (connection) => {
      return {
        onOpen: () => undefined,
        onPayload: (payload) => this.#answer(connection, decodeFrame(payload)),
        onDrain: () => undefined,
        onClose: () => undefined,
      };
    });
  }

  #answer(connection: Connection, frame: Frame): void {
    this.heard.push(frame);
    const say = (answer: Frame): void => connection.send(encodeFrame(answer));
    if (frame.type === "hello") say(welcome);
    else if (frame.type === "openClient") {
      const { channel } = frame;
      const [leader, address] = ["foo#1", "foo:1"];
      say({ type: "channelOpened", channel, groupId: "the-group", memberId: leader });
      say({ type: "leaderHint", channel, term: 2, leader, address, hosts: [address] });
    } else if (frame.type === "requests") {
      const [request] = frame.requests;
      if (request?.type === "admin" && request.verb === "join") {
        const codec = createCborCodec();
        this.joining = codec.decode(request.body) as JoinRequest;
        const body = codec.encode({ groupId: "the-group", hosts: ["foo:1"] });
        const reply = { request: request.request, status: "ok", index: 0, body } as const;
        const replies = [{ ...reply, applied: "no" as const }];
        this.takeIn = () => say({ type: "replies", channel: frame.channel, replies });
      }
    }
  }

  repliesHeard(): number {
    return this.heard.filter((frame) => {
      return frame.type === "peerMessage" && frame.message.type === "appendEntriesReply";
    }).length;
  }
}

function dialAsPeer(cluster: Cluster, from: string): Connection {
  const connection = cluster.network.transport(from).dial("bar:1", {
    onOpen: () => undefined,
    onPayload: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
  });
  const hello: Frame = { type: "hello", protocol: protocolVersion, kind: "peer", from };
  connection.send(encodeFrame(hello));
  return connection;
}

const base: Omit<OpenPeer, "channel" | "group" | "groupId" | "from" | "fromAddress" | "to"> = {
  ...{ type: "openPeer", valueName: "counter", valueVersion: 1, compatibleVersions: [] },
};

/** More hosts than anybody keeps in mind open a channel to bar's member of a group, and are gone again. */
async function comeAndGo(cluster: Cluster, groupId: string, to: string): Promise<void> {
  const crowd = dialAsPeer(cluster, "crowd");
  for (let channel = 1; channel <= 1100; channel++) {
    const [from, fromAddress] = [`crowd#${channel}`, "crowd:1"];
    const open = { ...base, channel, group: "other", groupId, from, fromAddress, to };
    crowd.send(encodeFrame(open));
  }
  await cluster.pass(5);
  crowd.destroy("enough");
}

test("a newcomer can answer its leader however many others have named their addresses", async () => {
  const cluster = new Cluster();
  await cluster.start("bar");
  const [other] = await cluster.group("other", counter, ["bar"]);
  const { groupId: otherId } = await cluster.run(other!.status());
  const foo = new FakeHost();
  await foo.listen(cluster);
  const joining = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
  joining.catch(() => undefined);
  await cluster.until("bar asks to be taken in", () => foo.joining !== null);

  // The leader has found it, but bar has no entry yet that would name the leader.
  const leader = dialAsPeer(cluster, "foo");
  const [group, groupId] = ["counter", "the-group"];
  const [from, fromAddress, to] = ["foo#1", "foo:1", foo.joining!.memberId];
  leader.send(encodeFrame({ ...base, channel: 1, group, groupId, from, fromAddress, to }));
  leader.send(encodeFrame(beat));
  await cluster.until("bar answers", () => foo.repliesHeard() === 1);

  await comeAndGo(cluster, otherId, other!.id);
  await cluster.pass(2500);
  leader.send(encodeFrame(beat));
  await cluster.until("bar answers again", () => foo.repliesHeard() === 2, 1000);
  leader.close();
  await cluster.close();
});

test("what strangers say of their addresses is forgotten, and what a member has said is not", async () => {
  const cluster = new Cluster();
  const [bar, foo] = await cluster.group("other", counter, ["bar", "foo"]);
  const { groupId } = await cluster.run(bar!.status());
  cluster.kill("foo");
  const elsewhere = dialAsPeer(cluster, "foo");
  cluster.network.healAll();
  const [from, fromAddress, to] = [foo!.id, "elsewhere:1", bar!.id];
  const open = { ...base, channel: 1, group: "other", groupId, from, fromAddress, to };
  elsewhere.send(encodeFrame(open));
  await cluster.pass(5);
  elsewhere.destroy("enough");
  await comeAndGo(cluster, groupId, bar!.id);
  const member = cluster.host("bar").memberOf("other")!;
  assert.equal(member.addressOf("crowd#1"), "crowd:1", "for a while they may be needed");
  await cluster.pass(2500);
  assert.equal(member.addressOf("crowd#1"), null);
  assert.equal(member.addressOf("crowd#1100"), null);
  assert.equal(member.addressOf(foo!.id), "elsewhere:1");
  await cluster.close();
});

test("a newcomer to which a member of another group of that name wrote first is in neither", async () => {
  const cluster = new Cluster();
  await cluster.start("bar");
  const foo = new FakeHost();
  await foo.listen(cluster);
  const joining = cluster.host("bar").group("counter", counter, { start: { join: ["foo:1"] } });
  joining.catch(() => undefined);
  await cluster.until("bar asks to be taken in", () => foo.joining !== null);
  const quicker = dialAsPeer(cluster, "baz");
  const [group, groupId, from, fromAddress] = ["counter", "another-group", "baz#1", "baz:1"];
  const to = foo.joining!.memberId;
  quicker.send(encodeFrame({ ...base, channel: 1, group, groupId, from, fromAddress, to }));
  quicker.send(encodeFrame(beat));
  await cluster.pass(50);
  foo.takeIn();
  await assert.rejects(cluster.run(joining), {
    code: "groupMismatch",
    message:
      /two groups bear the name "counter": the-group took bar#.* in, another-group wrote to it/,
  });
  quicker.close();
  await cluster.close();
});
