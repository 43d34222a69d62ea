/** Durable members whose processes get another port with every start, as in containers without fixed addresses. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counter } from "../../src/cli/values.js";
import { DurableGroup } from "./durable-group.js";
import { waitFor } from "./processes.js";

const ids = ["foo", "bar", "baz"] as const;

describe("three durable members that get another address with every start", () => {
  const folder = mkdtempSync(join(tmpdir(), "moved-"));
  const durable = new DurableGroup(folder, "counter", counter);
  const { group } = durable;
  let count = 0;
  before(() => durable.startAll(...ids));
  after(async () => {
    await group.end();
    rmSync(folder, { recursive: true });
  });

  /** The leader knows where all are, and the group goes on. */
  async function goesOn(): Promise<void> {
    const here = [...group.members.values()].map(({ address }) => address).sort();
    await waitFor("the leader to know all", async () => {
      const { members } = await group.status(await group.leader());
      const known = members.map(({ address }) => address).sort();
      return known.join() === here.join();
    });
    count += 1;
    assert.equal(await group.client("baz").command("inc", 1), count);
  }

  test("are killed and started one after the other", async () => {
    await goesOn();
    const before = await durable.voters(...ids);
    for (const id of ids) {
      await group.kill(id);
      await durable.start(id);
    }
    await goesOn();
    assert.deepEqual(await durable.voters(...ids), before, "the same members");
  });

  test("are killed and started all at once", async () => {
    await durable.killAll();
    for (const id of ids) await durable.start(id);
    await goesOn();
  });
});
