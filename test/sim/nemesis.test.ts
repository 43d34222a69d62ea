/** What a storm has left is made whole when it is over. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimCluster } from "../../src/sim/cluster.js";
import { quickDisk, SimDisk } from "../../src/sim/disk.js";
import { Nemesis } from "../../src/sim/nemesis.js";
import { SimNetwork } from "../../src/sim/network.js";
import { World } from "../../src/sim/world.js";

test("disks are quick after a storm, also where two slownesses overlapped", () => {
  const world = new World({ seed: 1 });
  const disk = new SimDisk(world);
  const machine = {
    ...{ name: "a", running: true, wanted: true, process: null, disk },
    setRate: () => undefined,
    recoverDisk: () => undefined,
  };
  const network = new SimNetwork(world);
  const rollout = { stop: () => undefined };
  const cluster = { world, network, rollout, machines: [machine] };
  const nemesis = new Nemesis(cluster as unknown as SimCluster, ["slow-disk"], 100);
  nemesis.start();
  let [storms, struck] = [0, 0];
  while (storms < 20) {
    const before = nemesis.phase;
    world.step();
    if (disk.settings.minSyncMs !== quickDisk.minSyncMs) struck += 1;
    if (nemesis.phase !== "heal" || before === "heal") continue;
    storms += 1;
    assert.deepEqual(disk.settings, quickDisk);
  }
  assert.ok(struck > 0);
});
