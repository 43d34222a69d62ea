/** Snapshots that are read while their bytes come in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RaftError } from "../../src/errors.js";
import type { ArrivingBytes } from "../../src/ports.js";
import type { SnapshotMeta } from "../../src/core/types.js";
import type { Applier } from "../../src/value/applier.js";
import { defineValue } from "../../src/value/define.js";
import { adoptSnapshot, decodeSnapshot, encodeSnapshot } from "../../src/value/snapshot.js";
import { readArriving } from "../codec/read-slices.js";
import { catchUp, codec, fingerprint, LogBuilder, metaOf, newApplier, pull } from "./log.js";

function textsOf(version: number, more: object = {}) {
  return defineValue({
    name: "texts",
    version,
    mutable: true,
    initial: () => new Map<string, string>(),
    commands: { put: (texts, key: string) => (texts.set(key, "x".repeat(100)), key) },
    queries: { size: (texts) => texts.size },
    ...more,
  });
}

/** With many sessions before the value, and replies that they keep. */
function manySessions(): { applier: Applier; meta: SnapshotMeta; bytes: Uint8Array } {
  const value = textsOf(1);
  const log = new LogBuilder(value);
  const applier = newApplier(value);
  for (let i = 0; i < 1000; i++) {
    const session = log.register().index;
    log.command(session, 1, "put", `key ${i}`, { id: `id ${i}` });
  }
  catchUp(applier, log);
  const bytes = Buffer.concat(pull(encodeSnapshot(applier).pieces));
  return { applier, meta: metaOf(applier), bytes };
}

/** Read into a new applier, so many bytes after the other. */
function arrive(
  applier: Applier,
  meta: SnapshotMeta,
  bytes: Uint8Array,
  stepBytes: number,
): { readonly waits: number } {
  const read = (arriving: ArrivingBytes) => decodeSnapshot(applier, meta, arriving);
  const { value, waits } = readArriving(bytes, stepBytes, read);
  adoptSnapshot(applier, meta, value);
  return { waits };
}

test("in steps of any length it comes to the same, sessions and all", () => {
  const { applier, meta, bytes } = manySessions();
  const head = bytes.length - codec.encode(applier.value).length;
  assert.ok(head > 20_000, `the sessions take ${head} bytes`);
  for (const stepBytes of [1, 997, 65_536, bytes.length - 1]) {
    const copy = newApplier(textsOf(1));
    const { waits } = arrive(copy, meta, bytes, stepBytes);
    assert.deepEqual(fingerprint(copy), fingerprint(applier));
    // The head is read anew when twice as much is there, not with every byte.
    assert.ok(waits > 0 && waits < 40, `${waits} waits in steps of ${stepBytes}`);
  }
});

test("the sessions are read once, however their bytes come in", () => {
  const { applier, meta, bytes } = manySessions();
  const copy = newApplier(textsOf(1));
  let read = 0;
  const { config } = meta;
  // Whoever reads the sessions asks how many there may be.
  const watched = Object.defineProperty({ ...meta }, "config", {
    get: () => ((read += 1), config),
  });
  arrive(copy, watched, bytes, 997);
  assert.equal(read, 1);
  assert.deepEqual(fingerprint(copy), fingerprint(applier));
});

test("upgrade is called with the value once every byte is there", () => {
  const { meta, bytes } = manySessions();
  let coming: ArrivingBytes | null = null;
  const told: number[] = [];
  const upgrade = (old: unknown): unknown => {
    told.push(coming!.arrived);
    return old;
  };
  const applier = newApplier(textsOf(2, { upgrade }));
  const read = (arriving: ArrivingBytes) => decodeSnapshot(applier, meta, (coming = arriving));
  const { value } = readArriving(bytes, 5000, read);
  assert.deepEqual(told, [bytes.length]);
  assert.equal((value.value as Map<string, string>).size, 1000);
});

test("a codec that cannot read what is still coming in is given all of it", () => {
  const { encode, decode, decodeSlices } = codec;
  const { applier, meta, bytes } = manySessions();
  const copy = newApplier(textsOf(1), { own: { encode, decode, decodeSlices: decodeSlices! } });
  arrive(copy, meta, bytes, 5000);
  assert.deepEqual(fingerprint(copy), fingerprint(applier));
});

test("a damaged head is refused once all bytes are there, and not before", () => {
  const { meta, bytes } = manySessions();
  bytes[0] = 9;
  const applier = newApplier(textsOf(1));
  let coming: ArrivingBytes | null = null;
  const read = (arriving: ArrivingBytes) => decodeSnapshot(applier, meta, (coming = arriving));
  assert.throws(
    () => readArriving(bytes, 5000, read),
    (error) =>
      error instanceof RaftError &&
      error.code === "storageCorrupt" &&
      error.message.includes("form 9 is not known"),
  );
  assert.equal((coming as ArrivingBytes | null)?.arrived, bytes.length);
});
