/** Framing: whatever way the network splits and merges a stream, the same payloads come out. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { crc32 } from "../../src/codec/crc32.js";
import { encodeFrames, FrameReader, makeFarewell, makePreamble } from "../../src/codec/frame.js";
import { RaftError } from "../../src/errors.js";
import { packFrames } from "../../src/transport/pack.js";
import { patterned } from "../../src/contract/peer.js";

type Reading = { reader: FrameReader; payloads: Uint8Array[] };

function reading(maxFrameBytes?: number): Reading {
  const payloads: Uint8Array[] = [];
  const reader = new FrameReader({
    checksum: crc32,
    ...(maxFrameBytes === undefined ? {} : { maxFrameBytes }),
    onPayload: (payload) => payloads.push(payload),
  });
  return { reader, payloads };
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function streamOf(payloads: readonly Uint8Array[]): Uint8Array {
  return concat(makePreamble(), encodeFrames(payloads, crc32));
}

/** Whatever is pushed is overwritten at once, as nothing of it may be needed in parts any more. */
function pushOwn(reader: FrameReader, bytes: Uint8Array, from: number, to: number): void {
  reader.push(bytes.slice(from, to));
}

function refusal(call: () => void): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof RaftError && error.code === "protocolMismatch", String(error));
    return error.message;
  }
  return assert.fail("not refused");
}

const few = [0, 1, 7, 8, 9, 30, 0, 64].map((size, i) => patterned(size, i + 1));

describe("the frame reader", () => {
  test("a stream cut in two at any place gives the same payloads", () => {
    const stream = streamOf(few);
    for (let cut = 0; cut <= stream.length; cut++) {
      const { reader, payloads } = reading();
      pushOwn(reader, stream, 0, cut);
      pushOwn(reader, stream, cut, stream.length);
      assert.deepEqual(payloads, few, `cut at ${cut}`);
      assert.equal(reader.midFrame, false);
    }
  });

  test("a stream cut in three at any two places gives the same payloads", () => {
    const short = [patterned(3), patterned(0), patterned(12)];
    const stream = streamOf(short);
    for (let a = 0; a <= stream.length; a++) {
      for (let b = a; b <= stream.length; b++) {
        const { reader, payloads } = reading();
        pushOwn(reader, stream, 0, a);
        pushOwn(reader, stream, a, b);
        pushOwn(reader, stream, b, stream.length);
        assert.deepEqual(payloads, short, `cut at ${a} and ${b}`);
      }
    }
  });

  test("byte by byte", () => {
    const { reader, payloads } = reading();
    const stream = streamOf(few);
    for (let at = 0; at < stream.length; at++) pushOwn(reader, stream, at, at + 1);
    assert.deepEqual(payloads, few);
  });

  test("an empty payload waits for nothing behind it", () => {
    const { reader, payloads } = reading();
    const stream = streamOf([patterned(0)]);
    for (let at = 0; at < stream.length; at++) pushOwn(reader, stream, at, at + 1);
    assert.deepEqual(payloads, [patterned(0)]);
    assert.equal(reader.midFrame, false);
  });

  test("any payloads in any chunks", () => {
    const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(3000)), { maxLength: 20 });
    const chunks = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(sizes, chunks, (payloadSizes, chunkSizes) => {
        const sent = payloadSizes.map((size, i) => patterned(size, i));
        const stream = streamOf(sent);
        const { reader, payloads } = reading();
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = chunkSizes[i % chunkSizes.length]!;
          pushOwn(reader, stream, at, at + size);
          at += size;
        }
        assert.deepEqual(payloads, sent);
      }),
      { numRuns: 200 },
    );
  });

  test("payloads far beyond one chunk, before and after the first frame", () => {
    const sent = [patterned(3_000_000, 1), patterned(10, 2), patterned(5_000_001, 3)];
    const stream = streamOf(sent);
    const { reader, payloads } = reading();
    for (let at = 0; at < stream.length; at += 65_536) {
      pushOwn(reader, stream, at, at + 65_536);
    }
    assert.equal(payloads.length, 3);
    payloads.forEach((payload, i) => assert.equal(Buffer.compare(payload, sent[i]!), 0));
  });

  test("a payload that comes in many chunks is not copied again with each of them", (t) => {
    const stream = streamOf([patterned(5_000_000)]);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += 65_536) chunks.push(stream.slice(at, at + 65_536));
    const set = t.mock.method(Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array, "set");
    const { reader, payloads } = reading();
    for (const chunk of chunks) reader.push(chunk);
    assert.equal(payloads.length, 1);
    const copied = set.mock.calls.reduce((sum, call) => sum + call.arguments[0].length, 0);
    assert.ok(copied < 3 * stream.length, `${copied} bytes were copied`);
  });

  test("a payload that lies in one chunk is a view into it, at any offset", () => {
    const stream = streamOf(few);
    const large = new Uint8Array(stream.length + 20);
    large.set(stream, 11);
    const { reader, payloads } = reading();
    reader.push(large.subarray(11, 11 + stream.length));
    assert.deepEqual(payloads, few);
    for (const payload of payloads) assert.equal(payload.buffer, large.buffer);
  });

  test("greeted, established and midFrame tell how far the other side has come", () => {
    const { reader } = reading();
    const states: string[] = [];
    const note = (): void => {
      const { greeted, established, midFrame } = reader;
      states.push(`${Number(greeted)}${Number(established)}${Number(midFrame)}`);
    };
    const stream = streamOf([patterned(2)]);
    note();
    for (let at = 0; at < stream.length; at++) {
      pushOwn(reader, stream, at, at + 1);
      note();
    }
    const expected = [
      "000",
      ...Array<string>(7).fill("001"),
      "100",
      ...Array<string>(9).fill("101"),
    ];
    assert.deepEqual(states, [...expected, "110"]);
  });

  test("stop from within a handler ends it, also in the middle of a chunk", () => {
    const payloads: Uint8Array[] = [];
    const reader = new FrameReader({
      checksum: crc32,
      onPayload: (payload) => {
        payloads.push(payload);
        if (payloads.length === 2) reader.stop();
      },
    });
    reader.push(streamOf(few));
    reader.push(encodeFrames(few, crc32));
    assert.equal(payloads.length, 2);
  });

  test("a handler that throws ends it, and its error comes out as it is", () => {
    const error = new Error("a bug in the handler");
    let calls = 0;
    const reader = new FrameReader({
      checksum: crc32,
      onPayload: () => {
        calls += 1;
        throw error;
      },
    });
    assert.throws(
      () => reader.push(streamOf(few)),
      (thrown) => thrown === error,
    );
    reader.push(encodeFrames(few, crc32));
    assert.equal(calls, 1);
  });
});

describe("what is no stream of frames", () => {
  test("is refused at the byte that shows it, however it is cut", () => {
    const wrong = makePreamble();
    wrong[7]! += 1;
    for (let cut = 0; cut <= 8; cut++) {
      const { reader } = reading();
      const message = refusal(() => {
        pushOwn(reader, wrong, 0, cut);
        pushOwn(reader, wrong, cut, 8);
      });
      assert.match(message, /it speaks framing version 2, this side speaks 1/, `cut at ${cut}`);
    }
  });

  test("a frame above the limit is refused by its header, one at the limit is taken", () => {
    for (const cut of [8, 12, 16, 20]) {
      const { reader, payloads } = reading(100);
      const stream = streamOf([patterned(100), patterned(101)]);
      const message = refusal(() => {
        pushOwn(reader, stream, 0, cut);
        pushOwn(reader, stream, cut, stream.length);
      });
      assert.match(message, /a frame of 101 bytes is declared, at most 100 are allowed/);
      assert.deepEqual(payloads, [patterned(100)]);
    }
  });

  test("any flipped bit behind the preamble is found", () => {
    const sent = [patterned(5), patterned(40), patterned(0), patterned(11)];
    const stream = streamOf(sent);
    fc.assert(
      fc.property(fc.integer({ min: 64, max: stream.length * 8 - 1 }), fc.nat(), (bit, at) => {
        const damaged = stream.slice();
        damaged[bit >>> 3]! ^= 1 << (bit & 7);
        const { reader, payloads } = reading();
        let refused = false;
        const cut = at % stream.length;
        try {
          pushOwn(reader, damaged, 0, cut);
          pushOwn(reader, damaged, cut, damaged.length);
        } catch (error) {
          assert.ok(error instanceof RaftError && error.code === "protocolMismatch");
          refused = true;
        }
        // A length that grew leaves it waiting for the rest; nothing wrong was ever handed out.
        assert.ok(refused || reader.midFrame);
        assert.ok(payloads.length < sent.length);
        payloads.forEach((payload, i) => assert.deepEqual(payload, sent[i]));
      }),
      { numRuns: 500 },
    );
  });

  test("what has the length of a farewell and another sum is no farewell but damage", () => {
    const { reader, payloads } = reading();
    const broken = makeFarewell();
    broken[7] = 0;
    refusal(() => reader.push(concat(streamOf(few), broken)));
    assert.deepEqual(payloads, few);
    assert.equal(reader.dismissed, false);
  });

  test("after a refusal nothing more is read", () => {
    const { reader, payloads } = reading();
    refusal(() => reader.push(patterned(100)));
    reader.push(streamOf(few));
    assert.deepEqual(payloads, []);
  });

  test("the farewell ends the stream, wherever it is cut; nothing behind it is read", () => {
    const stream = concat(streamOf(few), makeFarewell(), encodeFrames(few, crc32));
    for (let cut = 0; cut <= stream.length; cut++) {
      const { reader, payloads } = reading();
      pushOwn(reader, stream, 0, cut);
      pushOwn(reader, stream, cut, stream.length);
      assert.deepEqual(payloads, few);
      assert.equal(reader.dismissed, true);
    }
  });
});

describe("packing", () => {
  test("is the framing, whatever the sizes, with the preamble in front if asked for", () => {
    const sizes = fc.array(fc.oneof(fc.nat(60), fc.constantFrom(16_384, 16_385, 40_000)), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(sizes, fc.boolean(), (payloadSizes, first) => {
        const payloads = payloadSizes.map((size, i) => patterned(size, i));
        const preamble = first ? makePreamble() : null;
        const packed = concat(...packFrames(payloads, preamble, crc32));
        const plain = encodeFrames(payloads, crc32);
        assert.deepEqual(packed, first ? concat(makePreamble(), plain) : plain);
      }),
      { numRuns: 100 },
    );
  });

  test("a payload in parts is the payload that they are put together", () => {
    const sizes = fc.array(fc.constantFrom(1, 20, 300, 16_384, 16_385), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 5 }), (payloadSizes) => {
        const payloads = payloadSizes.map((partSizes) =>
          partSizes.map((size, i) => patterned(size, i)),
        );
        const whole = payloads.map((parts) => concat(...parts));
        assert.deepEqual(concat(...packFrames(payloads, null, crc32)), encodeFrames(whole, crc32));
      }),
      { numRuns: 100 },
    );
  });

  test("small payloads share one buffer, large ones are their own", () => {
    const small = [patterned(10), patterned(100), patterned(16_384)];
    assert.equal(packFrames(small, makePreamble(), crc32).length, 1);
    const large = patterned(16_385);
    const buffers = packFrames([small[0]!, large, small[1]!, large], null, crc32);
    assert.equal(buffers.length, 4);
    assert.equal(buffers[1]!.buffer, large.buffer);
    assert.equal(buffers[3]!.buffer, large.buffer);
    assert.equal(packFrames([], null, crc32).length, 0);
  });
});
