/** Every frame comes back as it was; every other byte string is refused in one way. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Slab, concatenate } from "../../src/codec/bytes.js";
import { EntriesCache } from "../../src/codec/entries.js";
import { maxItemsPerFrame } from "../../src/codec/requests.js";
import { sendFrame } from "../../src/codec/send-frame.js";
import { decodeFrame, encodeFrame, encodeFrameInParts, frameTypeOf } from "../../src/codec/wire.js";
import type { Frame, PeerMessage, Repeatable } from "../../src/codec/types.js";
import { RaftError } from "../../src/errors.js";
import type { Connection } from "../../src/ports.js";
import { frame, frameOf, frameTypes } from "./arbitraries.js";

/** A frame, or null if the bytes are refused as they should be; anything else fails the test. */
function decode(bytes: Uint8Array): Frame | null {
  try {
    return decodeFrame(bytes);
  } catch (error) {
    assert.ok(error instanceof RaftError, `not a RaftError: ${String(error)}`);
    assert.equal(error.code, "protocolMismatch");
    assert.match(error.message, /^malformed bytes: /);
    return null;
  }
}

/** All byte arrays inside a frame. */
function bodiesOf(value: unknown): Uint8Array[] {
  if (value instanceof Uint8Array) return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(bodiesOf);
}

/** What a hostile sender may make us hold: no more than some words for each of its bytes. */
function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return 1;
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((sum: number, one) => sum + sizeOf(one), 1);
}

const large = (seed: number): Uint8Array => new Uint8Array(5000 + seed).fill(seed);

const largeFrames: Readonly<Record<string, Frame>> = {
  requests: {
    type: "requests",
    channel: 1,
    requests: [1, 2].map((request) => ({
      ...{ type: "command", request, session: 3, sequence: request, lowestOutstanding: 1 },
      body: large(request),
    })),
  },
  replies: {
    type: "replies",
    channel: 1,
    replies: [1, 2].map((request) => ({
      ...{ request, status: "ok", applied: "maybe", index: 2 ** 40 },
      body: large(request),
    })),
  },
  entries: {
    type: "peerMessage",
    channel: 1,
    message: {
      ...{ type: "appendEntries", term: 2, prevLogIndex: 6, prevLogTerm: 1, commitIndex: 5 },
      ...{ round: 1, sentAtMs: 10, promiseMs: 0 },
      entries: [7, 8].map((index) => ({
        ...{ index, term: 2, kind: "command", session: 1, sequence: index, lowestOutstanding: 1 },
        ...{ timeMs: 5, body: large(index), payload: null },
      })),
    },
  },
} as const;

describe("frames", () => {
  for (const type of frameTypes) {
    test(`${type} comes back as it was`, () => {
      fc.assert(
        fc.property(frameOf(type), (given) => {
          assert.deepEqual(decodeFrame(encodeFrame(given)), given);
        }),
        { numRuns: type === "peerMessage" ? 600 : 150 },
      );
    });
  }

  test("a text that begins with a byte order mark keeps it", () => {
    const hello: Frame = { type: "hello", protocol: 2, kind: "peer", from: "\ufefffoo" };
    assert.deepEqual(decodeFrame(encodeFrame(hello)), hello);
  });

  test("bodies are views into the payload, at any offset of a larger buffer", () => {
    fc.assert(
      fc.property(frame, fc.nat(9), (given, offset) => {
        const bytes = encodeFrame(given);
        const chunk = new Uint8Array(offset + bytes.length + 5).fill(0xee);
        chunk.set(bytes, offset);
        const decoded = decodeFrame(chunk.subarray(offset, offset + bytes.length));
        assert.deepEqual(decoded, given);
        for (const body of bodiesOf(decoded)) {
          if (body.length > 0) assert.equal(body.buffer, chunk.buffer);
        }
      }),
    );
  });

  test("in parts, from a slab and with a cache the bytes are the same, however often", () => {
    const cache = new EntriesCache();
    const slab = new Slab();
    const made: { readonly parts: readonly Uint8Array[]; readonly bytes: Uint8Array }[] = [];
    fc.assert(
      fc.property(frame, (given) => {
        const bytes = encodeFrame(given);
        made.push({ parts: encodeFrameInParts(given, cache, slab), bytes });
        made.push({ parts: encodeFrameInParts(given, null, slab), bytes });
        made.push({ parts: encodeFrameInParts(given, cache, slab), bytes });
      }),
    );
    // Compared last: nothing that was handed out is written to again.
    for (const { parts, bytes } of made) assert.deepEqual(concatenate(parts), bytes);
  });

  test("a slab hands out nothing beyond its end", () => {
    const slab = new Slab();
    for (let i = 0; i < 8; i++) slab.take(511);
    assert.equal(slab.take(8), 8 * 511);
    for (let i = 0; i < 8; i++) slab.take(511);
    assert.equal(slab.take(9), 0);
  });

  for (const [name, given] of Object.entries(largeFrames)) {
    test(`${name} with large bodies are parts in which the bodies lie where they were`, () => {
      const bodies = bodiesOf(given).filter((body) => body.length > 0);
      const cache = new EntriesCache();
      for (const asked of [null, cache, cache]) {
        const parts = encodeFrameInParts(given, asked, new Slab());
        assert.deepEqual(
          parts.filter((part) => bodies.includes(part)),
          bodies,
        );
        assert.deepEqual(concatenate(parts), encodeFrame(given));
        assert.deepEqual(decodeFrame(concatenate(parts)), given);
      }
    });
  }

  test("a connection that takes no parts is sent each frame as a whole", () => {
    for (const given of Object.values(largeFrames)) {
      const sent: Uint8Array[] = [];
      const connection = { send: (payload) => void sent.push(payload) } as Partial<Connection>;
      sendFrame(connection as Connection, given, null, new Slab());
      assert.deepEqual(sent, [encodeFrame(given)]);
    }
  });

  test("the bytes are a buffer of their own: changing them harms no later frame", () => {
    fc.assert(
      fc.property(frame, (given) => {
        const first = encodeFrame(given);
        const copy = first.slice();
        encodeFrame(given).fill(0);
        assert.deepEqual(first, copy);
      }),
      { numRuns: 50 },
    );
  });
});

describe("hostile bytes", () => {
  test("every proper prefix of a frame is refused", () => {
    fc.assert(
      fc.property(frame, (given) => {
        const bytes = encodeFrame(given);
        const step = Math.max(1, Math.floor(bytes.length / 200));
        for (let end = 0; end < bytes.length; end += step) {
          assert.equal(decode(bytes.subarray(0, end)), null, `${end} of ${bytes.length} bytes`);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("bytes behind the end of a frame are refused", () => {
    fc.assert(
      fc.property(frame, fc.uint8Array({ minLength: 1, maxLength: 9 }), (given, more) => {
        const bytes = encodeFrame(given);
        const longer = new Uint8Array(bytes.length + more.length);
        longer.set(bytes);
        longer.set(more, bytes.length);
        assert.equal(decode(longer), null);
      }),
    );
  });

  test("flipped bits give a frame or a refusal, and what is accepted is a frame indeed", () => {
    fc.assert(
      fc.property(frame, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (given, flips) => {
        const bytes = encodeFrame(given);
        for (const flip of flips) bytes[(flip >>> 3) % bytes.length]! ^= 1 << (flip & 7);
        const decoded = decode(bytes);
        if (decoded !== null) assert.deepEqual(decodeFrame(encodeFrame(decoded)), decoded);
      }),
      { numRuns: 3000 },
    );
  });

  test("random bytes behind a frame type give a frame or a refusal", () => {
    const bytes = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.uint8Array({ maxLength: 120 }));
    fc.assert(
      fc.property(bytes, ([type, rest]) => {
        const payload = new Uint8Array([type, ...rest]);
        const decoded = decode(payload);
        if (decoded === null) return;
        assert.deepEqual(decodeFrame(encodeFrame(decoded)), decoded);
      }),
      { numRuns: 3000 },
    );
  });

  test("what is declared makes nobody allocate: every count is held against the bytes", () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.constantFrom(0xff, 0x7f, 0x10), (given, at, high) => {
        const bytes = encodeFrame(given);
        if (bytes.length < 5) return;
        const offset = at % (bytes.length - 4);
        bytes.set([0xff, 0xff, 0xff, high], offset);
        const decoded = decode(bytes);
        if (decoded !== null) assert.ok(sizeOf(decoded) <= 40 + bytes.length * 4);
      }),
      { numRuns: 2000 },
    );
  });

  test("more items than one frame may have are refused before they are read", () => {
    for (const [code, what] of [
      [9, "requests"],
      [10, "replies"],
    ] as const) {
      const bytes = new Uint8Array(9 + 14 * (maxItemsPerFrame + 1));
      bytes[0] = code;
      new DataView(bytes.buffer).setUint32(5, maxItemsPerFrame + 1, true);
      const why = new RegExp(`${what} declares 131073, a frame has 131072 at most`);
      assert.throws(() => decodeFrame(bytes), why);
    }
  });

  test("what is said once only cannot stand to be repeated", () => {
    const { message } = largeFrames["entries"] as PeerMessage;
    const reply = { type: "appendEntriesReply", term: 1, success: false, matchIndex: 0 } as const;
    const refused = { ...reply, hintIndex: 0, hintTerm: 0, round: 1, sentAtMs: 1 };
    for (const once of [message, refused] as Repeatable[]) {
      const bytes = encodeFrame({ type: "peerStanding", slot: 0, channel: 1, message: once });
      assert.throws(() => decodeFrame(bytes), /is not one to be repeated/);
    }
  });

  test("the type of a frame is known before the rest is read", () => {
    fc.assert(
      fc.property(frame, (given) => {
        assert.equal(frameTypeOf(encodeFrame(given).subarray(0, 1)), given.type);
      }),
    );
    assert.throws(() => frameTypeOf(new Uint8Array(0)), /frame type needs 1 bytes/);
    assert.throws(() => frameTypeOf(new Uint8Array([99])), /frame type 99 is unknown/);
  });

  test("a refusal names the field", () => {
    const cases: readonly (readonly [bytes: readonly number[], why: RegExp])[] = [
      [[], /frame type needs 1 bytes, 0 are left/],
      [[0], /frame type 0 is unknown/],
      [[99], /frame type 99 is unknown/],
      [[4, 1, 0, 0, 0, 77], /message type 77 is unknown/],
      [[4, 1, 0, 0], /peerMessage\.channel needs 4 bytes, 3 are left/],
      [[9, 1, 0, 0, 0, 255, 255, 255, 255], /requests declares 4294967295/],
      [[9, 1, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3], /requests declares 2, more than 3 bytes can hold/],
      [[10, 1, 0, 0, 0, 1, 0, 0, 0, 4, ...new Array<number>(12).fill(0)], /reply flags 4/],
      [[13, 2, 0, 0, 0, 0, 0, 0, 0, 0], /ping\.reply is neither 0 nor 1/],
      [[13, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f], /ping\.sentAtMs is not a finite number/],
      [[8, 1, 0, 0, 0, 0xff, 0, 0, 0, 0], /refuse\.code is not UTF-8/],
      [[2, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0, 0, 0, 0], /welcome\.protocol is not an integer/],
      [[2, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf, 0, 0, 0, 0], /welcome\.protocol is not an integer/],
    ];
    for (const [bytes, why] of cases) {
      assert.throws(() => decodeFrame(new Uint8Array(bytes)), why);
    }
  });
});
