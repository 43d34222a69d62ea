/** Any log, on any member, by whatever way it got there, comes to the same state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyEntry, cloneApplier } from "../../src/value/applier.js";
import { copyBySnapshot, fingerprint, LogBuilder, newApplier } from "./log.js";

type Step =
  | { readonly type: "register" }
  | { readonly type: "config"; readonly limits: readonly number[] }
  | {
      readonly type: "command";
      readonly session: number;
      readonly sequence: number;
      readonly behind: number;
      readonly call: number;
      readonly id: string | null;
    }
  | { readonly type: "noop" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ type: "register" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("config" as const),
      limits: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      type: fc.constant("command" as const),
      session: fc.nat(7),
      sequence: fc.nat(12),
      behind: fc.nat(12),
      call: fc.nat(6),
      id: fc.option(fc.constantFrom("a", "b", "c", "d", "é"), { freq: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "noop" as const }) },
);

const calls: readonly (readonly [string, unknown])[] = [
  ["inc", 1],
  ["big", 300],
  ["big", 5000],
  ["keep", { some: [1, 2] }],
  ["fail", "no"],
  ["replyFunction", undefined],
  ["sparse", undefined],
];

function build(steps: readonly Step[]): LogBuilder {
  const log = new LogBuilder(undefined, { maxSessions: 4, maxReplyBytesPerSession: 2000 });
  const sessions: number[] = [];
  for (const one of steps) {
    if (one.type === "register") sessions.push(log.register().index);
    else if (one.type === "noop") log.add({});
    else if (one.type === "config") {
      const [a, b, c, d] = one.limits as [number, number, number, number];
      log.config({
        maxSessions: 1 + (a % 6),
        maxRetainedCommandIds: b % 5,
        maxReplyBytes: 1024 + (c % 20_000),
        maxReplyBytesPerSession: 1024 + (d % 5000),
      });
    } else {
      const { sequence, behind, id } = one;
      const [name, arg] = calls[one.call]!;
      const lowest = Math.max(0, sequence - behind);
      log.command(sessions[one.session] ?? one.session, sequence, name, arg, { lowest, id });
    }
  }
  return log;
}

test("two appliers fed the same log are equal, though one goes through snapshots and a clone", () => {
  const plan = fc.tuple(fc.array(step, { minLength: 1, maxLength: 120 }), fc.array(fc.nat(130)));
  fc.assert(
    fc.property(plan, ([steps, stops]) => {
      const log = build(steps);
      const straight = newApplier();
      let winding = newApplier(undefined, { freeze: false });
      for (const entry of log.entries) {
        assert.deepEqual(applyEntry(winding, entry), applyEntry(straight, entry));
        if (stops.includes(entry.index)) winding = copyBySnapshot(winding);
        else if (entry.index % 7 === 0) winding = cloneApplier(winding);
      }
      assert.deepEqual(fingerprint(winding), fingerprint(straight));
      assert.deepEqual(winding.value, straight.value);
      assert.deepEqual(winding.sessions.totalBytes, straight.sessions.totalBytes);
    }),
    { numRuns: 300 },
  );
});

test("no sequence of a session is applied twice, and the limits hold after every entry", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const log = build(steps);
      const applier = newApplier();
      const ran = new Set<string>();
      for (const entry of log.entries) {
        const before = applier.value;
        applyEntry(applier, entry);
        if (applier.value !== before) {
          const name = `${entry.session}/${entry.sequence}`;
          assert.ok(!ran.has(name), `${name} was applied twice`);
          ran.add(name);
        }
        const { byId, limits, totalBytes, commandIds } = applier.sessions;
        assert.ok(byId.size <= limits.maxSessions);
        assert.ok(commandIds.size <= limits.maxRetainedCommandIds);
        assert.ok(totalBytes <= limits.maxReplyBytes);
        for (const session of byId.values()) {
          assert.ok(session.keptBytes <= limits.maxReplyBytesPerSession);
        }
      }
      const { replyCount, totalBytes } = applier.sessions;
      assert.deepEqual([replyCount, totalBytes], recount(applier.sessions));
    }),
    { numRuns: 300 },
  );
});

/** Replies and bytes that the table should hold by its own list, not by its running sums. */
function recount(sessions: ReturnType<typeof newApplier>["sessions"]): readonly [number, number] {
  let replies = 0;
  let bytes = 0;
  for (let reply = sessions.oldestReply; reply !== null; reply = reply.newer) {
    const { status, body } = reply.outcome;
    bytes += (status === "ok" ? body.length : 512) + 64;
    replies += 1;
  }
  for (const session of sessions.byId.values()) bytes += (session.dropped?.size ?? 0) * 16;
  return [replies, bytes];
}
