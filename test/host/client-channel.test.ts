/** A client's channel by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
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
