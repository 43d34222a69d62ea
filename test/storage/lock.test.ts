/**
 * The socket in the directory, by which processes meet that do not share abstract names. Here they are of
 * one process: what they do is the same.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { askHolder, bindInDirectory, lockDirectory } from "../../src/storage/file/lock.js";
import { mountSmall } from "../e2e/small-disk.js";
import { inDirectory } from "./support.js";

type Bound = NonNullable<Awaited<ReturnType<typeof bindInDirectory>>>;

function closed(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** What a process leaves that is killed. */
async function leaveStale(path: string): Promise<void> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(`${path}-bound`, resolve));
  // Under another name it is not removed when it is closed.
  renameSync(`${path}-bound`, path);
  await closed(server);
  assert.ok(existsSync(path));
  assert.equal(await askHolder(path), null);
}

test("of many that find a stale socket at once, exactly one takes its place (hazard 84)", () =>
  inDirectory(async (dir) => {
    const path = join(dir, "lock");
    for (let round = 0; round < 30; round++) {
      await leaveStale(path);
      const names = Array.from({ length: 2 + (round % 4) }, (_, at) => `host ${at}`);
      const taken = await Promise.allSettled(names.map((name) => bindInDirectory(dir, path, name)));
      const held: Bound[] = [];
      for (const one of taken) {
        if (one.status === "fulfilled") {
          assert.ok(one.value !== null);
          held.push(one.value);
        } else {
          const { reason } = one as { readonly reason: unknown };
          assert.ok(reason instanceof RaftError && reason.code === "storageLocked", String(reason));
        }
      }
      assert.equal(held.length, 1, `round ${round}`);
      const holder = taken.findIndex(({ status }) => status === "fulfilled");
      assert.equal(await askHolder(path), names[holder], "and it can be found");
      assert.deepEqual(readdirSync(dir), ["lock"], "no claim stays");
      await closed(held[0]!.server);
    }
  }));

test("claims that killed processes have left are in nobody's way, and go", () =>
  inDirectory(async (dir) => {
    const path = join(dir, "lock");
    await leaveStale(path);
    await leaveStale(`${path}-00000000.tmp`);
    await leaveStale(`${path}-ffffffff.tmp`);
    const bound = await bindInDirectory(dir, path, "host 1");
    assert.deepEqual(readdirSync(dir), ["lock"]);
    await closed(bound!.server);
    assert.deepEqual(readdirSync(dir), []);
  }));

test("who claims the place of a stale socket and does not come on is waited for, but not for ever", () =>
  inDirectory(async (dir) => {
    const path = join(dir, "lock");
    for (const claim of ["00000000", "ffffffff"]) {
      const server = net.createServer((socket) => socket.end("host 1"));
      server.unref();
      await new Promise<void>((resolve) => server.listen(`${path}-${claim}.tmp`, resolve));
      await assert.rejects(
        bindInDirectory(dir, path, "host 2"),
        (error) => error instanceof RaftError && /in use by host 1/.test(error.message),
      );
      assert.equal(existsSync(path), false);
      await closed(server);
    }
  }));

test("a disk that has no room for the socket is no reason to go without", (context) =>
  inDirectory(async (root) => {
    const disk = mountSmall(join(root, "disk"), "size=1m,nr_inodes=8");
    if (typeof disk === "string") return context.skip(disk);
    try {
      assert.throws(() => {
        for (let at = 0; ; at++) writeFileSync(join(disk.dir, `file ${at}`), "");
      }, /ENOSPC/);
      await assert.rejects(
        lockDirectory(disk.dir, { hostId: "foo" }),
        (error) => error instanceof RaftError && error.code === "diskFull",
      );
      rmSync(join(disk.dir, "file 0"));
      rmSync(join(disk.dir, "file 1"));
      const lock = await lockDirectory(disk.dir, { hostId: "foo" });
      assert.ok(existsSync(join(disk.dir, "lock")));
      await lock.release();
    } finally {
      disk.unmount();
    }
  }));

/** With so many descriptors left, from none on, until the directory can be locked; prints each answer. */
const lockWithFew = `
  import { closeSync, existsSync, openSync } from "node:fs";
  const [dir, module] = process.argv.slice(1);
  const { lockDirectory } = await import(module);
  await (await lockDirectory(dir, { hostId: "foo" })).release();
  for (let left = 0; ; left++) {
    const taken = [];
    try {
      for (;;) taken.push(openSync("/dev/null"));
    } catch {}
    for (let at = 0; at < left; at++) closeSync(taken.pop());
    const lock = await lockDirectory(dir, { hostId: "foo" }).catch((error) => error);
    for (const fd of taken) closeSync(fd);
    console.log(lock instanceof Error ? lock.code + " " + lock.message : existsSync(dir + "/lock"));
    if (!(lock instanceof Error)) process.exit(0);
  }
`;

test(
  "a process that has no descriptors left says so, and takes nobody for the holder",
  { skip: process.platform !== "linux" },
  () =>
    inDirectory((dir) => {
      const module = new URL("../../src/storage/file/lock.js", import.meta.url).href;
      const script = 'ulimit -n 80; exec "$0" --input-type=module -e "$1" "$2" "$3"';
      const args = ["-c", script, process.execPath, lockWithFew, dir, module];
      const lines = spawnSync("sh", args, { encoding: "utf8" }).stdout.trim().split("\n");
      assert.equal(lines.pop(), "true", "a lock is found in the directory as well");
      assert.ok(lines.length > 1);
      for (const line of lines) {
        assert.match(line, /^storageFailed .*EMFILE.*raise the limit of open files/);
      }
      return Promise.resolve();
    }),
);
