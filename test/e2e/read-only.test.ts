/** The file system of a leader's directory becomes read-only while it writes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { counter } from "../../src/cli/values.js";
import { DurableGroup, refused } from "./durable-group.js";
import { Load } from "./load.js";
import { waitFor } from "./processes.js";
import { mountFragile } from "./small-disk.js";

/** So many increments prove that the group works. */
const some = 300;

const folder = mkdtempSync(join(tmpdir(), "read-only-"));
const disk = mountFragile(folder);
const durable = new DurableGroup(folder, "counter", counter);
const { group } = durable;
after(async () => {
  await group.end();
  if (typeof disk !== "string") disk.unmount();
  rmSync(folder, { recursive: true });
});

test("a leader whose file system becomes read-only makes way; writable again, it goes on as itself", async (context) => {
  if (typeof disk === "string") return context.skip(disk);
  const dir = join(disk.dir, "foo");
  const foo = await durable.start("foo", dir);
  await durable.start("bar");
  await durable.start("baz");
  await durable.voters("foo", "bar", "baz");
  const { id } = await group.status("foo");
  assert.equal(await group.leader(), "foo");
  const load = new Load(group.addresses, group.name, 64);
  try {
    await load.progress(some);
    disk.becomeReadOnly();
    await waitFor("foo to notice", () => foo.complaints().includes("the storage failed"));
    assert.match(
      foo.complaints(),
      /the storage failed, its members stop accepting: .*EROFS.*mount it for writing/,
    );
    assert.notEqual(await group.leader("bar", "baz"), "foo");
    await load.progress(some);
    const report = await load.finish();
    const said = JSON.stringify(report);
    const { acknowledged, unknown, repeated } = report;
    assert.equal(repeated, 0, said);
    const sum = (await group.client("bar").query("get")) as number;
    assert.ok(sum >= acknowledged, `lost: the counter is at ${sum}; ${said}`);
    assert.ok(sum <= acknowledged + unknown, `doubled: the counter is at ${sum}; ${said}`);
    await group.kill("foo");
    await refused(
      durable.tryToStart("foo", "--data", dir, "--join", group.addresses.join(",")),
      /storageFailed: .*mount it for writing/,
    );
    disk.repair();
    await durable.restart("foo");
    await durable.caughtUp();
    assert.equal((await group.status("foo")).id, id, "the same incarnation");
    assert.equal(await group.client("foo").queryStale("get"), sum);
    await group.client("foo").transferLeadership(id);
    assert.equal(await group.client("bar").command("inc", 1), sum + 1);
  } finally {
    load.kill();
  }
});
