/** A client's channel by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaderHint } from "../../src/codec/types.js";
import { decodeFrame } from "../../src/codec/wire.js";
import { ClientChannel } from "../../src/host/client-channel.js";
import type { HostContext } from "../../src/host/context.js";
import type { HostedGroup } from "../../src/host/hosted-group.js";
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
