/** A name that was given again, where the disk has lost that the group which had it before was deleted. */
import assert from "node:assert/strict";
import * as nodeFs from "node:fs";
import { test } from "node:test";
import { inspectDirectory } from "../../src/storage/file/index.js";
import { setGroupAside } from "../../src/storage/file/tools.js";
import {
  Opened,
  entriesOf,
  hardStateOf,
  identityOf,
  imageOf,
  noise,
  removeDirectory,
  temporaryDirectory,
  textsOf,
} from "./support.js";

const options = { segmentBytes: 65536, firstSegmentBytes: 65536 };
const hardState = hardStateOf(1);

/** Flips a bit in the header of the block with that sequence, of one segment. */
function loseBlock(path: string, sequence: number): void {
  const bytes = nodeFs.readFileSync(path);
  let at = bytes.indexOf("RVB1");
  while (at >= 0 && bytes.readDoubleLE(at + 16) !== sequence) at = bytes.indexOf("RVB1", at + 1);
  assert.ok(at >= 0, `no block ${sequence} in ${path}`);
  bytes[at + 20]! ^= 1;
  nodeFs.writeFileSync(path, bytes);
}

/** Group `a` in its second life, `b` in its first; the block that said that the first `a` is deleted is lost. */
async function inTwoLives(dir: string): Promise<void> {
  const opened = await Opened.open(dir, options);
  for (const name of ["a", "b"]) opened.storage.createGroup(identityOf(name));
  await opened.stored("a", opened.store("a", entriesOf(1, 5, 1, "first life"), { hardState }));
  await opened.snapshot("a", 2, 1, noise(10));
  opened.storage.deleteGroup("a");
  opened.storage.flush();
  await opened.stored("b", opened.store("b", entriesOf(1, 1), { hardState }));
  opened.storage.createGroup(identityOf("a"));
  await opened.stored("a", opened.store("a", entriesOf(1, 3, 1, "second life"), { hardState }));
  await opened.close();
  // One for the first life, one for its snapshot.
  loseBlock(`${dir}/wal-00000001.log`, 3);
}

for (const [what, judge] of [
  [
    "opening",
    async (dir: string) => {
      for (let round = 0; round < 2; round++) {
        const opened = await Opened.open(dir, options);
        const names = opened.recovered.map(({ identity }) => identity.group);
        assert.deepEqual(names.sort(), ["a", "b"]);
        const { entries, damage, snapshot } = opened.group("a")!;
        const texts = textsOf(entriesOf(1, 3, 1, "second life"));
        assert.deepEqual([textsOf(entries), damage, snapshot], [texts, null, null]);
        assert.notEqual(opened.group("b")!.damage, null, "of it something may be lost as well");
        await opened.close();
      }
    },
  ],
  [
    "inspecting",
    async (dir: string) => {
      const { groups } = await inspectDirectory(dir);
      const found = groups.map(({ group, damage }) => [group, damage === null]);
      assert.deepEqual(found.sort(), [
        ["a", true],
        ["b", false],
      ]);
    },
  ],
  [
    "setting the undamaged one aside",
    async (dir: string) => {
      const before = imageOf(dir);
      await assert.rejects(setGroupAside(dir, "a"), { code: "invalidArgument" });
      assert.deepEqual(imageOf(dir), before);
    },
  ],
] as const) {
  test(`a group whose deletion is lost gives way to the next of its name: ${what}`, async () => {
    const root = temporaryDirectory();
    try {
      await inTwoLives(`${root}/data`);
      await judge(`${root}/data`);
      assert.deepEqual(nodeFs.readdirSync(root), ["data"]);
    } finally {
      removeDirectory(root);
    }
  });
}
