/** Which limits a host takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkLimits, defaultHostLimits, transportLimits } from "../../src/host/limits.js";
import { createTcpTransport } from "../../src/transport/tcp.js";
import { Cluster, counter } from "./cluster.js";

test("limits may lie at their edges, and nothing else is taken", () => {
  const edges = { maxAwakeUs: 0, maxConnections: 1, minDialPauseMs: 1000 };
  const limits = checkLimits({ ...edges, maxFrameBytes: undefined } as object);
  assert.deepEqual(limits, { ...defaultHostLimits, ...edges });
  assert.ok(Object.isFrozen(limits));
  for (const [given, message] of [
    [null, /^limits: expected an object/],
    [5, /^limits: expected an object/],
    [{ constructor: 1 }, /^limits\.constructor: no such limit/],
    [{ maxConnections: 1.5 }, /^limits\.maxConnections: expected/],
    [{ maxInboxBytes: 4095 }, /^limits\.maxInboxBytes: expected .* of 4096 or more, got 4095$/],
    [{ maxFrameBytes: 1 }, /^limits\.maxFrameBytes: expected .* of 4096 or more, got 1$/],
    [
      { maxClientQueueBytes: 1 },
      /^limits\.maxClientQueueBytes: expected .* of 4096 or more, got 1$/,
    ],
  ] as const) {
    assert.throws(() => checkLimits(given as object), { code: "invalidArgument", message });
  }
  const most = { maxConnections: Number.MAX_SAFE_INTEGER, maxPeerQueueBytes: 2 ** 53 - 1 };
  createTcpTransport({ limits: transportLimits(checkLimits(most)) });
});

test("with the least limits that are taken newcomers get in, and the group can be used", async () => {
  const cluster = new Cluster();
  const limits = { maxInboxBytes: 4096, maxFrameBytes: 4096, maxClientQueueBytes: 4096 };
  const ids = ["foo", "bar", "baz"].map((id) => id.padEnd(64, "x"));
  for (const id of ids) await cluster.start(id, { limits });
  const members = await cluster.group("counter", counter, ids);
  for (const member of members) {
    await cluster.run(member.command("inc", 1));
    await cluster.run(member.status());
    await cluster.run(member.changeConfig({}));
  }
  assert.equal(await cluster.run(members[0]!.query("get")), 3);
  await cluster.close();
});
