/** Exactly once, in the corners: failures, replies of who was evicted, and hashes of long ago. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyEntry } from "../../src/value/applier.js";
import { defineValue } from "../../src/value/define.js";
import { succeeded } from "../../src/value/outcomes.js";
import { addOutcome, createReplyHashes, hashAt } from "../../src/value/reply-hashes.js";
import { catchUp, copyBySnapshot, fingerprint, LogBuilder, newApplier, show } from "./log.js";

const purse = defineValue({
  name: "purse",
  version: 1,
  initial: () => 0,
  commands: {
    put: (coins, by: number) => ({ reply: coins + by, value: coins + by }),
    take: (coins, by: number) => {
      if (coins < by) throw new Error("too little");
      return { reply: coins - by, value: coins - by };
    },
  },
  queries: {},
});

test("hazard 85: a command that has failed is not tried again, though it would succeed by now", () => {
  for (const id of [null, "order-1"]) {
    const log = new LogBuilder(purse);
    const applier = newApplier(purse);
    const a = log.register().index;
    const b = log.register().index;
    log.command(a, 1, "take", 5, { id });
    const failed = catchUp(applier, log);
    assert.match(show(failed) as string, /too little/);
    log.command(b, 1, "put", 9);
    // By its sequence, or under its caller's own id from another session.
    log.command(id === null ? a : b, id === null ? 1 : 2, "take", 5, { id });
    assert.deepEqual(catchUp(applier, log), failed);
    assert.equal(applier.value, 9);
  }
});

test("hazard 58: a session that is evicted takes its replies along, so the snapshot can be read", () => {
  const log = new LogBuilder(undefined, { maxSessions: 1 });
  const applier = newApplier();
  const first = log.register().index;
  for (let sequence = 1; sequence <= 3; sequence++) {
    log.command(first, sequence, "big", 100, { lowest: 1 });
  }
  log.register();
  catchUp(applier, log);
  const { sessions } = applier;
  assert.deepEqual([sessions.replyCount, sessions.totalBytes], [0, 0]);
  assert.deepEqual([sessions.oldestReply, sessions.newestReply], [null, null]);
  assert.deepEqual(fingerprint(copyBySnapshot(applier)), fingerprint(applier));
});

test("a client that leaps lets go of all replies below, also of those that a later one overtook", () => {
  const log = new LogBuilder();
  const applier = newApplier();
  const session = log.register().index;
  for (const sequence of [30, 2, 3]) log.command(session, sequence, "inc", 1, { lowest: 1 });
  log.command(session, 31, "inc", 1, { lowest: 30 });
  for (const entry of log.entries) applyEntry(applier, entry);
  const kept = applier.sessions.byId.get(session)!.kept.values();
  assert.deepEqual(
    kept.map(({ sequence }) => sequence),
    [30, 31],
  );
});

test("hazard 92: hashes reach 4096 entries back and are those of their entries; the others are let go", () => {
  const hashes = createReplyHashes(10, 7);
  const all: number[] = [];
  for (let index = 11; index <= 20_000; index++) {
    addOutcome(hashes, index, null);
    all[index] = hashes.current;
  }
  for (let index = 20_000 - 4095; index <= 20_000; index++) {
    assert.equal(hashAt(hashes, index), all[index]);
  }
  assert.equal(hashAt(hashes, 20_000 - 8192), null);
  assert.equal(hashAt(hashes, 20_001), null);
  assert.ok(hashes.recent.length <= 8192);
});

test("hazard 92: a reply that differs in any of its bytes, or in their number, has another hash", () => {
  const hashOf = (body: readonly number[]): number => {
    const hashes = createReplyHashes(0, 0);
    addOutcome(hashes, 1, succeeded(Uint8Array.from(body)));
    return hashes.current;
  };
  const body = [1, 2, 3, 4, 5, 6, 7];
  const others = body.map((_, at) => body.map((byte, i) => (i === at ? byte + 1 : byte)));
  const seen = new Set([body, ...others, body.slice(0, 6), [...body, 0]].map(hashOf));
  assert.equal(seen.size, body.length + 3);
});
