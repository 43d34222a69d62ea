/** A member that is killed while its leader sends it a large snapshot does not begin anew. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { kv } from "../../src/cli/values.js";
import { DurableGroup } from "./durable-group.js";
import { waitFor } from "./processes.js";

const keys = 100;
const big = "x".repeat(100_000);
/** So much has to be there before the kill: a good part, and far from all of the 10 MB. */
const enoughBytes = 1_500_000;

describe("a snapshot that is sent to a member", () => {
  const folder = mkdtempSync(join(tmpdir(), "snapshot-restart-"));
  const durable = new DurableGroup(folder, "kv", kv, {
    ...{ snapshotChunkBytes: 8192, trailingLogBytes: 65_536 },
    // No snapshot but the one that is asked for, so that no newer one takes its place.
    ...{ minSnapshotLogBytes: 2 ** 30, maxSnapshotLogBytes: 2 ** 31 },
  });
  const { group } = durable;
  after(async () => {
    await group.end();
    rmSync(folder, { recursive: true });
  });

  const fileOf = (suffix: string): { ino: number; size: number } | null => {
    const dir = durable.dir("baz");
    const name = readdirSync(dir).find((one) => one.endsWith(suffix));
    return name === undefined ? null : statSync(join(dir, name));
  };

  test("is gone on with after a kill, in the file that was begun", async () => {
    await durable.startAll("foo", "bar", "baz");
    await group.kill("baz");
    const leader = await group.leader("foo", "bar");
    const client = group.client(leader);
    for (let key = 1; key <= keys; key++)
      await client.command("put", { key: `k${key}`, value: big });
    await client.snapshot({ timeoutMs: 30_000 });
    await durable.restart("baz");
    const begun = await waitFor("a good part of the snapshot to be received", () => {
      const part = fileOf(".part");
      return part !== null && part.size >= enoughBytes && part;
    });
    await group.kill("baz");
    const left = fileOf(".part");
    assert.ok(left !== null && left.ino === begun.ino, "it was not all there yet");
    await durable.restart("baz");
    await durable.caughtUp();
    const whole = fileOf(".snap");
    assert.equal(whole?.ino, begun.ino, "the file that was begun is the snapshot now");
    assert.equal(fileOf(".part"), null);
    assert.equal(await group.client("baz").queryStale("get", `k${keys}`), big);
  });
});
