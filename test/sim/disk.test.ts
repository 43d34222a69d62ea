/** The simulated disk: a storage like any other, whose crashes lose what nobody was promised. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimDisk } from "../../src/sim/disk.js";
import { SimProcess } from "../../src/sim/process.js";
import { World } from "../../src/sim/world.js";
import { entries, hardState, identityOf, OpenStorage } from "../../src/contract/storage-harness.js";
import { storageContract } from "../../src/contract/storage.js";
import { pump } from "./pump.js";

storageContract("simulated", (t) => {
  const world = new World({ seed: 1 });
  const disk = new SimDisk(world);
  pump(t, world);
  let processes = 0;
  return {
    storage: () =>
      disk.storage(new SimProcess(world, "a", `a.${++processes}`, world.random.fork())),
    damage: (group) => void disk.damage(group),
  };
});

function makeDisk(seed: number) {
  const world = new World({ seed });
  const disk = new SimDisk(world);
  let processes = 0;
  const start = async () => {
    const process = new SimProcess(world, "a", `a.${++processes}`, world.random.fork());
    return { process, opened: await OpenStorage.open({ storage: () => disk.storage(process) }) };
  };
  const run = (): void => {
    while (world.step());
  };
  return { world, disk, start, run };
}

describe("a crash of the simulated disk", () => {
  test("keeps what was acknowledged, and a beginning of the rest of any length", async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 60; seed++) {
      const { start, run } = makeDisk(seed);
      const { process, opened } = await start();
      opened.storage.createGroup(identityOf("queue"));
      opened.store("queue", { hardState: hardState(1), entries: entries(1, 3, 1) });
      run();
      assert.equal(opened.of("stored").length, 1);
      for (let i = 4; i <= 8; i++) opened.store("queue", { entries: entries(i, i, 1) });
      process.kill();
      run();
      assert.equal(opened.of("stored").length, 1, "the dead hear nothing");
      const again = await start();
      const kept = again.opened.group("queue").entries.map(({ index }) => index);
      assert.ok(kept.length >= 3 && kept.length <= 8);
      assert.deepEqual(kept, [1, 2, 3, 4, 5, 6, 7, 8].slice(0, kept.length));
      lengths.add(kept.length);
    }
    assert.deepEqual(
      [...lengths].sort((a, b) => a - b),
      [3, 4, 5, 6, 7, 8],
    );
  });

  test("forgets what had not been flushed", async () => {
    const { start, run } = makeDisk(1);
    const { process, opened } = await start();
    opened.storage.createGroup(identityOf("queue"));
    opened.store("queue", { entries: entries(1, 1, 1) });
    run();
    opened.append("queue", { entries: entries(2, 2, 1) });
    process.kill();
    const again = await start();
    assert.equal(again.opened.group("queue").entries.length, 1);
  });
});

describe("a failing write of the simulated disk", () => {
  test("is told once, and nothing is acknowledged behind it", async () => {
    const { disk, start, run } = makeDisk(3);
    const { process, opened } = await start();
    opened.storage.createGroup(identityOf("queue"));
    opened.store("queue", { entries: entries(1, 1, 1) });
    run();
    assert.ok(disk.failWrites());
    opened.store("queue", { entries: entries(2, 2, 1) });
    run();
    opened.store("queue", { entries: entries(3, 3, 1) });
    run();
    assert.equal(opened.of("failed").length, 1);
    assert.equal(opened.of("stored").length, 1);
    assert.ok(disk.failed);
    process.kill();
    assert.ok(!disk.failed, "a new process finds it working");
    const again = await start();
    assert.ok(again.opened.group("queue").entries.length <= 2);
  });
});

describe("a simulated disk that hangs", () => {
  test("answers nothing until it goes on, then everything, in order", async () => {
    const { disk, start, run } = makeDisk(4);
    const { opened } = await start();
    opened.storage.createGroup(identityOf("queue"));
    opened.store("queue", { entries: entries(1, 1, 1) });
    run();
    assert.ok(disk.hang());
    assert.ok(!disk.hang(), "it hangs already");
    opened.store("queue", { entries: entries(2, 2, 1) });
    run();
    opened.store("queue", { entries: entries(3, 3, 1) });
    run();
    assert.equal(opened.of("stored").length, 1);
    assert.equal(opened.of("failed").length, 0);
    disk.goOn();
    run();
    assert.equal(opened.of("stored").length, 3);
  });

  test("hangs for the next process as well, and owes the dead nothing", async () => {
    const { disk, start, run } = makeDisk(5);
    const { process, opened } = await start();
    opened.storage.createGroup(identityOf("queue"));
    run();
    disk.hang();
    opened.store("queue", { entries: entries(1, 1, 1) });
    run();
    process.kill();
    const again = await start();
    const first = again.opened.group("queue").entries.length + 1;
    again.opened.store("queue", { entries: entries(first, first, 1) });
    run();
    assert.equal(again.opened.of("stored").length, 0);
    disk.goOn();
    run();
    assert.equal(opened.of("stored").length, 0);
    assert.equal(again.opened.of("stored").length, 1);
  });
});
