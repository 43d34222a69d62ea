/**
 * A group that keeps everything in directories, as real processes: all of them killed at once, a
 * directory damaged, a backup and a new group from it, and what is left after the loss of a majority.
 * What an operator does about it is done here on the command line.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counter } from "../../src/cli/values.js";
import type { Inspection, Ranking } from "../../src/index.js";
import { DurableGroup, flipInTheMiddle, refused, succeeds } from "./durable-group.js";
import { Load } from "./load.js";
import { hostOf, runCli, waitFor } from "./processes.js";

/** So many increments prove that the group works. */
const some = 300;
const ids = ["foo", "bar", "baz"] as const;

describe("three durable members", () => {
  const folder = mkdtempSync(join(tmpdir(), "durability-"));
  const durable = new DurableGroup(folder, "counter", counter);
  const { group } = durable;
  before(() => durable.startAll(...ids));
  after(async () => {
    await group.end();
    rmSync(folder, { recursive: true });
  });

  const sumOf = (id: string): Promise<unknown> => group.client(id).query("get");
  const memberIds = (): Promise<string[]> =>
    Promise.all(ids.map(async (id) => (await group.status(id)).id));

  test("killed all at once under load, come back as themselves with all that was acknowledged", async () => {
    const load = new Load(group.addresses, group.name, 64);
    try {
      await load.progress(some);
      const before = await memberIds();
      const { term } = await group.status("foo");
      await durable.killAll();
      for (const id of ids) await durable.restart(id);
      await load.progress(some);
      const report = await load.finish();
      const said = JSON.stringify(report);
      const { acknowledged, unknown, repeated } = report;
      assert.equal(repeated, 0, said);
      const sum = (await sumOf("foo")) as number;
      assert.ok(sum >= acknowledged, `lost: the counter is at ${sum}; ${said}`);
      assert.ok(sum <= acknowledged + unknown, `doubled: the counter is at ${sum}; ${said}`);
      assert.deepEqual(await memberIds(), before, "the same incarnations");
      const now = await group.status("foo");
      assert.ok(now.durable);
      assert.ok(now.term > term, "an election of a later term than any vote of before");
    } finally {
      load.kill();
    }
  });

  test("can be inspected while they run; doctor waits until nobody uses the directory", async () => {
    const applied = await durable.caughtUp();
    for (const id of ids) {
      const dir = durable.dir(id);
      const text = await succeeds("inspect", dir);
      assert.match(text, new RegExp(`^in use +by host "${id}" \\(process \\d+\\)`, "m"));
      const seen = JSON.parse(await succeeds("inspect", dir, "--json")) as Inspection;
      const status = await group.status(id);
      assert.equal(seen.hostId, id);
      assert.notEqual(seen.health, "damaged");
      const found = seen.groups[0]!;
      assert.equal(found.memberId, status.id);
      assert.equal(found.groupId, status.groupId);
      assert.ok(found.lastIndex >= applied, `${found.lastIndex} of ${applied}`);
      assert.equal(found.membership!.voters.length, 3);
      await refused(runCli(["doctor", dir]), /storageLocked: .* is in use by host/);
    }
  });

  test("one whose directory is damaged refuses to start, and rejoins as a new member", async () => {
    await durable.caughtUp();
    const leader = await group.leader();
    const victim = ids.find((id) => id !== leader)!;
    const others = ids.filter((id) => id !== victim);
    const { id: before } = await group.status(victim);
    const sum = await sumOf(leader);
    await group.kill(victim);
    const dir = durable.dir(victim);
    const log = join(dir, "wal-00000001.log");
    flipInTheMiddle(dir);
    const damaged = readFileSync(log);
    await refused(
      durable.tryToStart(victim, "--data", dir, "--join", group.addresses.join(",")),
      /storageCorrupt: .*group "counter".*wal-00000001\.log at offset \d+.*rafted-value doctor /,
    );
    const { code, stdout } = await runCli(["doctor", dir]);
    assert.equal(code, 1, stdout);
    assert.match(stdout, /group "counter": wal-00000001\.log at offset \d+/);
    assert.match(stdout, /suspect the disk/);
    assert.match(stdout, /^to let this host rejoin: rafted-value doctor .* --rejoin counter$/m);
    assert.match(stdout, /^health: damaged, \d+ problems? left$/m);
    const repair = await runCli(["doctor", dir, "--repair"]);
    assert.equal(repair.code, 1, "what was stored and is gone cannot be repaired");
    assert.deepEqual(readFileSync(log), damaged);
    assert.match(await succeeds("doctor", dir, "--rejoin", "counter"), /is kept in .*set-aside-1/);
    assert.deepEqual(readFileSync(join(`${dir}.set-aside-1`, "wal-00000001.log")), damaged);
    await durable.start(victim, dir);
    await waitFor(`${victim} to have taken its own place`, async () => {
      const now = await durable.voters(victim, ...others);
      return !now.includes(before) && now.filter((id) => hostOf(id) === victim).length === 1;
    });
    await durable.caughtUp();
    assert.equal(await group.client(victim).queryStale("get"), sum);
  });

  const backupFile = join(folder, "counter.backup");

  test("a backup of the running group becomes a new group with the same value", async () => {
    const sum = (await sumOf("foo")) as number;
    const hosts = ["--hosts", group.addresses.join(","), "--group", "counter"];
    const said = await succeeds("backup", ...hosts, "--out", backupFile, "--json");
    const taken = JSON.parse(said) as { groupId: string; valueName: string };
    assert.equal(taken.valueName, "counter");
    await refused(runCli(["backup", ...hosts, "--out", backupFile]), /invalidArgument: .* exists/);
    // What happens afterwards is not in it.
    await group.client("foo").command("inc", 1000);
    const copy = new DurableGroup(join(folder, "copy"), "counter", counter);
    const dir = join(folder, "copy", "new");
    try {
      const to = ["--id", "new", "--data", dir];
      await refused(
        runCli(["restore", backupFile, ...to, "--value", "queue"]),
        /storageMismatch: .*holds value "counter" version 1, this program has "queue"/,
      );
      assert.match(await succeeds("restore", backupFile, ...to), /group counter \(id \w+\)/);
      await refused(runCli(["restore", backupFile, ...to]), /storageMismatch: .*is not empty/);
      const other = ["start", ...to, "--listen", "127.0.0.1:0", "--group", "counter"];
      await refused(
        runCli([...other, "--value", "queue"]),
        /storageMismatch: .*group "counter" of value "counter", not of "queue"/,
      );
      await copy.start("new", dir);
      const client = copy.group.client("new");
      assert.equal(await client.query("get"), sum);
      assert.notEqual((await client.status()).groupId, taken.groupId);
      await copy.start("second");
      await copy.voters("new", "second");
      assert.equal(await copy.group.client("second").command("inc", 1), sum + 1);
    } finally {
      await copy.group.end();
    }
    assert.equal(await sumOf("foo"), sum + 1000, "the old group has gone on by itself");
  });

  test("a backup that was cut short is refused, and nothing is made of it", async () => {
    const cut = join(folder, "cut.backup");
    const bytes = readFileSync(backupFile);
    const hosts = ["--hosts", group.addresses.join(","), "--group", "counter"];
    await succeeds("backup", ...hosts, "--out", cut);
    truncateSync(cut, bytes.length - 20);
    const dir = join(folder, "never");
    await refused(
      runCli(["restore", cut, "--id", "x", "--data", dir]),
      /storageCorrupt: .*cut\.backup at offset \d+: .*use another one/,
    );
    await refused(runCli(["inspect", dir]), /storageMismatch: .*does not exist/);
  });

  test("two of three directories are lost: a new group is made of the third, and takes members in", async () => {
    await durable.caughtUp();
    const sum = (await sumOf("foo")) as number;
    const { groupId, id: before } = await group.status("foo");
    const survivor = durable.dir("foo");
    await durable.killAll();
    for (const id of ["bar", "baz"]) renameSync(durable.dir(id), join(folder, `lost-${id}`));
    const out = join(folder, "recovered");
    const args = ["recover", survivor, "--group", "counter", "--id", "foo", "--out", out];
    const first = await runCli(args);
    assert.equal(first.code, 2);
    assert.match(first.stderr, /^WARNING: .*bar#.*is gone/m);
    assert.match(first.stderr, /answered commands may be lost/);
    assert.match(first.stderr, /--yes is missing/);
    const made = JSON.parse(await succeeds(...args, "--yes", "--json")) as Ranking;
    assert.deepEqual(made.lostVoters.map(hostOf).sort(), ["bar", "baz"]);
    assert.equal(made.majorityLost, true);
    await refused(runCli([...args, "--yes"]), /storageMismatch: .*is not empty/);
    const seen = JSON.parse(await succeeds("inspect", out, "--json")) as Inspection;
    assert.equal(seen.health, "good");
    assert.deepEqual(seen.groups[0]!.membership!.voters.map(hostOf), ["foo"]);
    await durable.start("foo", out);
    const status = await group.status("foo");
    assert.notEqual(status.groupId, groupId);
    assert.notEqual(status.id, before);
    assert.equal(await sumOf("foo"), sum);
    for (const id of ["bar", "baz"]) await durable.start(id, join(folder, `new-${id}`));
    await durable.voters(...ids);
    assert.equal(await group.client("baz").command("inc", 1), sum + 1);
  });
});
