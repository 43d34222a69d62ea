import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDisk } from "./fake-disk.js";
import { Opened, entriesOf, entryOf, hardStateOf, identityOf, textsOf } from "./support.js";

const segmentBytes = 20 << 20;

/** One after the other, each of which claims a table of 16 MiB. */
function falseHeaders(bytes: number): Uint8Array {
  const body = new Uint8Array(bytes);
  const view = new DataView(body.buffer);
  const count = 1 << 20;
  for (let at = 0; at + 40 <= bytes; at += 40) {
    view.setUint32(at, 0x31425652, true);
    view.setUint32(at + 4, 40 + 16 * count, true);
    view.setUint32(at + 12, count, true);
  }
  return body;
}

/** Counts what is read of the log. */
function countReads(disk: FakeDisk): () => number {
  const openFile = disk.open.bind(disk);
  let total = 0;
  disk.open = async (path, mode) => {
    const file = await openFile(path, mode);
    const read = async (position: number, sizeBytes: number): Promise<Uint8Array> => {
      const bytes = await file.read(position, sizeBytes);
      total += bytes.length;
      return bytes;
    };
    return { ...file, read };
  };
  return () => total;
}

test("a torn block full of what looks like headers is not read once for each of them", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytes, firstSegmentBytes: segmentBytes, fs: disk };
  const before = await Opened.open("/data", options);
  before.storage.createGroup(identityOf("queue"));
  const hardState = hardStateOf(1);
  await before.stored("queue", before.store("queue", entriesOf(1, 3), { hardState }));
  const body = falseHeaders(4000);
  await before.stored("queue", before.store("queue", [{ ...entryOf(4, 1, ""), body }]));
  await before.close();
  const path = "/data/wal-00000001.log";
  const log = Buffer.from(disk.file(path));
  const at = log.lastIndexOf("RVB1", log.indexOf(body.subarray(0, 80)) - 1);
  disk.setFile(path, log.fill(0, at, at + 40));
  disk.setFile("/data/mark", new Uint8Array(1024));
  const readBytes = countReads(disk);
  const opened = await Opened.open("/data", options);
  assert.deepEqual(textsOf(opened.group("queue")!.entries), textsOf(entriesOf(1, 3)));
  assert.ok(readBytes() < 4 * segmentBytes, `${readBytes()} bytes`);
  await opened.close();
});
