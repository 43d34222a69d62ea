/** A disk that is too small for what restore and recover have to write. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
import { createBackup, recoverDirectory, restoreDirectory } from "../../src/storage/file/tools.js";
import { mountSmall } from "../e2e/small-disk.js";
import {
  Opened,
  entriesOf,
  hardStateOf,
  identityOf,
  inDirectory,
  metaOf,
  noise,
} from "./support.js";

const founder = { groupId: "new-id", hostId: "foo", memberId: "foo#2", address: "127.0.0.1:7109" };

const lacksRoom = (error: unknown): boolean => {
  assert.ok(error instanceof RaftError, String(error));
  assert.equal(error.code, "diskFull", error.message);
  assert.match(error.message, /no space left for the snapshot of 300000 bytes.*free some space/);
  return true;
};

test("restore and recover are refused where there is no room, and leave nothing", async (context) => {
  await inDirectory(async (root) => {
    const disk = mountSmall(join(root, "disk"), "size=16m");
    if (typeof disk === "string") return context.skip(disk);
    try {
      const data = noise(300_000);
      const file = join(root, "queue.backup");
      const from = { group: "queue", groupId: "id", memberId: "foo#1", valueName: "queue" };
      const writer = await createBackup(file, { ...from, takenAtMs: 1 });
      await writer.append(data);
      await writer.finish(metaOf(5, 1, data));
      const out = join(disk.dir, "new");
      const noCheck = (): void => undefined;
      await assert.rejects(
        restoreDirectory(file, out, { ...founder, group: null }, noCheck),
        lacksRoom,
      );
      const survivor = join(root, "survivor");
      const opened = await Opened.open(survivor);
      opened.storage.createGroup(identityOf("queue"));
      const hardState = hardStateOf(1);
      await opened.stored("queue", opened.store("queue", entriesOf(1, 5), { hardState }));
      await opened.snapshot("queue", 5, 1, data);
      await opened.close();
      await assert.rejects(
        recoverDirectory([survivor], out, { ...founder, group: "queue" }),
        lacksRoom,
      );
      assert.deepEqual(readdirSync(disk.dir), []);
    } finally {
      disk.unmount();
    }
  });
});
