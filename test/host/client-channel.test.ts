/** A client's channel by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GroupEvent } from "../../src/client/types.js";
import { emptyBytes } from "../../src/codec/bytes.js";
import type { LeaderHint } from "../../src/codec/types.js";
import { createCborCodec } from "../../src/codec/values.js";
import { decodeFrame } from "../../src/codec/wire.js";
import { ClientChannel } from "../../src/host/client-channel.js";
import type { HostContext } from "../../src/host/context.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
import { defaultHostLimits } from "../../src/host/limits.js";
import type { Connection } from "../../src/ports.js";

test("a group keeps no channel of a client that is gone", () => {
  const group = { channels: new Set() } as unknown as HostedGroup;
  const channel = new ClientChannel({} as HostContext, {} as Connection, group, 1);
  assert.ok(group.channels.has(channel));
  channel.close();
  assert.equal(group.channels.size, 0);
});

test("a client is told who leads and where whenever any of it has changed, and only then", () => {
  const sent: unknown[] = [];
  const connection = {
    send: (payload: Uint8Array) => void sent.push(decodeFrame(payload)),
  } as Partial<Connection> as Connection;
  const first: LeaderHint = {
    ...{ type: "leaderHint", channel: 1, term: 2, leader: "foo#1", address: "foo:1" },
    hosts: ["foo:1", "bar:1"],
  };
  let hint = first;
  const member = { leaderHint: () => ({ ...hint }) };
  const group = { channels: new Set(), member } as unknown as HostedGroup;
  const channel = new ClientChannel({} as HostContext, connection, group, 1);
  const changes: Partial<LeaderHint>[] = [
    {},
    { term: 3 },
    { address: "foo:2" },
    { hosts: ["foo:2", "bar:1"] },
    { hosts: ["foo:2"] },
    { leader: "bar#1" },
  ];
  const expected: LeaderHint[] = [];
  for (const change of changes) {
    hint = { ...hint, ...change };
    expected.push(hint);
    channel.sendHint();
    channel.sendHint();
  }
  assert.deepEqual(sent, expected);
});

/** With one subscription; `told` are the events that went out, `queuedBytes` what waits in front of them. */
function subscribed() {
  const codec = createCborCodec();
  const told: GroupEvent[] = [];
  const connection = {
    queuedBytes: 0,
    send(payload: Uint8Array): void {
      const frame = decodeFrame(payload);
      if (frame.type === "notify") told.push(codec.decode(frame.body) as GroupEvent);
    },
  };
  const context = {
    codec,
    turns: { atEnd: () => undefined },
    limits: defaultHostLimits,
  } as unknown as HostContext;
  const member = { currentEvents: () => [] };
  const group = { channels: new Set(), member } as unknown as HostedGroup;
  const channel = new ClientChannel(context, connection as unknown as Connection, group, 1);
  channel.take({ type: "admin", request: 1, verb: "subscribe", body: emptyBytes });
  channel.flushTurn();
  return { channel, connection, told };
}

const role = (term: number): GroupEvent => ({
  type: "role",
  role: "leader",
  term,
  leader: "foo#1",
});
const members: GroupEvent = { type: "members", voters: ["foo#1"], learners: [] };

test("events of one turn come in the order of the newest of each kind", () => {
  const { channel, told } = subscribed();
  for (const event of [role(1), members, role(2)]) channel.notify(event);
  channel.flushTurn();
  assert.deepEqual(told, [members, role(2)]);
});

test("events wait while a client does not read, and are the newest when it does", () => {
  const { channel, connection, told } = subscribed();
  connection.queuedBytes = 300_000;
  for (const term of [1, 2, 3]) {
    channel.notify(role(term));
    channel.flushTurn();
  }
  assert.deepEqual(told, []);
  connection.queuedBytes = 0;
  channel.sendEvents();
  assert.deepEqual(told, [role(3)]);
});

test("a client is told what has happened before its channel ends", () => {
  const { channel, told } = subscribed();
  channel.notify({ type: "closed" });
  channel.refuse("closed", "the member was closed");
  assert.deepEqual(told, [{ type: "closed" }]);
});
