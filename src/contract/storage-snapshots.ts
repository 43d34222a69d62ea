/** The storage contract's second half: snapshots, own and received, and compaction. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SnapshotMeta } from "../core/types.js";
import { patterned } from "./peer.js";
import {
  entries,
  hardState,
  metaOf,
  type OpenStorage,
  plain,
  type StorageFactory,
  withEntries,
} from "./storage-harness.js";
import { testReading } from "./storage-reading.js";

/** What is left of the log has no hole and reaches the snapshot. */
function checkRecovered(opened: OpenStorage, snapshot: SnapshotMeta, last: number): void {
  const group = opened.group("queue");
  assert.deepEqual(group.snapshot, snapshot);
  const first = group.entries[0]?.index ?? snapshot.index + 1;
  assert.ok(first <= snapshot.index + 1, `entries begin at ${first}`);
  group.entries.forEach(({ index }, i) => assert.equal(index, first + i));
  assert.equal(group.entries.at(-1)?.index ?? snapshot.index, last);
}

function testOwn(make: StorageFactory): void {
  test("an own snapshot comes back as it was written", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(250_000);
    const meta = metaOf(12, 1, data);
    const pieces = [data.subarray(0, 1), data.subarray(1, 100_000), data.subarray(100_000)];
    assert.equal(await opened.save("queue", meta, pieces), true);
    assert.deepEqual(await opened.loaded("queue"), Buffer.from(data));
    const again = await opened.reopen(harness);
    checkRecovered(again, meta, 20);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(data));
    await again.storage.close();
  });

  test("bytes that do not match what is said of them do not become the snapshot", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const good = patterned(5000);
    const meta = metaOf(5, 1, good);
    assert.equal(await opened.save("queue", meta, [good]), true);
    const other = patterned(5000, 2);
    assert.equal(
      await opened.save("queue", { ...metaOf(9, 1, other), checksum: 1 }, [other]),
      false,
    );
    assert.equal(await opened.save("queue", metaOf(9, 1, other), [other, other]), false);
    const again = await opened.reopen(harness);
    checkRecovered(again, meta, 20);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(good));
    await again.storage.close();
  });

  test("an aborted snapshot leaves no trace, and the next one counts", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const sink = opened.storage.beginSnapshot("queue");
    sink.write(patterned(3000));
    sink.abort();
    sink.abort();
    const data = patterned(4000, 9);
    assert.equal(await opened.save("queue", metaOf(9, 1, data), [data]), true);
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(9, 1, data), 20);
    await again.storage.close();
  });

  test("a newer snapshot replaces the older one, an older one does not (hazard 50)", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const [older, newer] = [patterned(4000, 1), patterned(3000, 2)];
    assert.equal(await opened.save("queue", metaOf(5, 1, patterned(10)), [patterned(10)]), true);
    assert.equal(await opened.save("queue", metaOf(15, 1, newer), [newer]), true);
    assert.equal(await opened.save("queue", metaOf(10, 1, older), [older]), false);
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(15, 1, newer), 20);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(newer));
    await again.storage.close();
  });

  test("compaction keeps what lies behind it, and the log goes on", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(100);
    assert.equal(await opened.save("queue", metaOf(15, 1, data), [data]), true);
    opened.storage.compactLog("queue", 11);
    opened.storage.compactLog("queue", 5);
    await opened.stored("queue", opened.store("queue", { entries: entries(21, 22, 1) }));
    const second = await opened.reopen(harness);
    checkRecovered(second, metaOf(15, 1, data), 22);
    assert.ok(second.group("queue").entries.some(({ index }) => index === 11));
    second.storage.compactLog("queue", 16);
    const change = { truncateFrom: 18, entries: entries(18, 18, 2) };
    await second.stored("queue", second.store("queue", change));
    const third = await second.reopen(harness);
    checkRecovered(third, metaOf(15, 1, data), 18);
    const tail = third.group("queue").entries.filter(({ index }) => index >= 16);
    assert.deepEqual(plain(tail), [...entries(16, 17, 1), ...entries(18, 18, 2)]);
    await third.storage.close();
  });

  test("a log that is compacted to its end goes on behind the snapshot", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(100);
    assert.equal(await opened.save("queue", metaOf(20, 1, data), [data]), true);
    opened.storage.compactLog("queue", 21);
    await opened.stored("queue", opened.store("queue", { hardState: hardState(4) }));
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(20, 1, data), 20);
    await again.stored("queue", again.store("queue", { entries: entries(21, 23, 4) }));
    const third = await again.reopen(harness);
    checkRecovered(third, metaOf(20, 1, data), 23);
    await third.storage.close();
  });
}

function testReceiving(make: StorageFactory): void {
  test("chunks are held, answered in order, and become the snapshot", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(2500);
    const meta = metaOf(40, 3, data);
    assert.equal(await opened.receive("queue", meta, data), true);
    const expected = [1000, 2000, 2500].map((sizeBytes) => ({
      type: "chunkWritten" as const,
      group: "queue",
      index: 40,
      term: 3,
      sizeBytes,
    }));
    assert.deepEqual(opened.of("chunkWritten"), expected);
    assert.deepEqual(await opened.loaded("queue"), Buffer.from(data));
    const again = await opened.reopen(harness);
    checkRecovered(again, meta, 40);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(data));
    await again.storage.close();
  });

  test("a chunk that came twice or leaves a hole changes nothing, and is told how much is held", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(3000);
    const meta = metaOf(40, 3, data);
    const chunk = (offset: number): void =>
      opened.storage.writeSnapshotChunk(
        "queue",
        meta,
        offset,
        data.subarray(offset, offset + 1000),
      );
    for (const offset of [0, 2000, 1000, 1000, 2000]) chunk(offset);
    opened.storage.installSnapshot("queue", meta);
    assert.equal(await opened.savedAs(meta), true);
    assert.deepEqual(
      opened.of("chunkWritten").map(({ sizeBytes }) => sizeBytes),
      [1000, 1000, 2000, 2000, 3000],
    );
    assert.deepEqual(await opened.loaded("queue"), Buffer.from(data));
    await opened.storage.close();
  });

  test("chunks of two snapshots do not mix (hazard 56)", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const [first, second] = [patterned(2000, 1), patterned(2000, 2)];
    const [a, b] = [metaOf(40, 3, first), metaOf(40, 4, second)];
    opened.storage.writeSnapshotChunk("queue", a, 0, first.subarray(0, 1000));
    opened.storage.writeSnapshotChunk("queue", b, 1000, second.subarray(1000));
    opened.storage.installSnapshot("queue", b);
    assert.equal(await opened.savedAs(b), false);
    assert.equal(await opened.receive("queue", a, first), true);
    assert.equal(await opened.receive("queue", b, second), true);
    const again = await opened.reopen(harness);
    checkRecovered(again, b, 40);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(second));
    await again.storage.close();
  });

  test("offset 0 begins anew", async (t) => {
    const opened = await withEntries(await make(t), 20);
    const data = patterned(2000);
    const meta = metaOf(40, 3, data);
    opened.storage.writeSnapshotChunk("queue", meta, 0, data.subarray(0, 1500));
    assert.equal(await opened.receive("queue", meta, data), true);
    assert.deepEqual(await opened.loaded("queue"), Buffer.from(data));
    await opened.storage.close();
  });
}

function testReceivingAgain(make: StorageFactory): void {
  test("after a restart the first answer says how much is held, and the rest completes it", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(1_500_000);
    const meta = metaOf(40, 3, data);
    const send = (to: OpenStorage, from: number, end: number): void => {
      for (let offset = from; offset < end; offset += 50_000) {
        const chunk = data.subarray(offset, Math.min(offset + 50_000, end));
        to.storage.writeSnapshotChunk("queue", meta, offset, chunk);
      }
    };
    send(opened, 0, 1_200_000);
    await opened.until("it is held", () => opened.of("chunkWritten").length === 24);
    const again = await opened.reopen(harness);
    assert.equal(again.group("queue").snapshot, null);
    send(again, 0, 50_000);
    await again.until("it is answered", () => again.of("chunkWritten").length === 1);
    const held = again.of("chunkWritten")[0]!.sizeBytes;
    assert.ok(held >= 50_000 && held <= 1_200_000, String(held));
    send(again, held, data.length);
    again.storage.installSnapshot("queue", meta);
    assert.equal(await again.savedAs(meta), true);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(data));
    await again.storage.close();
  });
}

function testInstalling(make: StorageFactory): void {
  test("missing or damaged bytes are not installed, and the old snapshot stays", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const old = patterned(500);
    assert.equal(await opened.save("queue", metaOf(10, 1, old), [old]), true);
    const data = patterned(2500, 7);
    const meta = metaOf(40, 3, data);
    assert.equal(await opened.receive("queue", meta, data.subarray(0, 2000)), false);
    const damaged = data.slice();
    damaged[1234]! ^= 4;
    assert.equal(await opened.receive("queue", meta, damaged), false);
    opened.storage.installSnapshot("queue", meta);
    assert.equal(await opened.savedAs(meta), false);
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(10, 1, old), 20);
    assert.deepEqual(await again.loaded("queue"), Buffer.from(old));
    await again.storage.close();
  });

  test("an unfinished one is not there after a restart", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(2500);
    const meta = metaOf(40, 3, data);
    opened.storage.writeSnapshotChunk("queue", meta, 0, data.subarray(0, 1000));
    await opened.until("it is held", () => opened.of("chunkWritten").length === 1);
    const again = await opened.reopen(harness);
    assert.equal(again.group("queue").snapshot, null);
    assert.deepEqual(plain(again.group("queue").entries), entries(1, 20, 1));
    again.storage.writeSnapshotChunk("queue", meta, 1000, data.subarray(1000));
    again.storage.installSnapshot("queue", meta);
    assert.equal(await again.savedAs(meta), false);
    await again.storage.close();
  });

  test("a log that agrees with the snapshot goes on behind it (hazard 49)", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(500);
    assert.equal(await opened.receive("queue", metaOf(15, 1, data), data), true);
    await opened.stored("queue", opened.store("queue", { entries: entries(21, 21, 1) }));
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(15, 1, data), 21);
    await again.storage.close();
  });

  test("a log that contradicts the snapshot is gone, all of it (hazard 48)", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(500);
    assert.equal(await opened.receive("queue", metaOf(15, 2, data), data), true);
    const middle = await opened.reopen(harness);
    checkRecovered(middle, metaOf(15, 2, data), 15);
    await middle.stored("queue", middle.store("queue", { entries: entries(16, 17, 2) }));
    const again = await middle.reopen(harness);
    checkRecovered(again, metaOf(15, 2, data), 17);
    await again.storage.close();
  });

  test("a log that ends before the snapshot goes on behind it", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(500);
    assert.equal(await opened.receive("queue", metaOf(90, 2, data), data), true);
    opened.storage.compactLog("queue", 91);
    await opened.stored("queue", opened.store("queue", { entries: entries(91, 93, 2) }));
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(90, 2, data), 93);
    await again.storage.close();
  });
}

function testCovered(make: StorageFactory): void {
  test("entries that the snapshot covers are passed over, those behind it count", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(500);
    assert.equal(await opened.receive("queue", metaOf(40, 2, data), data), true);
    await opened.stored("queue", opened.store("queue", { entries: entries(38, 42, 2) }));
    const middle = await opened.reopen(harness);
    checkRecovered(middle, metaOf(40, 2, data), 42);
    const tail = plain(middle.group("queue").entries).filter(({ index }) => index > 40);
    assert.deepEqual(tail, entries(41, 42, 2));
    await middle.stored("queue", middle.store("queue", { truncateFrom: 39 }));
    const again = await middle.reopen(harness);
    checkRecovered(again, metaOf(40, 2, data), 40);
    await again.storage.close();
  });
}

function testCutWithin(make: StorageFactory): void {
  test("a cut within what the snapshot covers leaves the snapshot and no log", async (t) => {
    const harness = await make(t);
    const opened = await withEntries(harness, 20);
    const data = patterned(500);
    assert.equal(await opened.save("queue", metaOf(12, 1, data), [data]), true);
    opened.store("queue", { truncateFrom: 10 });
    await opened.stored("queue", opened.store("queue", { entries: entries(13, 14, 2) }));
    const again = await opened.reopen(harness);
    checkRecovered(again, metaOf(12, 1, data), 14);
    const tail = plain(again.group("queue").entries).filter(({ index }) => index > 12);
    assert.deepEqual(tail, entries(13, 14, 2));
    await again.storage.close();
  });
}

export function testSnapshots(make: StorageFactory): void {
  testOwn(make);
  testReading(make);
  testReceiving(make);
  testReceivingAgain(make);
  testInstalling(make);
  testCovered(make);
  testCutWithin(make);
}
