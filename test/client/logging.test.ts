/** A logger that throws costs its own lines, and nothing of what they tell of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../src/client/index.js";
import { list, World } from "./world.js";

function broken(): never {
  throw new Error("the logger is broken");
}
const logger = { debug: broken, info: broken, warn: broken, error: broken };

test("a client whose logger throws finds its leader, and comes back after a lost connection", async () => {
  const world = await World.create(2);
  const { clock, random } = world;
  const transport = world.network.transport("client");
  const options = { group: "numbers", hosts: ["b:1"], transport, clock, random, logger };
  const client = connect(list, options);
  for (const host of world.group.hosts) host.answer = () => "ignore";
  const call = client.command("push", 1);
  await world.pass(50);
  for (const host of world.group.hosts) {
    host.answer = () => "serve";
    host.breakConnections();
  }
  assert.equal(await world.value(call), 1);
});
