/**
 * A reader of its own, written from docs/file-format.md and using nothing of the storage's code: what that
 * page says is enough, and what the storage writes is that.
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "../../src/codec/crc32.js";
import type { Entry, SnapshotMeta } from "../../src/core/types.js";
import {
  Opened,
  entriesOf,
  hardStateOf,
  identityOf,
  noise,
  removeDirectory,
  temporaryDirectory,
} from "./support.js";

type Read = {
  readonly hardStates: unknown[];
  readonly groups: string[];
  readonly snapshots: string[];
  log: Map<number, { term: number; body: string }>;
  firstIndex: number;
  sequences: number[];
};

function f64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function readSection(read: Read, type: number, body: Buffer): void {
  if (type === 2) read.groups.push(body.toString());
  if (type === 5) read.snapshots.push(body.toString());
  if (type === 6) read.firstIndex = body.readDoubleLE(0);
  if (type !== 4) return;
  let at = 1;
  if (body[0] === 1) {
    const length = body.readUInt32LE(1);
    read.hardStates.push(JSON.parse(body.subarray(5, 5 + length).toString()));
    at = 5 + length;
  }
  const truncateFrom = body.readDoubleLE(at);
  if (truncateFrom > 0) {
    for (const index of read.log.keys()) if (index >= truncateFrom) read.log.delete(index);
  }
  const first = body.readDoubleLE(at + 8);
  const count = body.readUInt32LE(at + 16);
  at += 20;
  for (let index = first; index < first + count; index++) {
    assert.equal(body[at], 1, "a narrow command");
    const length = body.readUInt32LE(at + 1);
    const term = body.readUInt32LE(at + 5);
    read.log.set(index, { term, body: body.subarray(at + 29, at + 29 + length).toString() });
    at += 29 + length;
  }
  assert.equal(at, body.length);
}

function readSegment(read: Read, bytes: Buffer, directoryId: Buffer, segment: number): void {
  assert.equal(bytes.subarray(0, 8).toString(), "RAFTWAL\n");
  assert.equal(bytes.readUInt32LE(8), 1);
  assert.ok(bytes.subarray(16, 32).equals(directoryId));
  assert.equal(bytes.readDoubleLE(32), segment);
  assert.equal(bytes.readDoubleLE(40), bytes.length);
  assert.equal(bytes.readUInt32LE(60), crc32(bytes.subarray(0, 60)));
  let at = 64;
  for (let isFirst = true; bytes.readUInt32LE(at) === 0x31425652; isFirst = false) {
    const headerBytes = bytes.readUInt32LE(at + 4);
    const count = bytes.readUInt32LE(at + 12);
    assert.equal(headerBytes, 40 + 16 * count);
    const seed = crc32(Buffer.concat([directoryId, f64(segment), f64(at)]));
    const table = bytes.subarray(at + 40, at + headerBytes);
    const check = crc32(Buffer.concat([bytes.subarray(at, at + 36), table]), seed);
    assert.equal(bytes.readUInt32LE(at + 36), check);
    read.sequences.push(bytes.readDoubleLE(at + 16));
    let bodyAt = at + headerBytes;
    for (let row = 0; row < table.length; row += 16) {
      const type = table.readUInt32LE(row + 4);
      const body = bytes.subarray(bodyAt, bodyAt + table.readUInt32LE(row + 8));
      assert.equal(table.readUInt32LE(row + 12), crc32(body));
      assert.equal(type === 1, isFirst && row === 0, "each segment begins with a checkpoint");
      readSection(read, type, body);
      bodyAt += body.length;
    }
    assert.equal(bodyAt, at + headerBytes + bytes.readUInt32LE(at + 8));
    at = bodyAt;
  }
  assert.ok(bytes.subarray(at).every((byte) => byte === 0));
}

function readSnapshot(bytes: Buffer, directoryId: Buffer): { meta: unknown; data: Buffer } {
  assert.equal(bytes.subarray(0, 8).toString(), "RAFTSNAP");
  assert.equal(bytes.readUInt32LE(12), 65_536);
  assert.ok(bytes.subarray(16, 32).equals(directoryId));
  const end = bytes.length - 16;
  assert.equal(bytes.readUInt32LE(end), 0x444e5352);
  assert.equal(bytes.readUInt32LE(end + 12), crc32(bytes.subarray(end, end + 12)));
  const metaAt = end - bytes.readUInt32LE(end + 4);
  const json = bytes.subarray(metaAt, end);
  assert.equal(bytes.readUInt32LE(end + 8), crc32(json));
  const pieces: Buffer[] = [];
  let crc = 0;
  for (let at = 64; at < metaAt;) {
    const data = bytes.subarray(at + 12, at + 12 + bytes.readUInt32LE(at));
    assert.equal(bytes.readUInt32LE(at + 4), crc);
    crc = crc32(data, crc);
    assert.equal(bytes.readUInt32LE(at + 8), crc);
    pieces.push(data);
    at += 12 + data.length;
  }
  return { meta: JSON.parse(json.toString()), data: Buffer.concat(pieces) };
}

/** A directory with a bit of everything, closed in order; and what the storage itself reads there. */
async function write(
  dir: string,
): Promise<{ readonly meta: SnapshotMeta; readonly entries: readonly Entry[] }> {
  const opened = await Opened.open(dir, { segmentBytes: 8192, firstSegmentBytes: 4096 });
  opened.storage.createGroup(identityOf("queue"));
  opened.store("queue", entriesOf(1, 40), { hardState: hardStateOf(1, "foo#1") });
  opened.store("queue", entriesOf(30, 5, 2, "new"), { truncateFrom: 30 });
  for (let first = 35; first < 300; first += 20) {
    const batch = entriesOf(first, 20, 3, "of some length");
    await opened.stored("queue", opened.store("queue", batch));
  }
  const meta = await opened.snapshot("queue", 10, 1, noise(150_000));
  opened.storage.compactLog("queue", 8);
  await opened.stored("queue", opened.store("queue", [], { hardState: hardStateOf(9) }));
  await opened.close();
  const again = await Opened.open(dir);
  const { entries } = again.group("queue")!;
  await again.close();
  return { meta, entries };
}

function checkMark(mark: Buffer, directoryId: Buffer, lastSequence: number): void {
  const slots = [0, 512].filter((at) => {
    const seed = crc32(directoryId);
    return mark.readUInt32LE(at + 44) === crc32(mark.subarray(at, at + 44), seed);
  });
  const newest = slots.sort((a, b) => mark.readDoubleLE(b + 32) - mark.readDoubleLE(a + 32))[0]!;
  assert.equal(mark.readUInt32LE(newest), 0x4b4d5652);
  assert.equal(mark.readUInt32LE(newest + 4), 1);
  assert.equal(mark.readDoubleLE(newest + 8), lastSequence);
}

test("docs/file-format.md is enough to read a directory", async () => {
  const dir = temporaryDirectory();
  try {
    const { meta, entries } = await write(dir);

    const [json, check] = readFileSync(join(dir, "identity"), "utf8").split("\n");
    assert.equal(parseInt(check!, 16), crc32(Buffer.from(json!)));
    const identity = JSON.parse(json!) as { hostId: string; directoryId: string; format: number };
    assert.equal(identity.format, 1);
    assert.equal(identity.hostId, "foo");
    const directoryId = Buffer.from(identity.directoryId, "hex");

    const read: Read = {
      hardStates: [],
      groups: [],
      snapshots: [],
      log: new Map(),
      firstIndex: 1,
      sequences: [],
    };
    const names = readdirSync(dir).sort();
    const segments = names.filter((name) => name.startsWith("wal-"));
    assert.ok(segments.length >= 3);
    for (const [at, name] of segments.entries()) {
      const bytes = readFileSync(join(dir, name));
      if (bytes.some((byte) => byte !== 0)) readSegment(read, bytes, directoryId, at + 1);
    }
    assert.deepEqual(
      read.sequences,
      read.sequences.map((_, at) => at + 1),
    );
    assert.deepEqual(
      read.groups.map((text) => JSON.parse(text) as unknown),
      [identityOf("queue")],
    );
    assert.deepEqual(read.hardStates, [hardStateOf(1, "foo#1"), hardStateOf(9)]);
    const log = [...read.log].filter(([index]) => index >= read.firstIndex);
    assert.deepEqual(
      log.map(([index, { term, body }]) => [index, term, body]),
      entries.map((entry) => [entry.index, entry.term, Buffer.from(entry.body).toString()]),
    );

    const file = names.find((name) => name.endsWith(".snap"))!;
    assert.match(file, new RegExp(`^snapshot-1-10-1-${meta.checksum.toString(16)}\\.snap$`));
    const snapshot = readSnapshot(readFileSync(join(dir, file)), directoryId);
    assert.ok(snapshot.data.equals(noise(150_000)));
    assert.deepEqual(snapshot.meta, JSON.parse(read.snapshots[0]!));

    checkMark(readFileSync(join(dir, "mark")), directoryId, read.sequences.at(-1)!);
  } finally {
    removeDirectory(dir);
  }
});
