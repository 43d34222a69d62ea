/** How much of what clients ask a turn takes in, and what becomes of the rest. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClientRequest } from "../../src/codec/types.js";
import { createCborCodec } from "../../src/codec/values.js";
import { Intake, type IntakeLimits, type Requester } from "../../src/host/intake.js";
import type { TurnFlusher } from "../../src/host/turns.js";
import { encodeQueryBody } from "../../src/value/body.js";
import { Cluster, counter } from "./cluster.js";
import { RawClient } from "./raw-client.js";

const limits: IntakeLimits = {
  maxRequestsPerTurn: 10,
  maxRequestBytesPerTurn: 1000,
  maxInboxBytes: 5000,
};

/** Turns that are run by hand. */
class Turns {
  #inputs: TurnFlusher[] = [];

  get waiting(): number {
    return this.#inputs.length;
  }

  atStart(input: TurnFlusher): void {
    this.#inputs.push(input);
  }

  run(): void {
    for (const input of this.#inputs.splice(0)) input.flushTurn();
  }
}

class Caller implements Requester {
  readonly taken: number[] = [];
  readonly refused: [request: number, status: string, applied: string][] = [];
  readonly #log: number[] | null;

  constructor(log: number[] | null = null) {
    this.#log = log;
  }

  take(request: ClientRequest): void {
    this.taken.push(request.request);
    this.#log?.push(request.request);
  }

  reply(request: number, status: string, applied: "no"): void {
    this.refused.push([request, status, applied]);
  }
}

function queries(from: number, to: number, bodyBytes = 0): ClientRequest[] {
  return Array.from({ length: to - from + 1 }, (_, at) => {
    const body = new Uint8Array(bodyBytes);
    return { type: "query", request: from + at, stale: false, body };
  });
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

describe("what clients ask for", () => {
  test("is taken in at once as far as a turn's limit goes, and by one turn after the other beyond it", () => {
    const turns = new Turns();
    const intake = new Intake(turns, limits);
    const caller = new Caller();
    intake.offer(caller, queries(1, 35), 100);
    assert.deepEqual(caller.taken, numbers(1, 10));
    // The turn that deals with those has taken in as many as it may.
    turns.run();
    assert.deepEqual(caller.taken, numbers(1, 10));
    turns.run();
    assert.deepEqual(caller.taken, numbers(1, 20));
    turns.run();
    turns.run();
    assert.deepEqual(caller.taken, numbers(1, 35));
    assert.equal(turns.waiting, 0);
  });

  test("shares a turn's limit, whoever asks, and keeps its order", () => {
    const turns = new Turns();
    const intake = new Intake(turns, limits);
    const log: number[] = [];
    const [one, other] = [new Caller(log), new Caller(log)];
    intake.offer(one, queries(1, 6), 100);
    intake.offer(other, queries(7, 12), 100);
    assert.deepEqual(log, numbers(1, 10));
    intake.offer(one, queries(13, 14), 100);
    assert.deepEqual(log, numbers(1, 10));
    turns.run();
    intake.offer(other, queries(15, 15), 100);
    assert.deepEqual(log, numbers(1, 10));
    turns.run();
    assert.deepEqual(log, numbers(1, 15));
    assert.deepEqual(other.taken, [...numbers(7, 12), 15]);
  });

  test("counts for nothing any more once its turn has begun", () => {
    const turns = new Turns();
    const intake = new Intake(turns, limits);
    const caller = new Caller();
    for (const from of [1, 11, 21]) {
      intake.offer(caller, queries(from, from + 9), 100);
      assert.deepEqual(caller.taken, numbers(1, from + 9));
      turns.run();
    }
    assert.equal(turns.waiting, 0);
  });

  test("is limited in bytes too, but a single large request passes", () => {
    const turns = new Turns();
    const intake = new Intake(turns, limits);
    const caller = new Caller();
    intake.offer(caller, [...queries(1, 4, 300), ...queries(5, 6, 2000)], 100);
    assert.deepEqual(caller.taken, numbers(1, 4));
    for (const taken of [4, 5, 6]) {
      turns.run();
      assert.deepEqual(caller.taken, numbers(1, taken));
    }
  });

  test("is refused as overloaded when too many bytes wait, and taken again when they do not", () => {
    const turns = new Turns();
    const intake = new Intake(turns, limits);
    const caller = new Caller();
    intake.offer(caller, queries(1, 15), 4000);
    intake.offer(caller, queries(16, 17), 2000);
    assert.deepEqual(caller.refused, [
      [16, "overloaded", "no"],
      [17, "overloaded", "no"],
    ]);
    turns.run();
    turns.run();
    assert.deepEqual(caller.taken, numbers(1, 15));
    intake.offer(caller, queries(18, 32), 4000);
    intake.offer(caller, queries(33, 33), 1000);
    while (turns.waiting > 0) turns.run();
    assert.equal(caller.refused.length, 2);
    assert.deepEqual(caller.taken, [...numbers(1, 15), ...numbers(18, 33)]);
  });
});

test("a request that throws costs the others neither their turn nor their room", () => {
  const turns = new Turns();
  const intake = new Intake(turns, limits);
  const caller = new Caller();
  const broken = new Caller();
  broken.take = () => assert.fail("a defect");
  intake.offer(caller, queries(1, 12), 2000);
  intake.offer(broken, queries(13, 13), 1000);
  intake.offer(caller, queries(14, 15), 2000);
  turns.run();
  assert.throws(() => turns.run(), /a defect/);
  while (turns.waiting > 0) turns.run();
  assert.deepEqual(caller.taken, [...numbers(1, 12), 14, 15]);
  // As much room as at first, and no more.
  intake.offer(caller, queries(16, 27), 5000);
  intake.offer(caller, queries(28, 29), 1);
  assert.deepEqual(caller.refused, [
    [28, "overloaded", "no"],
    [29, "overloaded", "no"],
  ]);
});

test("of a frame for whose rest there is no room, what was taken in is not refused", () => {
  const caller = new Caller();
  new Intake(new Turns(), limits).offer(caller, queries(1, 12), 6000);
  assert.deepEqual(caller.taken, numbers(1, 10));
  assert.deepEqual(caller.refused, [
    [11, "overloaded", "no"],
    [12, "overloaded", "no"],
  ]);
});

test("commands beyond a turn's limit are applied in the order in which they were made", async () => {
  const cluster = new Cluster();
  await cluster.start("foo", { limits: { maxRequestsPerTurn: 3 } });
  const [foo] = await cluster.group("counter", counter, ["foo"]);
  const replies = await cluster.run(
    Promise.all(Array.from({ length: 100 }, () => foo!.command("inc", 1))),
  );
  assert.deepEqual(replies, numbers(1, 100));
  await cluster.close();
});

test("stale queries are answered at once, and what they are asked with when it is known", async () => {
  const cluster = new Cluster();
  await cluster.start("foo");
  await cluster.group("counter", counter, ["foo"]);
  const transport = cluster.network.transport("raw");
  const client = new RawClient((handlers) => transport.dial("foo:1", handlers), "counter");
  await cluster.pass(20);
  const body = encodeQueryBody(counter, createCborCodec(), "get", false, undefined);
  const query = (request: number, stale: boolean): ClientRequest => ({
    type: "query",
    request,
    stale,
    body,
  });
  // All within one turn of the host: at its end they would leave together.
  client.ask(query(1, true));
  client.ask(query(2, true), query(3, true));
  client.ask(query(4, false), query(5, true));
  client.ask(query(6, true));
  await cluster.pass(20);
  const sent = client.replyFrames().map(({ replies }) => replies.map(({ request }) => request));
  assert.deepEqual(sent.slice(0, 2), [[1], [2, 3]]);
  assert.deepEqual(sent.slice(2).flat().sort(), [4, 5, 6], "one of these waits");
  assert.equal(sent.length, 3);
  assert.ok(client.replies().every(({ status }) => status === "ok"));
  await cluster.close();
});
