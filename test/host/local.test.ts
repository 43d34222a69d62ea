/** The connection of a group handle to its own host, which no socket carries. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dialLocal } from "../../src/host/local.js";
import type { TurnFlusher, Turns } from "../../src/host/turns.js";
import type { Connection, ConnectionHandlers } from "../../src/ports.js";

/** Both ends, and the turns of the host between them: what is due happens when the test says so. */
class Pair {
  readonly heard: string[] = [];
  readonly caller: Connection;
  host!: Connection;
  /** What an end does when a payload has arrived, beside writing it down. */
  onPayload: (end: string) => void = () => undefined;
  readonly #due: TurnFlusher[] = [];

  constructor() {
    const take = (end: TurnFlusher): void => void this.#due.push(end);
    const turns = { atStart: take, afterEnd: take } as unknown as Turns;
    const accept = (connection: Connection): ConnectionHandlers => {
      this.host = connection;
      return this.#handlers("host");
    };
    this.caller = dialLocal(turns, accept, this.#handlers("caller"));
  }

  #handlers(end: string): ConnectionHandlers {
    return {
      onOpen: () => void this.heard.push(`${end} is open`),
      onPayload: (payload) => {
        this.heard.push(`${end} hears ${payload[0]}`);
        this.onPayload(end);
      },
      onDrain: () => undefined,
      onClose: () => void this.heard.push(`${end} is closed`),
    };
  }

  /** Until nothing is due; what was heard since the last time. */
  turn(): string[] {
    for (let end = this.#due.shift(); end !== undefined; end = this.#due.shift()) end.flushTurn();
    return this.heard.splice(0);
  }
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("both ends of a local connection", () => {
  test("hear that it is open, once, and nothing within the call that made it", () => {
    const pair = new Pair();
    assert.deepEqual(pair.heard, []);
    assert.deepEqual(pair.turn(), ["host is open", "caller is open"]);
    pair.caller.send(bytes(1));
    assert.deepEqual(pair.turn(), ["host hears 1"]);
  });

  test("are closed when one of them throws at what it hears", () => {
    for (const end of ["host", "caller"] as const) {
      const pair = new Pair();
      pair.turn();
      pair.onPayload = () => assert.fail("a defect");
      const other = end === "host" ? pair.caller : pair.host;
      for (const payload of [bytes(1), bytes(2)]) other.send(payload);
      assert.throws(() => pair.turn(), /a defect/);
      assert.deepEqual(
        pair.turn().sort(),
        ["caller is closed", "host is closed", `${end} hears 1`].sort(),
      );
    }
  });

  test("are told what waits, until it is delivered", () => {
    const pair = new Pair();
    pair.turn();
    pair.host.send(bytes(1, 2));
    pair.host.send(bytes(3));
    assert.deepEqual([pair.host.queuedBytes, pair.host.queuedPayloads], [3, 2]);
    assert.deepEqual(pair.turn(), ["caller hears 1", "caller hears 3"]);
    assert.deepEqual([pair.host.queuedBytes, pair.host.queuedPayloads], [0, 0]);
  });
});

describe("a local connection that is closed", () => {
  test("delivers what was sent before, and nothing that is sent after", () => {
    const pair = new Pair();
    pair.turn();
    pair.caller.send(bytes(1));
    pair.caller.close();
    pair.caller.send(bytes(2));
    assert.deepEqual(pair.turn(), ["host hears 1", "caller is closed", "host is closed"]);
    pair.host.send(bytes(3));
    pair.host.close();
    assert.deepEqual(pair.turn(), [], "each end hears of it once");
    assert.equal(pair.host.queuedBytes, 0);
  });

  test("by both at once is closed once for each", () => {
    const pair = new Pair();
    pair.turn();
    pair.caller.close();
    pair.host.close();
    assert.deepEqual(pair.turn(), ["caller is closed", "host is closed"]);
  });

  test("by the end that is reading hands it nothing more", () => {
    const pair = new Pair();
    pair.turn();
    pair.onPayload = () => pair.host.close();
    for (const value of [1, 2, 3]) pair.caller.send(bytes(value));
    assert.deepEqual(pair.turn(), ["host hears 1", "host is closed", "caller is closed"]);
  });

  test("without a word is what becomes of one that is broken off", () => {
    const pair = new Pair();
    pair.turn();
    pair.caller.send(bytes(1));
    pair.caller.destroy("enough");
    assert.equal(pair.caller.queuedBytes, 0);
    assert.deepEqual(pair.turn(), ["caller is closed", "host is closed"]);
  });
});
