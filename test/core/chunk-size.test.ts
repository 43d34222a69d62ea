/** The chunks of a snapshot get longer where that is faster, and are short again where it is not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  type ChunkSize,
  chunkLost,
  chunkTook,
  createChunkSize,
  holdToConfig,
} from "../../src/core/chunk-size.js";
import { validateGroupConfig } from "../../src/core/config.js";
import type { GroupConfig } from "../../src/core/types.js";

const KiB = 1024;
const config = validateGroupConfig({});

/** How long a chunk of so many bytes takes. */
type Line = (bytes: number) => number;

/** An answer takes `rttMs`, and a byte as long as it does. */
function line(rttMs: number, bytesPerMs: number): Line {
  return (bytes) => rttMs + bytes / bytesPerMs;
}

type Sent = { readonly bytes: number; readonly tookMs: number };

/** Sends so many bytes over the line. */
function send(over: Line, totalBytes: number, given: GroupConfig = config): Sent[] {
  const size = createChunkSize(given);
  const sent: Sent[] = [];
  for (let left = totalBytes; left > 0;) {
    const bytes = Math.min(left, size.chunkBytes);
    const tookMs = over(bytes);
    chunkTook(size, given, bytes, tookMs);
    sent.push({ bytes, tookMs });
    left -= bytes;
  }
  return sent;
}

const totalMs = (sent: readonly Sent[]): number =>
  sent.reduce((sum, { tookMs }) => sum + tookMs, 0);
const longestOf = (sent: readonly Sent[]): number => Math.max(...sent.map(({ bytes }) => bytes));

describe("chunks of a snapshot", () => {
  const total = 64 * 1024 * KiB;

  test("stay as they are on a line that answers at once", () => {
    assert.equal(longestOf(send(line(1, 100 * KiB), total)), 256 * KiB);
  });

  test("get longer on a far line, which is used better then", () => {
    for (const [rttMs, times] of [
      [50, 1.7],
      [100, 2],
      [200, 4],
    ] as const) {
      const sent = send(line(rttMs, 25 * KiB), total);
      const short = Math.ceil(total / (256 * KiB)) * (rttMs + 10.24);
      assert.ok(totalMs(sent) < 0.5 * short, `${rttMs} ms: ${totalMs(sent)} of ${short} ms`);
      const full = total / (25 * KiB);
      assert.ok(totalMs(sent) < times * full, `${rttMs} ms: ${totalMs(sent)} of ${full} ms`);
    }
  });

  test("stay as they are on a thin line, but for one trial now and then", () => {
    for (const bytesPerMs of [8 * KiB, KiB, 300]) {
      const sent = send(line(1, bytesPerMs), total);
      const long = sent.filter(({ bytes }) => bytes > 256 * KiB).length;
      assert.ok(long <= 1 + sent.length / 16, `${long} of ${sent.length} were longer`);
    }
  });

  test("are no longer than sixteen times what was configured, and than 4 MiB", () => {
    const far = line(100, Infinity);
    assert.equal(longestOf(send(far, total)), 4096 * KiB);
    const small = validateGroupConfig({ snapshotChunkBytes: 1000 });
    assert.equal(longestOf(send(far, total, small)), 16_000);
    const large = validateGroupConfig({ snapshotChunkBytes: 8192 * KiB });
    assert.deepEqual(
      new Set(send(far, total, large).map(({ bytes }) => bytes)),
      new Set([8192 * KiB]),
    );
    const odd = validateGroupConfig({ snapshotChunkBytes: 300 * KiB });
    assert.equal(longestOf(send(far, total, odd)), 4096 * KiB);
  });

  test("keep to what was configured meanwhile, in whole bytes", () => {
    const size = createChunkSize(validateGroupConfig({ snapshotChunkBytes: 9999 }));
    const less = validateGroupConfig({ snapshotChunkBytes: 1000 });
    holdToConfig(size, less);
    assert.equal(size.chunkBytes, 9999, "no more than sixteen times");
    chunkLost(size, less);
    assert.equal(size.chunkBytes, 4999);
    const least = validateGroupConfig({ snapshotChunkBytes: 64 });
    holdToConfig(size, least);
    assert.deepEqual([size.chunkBytes, size.longestChunkBytes], [1024, 1024]);
    const more = validateGroupConfig({ snapshotChunkBytes: 100_000 });
    holdToConfig(size, more);
    assert.deepEqual([size.chunkBytes, size.longestChunkBytes], [100_000, 100_000]);
    chunkTook(size, more, 100_000, 100);
    assert.equal(size.chunkBytes, 100_000, "a longer one is tried later");
  });

  test("hold up what is behind them for less than an election timeout, as long as the shortest do", () => {
    const { electionTimeoutMs, snapshotChunkBytes } = config;
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 400, noNaN: true }),
        fc.integer({ min: 300, max: 1e6 }),
        (rttMs, bytesPerMs) => {
          for (const { bytes, tookMs } of send(line(rttMs, bytesPerMs), total)) {
            if (bytes > snapshotChunkBytes) assert.ok(tookMs < electionTimeoutMs, `${bytes} bytes`);
          }
        },
      ),
    );
  });

  test("reckon with other groups on the line, whose election timeouts may be shorter", () => {
    const patient = validateGroupConfig({ electionTimeoutMs: 10_000 });
    const of = (given: GroupConfig): number => longestOf(send(line(100, 3 * KiB), total, given));
    assert.equal(of(patient), of(config));
    assert.equal(longestOf(send(line(300, Infinity), total, patient)), 256 * KiB);
  });

  test("are shorter where the line got slower, and longer again where it got well", () => {
    const size = createChunkSize(config);
    const far = (count: number, tookMs: number): void => {
      for (let i = 0; i < count; i++) chunkTook(size, config, size.chunkBytes, tookMs);
    };
    far(10, 100);
    assert.equal(size.chunkBytes, 4096 * KiB);
    far(1, 501);
    assert.equal(size.chunkBytes, 2048 * KiB);
    far(15, 100);
    assert.equal(size.chunkBytes, 2048 * KiB, "not at once");
    far(2, 100);
    assert.equal(size.chunkBytes, 4096 * KiB);
  });

  test("are half as long once one was lost, and never shorter than configured", () => {
    const size = createChunkSize(config);
    const sizes: number[] = [];
    for (let i = 0; i < 3; i++) chunkTook(size, config, size.chunkBytes, 100);
    for (let i = 0; i < 5; i++) {
      sizes.push(size.chunkBytes / KiB);
      chunkLost(size, config);
    }
    assert.deepEqual(sizes, [2048, 1024, 512, 256, 256]);
    chunkTook(size, config, size.chunkBytes, 100);
    assert.equal(size.chunkBytes, 256 * KiB, "and stay so for a while");
  });

  test("that are too long for their receiver are tried less and less often, until one arrives", () => {
    const size = createChunkSize(config);
    let takes = 256 * KiB;
    let sinceLost = 0;
    const waits: number[] = [];
    const sendOne = (): void => {
      sinceLost += 1;
      if (size.chunkBytes <= takes) return chunkTook(size, config, size.chunkBytes, 50);
      waits.push(sinceLost - 1);
      sinceLost = 0;
      chunkLost(size, config);
    };
    for (let i = 0; i < 1200; i++) sendOne();
    assert.deepEqual(waits, [1, 17, 33, 65, 129, 257, 257, 257]);
    takes = 512 * KiB;
    while (size.chunkBytes < takes) sendOne();
    waits.length = 0;
    sinceLost = 0;
    for (let i = 0; i < 60; i++) sendOne();
    assert.deepEqual(waits, [17, 33], "after one that did as often as at first");
  });

  test("learn nothing from a last, short one, or from one of which the receiver had more", () => {
    const size = createChunkSize(config);
    const before: ChunkSize = { ...size };
    for (const bytes of [1, 256 * KiB - 1, 256 * KiB + 1, 0, -5])
      chunkTook(size, config, bytes, 100);
    assert.deepEqual(size, before);
  });
});
