/** What can be said of a call: certainty is never promised beyond what is known. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import { type Call, createCall, registration } from "../../src/client/call.js";
import { appliedAfter, fateOf } from "../../src/client/fate.js";
import { Ledger, maxBodyBytes } from "../../src/client/ledger.js";
import { CallQueue } from "../../src/client/queue.js";
import { decodeReply } from "../../src/client/reply.js";
import { Signals } from "../../src/client/signals.js";
import { VirtualClock } from "../../src/clock/virtual.js";
import { RaftError } from "../../src/errors.js";
import { codec } from "./fake-server.js";

const ignore = (): void => undefined;

function call(type: Call["type"], body = new Uint8Array(), request = 1): Call {
  return createCall(type, request, "push", "leader", body, 0, 1000, ignore, ignore);
}

describe("a command's refusal", () => {
  test("by an expired session leaves open whether it was applied, whatever the server says", () => {
    assert.equal(appliedAfter(call("command"), "sessionExpired", "no"), "maybe");
    assert.equal(appliedAfter(call("query"), "sessionExpired", "maybe"), "no");
  });

  test("by its own handler speaks for every try, any other for its own alone", () => {
    const tried = call("command");
    tried.ambiguous = true;
    assert.equal(appliedAfter(tried, "commandFailed", "no"), "no");
    assert.equal(appliedAfter(tried, "encodeFailed", "no"), "no");
    assert.equal(appliedAfter(tried, "commandTooLarge", "no"), "maybe");
    assert.equal(appliedAfter(call("command"), "commandTooLarge", "no"), "no");
  });

  test("a reply that does not decode is of a command that was applied", () => {
    const decode = (): never => {
      throw Object.create(null) as Error;
    };
    const odd = { encode: (value: unknown) => codec.encode(value), decode };
    const body = Uint8Array.of(0xff);
    const reply = { request: 1, status: "ok", applied: "maybe", index: 1, body } as const;
    for (const [type, applied, valueCodec] of [
      ["command", "maybe", codec],
      ["query", "no", codec],
      ["command", "maybe", odd],
    ] as const) {
      const codecs = { valueCodec, adminCodec: codec };
      const error = decodeReply(call(type), reply, codecs);
      assert.ok(error instanceof RaftError);
      assert.deepEqual([error.code, error.applied], ["encodeFailed", applied]);
    }
  });
});

test("a snapshot for which storage failed is not tried time and again", () => {
  const snapshot = call("admin");
  snapshot.verb = "snapshot";
  assert.equal(fateOf(snapshot, "storageFailed"), "settle");
  assert.equal(fateOf(call("command"), "storageFailed"), "backOff");
});

test("a forced removal is tried again only while it is sure to have had no effect", () => {
  const forced = call("admin");
  forced.verb = "forceRemove";
  assert.equal(fateOf(forced, "unavailable"), "backOff");
  forced.ambiguous = true;
  assert.equal(fateOf(forced, "unavailable"), "settle");
});

test("a transfer that was sent again waits for its own earlier try", () => {
  const transfer = call("admin");
  transfer.verb = "transfer";
  assert.equal(fateOf(transfer, "pendingLeaderChange"), "settle");
  transfer.ambiguous = true;
  assert.equal(fateOf(transfer, "pendingLeaderChange"), "backOff");
});

test("a change of membership that was sent again waits for its own earlier try", () => {
  for (const verb of ["join", "move", "changeConfig"]) {
    const change = call("admin");
    change.verb = verb;
    assert.equal(fateOf(change, "uncommittedMembershipChange"), "settle");
    change.ambiguous = true;
    assert.equal(fateOf(change, "uncommittedMembershipChange"), "backOff", verb);
  }
});

test("calls that ran out of time while nothing could be sent do not pile up", () => {
  const queue = new CallQueue();
  for (let i = 1; i <= 1000; i += 1) {
    const each = call("command", new Uint8Array(), i);
    each.done = i > 10;
    queue.push(each);
    queue.dropSettled(10);
  }
  assert.ok(queue.length <= 64, `${queue.length} are kept`);
  queue.dropSettled(0);
  assert.equal(queue.length, 10);
});

test("a single call beyond the limit on bytes passes, a second one is refused", () => {
  const limits = { maxOutstanding: 9, maxOutstandingBytes: 10 };
  const ledger = new Ledger(new VirtualClock(), limits, { timedOut: ignore, aborted: ignore });
  const large = call("command", new Uint8Array(11));
  assert.equal(ledger.refusal(large), null);
  ledger.add(large);
  assert.equal(ledger.refusal(call("command", new Uint8Array(0), 2))?.code, "overloaded");
  ledger.remove(large);
  assert.equal(ledger.refusal(large), null);
  ledger.close();
});

test("as many calls and bytes as the limits say are taken, and not one more", () => {
  const limits = { maxOutstanding: 2, maxOutstandingBytes: 10 };
  const ledger = new Ledger(new VirtualClock(), limits, { timedOut: ignore, aborted: ignore });
  ledger.add(call("command", new Uint8Array(4), 1));
  assert.equal(ledger.refusal(call("command", new Uint8Array(7), 2))?.code, "overloaded");
  const second = call("command", new Uint8Array(6), 2);
  assert.equal(ledger.refusal(second), null);
  ledger.add(second);
  assert.equal(ledger.refusal(call("query", new Uint8Array(0), 3))?.code, "overloaded");
  assert.equal(ledger.refusal(registration(3, 0)), null);
  ledger.remove(second);
  assert.equal(ledger.refusal(call("query", new Uint8Array(0), 3)), null);
  ledger.close();
});

test("a call as large as a group may be told to take is taken, and none larger", () => {
  const limits = { maxOutstanding: 9, maxOutstandingBytes: 10 };
  const ledger = new Ledger(new VirtualClock(), limits, { timedOut: ignore, aborted: ignore });
  const room = new Uint8Array(maxBodyBytes + 1);
  assert.equal(ledger.refusal(call("command", room.subarray(1))), null);
  assert.equal(ledger.refusal(call("command", room))?.code, "commandTooLarge");
  ledger.close();
});

test("nothing is left of a settled call: no listener, no deadline", () => {
  const clock = new VirtualClock();
  const late: Call[] = [];
  const limits = { maxOutstanding: 9, maxOutstandingBytes: 10 };
  const owner = { timedOut: (each: Call) => void late.push(each), aborted: ignore };
  const ledger = new Ledger(clock, limits, owner);
  const { signal } = new AbortController();
  const each = call("command");
  each.signal = signal;
  clock.advance(500);
  ledger.add(each);
  assert.equal(ledger.demand.waitingSinceMs, 500);
  assert.equal(getEventListeners(signal, "abort").length, 1);
  ledger.remove(each);
  assert.equal(getEventListeners(signal, "abort").length, 0);
  clock.advance(5000);
  assert.deepEqual(late, []);
  ledger.close();
});

test("a signal that calls share ends those that are left when one of them is settled", () => {
  const aborted: Call[] = [];
  const signals = new Signals((each) => aborted.push(each));
  const controller = new AbortController();
  const [settled, left] = [call("command"), call("command")];
  signals.add(controller.signal, settled);
  signals.add(controller.signal, left);
  signals.remove(controller.signal, settled);
  controller.abort();
  assert.deepEqual(aborted, [left]);
});
