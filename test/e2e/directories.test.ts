/** Directories that cannot be used, by name; and a disk that fills up under a running member. */
import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { counter, kv } from "../../src/cli/values.js";
import { crc32 } from "../../src/codec/crc32.js";
import { DurableGroup, refused, succeeds } from "./durable-group.js";
import { runCli, waitFor } from "./processes.js";
import { fillUp, type Mounted, mountSmall } from "./small-disk.js";

describe("a directory that cannot be used (exit code 1)", () => {
  const folder = mkdtempSync(join(tmpdir(), "directories-"));
  const durable = new DurableGroup(folder, "counter", counter);
  const mounts: Mounted[] = [];
  before(async () => {
    await durable.start("foo");
  });
  after(async () => {
    await durable.group.end();
    for (const mounted of mounts) mounted.unmount();
    rmSync(folder, { recursive: true });
  });

  const start = (dir: string, id = "foo") => durable.tryToStart(id, "--data", dir);

  test("one that another process uses", async () => {
    const dir = durable.dir("foo");
    await refused(start(dir), /storageLocked: .*foo is in use by host "foo" \(process \d+\)/);
    await refused(start(dir, "bar"), /storageLocked: .*foo is in use by host "foo"/);
    assert.equal(await durable.group.client("foo").command("inc", 1), 1, "which is not disturbed");
  });

  test("one of another host, or that holds no such group's value", async () => {
    await durable.group.kill("foo");
    const dir = durable.dir("foo");
    await refused(start(dir, "bar"), /storageMismatch: .*belongs to host "foo", not "bar"/);
    const queue = ["--data", dir, "--value", "queue"];
    await refused(
      durable.tryToStart("foo", ...queue),
      /storageMismatch: .*group "counter" of value "counter", not of "queue"/,
    );
  });

  test("a file, and a directory of another program", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "text");
    await refused(start(file), /storageMismatch: .*file is not a directory/);
    await refused(start(join(file, "below")), /storageMismatch: .*is not a directory/);
    const foreign = join(folder, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "package.json"), "{}");
    await refused(start(foreign), /storageMismatch: .*files of something else \(package\.json\)/);
    for (const verb of ["inspect", "doctor"]) {
      await refused(runCli([verb, file]), /storageMismatch: .*is not a directory/);
      await refused(runCli([verb, foreign]), /storageMismatch: .*something else/);
      await refused(runCli([verb, join(folder, "nowhere")]), /storageMismatch: .*not exist/);
    }
  });

  test("one that may not be written", async (context) => {
    const dir = join(folder, "read-only");
    if (process.getuid?.() === 0) {
      // Nothing is forbidden to root but what the file system itself does not do.
      const mounted = mountSmall(dir, "ro,size=1m");
      if (typeof mounted === "string") return context.skip(mounted);
      mounts.push(mounted);
    } else {
      mkdirSync(dir);
      chmodSync(dir, 0o500);
    }
    await refused(start(dir), /storageFailed: .*read-only: (.*; )?(the file system|give this)/);
    await refused(start(join(dir, "below")), /storageFailed: /);
  });

  test("one of a newer format", async () => {
    const dir = join(folder, "newer");
    cpSync(durable.dir("foo"), dir, { recursive: true, filter: (from) => !from.endsWith("/lock") });
    const [json] = readFileSync(join(dir, "identity"), "utf8").split("\n");
    const newer = json!.replace('"format":1', '"format":2');
    const check = crc32(Buffer.from(newer)).toString(16).padStart(8, "0");
    writeFileSync(join(dir, "identity"), `${newer}\n${check}\n`);
    const upgrade = /storageMismatch: .*newer has format 2, this version reads 1: upgrade/;
    await refused(start(dir), upgrade);
    await refused(runCli(["inspect", dir]), upgrade);
    await refused(runCli(["doctor", dir, "--repair"]), upgrade);
    const recover = ["recover", dir, "--group", "counter", "--id", "x", "--out", join(folder, "x")];
    await refused(runCli([...recover, "--yes"]), upgrade);
  });

  test("what recover could not make its new group of is refused without --yes as well", async () => {
    const recover = ["recover", durable.dir("foo"), "--group", "counter"];
    const file = join(folder, "file");
    for (const yes of [[], ["--yes"]]) {
      const into = (id: string, out: string) =>
        runCli([...recover, "--id", id, "--out", out, ...yes]);
      await refused(into("a b", join(folder, "x")), /invalidArgument: id: expected/);
      await refused(into("x", folder), /storageMismatch: .*is not empty/);
      await refused(into("x", file), /storageMismatch: .*file is not a directory/);
    }
  });

  test("a group that is set aside though it is good, or that is not there", async () => {
    const dir = durable.dir("foo");
    const rejoin = (group: string) => runCli(["doctor", dir, "--rejoin", group]);
    await refused(rejoin("counter"), /invalidArgument: .*is not damaged/);
    await refused(rejoin("stack"), /storageMismatch: .*holds no group "stack"/);
  });

  test("one with leftovers that its next start removes is nothing for a doctor", async () => {
    const dir = durable.dir("foo");
    writeFileSync(join(dir, "snapshot-1-9.tmp"), "text");
    const said = await succeeds("doctor", dir);
    assert.match(said, /^snapshot-1-9\.tmp: nothing refers to it$/m);
    assert.match(said, /^health: (good|torn), \d problems? left: the next start gets over /m);
    await succeeds("doctor", dir, "--repair");
    assert.match(await succeeds("doctor", dir), /^health: good, 0 problems left$/m);
  });
});

describe("verbs for directories (exit code 2)", () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["inspect"], /DIR is missing/],
    [["doctor"], /DIR is missing/],
    [["doctor", "dir", "--repair", "--rejoin", "g"], /exclude each other/],
    [["backup", "--group", "g", "--out", "f"], /--hosts ADDR,\.\.\. is missing/],
    [["backup", "--group", "g", "--hosts", "127.0.0.1:1"], /--out FILE is missing/],
    [["restore"], /FILE is missing/],
    [["restore", "f", "--id", "x"], /--data DIR is missing/],
    [["restore", "f", "--id", "x", "--data", "d", "--advertise", "y"], /--advertise must be/],
    [["recover", "--id", "x", "--out", "o", "--group", "g", "--yes"], /DIR of a survivor/],
    [["recover", "d", "--id", "x", "--out", "o"], /--group NAME is missing/],
  ];
  for (const [args, pattern] of cases)
    test(args.join(" "), () => refused(runCli(args), pattern, 2));
});

describe("a disk that fills up under one of three members", () => {
  const folder = mkdtempSync(join(tmpdir(), "directories-"));
  const durable = new DurableGroup(folder, "kv", kv);
  const { group } = durable;
  const mounted = mountSmall(join(folder, "small"), "size=24m");
  after(async () => {
    await group.end();
    if (typeof mounted !== "string") mounted.unmount();
    rmSync(folder, { recursive: true });
  });
  const big = "x".repeat(100_000);
  let keys = 0;
  const put = (): Promise<unknown> =>
    group.client("foo").command("put", { key: `k${++keys}`, value: big });

  test("it says so and stops accepting, the others go on, and with room it comes back", async (context) => {
    if (typeof mounted === "string") return context.skip(mounted);
    const dir = join(mounted.dir, "baz");
    await durable.start("foo");
    await durable.start("bar");
    const baz = await durable.start("baz", dir);
    await durable.voters("foo", "bar", "baz");
    const { id } = await group.status("baz");
    const ballast = fillUp(mounted.dir);
    await waitFor("the disk to be full for baz", async () => {
      await put();
      return baz.complaints().includes("the storage failed");
    });
    assert.match(baz.complaints(), /no space left.*free some space and start again/);
    for (let more = 0; more < 10; more++) await put();
    assert.equal(await group.client("foo").query("get", `k${keys}`), big);
    const fresh = ["--data", join(mounted.dir, "fresh")];
    await refused(
      durable.tryToStart("new", ...fresh),
      /diskFull: .*free some space and start again/,
    );
    await group.kill("baz");
    rmSync(ballast);
    await durable.restart("baz");
    await durable.caughtUp();
    assert.equal((await group.status("baz")).id, id, "the same incarnation");
    assert.equal(await group.client("baz").queryStale("get", `k${keys}`), big);
    await put();
    await durable.caughtUp();
  });

  test("a leader makes way, and its callers get through", async (context) => {
    if (typeof mounted === "string") return context.skip(mounted);
    const memberId = (await group.status("baz")).id;
    await group.client("foo").transferLeadership(memberId);
    assert.equal(await group.leader(), "baz");
    const ballast = fillUp(mounted.dir);
    const baz = group.members.get("baz")!;
    await waitFor("the disk to be full for baz", async () => {
      await put();
      return baz.complaints().includes("the storage failed");
    });
    assert.notEqual(await group.leader("foo", "bar"), "baz");
    await put();
    assert.equal(await group.client("bar").query("get", `k${keys}`), big);
    await group.kill("baz");
    rmSync(ballast);
    await durable.restart("baz");
    await durable.caughtUp();
    assert.equal(await group.client("baz").queryStale("get", `k${keys}`), big);
  });
});
