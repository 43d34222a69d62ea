/** Restore, recover and setting aside, on real directories. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { Entry, Membership } from "../../src/core/types.js";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { inspectDirectory } from "../../src/storage/file/index.js";
import {
  createBackup,
  rankSurvivors,
  recoverDirectory,
  restoreDirectory,
  setGroupAside,
} from "../../src/storage/file/tools.js";
import {
  Opened,
  entriesOf,
  hardStateOf,
  identityOf,
  imageOf,
  metaOf,
  noise,
  removeDirectory,
  temporaryDirectory,
  textsOf,
} from "./support.js";

const three: Membership = {
  voters: ["foo#1", "bar#1", "baz#1"],
  outgoing: [],
  learners: [],
  members: ["foo", "bar", "baz"].map((id) => ({ id: `${id}#1`, address: `${id}:1` })),
};
const founder = {
  group: null,
  groupId: "new-id",
  hostId: "foo",
  memberId: "foo#2",
  address: "127.0.0.1:7109",
};
const alone: Membership = {
  voters: ["foo#2"],
  outgoing: [],
  learners: [],
  members: [{ id: "foo#2", address: founder.address }],
};

let root = "";
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => removeDirectory(root));

function refusal(code: RaftErrorCode, pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RaftError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

function pieces(opened: Opened, group: string): Promise<Uint8Array> {
  return opened.storage.loadSnapshot(group).then((all) => new Uint8Array(Buffer.concat(all)));
}

/** Flips a bit of the first byte of `text` in the log of `dir`. */
function damage(dir: string, text: string): void {
  const path = join(dir, "wal-00000001.log");
  const bytes = readFileSync(path);
  const at = bytes.indexOf(text);
  assert.ok(at > 0, text);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}

function damageSnapshot(dir: string): void {
  const path = join(
    dir,
    readdirSync(dir).find((name) => name.endsWith(".snap"))!,
  );
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

describe("restore", () => {
  const data = noise(300_000);

  async function backedUp(): Promise<string> {
    const file = join(root, "queue.backup");
    const writer = await createBackup(file, {
      ...{ group: "queue", groupId: "old-id", memberId: "bar#1", valueName: "queue" },
      takenAtMs: 1,
    });
    await writer.append(data);
    await writer.finish({ ...metaOf(70, 3, data), membership: three });
    return file;
  }
  test("leaves a directory that begins with the backup, as a new group of this member alone", async () => {
    const file = await backedUp();
    const dir = join(root, "deep", "data");
    const restored = await restoreDirectory(file, dir, founder, () => undefined);
    assert.equal(restored.index, 70);
    assert.equal(restored.from.groupId, "old-id");
    const inspection = await inspectDirectory(dir);
    assert.equal(inspection.health, "good");
    assert.equal(inspection.hostId, "foo");
    assert.ok(inspection.closedInOrder);
    assert.deepEqual(readdirSync(dir).sort(), [
      "identity",
      "mark",
      inspection.groups[0]!.snapshot!.file,
      "wal-00000001.log",
    ]);
    const opened = await Opened.open(dir);
    const group = opened.group("queue")!;
    assert.deepEqual(group.identity, {
      group: "queue",
      groupId: "new-id",
      memberId: "foo#2",
      address: founder.address,
      valueName: "queue",
    });
    assert.deepEqual(group.hardState, hardStateOf(3));
    assert.deepEqual(group.snapshot, { ...metaOf(70, 3, data), membership: alone });
    assert.deepEqual(group.entries, []);
    assert.equal(Buffer.compare(await pieces(opened, "queue"), data), 0);
    await opened.stored("queue", opened.store("queue", entriesOf(71, 2, 4)));
    await opened.close();
  });
  test("a refusal leaves the directory as it was, and names what is wrong", async () => {
    const file = await backedUp();
    const whole = readFileSync(file);
    const missing = join(root, "missing");
    const empty = join(root, "empty");
    mkdirSync(empty);
    const bad = join(root, "bad.backup");
    const cut = whole.subarray(0, 200_000);
    const flipped = Buffer.from(whole);
    flipped[150_000]! ^= 1;
    for (const bytes of [cut, flipped]) {
      writeFileSync(bad, bytes);
      for (const dir of [missing, empty]) {
        await assert.rejects(
          restoreDirectory(bad, dir, founder, () => undefined),
          refusal("storageCorrupt", /bad\.backup at offset \d+/),
        );
      }
    }
    const why = new RaftError("storageMismatch", "another value");
    const check = (): never => {
      throw why;
    };
    await assert.rejects(restoreDirectory(file, missing, founder, check), why);
    assert.deepEqual(readdirSync(root).sort(), ["bad.backup", "empty", "queue.backup"]);
    assert.deepEqual(readdirSync(empty), []);
    await assert.rejects(
      restoreDirectory(file, bad, founder, () => undefined),
      refusal("storageMismatch", /bad\.backup is not a directory/),
    );
    await assert.rejects(
      restoreDirectory(file, root, founder, () => undefined),
      refusal("storageMismatch", /is not empty/),
    );
  });
  test("the identity comes last, when everything else has its place", async (context) => {
    if (process.platform !== "linux")
      return context.skip("only inotify tells names in their order");
    const dir = join(root, "data");
    mkdirSync(dir);
    const seen: string[] = [];
    const watcher = watch(dir, (_event, name) => void seen.push(name!));
    try {
      await restoreDirectory(await backedUp(), dir, founder, () => undefined);
      // Its end, so nothing is still to be told of what came before.
      writeFileSync(join(dir, "end"), "");
      while (!seen.includes("end")) await new Promise((resolve) => setImmediate(resolve));
    } finally {
      watcher.close();
    }
    const order = [...new Set(seen)].filter((name) => name !== "end" && name !== "unfinished");
    assert.equal(order.length, 4, order.join());
    assert.equal(order.at(-1), "identity", order.join());
  });
  test("one that was interrupted is not taken for an empty directory, however far it came", async () => {
    const dir = join(root, "data");
    await restoreDirectory(await backedUp(), dir, founder, () => undefined);
    const unfinished = join(dir, "unfinished");
    for (const moved of [0, 1, 2, 3]) {
      const half = join(root, `half-${moved}`);
      mkdirSync(join(half, "unfinished"), { recursive: true });
      const names = [...imageOf(dir).keys()].filter((name) => name !== "identity");
      for (const [at, name] of [...names, "identity"].entries()) {
        const to = at < moved ? join(half, name) : join(half, "unfinished", name);
        writeFileSync(to, readFileSync(join(dir, name)));
      }
      await assert.rejects(Opened.open(half), refusal("storageMismatch", /unfinished/));
    }
    // Everything was moved, and only the empty folder is left.
    mkdirSync(unfinished);
    const opened = await Opened.open(dir);
    assert.equal(opened.group("queue")!.snapshot!.index, 70);
    await opened.close();
  });
});

const membershipEntry = (index: number, term: number): Entry => ({
  ...entriesOf(index, 1, term)[0]!,
  kind: "membership",
  body: new Uint8Array(0),
  payload: three,
});

/** A member's directory: `count` entries, the last of `term`, a snapshot at 4. */
async function memberOf(
  host: string,
  count: number,
  term: number,
  groupId = "id-of-queue",
): Promise<string> {
  const dir = join(root, host);
  const opened = await Opened.open(dir, {}, host);
  const identity = { ...identityOf("queue"), groupId, memberId: `${host}#1` };
  opened.storage.createGroup(identity);
  opened.store("queue", [membershipEntry(1, 1), ...entriesOf(2, 4)], { hardState: hardStateOf(1) });
  const rest = [membershipEntry(6, 1), ...entriesOf(7, count - 6, term)];
  const ticket = opened.store("queue", rest, { hardState: hardStateOf(term + 2, "bar#1") });
  await opened.stored("queue", ticket);
  await opened.snapshot("queue", 4, 1, noise(100_000));
  await opened.close();
  return dir;
}

describe("recover", () => {
  const queueFounder = { ...founder, group: "queue" };
  test("ranks by last term, then last index, and names the voters that are lost", async () => {
    const dirs = [
      await memberOf("foo", 20, 2),
      await memberOf("bar", 12, 3),
      await memberOf("baz", 11, 3),
    ];
    const ranking = await rankSurvivors(dirs, "queue");
    assert.deepEqual(
      ranking.survivors.map(({ hostId, lastTerm, lastIndex }) => [hostId, lastTerm, lastIndex]),
      [
        ["bar", 3, 12],
        ["baz", 3, 11],
        ["foo", 2, 20],
      ],
    );
    assert.deepEqual(ranking.lostVoters, []);
    assert.equal(ranking.majorityLost, false);
    const fewer = await rankSurvivors([dirs[0]!], "queue");
    assert.deepEqual(fewer.lostVoters, ["bar#1", "baz#1"]);
    assert.equal(fewer.majorityLost, true);
  });
  test("keeps the best one's snapshot and log, names itself alone everywhere, touches no survivor", async () => {
    const dirs = [await memberOf("foo", 20, 2), await memberOf("bar", 12, 3)];
    const before = dirs.map(imageOf);
    const out = join(root, "new");
    const ranking = await recoverDirectory(dirs, out, queueFounder);
    assert.equal(ranking.survivors[0]!.hostId, "bar");
    assert.deepEqual(dirs.map(imageOf), before);
    const opened = await Opened.open(out);
    const group = opened.group("queue")!;
    assert.equal(group.identity.groupId, "new-id");
    assert.equal(group.identity.memberId, "foo#2");
    // Above every term that anybody has voted in.
    assert.deepEqual(group.hardState, hardStateOf(5));
    assert.deepEqual(group.snapshot, { ...metaOf(4, 1, noise(100_000)), membership: alone });
    assert.equal(Buffer.compare(await pieces(opened, "queue"), noise(100_000)), 0);
    assert.deepEqual(
      group.entries.map(({ index, term }) => [index, term]),
      [5, 6, 7, 8, 9, 10, 11, 12].map((index) => [index, index < 7 ? 1 : 3]),
    );
    assert.deepEqual(group.entries.find(({ kind }) => kind === "membership")!.payload, alone);
    assert.deepEqual(textsOf(group.entries.slice(2)), textsOf(entriesOf(7, 6, 3)));
    await opened.close();
  });
  test("a long log is carried over in parts, and the former address is kept when none is given", async () => {
    const dir = await memberOf("foo", 6, 1);
    const opened = await Opened.open(dir, {}, "foo");
    const body = noise(300_000);
    const long = entriesOf(7, 12, 2).map((entry) => ({ ...entry, body }));
    await opened.stored("queue", opened.store("queue", long));
    await opened.close();
    const out = join(root, "new");
    await recoverDirectory([dir], out, { ...queueFounder, address: null });
    const again = await Opened.open(out);
    const { entries, identity } = again.group("queue")!;
    assert.equal(identity.address, "foo:1");
    assert.deepEqual(
      entries.map(({ index }) => index),
      Array.from({ length: 14 }, (_, at) => 5 + at),
    );
    assert.equal(Buffer.compare(entries.at(-1)!.body, body), 0);
    await again.close();
  });
  test("passes over a damaged copy, and refuses when every copy is damaged", async () => {
    const dirs = [await memberOf("foo", 20, 4), await memberOf("bar", 12, 3)];
    // Its log is whole and the longest, and of no use without the snapshot.
    damageSnapshot(dirs[0]!);
    const ranking = await rankSurvivors(dirs, "queue");
    assert.equal(ranking.survivors[0]!.hostId, "bar");
    assert.equal(ranking.survivors[1]!.lastTerm, 4);
    assert.match(ranking.survivors[1]!.damage!, /offset/);
    assert.deepEqual(ranking.lostVoters, ["foo#1", "baz#1"]);
    await assert.rejects(
      recoverDirectory([dirs[0]!], join(root, "new"), queueFounder),
      refusal("storageCorrupt", /no directory has an undamaged copy of group "queue" \(.*offset/),
    );
    assert.ok(!readdirSync(root).includes("new"));
  });
  test("refuses two groups of one name, a group that is not there, and what is no data directory", async () => {
    const foo = await memberOf("foo", 20, 2);
    const other = await memberOf("bar", 12, 3, "another-id");
    await assert.rejects(
      rankSurvivors([foo, other], "queue"),
      refusal("storageMismatch", /different groups of the name "queue"/),
    );
    await assert.rejects(
      rankSurvivors([foo], "stack"),
      refusal("storageMismatch", /holds no group "stack" \(it holds queue\)/),
    );
    await assert.rejects(
      rankSurvivors([join(root, "nowhere")], "queue"),
      refusal("storageMismatch", /does not exist/),
    );
    await assert.rejects(
      recoverDirectory([foo], other, queueFounder),
      refusal("storageMismatch", /not empty/),
    );
  });
  test("refuses a directory that is in use", async () => {
    const dir = await memberOf("foo", 20, 2);
    const opened = await Opened.open(dir);
    const inUse = refusal("storageLocked", /in use by host "foo"/);
    await assert.rejects(rankSurvivors([dir], "queue"), inUse);
    await assert.rejects(recoverDirectory([dir], join(root, "new"), queueFounder), inUse);
    await opened.close();
  });
});

describe("setting a group aside", () => {
  test("the only group: its directory is kept under another name, an empty one takes its place", async () => {
    const dir = await memberOf("foo", 20, 2);
    damage(dir, "entry 9");
    const before = imageOf(dir);
    const { kept, others } = await setGroupAside(dir, "queue");
    assert.equal(kept, `${dir}.set-aside-1`);
    assert.deepEqual(others, []);
    assert.deepEqual(imageOf(kept), before);
    assert.deepEqual(readdirSync(dir), []);
    const opened = await Opened.open(dir);
    assert.deepEqual(opened.recovered, []);
    await opened.close();
  });
  test("one of two groups: the other goes on with all that it had, and so it does after a restart", async () => {
    const dir = join(root, "foo");
    const opened = await Opened.open(dir);
    for (const name of ["queue", "stack"]) {
      opened.storage.createGroup(identityOf(name));
      const ticket = opened.store(name, entriesOf(1, 9, 1, name), { hardState: hardStateOf(1) });
      await opened.stored(name, ticket);
    }
    await opened.close();
    damage(dir, "queue 5");
    const before = imageOf(dir);
    const { kept, others } = await setGroupAside(dir, "queue");
    assert.deepEqual(others, ["stack"]);
    assert.deepEqual(imageOf(kept), before);
    for (let start = 1; start <= 2; start++) {
      const again = await Opened.open(dir);
      assert.deepEqual(
        again.recovered.map(({ identity, damage }) => [identity.group, damage]),
        [["stack", null]],
      );
      assert.deepEqual(
        textsOf(again.group("stack")!.entries),
        textsOf(entriesOf(1, 9, 1, "stack")),
      );
      await again.close();
    }
  });
  test("refuses a group that is good, one that is not there, and a directory in use", async () => {
    const dir = await memberOf("foo", 20, 2);
    const before = imageOf(dir);
    await assert.rejects(setGroupAside(dir, "queue"), refusal("invalidArgument", /is not damaged/));
    await assert.rejects(setGroupAside(dir, "stack"), refusal("storageMismatch", /holds: queue/));
    const opened = await Opened.open(dir);
    await assert.rejects(setGroupAside(dir, "queue"), refusal("storageLocked", /in use/));
    await opened.close();
    assert.deepEqual(readdirSync(root), ["foo"]);
    assert.deepEqual([...imageOf(dir).keys()], [...before.keys()]);
  });
});
