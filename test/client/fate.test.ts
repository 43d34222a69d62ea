/** What can be said of a call: certainty is never promised beyond what is known. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Call, createCall } from "../../src/client/call.js";
import { appliedAfter, fateOf } from "../../src/client/fate.js";
import { Ledger } from "../../src/client/ledger.js";
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
    const codecs = { valueCodec: codec, adminCodec: codec };
    const body = Uint8Array.of(0xff);
    const reply = { request: 1, status: "ok", applied: "maybe", index: 1, body } as const;
    for (const [type, applied] of [
      ["command", "maybe"],
      ["query", "no"],
    ] as const) {
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
