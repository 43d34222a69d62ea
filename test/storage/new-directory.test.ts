/** What restore and recover leave when moving up what they have built fails, and how directories are named twice. */
import assert from "node:assert/strict";
import nodeFs from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
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

test("where a file cannot be moved up, the directory is as it was", () =>
  inDirectory(async (root) => {
    const survivor = await survivorIn(root);
    for (const failing of ["mark", "wal-00000001.log", "identity"]) {
      const out = join(root, "out");
      nodeFs.mkdirSync(out);
      const rename = promises.rename.bind(promises);
      mock.method(promises, "rename", (from: string, to: string) =>
        to === join(out, failing) ? Promise.reject(systemError("EIO")) : rename(from, to),
      );
      syncBuiltinESMExports();
      try {
        await assert.rejects(
          recoverDirectory([survivor], out, founder),
          (error) => error instanceof RaftError && error.code === "storageFailed",
        );
      } finally {
        mock.restoreAll();
        syncBuiltinESMExports();
      }
      assert.deepEqual(nodeFs.readdirSync(out), [], failing);
      nodeFs.rmdirSync(out);
    }
    await recoverDirectory([survivor], join(root, "out"), founder);
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
