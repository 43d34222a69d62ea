/** What restore and recover leave when moving up what they have built fails, and how directories are named twice. */
import assert from "node:assert/strict";
import nodeFs from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename, dirname, join } from "node:path";
import { mock, test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { rankSurvivors, recoverDirectory } from "../../src/storage/file/tools.js";
import { Opened, entriesOf, hardStateOf, identityOf, inDirectory } from "./support.js";
import { systemError } from "./fake-disk.js";

const founder = {
  ...{ group: "queue", groupId: "new-id", hostId: "foo" },
  ...{ memberId: "foo#2", address: "127.0.0.1:7109" },
};

async function survivorIn(root: string): Promise<string> {
  const dir = join(root, "survivor");
  const opened = await Opened.open(dir);
  opened.storage.createGroup(identityOf("queue"));
  const hardState = hardStateOf(1);
  await opened.stored("queue", opened.store("queue", entriesOf(1, 5), { hardState }));
  await opened.close();
  return dir;
}

type Promises = typeof promises;

/** Does `work` where this function of the file system is another one. */
async function replacing<K extends "rename" | "mkdir" | "rm" | "open">(
  name: K,
  other: (...args: Parameters<Promises[K]>) => ReturnType<Promises[K]>,
  work: () => Promise<unknown>,
): Promise<void> {
  mock.method(promises, name, other as unknown as Promises[K]);
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
  }
}

for (const before of ["empty", "not there"] as const) {
  test(`where a file cannot be moved up, the directory is as it was: ${before}`, () =>
    inDirectory(async (root) => {
      const survivor = await survivorIn(root);
      const out = join(root, "out");
      for (const failing of ["mark", "wal-00000001.log", "identity"]) {
        if (before === "empty") nodeFs.mkdirSync(out);
        const rename = promises.rename.bind(promises);
        await replacing(
          "rename",
          (from, to) =>
            to === join(out, failing) ? Promise.reject(systemError("EIO")) : rename(from, to),
          () =>
            assert.rejects(
              recoverDirectory([survivor], out, founder),
              (error) => error instanceof RaftError && error.code === "storageFailed",
            ),
        );
        const left = nodeFs.existsSync(out) ? nodeFs.readdirSync(out) : null;
        assert.deepEqual(left, before === "empty" ? [] : null, failing);
        if (before === "empty") nodeFs.rmdirSync(out);
      }
      await recoverDirectory([survivor], out, founder);
    }));
}

test("the identity is moved up when the rest is on the disk for certain, and counts when it is there itself", () =>
  inDirectory(async (root) => {
    const survivor = await survivorIn(root);
    const out = join(root, "out");
    const steps: string[] = [];
    const { rename, open, rm } = promises;
    await replacing(
      "rename",
      (from, to) => {
        if (dirname(String(to)) === out) steps.push(`move ${basename(String(to))}`);
        return rename(from, to);
      },
      () =>
        replacing(
          "open",
          (path, ...rest) => {
            if (path === out) steps.push("sync");
            return open(path, ...rest);
          },
          () =>
            replacing(
              "rm",
              (path, ...rest) => {
                steps.push(`remove ${basename(String(path))}`);
                return rm(path, ...rest);
              },
              () => recoverDirectory([survivor], out, founder),
            ),
        ),
    );
    const moves = steps.slice(steps.findIndex((step) => step.startsWith("move")));
    assert.deepEqual(moves.slice(0, -5).sort(), ["move mark", "move wal-00000001.log"]);
    assert.deepEqual(moves.slice(-5), [
      "sync",
      "move identity",
      "sync",
      "remove unfinished",
      "sync",
    ]);
  }));

test("of two who make one directory at once, the second is refused and leaves the first alone", () =>
  inDirectory(async (root) => {
    const survivor = await survivorIn(root);
    const out = join(root, "out");
    const mkdir = promises.mkdir.bind(promises);
    // Between its look at the directory and its own folder the other one has made that.
    await replacing(
      "mkdir",
      async (path, options) => {
        if (path === `${out}/unfinished`) {
          nodeFs.mkdirSync(path);
          nodeFs.writeFileSync(join(path, "wal"), "of the other");
        }
        return mkdir(path, options);
      },
      () =>
        assert.rejects(recoverDirectory([survivor], out, founder), {
          code: "storageMismatch",
          message: `${out} is being written by another process`,
        }),
    );
    assert.equal(nodeFs.readFileSync(join(out, "unfinished", "wal"), "utf8"), "of the other");
  }));

test("a survivor that is given by several names is one survivor, and not in its own way", () =>
  inDirectory(async (root) => {
    const survivor = await survivorIn(root);
    const link = join(root, "link");
    nodeFs.symlinkSync(survivor, link);
    const dirs = [survivor, `${survivor}/`, link];
    const { survivors } = await rankSurvivors(dirs, "queue");
    assert.deepEqual(
      survivors.map(({ dir }) => dir),
      [survivor],
    );
    await recoverDirectory(dirs, join(root, "out"), founder);
  }));

test("what an interrupted restore or recover has left is called that, by whoever meets it", () =>
  inDirectory(async (root) => {
    const survivor = await survivorIn(root);
    const out = join(root, "out");
    nodeFs.mkdirSync(join(out, "unfinished"), { recursive: true });
    nodeFs.writeFileSync(join(out, "wal-00000001.log"), "moved up");
    await assert.rejects(Opened.open(out), {
      code: "storageMismatch",
      message:
        `${out} holds no more than what an interrupted restore or recover has left (unfinished): ` +
        "give this host a directory of its own, empty at first",
    });
    await assert.rejects(recoverDirectory([survivor], out, founder), {
      code: "storageMismatch",
      message: `${out} holds what another restore or recover has not finished (unfinished): name a new directory`,
    });
    nodeFs.writeFileSync(join(out, "package.json"), "{}");
    await assert.rejects(Opened.open(out), /holds files of something else/);
  }));
