/** One host's connection to another by itself: when it is made, rested, and let go. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultHostLimits } from "../../src/host/limits.js";
import type { PeerChannel } from "../../src/host/peer-links.js";
import { Line, message, welcome } from "./line.js";

describe("a channel that is refused", () => {
  function rests(line: Line, channel: PeerChannel, count: number): number[] {
    return Array.from({ length: count }, () => {
      const refusal = { code: "unknownGroup", message: "not here" };
      line.hear({ type: "channelRefused", channel: channel.number, ...refusal });
      const before = line.count("openPeer");
      return line.sendUntil(channel, () => line.count("openPeer") > before);
    });
  }

  test("rests longer and longer, up to five seconds, and is then opened again", () => {
    const line = new Line();
    const channel = line.open();
    line.link.send(channel, message);
    line.hear(welcome);
    const pauses = rests(line, channel, 10);
    assert.ok(pauses[0]! >= 50 && pauses[0]! <= 70, pauses.join(" "));
    assert.ok(pauses[4]! > 8 * pauses[0]!, pauses.join(" "));
    assert.ok(pauses[9]! >= 4500 && pauses[9]! <= 5020, pauses.join(" "));
    assert.equal(line.losses, 10);
    assert.equal(line.dials, 1);
    line.clock.advance(20_000);
    line.link.send(channel, message);
    assert.ok(rests(line, channel, 1)[0]! <= 70, "that was long ago");
  });

  test("is a warning, unless its host closes in good order", () => {
    for (const [code, level] of [
      ["closed", "info"],
      ["groupMismatch", "warn"],
    ] as const) {
      const line = new Line();
      const channel = line.open();
      line.link.send(channel, message);
      line.hear(welcome);
      line.hear({ type: "channelRefused", channel: channel.number, code, message: "not here" });
      assert.deepEqual(
        line.book.lines.map((one) => one.level),
        [level],
      );
    }
  });
});

describe("a connection that is lost", () => {
  test("is dialled again after growing pauses, or at once when the other side is heard of", () => {
    const line = new Line();
    const channel = line.open();
    line.link.send(channel, message);
    const pauses = Array.from({ length: 12 }, () => {
      line.breakOff();
      const before = line.dials;
      return line.sendUntil(channel, () => line.dials > before);
    });
    assert.ok(pauses[5]! > 8 * pauses[0]!, pauses.join(" "));
    line.breakOff();
    line.link.heardFrom();
    assert.equal(
      line.sendUntil(channel, () => line.dials === 14),
      10,
    );
  });

  test("is closed once nobody has used it for a minute", () => {
    const line = new Line();
    const channel = line.open();
    line.link.send(channel, message);
    line.hear(welcome);
    line.clock.advance(59_000);
    line.link.tick(line.clock.nowMs());
    assert.deepEqual([line.link.channels.size, line.closes], [1, 0]);
    line.hear({ type: "ping", reply: true, sentAtMs: 0 });
    line.clock.advance(2000);
    line.link.tick(line.clock.nowMs());
    assert.deepEqual([line.link.channels.size, line.closes], [0, 1]);
    line.breakOff();
    assert.ok(line.link.isUnused);
  });
});

describe("a channel that is let go", () => {
  test("leaves its number to another one, once nothing is on its way that was said of it", () => {
    const line = new Line();
    const open = (): number => line.open().number;
    const letGo = (number: number): void => line.link.dropChannel(line.link.channels.get(number)!);
    assert.deepEqual([open(), open()], [1, 2]);
    letGo(1);
    assert.equal(open(), 3);
    line.clock.advance(1000);
    letGo(2);
    assert.deepEqual([open(), open()], [1, 4]);
  });
});

describe("a connection that nobody reads", () => {
  test("tells a member once that its peer is gone, until there is room again", () => {
    const line = new Line();
    line.queuedBytes = defaultHostLimits.maxPeerQueueBytes + 1;
    const channel = line.open();
    for (let i = 0; i < 5; i++) line.link.send(channel, message);
    assert.deepEqual([line.losses, line.count("peerMessage")], [1, 0]);
    line.connection!.queuedBytes = 0;
    line.link.send(channel, message);
    line.connection!.queuedBytes = line.queuedBytes;
    for (let i = 0; i < 5; i++) line.link.send(channel, message);
    assert.deepEqual([line.losses, line.count("peerMessage")], [2, 1]);
  });

  test("is broken off when it goes on asking for answers", () => {
    const line = new Line();
    line.queuedBytes = defaultHostLimits.maxPeerQueueBytes + 1;
    line.link.send(line.open(), message);
    line.hear({ type: "ping", reply: false, sentAtMs: 0 });
    assert.equal(line.count("ping"), 0);
    assert.match(line.destroyed ?? "", /reads no answers/);
  });
});
