/** Channels that come and go on the connections of hosts that stay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster, counter, createLogBook } from "./cluster.js";

test("groups that come and go leave the connection between their hosts as it is, however many there were", async () => {
  const cluster = new Cluster();
  const { lines, logger } = createLogBook();
  const limits = { maxChannelsPerConnection: 6 };
  for (const id of ["foo", "bar"]) await cluster.start(id, { logger, limits });
  await cluster.group("steady", counter, ["foo", "bar"]);
  for (let round = 0; round < 12; round++) {
    const handles = await cluster.group(`passing-${round}`, counter, ["foo", "bar"]);
    for (const handle of handles) await cluster.run(handle.close());
    await cluster.pass(1000);
  }
  const told = lines.map(({ message }) => message).filter((line) => line.includes("channels"));
  assert.deepEqual(told, []);
  await cluster.close();
});
