/** The storage contract on reading snapshots that are sent to others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { patterned } from "./peer.js";
import { metaOf, type StorageFactory, withEntries } from "./storage-harness.js";

export function testReading(make: StorageFactory): void {
  test("chunks are read at any offset, up to the end and not beyond", async (t) => {
    const opened = await withEntries(await make(t), 20);
    const data = patterned(10_000);
    const pieces = [1, 999, 3000, 6000].map((size, i, sizes) => {
      const from = sizes.slice(0, i).reduce((sum, one) => sum + one, 0);
      return data.subarray(from, from + size);
    });
    assert.equal(await opened.save("queue", metaOf(10, 1, data), pieces), true);
    for (const [offset, maxBytes] of [
      [0, 1],
      [0, 10_000],
      [0, 20_000],
      [1, 999],
      [500, 3000],
      [3999, 2],
      [9_999, 100],
    ] as const) {
      const chunk = await opened.read(10, offset, maxBytes);
      assert.ok(chunk !== null);
      const expected = data.subarray(offset, offset + maxBytes);
      assert.deepEqual(Buffer.from(chunk), Buffer.from(expected), `${offset}, ${maxBytes}`);
    }
    await opened.storage.close();
  });

  test("a chunk of a snapshot that is not the current one is null", async (t) => {
    const opened = await withEntries(await make(t), 20);
    assert.equal(await opened.read(10, 0, 100), null);
    const data = patterned(1000);
    assert.equal(await opened.save("queue", metaOf(10, 1, data), [data]), true);
    assert.equal(await opened.read(9, 0, 100), null);
    assert.equal(await opened.read(11, 0, 100), null);
    await opened.storage.close();
  });

  test("chunks are answered in the order in which they were asked for", async (t) => {
    const opened = await withEntries(await make(t), 20);
    const data = patterned(5000);
    assert.equal(await opened.save("queue", metaOf(10, 1, data), [data]), true);
    const offsets = [4000, 0, 2000, 3000, 1000];
    for (const offset of offsets) {
      opened.storage.readSnapshotChunk("queue", `to ${offset}`, 10, offset, 1000);
    }
    const { length } = offsets;
    await opened.until("all are read", () => opened.of("chunkRead").length === length);
    assert.deepEqual(
      opened.of("chunkRead").map(({ to }) => to),
      offsets.map((offset) => `to ${offset}`),
    );
    await opened.storage.close();
  });

  test("one that is half read stays readable to its end while newer ones are saved (hazard 57)", async (t) => {
    const opened = await withEntries(await make(t), 20);
    const data = patterned(200_000);
    assert.equal(await opened.save("queue", metaOf(5, 1, data), [data]), true);
    const read: Uint8Array[] = [];
    const readOn = async (maxBytes: number): Promise<void> => {
      const offset = read.reduce((sum, { length }) => sum + length, 0);
      const chunk = await opened.read(5, offset, maxBytes);
      assert.ok(chunk !== null, `gone at offset ${offset}`);
      read.push(chunk);
    };
    await readOn(70_000);
    for (const index of [8, 12]) {
      const newer = patterned(1000, index);
      assert.equal(await opened.save("queue", metaOf(index, 1, newer), [newer]), true);
      await readOn(70_000);
      const chunk = await opened.read(index, 0, 2000);
      assert.deepEqual(Buffer.from(chunk!), Buffer.from(newer), "and the newer one is readable");
    }
    assert.deepEqual(Buffer.concat(read), Buffer.from(data));
    assert.equal(await opened.read(8, 0, 100), null, "nobody was half through this one");
    await opened.storage.close();
  });
}
