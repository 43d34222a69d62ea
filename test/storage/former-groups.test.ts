/** A name that was given again, where the disk has lost that the group which had it before was deleted. */
import assert from "node:assert/strict";
import * as nodeFs from "node:fs";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
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

type Loss = "flipped" | "zeros" | "without bodies";

/** Flips a bit in the header of the block with that sequence, of one segment; or zeros are in its place, or its bodies'. */
function loseBlock(path: string, sequence: number, how: Loss = "flipped"): void {
  const bytes = nodeFs.readFileSync(path);
  let at = bytes.indexOf("RVB1");
  while (at >= 0 && bytes.readDoubleLE(at + 16) !== sequence) at = bytes.indexOf("RVB1", at + 1);
  assert.ok(at >= 0, `no block ${sequence} in ${path}`);
  const end = at + bytes.readUInt32LE(at + 4) + bytes.readUInt32LE(at + 8);
  if (how === "zeros") bytes.fill(0, at, end);
  else if (how === "without bodies") bytes.fill(0, at + bytes.readUInt32LE(at + 4), end);
  else bytes[at + 20]! ^= 1;
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

/** Groups `a` and `b`, then `c` in block 3 and one more entry of `a`; one block is lost. */
async function whereLost(
  lost: number,
  last: number,
  how: Loss,
  judge: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = temporaryDirectory();
  try {
    const opened = await Opened.open(dir, options);
    for (const name of ["a", "b"]) opened.storage.createGroup(identityOf(name));
    await opened.stored("a", opened.store("a", entriesOf(1, 1), { hardState }));
    await opened.stored("b", opened.store("b", entriesOf(1, 1), { hardState }));
    opened.storage.createGroup(identityOf("c"));
    if (last >= 3) await opened.stored("c", opened.store("c", entriesOf(1, 1), { hardState }));
    if (last >= 4) await opened.stored("a", opened.store("a", entriesOf(2, 1)));
    await opened.close();
    loseBlock(`${dir}/wal-00000001.log`, lost, how);
    await judge(dir);
  } finally {
    removeDirectory(dir);
  }
}

for (const [last, how] of [
  [3, "flipped"],
  [4, "flipped"],
  [3, "without bodies"],
  [4, "without bodies"],
] as const) {
  test(`a lost block (${how}) that created a group, of ${last}, leaves it unknown which there are: refused`, () =>
    whereLost(3, last, how, async (dir) => {
      await assert.rejects(Opened.open(dir, options), (error) => {
        assert.ok(error instanceof RaftError);
        assert.equal(error.code, "storageCorrupt");
        return /which groups were here is not known/.test(error.message);
      });
    }));
}

for (const [lost, how, damaged] of [
  [2, "flipped", { a: true, b: true, c: false }],
  [2, "zeros", { a: true, b: true, c: false }],
  [4, "flipped", { a: true, b: true, c: true }],
  [4, "zeros", { a: true, b: true, c: true }],
] as const) {
  test(`block ${lost} of 4 is lost (${how}), and which groups there are is known all the same`, () =>
    whereLost(lost, 4, how, async (dir) => {
      const { findings } = await inspectDirectory(dir);
      const told = findings.filter(({ type }) => type === "damage").map(({ message }) => message);
      assert.match(
        told.join("\n"),
        lost === 2
          ? /blocks 2 to 2 before it are missing/
          : /^wal-00000001\.log at offset \d+: blocks up to 4 were synced, 4 is not intact/m,
      );
      for (const { message, offset } of findings) {
        assert.ok(message.includes(`at offset ${offset}:`), `${offset}: ${message}`);
      }
      const opened = await Opened.open(dir, options);
      const found = opened.recovered.map(({ identity, damage }) => [
        identity.group,
        damage !== null,
      ]);
      assert.deepEqual(Object.fromEntries(found), damaged);
      await opened.close();
    }));
}
