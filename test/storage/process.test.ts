/** Real processes on real directories: killed while they write, started twice on one directory. */
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import {
  Opened,
  entriesOf,
  identityOf,
  imageOf,
  noise,
  removeDirectory,
  temporaryDirectory,
} from "./support.js";

async function inDirectory(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = temporaryDirectory();
  try {
    await work(dir);
  } finally {
    for (const child of children.splice(0)) await child.kill();
    removeDirectory(dir);
  }
}

/** Those of the test under way: whatever becomes of it, they end with it. */
const children: Child[] = [];

class Child {
  readonly lines: string[] = [];
  readonly #process: ChildProcessByStdio<null, Readable, null>;
  readonly #exited: Promise<void>;
  #watchers: (() => void)[] = [];
  #ended = false;

  constructor(dir: string, mode: "write" | "hold") {
    const script = fileURLToPath(new URL("./child-writer.js", import.meta.url));
    this.#process = spawn(process.execPath, [script, dir, mode], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const reader = createInterface({ input: this.#process.stdout });
    reader.on("line", (line) => {
      this.lines.push(line);
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
    this.#exited = new Promise((resolve) => {
      reader.on("close", () => {
        this.#ended = true;
        for (const watcher of this.#watchers.splice(0)) watcher();
        resolve();
      });
    });
    children.push(this);
  }

  /** Waits until `count` lines begin with `start`; gives the last of them. */
  async until(start: string, count = 1): Promise<string> {
    for (;;) {
      const found = this.lines.filter((line) => line.startsWith(start));
      if (found.length >= count) return found[count - 1]!;
      assert.ok(!this.#ended, `the child ended before it said ${start}: ${this.lines.join()}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exited;
  }
}

function lastOf(child: Child, start: string, at: number): number {
  const line = child.lines.findLast((one) => one.startsWith(start));
  return line === undefined ? 0 : Number(line.split(" ")[at]);
}

const cycles = Number(process.env.STORAGE_KILL_CYCLES ?? 8);

test(`killed while writing ${cycles} times, it has all that it acknowledged each time`, () =>
  inDirectory(async (dir) => {
    let snapshots = 0;
    for (let cycle = 0; cycle < cycles; cycle++) {
      const child = new Child(dir, "write");
      // Somewhere in the midst of it: how far it gets until the signal arrives is chance.
      await child.until("ack", 1 + ((cycle * 13) % 25));
      await child.kill();
      const acknowledged = lastOf(child, "ack", 2);
      const snapshot = lastOf(child, "snapshot", 1);
      const opened = await Opened.open(dir);
      const group = opened.group("queue")!;
      assert.equal(group.damage, null);
      const last = group.entries.at(-1)?.index ?? group.snapshot!.index;
      assert.ok(last >= acknowledged, `acknowledged up to ${acknowledged}, found ${last}`);
      assert.ok((group.snapshot?.index ?? 0) >= snapshot);
      for (const entry of group.entries) {
        const { index } = entry;
        assert.equal(entry.term, Math.floor(index / 100) + 1);
        const text = Buffer.from(entry.body).toString();
        assert.equal(text, `entry ${index} ${"x".repeat(index % 90)}`);
      }
      if (group.snapshot !== null) {
        const bytes = Buffer.concat(await opened.storage.loadSnapshot("queue"));
        assert.ok(bytes.equals(noise(150_000, group.snapshot.index)));
        snapshots = Math.max(snapshots, group.snapshot.index);
      }
      await opened.close();
    }
    assert.ok(snapshots > 0, "no snapshot was ever taken");
  }));

test("a directory is held by one process at a time, and a dead one holds it no longer (hazard 84)", () =>
  inDirectory(async (dir) => {
    const first = new Child(dir, "hold");
    await first.until("open");
    const second = new Child(dir, "hold");
    assert.match(
      await second.until(""),
      /^locked .* is in use by host "foo" \(process \d+\): stop it/,
    );
    await assert.rejects(Opened.open(dir), (error) => codeOf(error) === "storageLocked");
    await first.kill();
    assert.ok(existsSync(join(dir, "lock")), "what the dead process left is in nobody's way");
    const third = await Opened.open(dir);
    await assert.rejects(Opened.open(dir), (error) => codeOf(error) === "storageLocked");
    const fourth = new Child(dir, "hold");
    assert.match(await fourth.until(""), /^locked/);
    await third.close();
    const fifth = await Opened.open(dir);
    await fifth.close();
    assert.ok(!existsSync(join(dir, "lock")));
  }));

function codeOf(error: unknown): RaftErrorCode | null {
  return error instanceof RaftError ? error.code : null;
}

async function refusalOf(dir: string, hostId = "foo"): Promise<RaftError> {
  try {
    await (await Opened.open(dir, {}, hostId)).close();
  } catch (error) {
    if (error instanceof RaftError) return error;
    throw error;
  }
  return assert.fail("it opened");
}

test("a directory that is not this host's is refused with a remedy, and left as it is", () =>
  inDirectory(async (dir) => {
    await (await Opened.open(join(dir, "own", "deep"))).close();
    const own = join(dir, "own", "deep");
    const before = imageOf(own);
    const other = await refusalOf(own, "bar");
    assert.equal(other.code, "storageMismatch");
    assert.match(other.message, /belongs to host "foo", not "bar": .*another directory/);
    assert.deepEqual(imageOf(own), before);

    writeFileSync(join(dir, "file"), "text");
    const file = await refusalOf(join(dir, "file"));
    assert.equal(file.code, "storageMismatch");
    assert.match(file.message, /is not a directory/);
    const below = await refusalOf(join(dir, "file", "below"));
    assert.equal(below.code, "storageMismatch");

    mkdirSync(join(dir, "foreign"));
    writeFileSync(join(dir, "foreign", "package.json"), "{}");
    const foreign = await refusalOf(join(dir, "foreign"));
    assert.equal(foreign.code, "storageMismatch");
    assert.match(foreign.message, /something else \(package\.json\)/);
    assert.deepEqual(readdirSync(join(dir, "foreign")), ["package.json"]);

    writeFileSync(join(dir, "foreign", "identity"), "not ours\n");
    assert.equal((await refusalOf(join(dir, "foreign"))).code, "storageMismatch");
  }));

test("a directory of a newer format is refused by name, one without its identity as corrupt", () =>
  inDirectory(async (dir) => {
    await (await Opened.open(dir)).close();
    const { crc32 } = await import("../../src/codec/crc32.js");
    const path = join(dir, "identity");
    const [json] = readFileSync(path, "utf8").split("\n");
    const newer = json!.replace('"format":1', '"format":2');
    assert.notEqual(newer, json);
    const check = crc32(Buffer.from(newer)).toString(16).padStart(8, "0");
    writeFileSync(path, `${newer}\n${check}\n`);
    const refused = await refusalOf(dir);
    assert.equal(refused.code, "storageMismatch");
    assert.match(refused.message, /format 2.*reads 1: upgrade/);
    writeFileSync(path, `${newer}\n00000000\n`);
    const corrupt = await refusalOf(dir);
    assert.equal(corrupt.code, "storageCorrupt");
    assert.match(corrupt.message, /doctor/);
  }));

test("a directory that was emptied is a new one", () =>
  inDirectory(async (dir) => {
    const first = await Opened.open(dir);
    first.storage.createGroup(identityOf("queue"));
    await first.stored("queue", first.store("queue", entriesOf(1, 3)));
    await first.close();
    const identity = readFileSync(join(dir, "identity"), "utf8");
    removeDirectory(dir);
    const second = await Opened.open(dir, {}, "bar");
    assert.deepEqual(second.recovered, []);
    await second.close();
    assert.notEqual(readFileSync(join(dir, "identity"), "utf8"), identity);
  }));

test(
  "no descriptor is left open, neither by use nor by refusal",
  { skip: process.platform !== "linux" },
  () =>
    inDirectory(async (dir) => {
      const count = (): number =>
        readdirSync("/proc/self/fd").filter((fd) => {
          // Sockets of the lock and files of the directory; the runner's own pipes come and go.
          return existsSync(`/proc/self/fd/${fd}`);
        }).length;
      const cycle = async (): Promise<void> => {
        const opened = await Opened.open(dir, { firstSegmentBytes: 4096, segmentBytes: 4096 });
        if (opened.group("queue") === undefined) opened.storage.createGroup(identityOf("queue"));
        const next = (opened.group("queue")?.entries.at(-1)?.index ?? 0) + 1;
        for (let at = 0; at < 200; at += 20) {
          await opened.stored("queue", opened.store("queue", entriesOf(next + at, 20)));
        }
        await opened.snapshot("queue", next + 100, 1, noise(200_000));
        opened.storage.readSnapshotChunk("queue", "bar", next + 100, 0, 100);
        await opened.until((answer) => answer.type === "read");
        await assert.rejects(Opened.open(dir));
        await opened.close();
        await assert.rejects(Opened.open(dir, {}, "other"));
      };
      await cycle();
      const before = count();
      for (let round = 0; round < 5; round++) await cycle();
      assert.equal(count(), before);
    }),
);

test("a directory behind a symbolic link that leads nowhere is refused with what to look at", () =>
  inDirectory(async (root) => {
    symlinkSync(join(root, "not-mounted"), join(root, "data"));
    await assert.rejects(Opened.open(join(root, "data")), (error) => {
      assert.equal(codeOf(error), "storageFailed");
      return /data: ENOENT.*; a symbolic link on the way leads nowhere/.test(String(error));
    });
  }));

test("closing twice, before opening and after a refusal is no error; a closed one opens again", () =>
  inDirectory(async (dir) => {
    const opened = await Opened.open(dir);
    await Promise.all([opened.close(), opened.close()]);
    await opened.close();
    opened.storage.flush();
    const { fileStorage } = await import("../../src/storage/file/index.js");
    const never = fileStorage(dir);
    await never.close();
    const handlers = {
      onStored: () => undefined,
      onSnapshotChunkWritten: () => undefined,
      onSnapshotSaved: () => undefined,
      onSnapshotChunkRead: () => undefined,
      onFailed: () => undefined,
      onWarning: () => undefined,
    };
    await assert.rejects(never.open("bar", handlers));
    await never.close();
    assert.deepEqual(await never.open("foo", handlers), []);
    await assert.rejects(never.open("foo", handlers), (error) => codeOf(error) === "storageLocked");
    await never.close();
  }));
