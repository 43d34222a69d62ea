/** What a host's connections to others keep in mind: failures, pings, what was said, who is where. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { protocolVersion, type Frame } from "../../src/codec/types.js";
import { defaultHostLimits } from "../../src/host/limits.js";
import type { PeerChannel } from "../../src/host/peer-links.js";
import { Line, message, welcome } from "./line.js";

describe("a connection that is dialled again and again", () => {
  test("comes back as soon as the first time, once its host has answered", () => {
    const line = new Line();
    const channel = line.open();
    line.link.send(channel, message);
    const lose = (): void => line.breakOff();
    const growing = line.pauses(channel, 6, lose);
    line.hear(welcome);
    const told = line.book.lines.map((one) => one.message);
    assert.deepEqual(told, ["host near reaches far at far:1 again"]);
    const steady = line.pauses(channel, 4, () => {
      line.hear(welcome);
      line.breakOff();
    });
    assert.ok(Math.max(...steady) < growing[1]!, `${steady.join(" ")} after ${growing.join(" ")}`);
    assert.equal(line.book.lines.length, 1, "it was reached each time");
    const again = line.pauses(channel, 6, lose);
    assert.deepEqual(again, growing, "an answer counts for its own connection only");
  });

  test("waits longer from the first time where its host refuses it", () => {
    const [line, other] = [new Line(), new Line()];
    const [lost] = line.pauses(line.greeted(), 1, () => line.breakOff());
    const [refused] = other.pauses(other.greeted(), 1, () => {
      other.hear({ type: "refuse", code: "overloaded", message: "full" });
      assert.match(other.destroyed ?? "", /it refused: overloaded: full/);
      other.breakOff();
    });
    assert.ok(refused! > 8 * lost!, `${refused} and ${lost}`);
  });

  test("is broken off where its host speaks another protocol, an older one as well", () => {
    for (const protocol of [protocolVersion - 1, protocolVersion + 1]) {
      const line = new Line();
      line.link.send(line.open(), message);
      line.hear({ ...welcome, protocol } as Frame);
      assert.match(line.destroyed ?? "", new RegExp(`speaks protocol ${protocol}, this host`));
    }
  });

  test("tells those who spoke over it that their peer is gone, and nobody else", () => {
    const line = new Line();
    const channel = line.greeted();
    const silent = line.open();
    line.breakOff();
    assert.deepEqual([line.losses, channel.openedOn, silent.openedOn], [1, null, null]);
    line.link.heardFrom();
    line.link.send(silent, message);
    line.breakOff();
    assert.equal(line.losses, 2);
  });
});

describe("pings", () => {
  const answer: Frame = { type: "ping", reply: true, sentAtMs: 0 };
  /** How many are sent until the connection is broken off, while the channel is in use. */
  const unanswered = (line: Line, channel: PeerChannel): number => {
    const before = line.count("ping");
    for (let ticks = 0; line.destroyed === null && ticks < 20; ticks++) {
      line.link.send(channel, message);
      line.link.tick(line.clock.nowMs());
    }
    return line.count("ping") - before;
  };

  test("that nobody answers three times are the end of a connection", () => {
    const line = new Line();
    assert.equal(unanswered(line, line.greeted()), 3);
    assert.match(line.destroyed ?? "", /has not answered 3 pings/);
  });

  test("are answered by whatever arrives", () => {
    const line = new Line();
    const channel = line.greeted();
    for (let ticks = 0; ticks < 10; ticks++) {
      line.link.send(channel, message);
      line.link.tick(line.clock.nowMs());
      line.hear(answer);
    }
    assert.equal(line.destroyed, null);
    assert.equal(line.arrivals, 11, "and the host knows that something has come");
    assert.equal(unanswered(line, channel), 3);
  });

  test("of an earlier connection are not missed on the next one", () => {
    const line = new Line();
    const channel = line.greeted();
    for (let ticks = 0; ticks < 2; ticks++) line.link.tick(line.clock.nowMs());
    line.breakOff();
    line.link.heardFrom();
    assert.equal(unanswered(line, channel), 3);
  });

  test("of the other side are answered, and answers are not", () => {
    const line = new Line();
    line.greeted();
    line.hear(answer);
    assert.equal(line.count("ping"), 0);
    line.hear({ type: "ping", reply: false, sentAtMs: 7 });
    assert.deepEqual(line.sent.at(-1), { type: "ping", reply: true, sentAtMs: 7 });
  });
});

describe("what was said on a channel", () => {
  const echo = {
    ...{ type: "appendEntriesReply" as const, term: 1, success: true, matchIndex: 1, hintIndex: 0 },
    ...{ hintTerm: 0, round: 0, sentAtMs: 0 },
  };

  test("is said again only where it stands, on the same connection, while there is room", () => {
    const line = new Line();
    const channel = line.greeted();
    assert.equal(line.link.canRepeat(channel), false, "nothing stands");
    for (let times = 0; times < 2; times++) line.link.send(channel, echo);
    assert.equal(line.link.canRepeat(channel), true);
    line.connection!.queuedBytes = defaultHostLimits.maxPeerQueueBytes + 1;
    assert.equal(line.link.canRepeat(channel), false, "nobody reads");
    line.breakOff();
    assert.equal(line.link.canRepeat(channel), false, "nothing is open");
    line.link.heardFrom();
    line.link.send(line.open(), message);
    assert.equal(line.link.canRepeat(channel), false, "another one has dialled anew");
  });

  test("again and again keeps the channel as what is said once does", () => {
    const line = new Line();
    const channel = line.greeted();
    for (let times = 0; times < 2; times++) line.link.send(channel, echo);
    line.clock.advance(50_000);
    line.link.repeat(channel, line.clock.nowMs(), line.clock.nowMs());
    line.clock.advance(20_000);
    line.link.tick(line.clock.nowMs());
    assert.equal(line.link.channels.size, 1);
  });
});

describe("a host's links", () => {
  test("follow a member to where it is now, over a channel that is its only one", () => {
    const line = new Line();
    line.addresses.set("far#1", "far:1");
    line.links.send(line.group, "far#1", message);
    line.addresses.set("far#1", "there:1");
    line.links.send(line.group, "far#1", message);
    assert.deepEqual(line.dialled, ["far:1"], "nobody has said that it has moved");
    line.announced.version += 1;
    line.links.send(line.group, "far#1", message);
    assert.deepEqual(line.dialled, ["far:1", "there:1"]);
    assert.equal(line.group.peers.length, 1);
    line.links.send(line.group, "unknown#1", message);
    assert.equal(line.dials, 2);
  });

  test("let all channels of a group go with it", () => {
    const line = new Line();
    for (const id of ["a", "b", "c"]) {
      line.addresses.set(`${id}#1`, `${id}:1`);
      line.links.send(line.group, `${id}#1`, message);
    }
    assert.equal(line.group.peers.length, 3);
    line.links.dropGroup(line.group);
    assert.equal(line.group.peers.length, 0);
    line.links.tick(line.clock.nowMs());
    assert.equal(line.closes, 3);
  });

  test("of a member that has ended carry nothing any more", () => {
    const line = new Line();
    line.addresses.set("far#1", "far:1");
    line.links.send(line.group, "far#1", message);
    Object.assign(line.group, { ended: { error: null } });
    line.links.tick(line.clock.nowMs());
    assert.deepEqual([line.group.peers.length, line.closes], [0, 1]);
  });

  test("end with the host, and nothing is dialled after that", () => {
    const line = new Line();
    for (const id of ["a", "b"]) line.addresses.set(`${id}#1`, `${id}:1`);
    line.links.send(line.group, "a#1", message);
    line.links.close();
    line.links.send(line.group, "b#1", message);
    assert.deepEqual([line.dials, line.closes], [1, 1]);
  });

  test("that nobody needs any more are forgotten, and their failures with them", () => {
    const line = new Line();
    line.addresses.set("far#1", "far:1");
    const failures = (): number[] =>
      Array.from({ length: 6 }, () => {
        const before = line.dials;
        const beganMs = line.clock.nowMs();
        while (line.dials === before) {
          line.links.send(line.group, "far#1", message);
          if (line.dials === before) line.clock.advance(10);
        }
        line.handlers!.onClose(null);
        return line.clock.nowMs() - beganMs;
      });
    const first = failures();
    assert.ok(first.at(-1)! > 4 * first[1]!, first.join(" "));
    line.clock.advance(70_000);
    line.links.tick(line.clock.nowMs());
    assert.deepEqual(failures(), first);
  });
});
