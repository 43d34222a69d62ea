/** A leader of a newer version of the value sends its snapshot: a member of the older one cannot read it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chunkOf, bigMap, makeSnapshot } from "./big-map.js";
import { Lab } from "./harness.js";

for (const chunks of [1, 3]) {
  test(`a newer version's snapshot ends the member before it takes the place of what it has (chunks: ${chunks})`, async () => {
    const made = await makeSnapshot();
    const newer = { ...made, meta: { ...made.meta, valueVersion: bigMap.version + 1 } };
    const lab = new Lab(bigMap);
    await lab.restore();
    let given = 0;
    lab.storage.writeSnapshotChunk = () => void (given += 1);
    lab.storage.installSnapshot = () => assert.fail("it is installed");
    const size = Math.ceil(made.data.length / chunks);
    for (let at = 0; at < made.data.length && lab.ended === null; at += size) {
      lab.receive("b#1", chunkOf(newer, at, Math.min(at + size, made.data.length)));
      lab.laterTurns();
    }
    assert.equal(lab.ended?.error?.code, "storageMismatch");
    assert.match(lab.ended.error.message, /version 2 .*this program has version 1: run version 2/);
    assert.equal(given, 0);
  });
}
