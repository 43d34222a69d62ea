/** Members of which a directory is damaged, and that were started with `--on-damage rejoin`. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counter } from "../../src/cli/values.js";
import type { Inspection, Ranking } from "../../src/index.js";
import { DurableGroup, flipInTheMiddle, refused, succeeds } from "./durable-group.js";
import { hostOf, runCli, waitFor } from "./processes.js";

const ids = ["foo", "bar", "baz"] as const;
const policy = ["--on-damage", "rejoin"] as const;

function copiesOf(dir: string): readonly string[] {
  const names = readdirSync(dirname(dir)).filter((name) => name.startsWith(`${basename(dir)}.`));
  return names.map((name) => join(dirname(dir), name));
}

describe("three durable members, of which", () => {
  const folder = mkdtempSync(join(tmpdir(), "rejoin-"));
  const durable = new DurableGroup(folder, "counter", counter);
  const { group } = durable;
  before(async () => {
    await durable.startAll(...ids);
    for (let at = 0; at < 20; at++) await group.client("foo").command("inc", 1);
  });
  after(async () => {
    await group.end();
    rmSync(folder, { recursive: true });
  });
  const inspected = async (dir: string): Promise<Inspection> =>
    JSON.parse(await succeeds("inspect", dir, "--json")) as Inspection;

  test("one is damaged: it says where, and comes back as a new member with all that there is", async () => {
    await durable.caughtUp();
    const leader = await group.leader();
    const victim = ids.find((id) => id !== leader)!;
    const others = ids.filter((id) => id !== victim);
    const { id: former } = await group.status(victim);
    await group.kill(victim);
    const dir = durable.dir(victim);
    flipInTheMiddle(dir);
    const log = readFileSync(join(dir, "wal-00000001.log"));
    await refused(
      durable.tryToStart(victim, "--data", dir, "--join", group.addresses.join(",")),
      /storageCorrupt: group "counter" is damaged in this storage: wal-00000001\.log at offset/,
    );
    assert.ok(!existsSync(`${dir}.set-aside-1`), "nothing happens to it without the policy");
    await group.client(leader).command("inc", 1);
    const member = await group.start(victim, "--data", dir, ...policy);
    assert.match(
      member.complaints(),
      new RegExp(
        `^warn: host ${victim}: group "counter" is damaged in this storage: wal-00000001\\.log at ` +
          `offset \\d+, [^\\n]*; it is kept in ${dir}\\.set-aside-1, and this host rejoins as a new ` +
          `member through ${group.addresses.slice(0, 2).join(", ")} `,
        "m",
      ),
    );
    await waitFor(`${victim} to have taken its own place`, async () => {
      const now = await durable.voters(victim, ...others);
      return !now.includes(former) && now.filter((id) => hostOf(id) === victim).length === 1;
    });
    await durable.caughtUp();
    assert.equal(await group.client(victim).queryStale("get"), 21);
    assert.deepEqual(readFileSync(join(`${dir}.set-aside-1`, "wal-00000001.log")), log);
    const [kept] = (await inspected(`${dir}.set-aside-1`)).groups;
    assert.equal(kept!.memberId, former);
    assert.match(kept!.damage!, /^wal-00000001\.log at offset/);
    // From now on it has nothing to set aside.
    const { id: now } = await group.status(victim);
    await group.kill(victim);
    await group.start(victim, "--data", dir, ...policy);
    await durable.caughtUp();
    assert.equal((await group.status(victim)).id, now);
    assert.ok(!existsSync(`${dir}.set-aside-2`));
  });

  test("two are damaged: they stay outside, and a group is recovered from what is left", async () => {
    await durable.voters(...ids);
    await durable.caughtUp();
    const addresses = group.addresses.join(",");
    await durable.killAll();
    for (const id of ["bar", "baz"]) flipInTheMiddle(durable.dir(id));
    const foo = await durable.restart("foo");
    const stayOutside = async (id: string): Promise<string> => {
      const dir = durable.dir(id);
      const before = copiesOf(dir);
      const options = ["--data", dir, "--join", addresses, "--timeout-ms", "1000", ...policy];
      let copies: readonly string[] = [];
      for (let tries = 0; tries < 2; tries++) {
        await refused(
          durable.tryToStart(id, ...options),
          /(timeout|unavailable): join of group "counter" through /,
        );
        copies = copiesOf(dir).filter((copy) => !before.includes(copy));
        assert.equal(copies.length, 1, "what is gone is not damaged");
        assert.deepEqual((await inspected(dir)).groups, []);
      }
      return copies[0]!;
    };
    const copies = await Promise.all(["bar", "baz"].map(stayOutside));
    assert.equal(foo.child.exitCode, null);
    await group.kill("foo");
    const out = join(folder, "recovered");
    const recover = ["recover", durable.dir("foo"), ...copies, "--group", "counter", "--id", "foo"];
    const said = await succeeds(...recover, "--out", out, "--yes", "--json");
    const { survivors, majorityLost } = JSON.parse(said) as Ranking;
    assert.equal(majorityLost, true);
    const usable = new Map(survivors.map(({ dir, damage }) => [dir, damage === null]));
    const expected = [durable.dir("foo"), ...copies].map((dir, at) => [dir, at === 0] as const);
    assert.deepEqual(usable, new Map(expected));
    const again = new DurableGroup(folder, "counter", counter);
    try {
      await again.start("foo", out);
      assert.equal(await again.group.client("foo").query("get"), 21);
    } finally {
      await again.group.end();
    }
  });
});

describe("start --on-damage (exit code 2)", () => {
  const start = ["start", "--id", "a", "--listen", "127.0.0.1:0", "--group", "g", "--value", "kv"];
  test("is refused without an address to rejoin through, and for a policy that is none", async () => {
    await refused(runCli([...start, ...policy]), /--on-damage rejoin needs --join ADDR/, 2);
    const other = [...start, "--on-damage", "repair"];
    await refused(runCli(other), /--on-damage must be refuse or rejoin, not "repair"/, 2);
  });
});
