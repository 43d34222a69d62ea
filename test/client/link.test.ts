/** One connection of a client by itself. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Link, type LinkOwner } from "../../src/client/link.js";
import { VirtualClock } from "../../src/clock/virtual.js";
import { emptyBytes } from "../../src/codec/bytes.js";
import { maxItemsPerFrame } from "../../src/codec/requests.js";
import type { ClientRequest, Frame } from "../../src/codec/types.js";
import { protocolVersion } from "../../src/codec/types.js";
import { decodeFrame, encodeFrame } from "../../src/codec/wire.js";
import { RaftError } from "../../src/errors.js";
import type { ConnectionHandlers } from "../../src/ports.js";

const welcome: Frame = { type: "welcome", protocol: protocolVersion, hostId: "a" };
const opened: Frame = { type: "channelOpened", channel: 1, groupId: "id", memberId: "a#1" };
const query: ClientRequest = { type: "query", request: 1, stale: false, body: emptyBytes };

class Ends {
  readonly clock = new VirtualClock();
  readonly sent: Frame[] = [];
  /** What the owner was told, by the frames' types. */
  readonly told: string[] = [];
  lost: RaftError | null = null;
  readonly link: Link;
  #handlers!: ConnectionHandlers;

  constructor() {
    const owner: LinkOwner = {
      linkReady: () => void this.told.push("ready"),
      linkReplied: () => void this.told.push("replies"),
      linkHinted: () => void this.told.push("hint"),
      linkNotified: () => void this.told.push("notify"),
      linkLost: (_link, error) => (this.lost = error),
    };
    this.link = new Link("a:1", "g", this.clock, owner);
    const dial = (_address: string, handlers: ConnectionHandlers) => {
      this.#handlers = handlers;
      const nothing = (): void => undefined;
      const send = (payload: Uint8Array): void => void this.sent.push(decodeFrame(payload));
      return { remote: "a:1", queuedBytes: 0, send, close: nothing, destroy: nothing };
    };
    const value = { valueName: null, valueVersion: 0, compatibleVersions: [] };
    this.link.start(dial, { from: "me", group: "g", ...value });
    this.sent.length = 0;
  }

  hear(...frames: readonly Frame[]): void {
    for (const frame of frames) this.#handlers.onPayload(encodeFrame(frame));
  }

  breakOff(error: Error | null): void {
    this.#handlers.onClose(error);
  }
}

describe("a link", () => {
  test("is silent since the first thing that was asked, however much is asked behind it", () => {
    const ends = new Ends();
    ends.hear(welcome, opened);
    for (let i = 0; i < 10; i++) {
      ends.clock.advance(500);
      ends.link.send([query]);
    }
    assert.equal(ends.link.silentMs(ends.clock.nowMs()), 4500);
    ends.hear({ type: "ping", reply: true, sentAtMs: 0 });
    assert.equal(ends.link.silentMs(ends.clock.nowMs() + 500), 0, "nothing was asked since");
  });

  test("sends no frame of more requests than a host takes", () => {
    const ends = new Ends();
    ends.hear(welcome, opened);
    ends.link.send(new Array<ClientRequest>(maxItemsPerFrame + 1).fill(query));
    const sizes = ends.sent.map((frame) => frame.type === "requests" && frame.requests.length);
    assert.deepEqual(sizes, [maxItemsPerFrame, 1]);
  });

  test("cuts what it sends into frames of about one size, each as full as the first", () => {
    const ends = new Ends();
    ends.hear(welcome, opened);
    const large: ClientRequest = { ...query, body: new Uint8Array(16 * 1024) };
    ends.link.send(new Array<ClientRequest>(9).fill(large));
    const sizes = ends.sent.map((frame) => frame.type === "requests" && frame.requests.length);
    assert.deepEqual(sizes, [4, 4, 1]);
  });

  test("answers pings, before and after it is ready", () => {
    const ends = new Ends();
    const ping = { type: "ping", reply: false, sentAtMs: 7 } as const;
    ends.hear(ping, welcome, opened, ping);
    const pong = { ...ping, reply: true };
    assert.deepEqual(ends.sent, [pong, pong]);
  });

  test("hears a hint that comes before its channel is open, once it is", () => {
    const ends = new Ends();
    const who = { term: 1, leader: "a#1", address: "a:1", hosts: ["a:1"] };
    ends.hear(welcome, { type: "leaderHint", channel: 1, ...who });
    assert.deepEqual(ends.told, []);
    ends.hear(opened);
    assert.deepEqual(ends.told, ["ready", "hint"]);
  });

  test("takes no channel from a host that has not said what it speaks", () => {
    const ends = new Ends();
    ends.hear(opened);
    assert.deepEqual([ends.told, ends.lost?.code], [[], "protocolMismatch"]);
  });

  test("takes no answers from a channel that it has not opened", () => {
    const ends = new Ends();
    ends.hear(welcome, opened, { type: "replies", channel: 2, replies: [] });
    assert.deepEqual(ends.told, ["ready"]);
  });

  for (const isReady of [false, true]) {
    test(`that breaks was not closed by its user (${isReady ? "ready" : "opening"})`, () => {
      const ends = new Ends();
      if (isReady) ends.hear(welcome, opened);
      ends.breakOff(new RaftError("closed", "the other side has closed"));
      assert.equal(ends.lost?.code, "connectFailed");
      assert.match(ends.lost.message, isReady ? /a:1 is gone/ : /a:1 could not be reached/);
    });
  }
});
