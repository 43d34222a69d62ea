/** One member between its peers, its storage and its callers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GroupStatus } from "../../src/client/types.js";
import { crc32 } from "../../src/codec/crc32.js";
import { lastIndex } from "../../src/core/log.js";
import type { Entry } from "../../src/core/types.js";
import { encodeCommandBody } from "../../src/value/body.js";
import { defineValue } from "../../src/value/define.js";
import { appendOf, codec, counter, Lab } from "./harness.js";

/** What another leader may have written at that place. */
function foreign(index: number, term: number, session: number, sequence: number): Entry {
  return {
    index,
    term,
    kind: "command",
    session,
    sequence,
    lowestOutstanding: 1,
    timeMs: 2_000_000_000_000,
    body: encodeCommandBody(counter, codec, "inc", true, 1000, null),
    payload: null,
  };
}

function append(
  lab: Lab,
  term: number,
  prev: number,
  prevTerm: number,
  entries: Entry[],
  commitIndex = prev + entries.length,
): void {
  const behind = { prevLogIndex: prev, prevLogTerm: prevTerm };
  lab.receive("c#1", appendOf({ term, ...behind, commitIndex, entries }));
}

describe("a caller", () => {
  test("is told when storage throws, be it what has no text", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.storage.append = () => {
      throw Object.create(null) as Error;
    };
    lab.command(10, session, 1, "inc", 1);
    lab.settle();
    assert.deepEqual(
      lab.repliesTo(10).map(({ status, applied }) => [status, applied]),
      [["internal", "maybe"]],
    );
    assert.equal(lab.ended?.error?.code, "internal");
  });

  test("never gets the answer of another entry at the same index (hazard 35)", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    const other = lab.register(2);
    lab.command(10, session, 1, "inc", 1);
    lab.settle();
    const { entries } = lab.take("b#1", "appendEntries");
    const { index, term } = entries[0]!;
    append(lab, term + 1, index - 1, term, [foreign(index, term + 1, other, 1)]);
    assert.deepEqual(
      lab.repliesTo(10).map(({ status, applied }) => [status, applied]),
      [["notLeader", "maybe"]],
    );
    // The value did take the other one in, and its own caller is not here.
    assert.equal(lab.member.replica.applier.value, 1000);
    assert.equal(lab.replies.length, 3);
  });

  test("whose entry the next leader commits is not answered a second time", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.command(10, session, 1, "inc", 1);
    lab.settle();
    const { entries } = lab.take("b#1", "appendEntries");
    const entry = entries[0]!;
    append(lab, entry.term + 1, entry.index, entry.term, [], 0);
    append(lab, entry.term + 1, entry.index, entry.term, []);
    assert.equal(lab.member.replica.applier.value, 1);
    assert.deepEqual(
      lab.repliesTo(10).map(({ status, applied }) => [status, applied]),
      [["notLeader", "maybe"]],
    );
    // A retry is answered from the session's kept reply, by whoever has applied it.
    lab.command(11, session, 1, "inc", 1);
    lab.settle();
    assert.deepEqual(lab.repliesTo(11)[0]!.value, 1);
  });

  test("whose entry the next leader commits with its first word gets the answer itself", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.command(10, session, 1, "inc", 1);
    lab.settle();
    const { entries } = lab.take("b#1", "appendEntries");
    append(lab, entries[0]!.term + 1, entries[0]!.index, entries[0]!.term, []);
    assert.deepEqual(
      lab.repliesTo(10).map(({ status, value }) => [status, value]),
      [["ok", 1]],
    );
  });

  test("is told `no` where the command never entered the log", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.command(10, 1, 1, "inc", 1);
    lab.settle();
    assert.deepEqual(
      lab.replies.map(({ status, applied }) => [status, applied]),
      [["notLeader", "no"]],
    );
  });

  test("is told `no` or `maybe` as it was, in the very turn in which leadership is lost", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.command(10, session, 1, "inc", 1);
    const { currentTerm, log } = lab.member.replica.core;
    // In one inbox: a command, a message of the next leader, another command.
    const behind = { prevLogIndex: lastIndex(log), prevLogTerm: currentTerm };
    const message = appendOf({ term: currentTerm + 1, ...behind, commitIndex: 0 });
    lab.member.receive("c#1", message, 100);
    lab.command(11, session, 2, "inc", 1);
    lab.settle();
    assert.deepEqual(
      lab.replies.slice(1).map(({ request, applied }) => [request, applied]),
      [
        [11, "no"],
        [10, "maybe"],
      ],
    );
  });

  test("of an ended member is answered, and so are those who come later", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.command(10, session, 1, "inc", 1);
    lab.query(11, "get");
    lab.settle();
    lab.query(12, "get");
    lab.member.stop();
    lab.member.stop();
    lab.query(13, "get");
    assert.deepEqual(
      lab.replies.slice(1).map(({ request, status, applied }) => [request, status, applied]),
      [
        [10, "closed", "maybe"],
        [11, "closed", "no"],
        [12, "closed", "no"],
        [13, "unavailable", "no"],
      ],
    );
    assert.deepEqual(lab.ended, { error: null });
  });
});

describe("a snapshot", () => {
  test("of a large value is encoded over several turns, and commands go on meanwhile", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    // Every look at the clock costs a millisecond: a piece a turn or so.
    const { clock } = lab;
    let ticking = true;
    const nowMs = clock.nowMs.bind(clock);
    clock.nowMs = () => {
      if (ticking) clock.advance(5);
      return nowMs();
    };
    const body = codec.encode(null);
    lab.member.request(lab.sink, { type: "admin", request: 20, verb: "snapshot", body });
    lab.settle();
    let turns = 0;
    while (lab.repliesTo(20).length === 0) {
      turns += 1;
      assert.ok(turns < 100 && lab.later === turns, `${turns} turns, ${lab.later} asked for`);
      if (turns === 1) {
        ticking = false;
        lab.command(21, session, 1, "inc", 1);
        lab.settle();
        lab.acknowledge();
        ticking = true;
      }
      lab.member.turn();
      lab.settle();
    }
    assert.equal(lab.repliesTo(21)[0]?.value, 1);
    assert.deepEqual(lab.repliesTo(20)[0]?.status, "ok");
  });

  for (const mutable of [false, true]) {
    const kind = mutable ? "mutable" : "pure";
    test(`of a ${kind} value that has no encoding costs the snapshot, not the member`, async () => {
      const lab = new Lab(mutable ? spoiltInPlace : spoilt);
      await lab.restore();
      lab.lead();
      const session = lab.register();
      const snapshot = (request: number): void => {
        const body = codec.encode(null);
        lab.member.request(lab.sink, { type: "admin", request, verb: "snapshot", body });
        lab.settle();
      };
      lab.command(20, session, 1, "spoil", true);
      lab.settle();
      lab.acknowledge();
      assert.equal(lab.repliesTo(20)[0]?.value, 0);
      snapshot(21);
      assert.deepEqual(
        lab.repliesTo(21).map(({ status, applied }) => [status, applied]),
        [["encodeFailed", "no"]],
      );
      assert.equal(lab.ended, null);
      const [line] = lab.log.filter((each) => each.includes("no encoding"));
      assert.match(line ?? "", /member a#1 of group "g": the value at index \d+ has no encoding.*/);
      lab.command(22, session, 2, "spoil", false);
      lab.settle();
      lab.acknowledge();
      snapshot(23);
      assert.equal(lab.repliesTo(23)[0]?.status, "ok", "nothing is left of the one that failed");
    });
  }

  test("whose codec throws what has no text costs no more than that", async () => {
    const odd = Object.create(null) as Error;
    const encode = (value: unknown): Uint8Array => {
      if (typeof value === "object" && value !== null && "odd" in value) throw odd;
      return codec.encode(value);
    };
    const spoiltOddly = defineValue({
      name: "spoilt",
      version: 1,
      codec: { encode, decode: (bytes) => codec.decode(bytes) },
      initial: (): object => ({}),
      commands: { spoil: () => ({ reply: 0, value: { odd } }) },
      queries: {},
    });
    const lab = new Lab(spoiltOddly);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.command(20, session, 1, "spoil", null);
    lab.settle();
    lab.acknowledge();
    lab.admin(21, "snapshot", null);
    lab.settle();
    assert.equal(lab.ended, null);
    assert.equal(lab.repliesTo(21)[0]?.status, "encodeFailed");
  });

  test("that this version of the value cannot read ends the member under its own code", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    const data = Uint8Array.of(1, 2, 3);
    const { membership, config } = lab.member.replica.core;
    lab.receive("c#1", {
      ...{ type: "installSnapshot", term: 2, offset: 0, data, round: 1, sentAtMs: 0 },
      promiseMs: 1000,
      snapshot: {
        ...{ index: 9, term: 2, timeMs: 1, membership, membershipIndex: 2, config },
        ...{ sizeBytes: 3, checksum: crc32(data), valueVersion: 2 },
      },
    });
    // Read back from storage, which answers by a promise.
    await lab.storage.loadSnapshot("g");
    lab.settle();
    const error = lab.ended?.error;
    assert.equal(error?.code, "storageMismatch");
    assert.match(error.message, /member a#1 of group "g" had to stop: .*version 2/);
  });
});

const spoilt = defineValue({
  name: "spoilt",
  version: 1,
  initial: (): { readonly broken: unknown } => ({ broken: 0 }),
  commands: {
    spoil: (_value, on: boolean) => ({ reply: 0, value: { broken: on ? () => 1 : 0 } }),
  },
  queries: {},
});

const spoiltInPlace = defineValue({
  name: "spoilt",
  version: 1,
  mutable: true,
  initial: (): { broken: unknown } => ({ broken: 0 }),
  commands: {
    spoil: (value, on: boolean) => {
      value.broken = on ? () => 1 : 0;
      return 0;
    },
  },
  queries: {},
});

describe("storage that fails", () => {
  test("ends leadership; commands are refused, stale queries go on", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    const session = lab.register();
    lab.admin(8, "status", null);
    lab.member.storageFailed("no space left");
    lab.settle();
    lab.admin(9, "status", null);
    assert.notEqual(lab.member.role, "leader");
    lab.command(10, session, 1, "inc", 1);
    lab.query(11, "get");
    lab.settle();
    assert.equal(lab.repliesTo(10)[0]?.applied, "no");
    for (const request of [10, 11]) {
      assert.match(lab.repliesTo(request)[0]!.text, /whose storage failed \(no space left\), /);
    }
    const told = [8, 9].map((request) => lab.repliesTo(request)[0]!.value as GroupStatus);
    assert.deepEqual(
      told.map(({ storageFailure }) => storageFailure),
      [null, "no space left"],
    );
    const failure = { type: "storage", message: "no space left" } as const;
    assert.deepEqual(
      lab.events.filter(({ type }) => type === "storage"),
      [failure],
    );
    assert.deepEqual(
      lab.member.currentEvents().at(-1),
      failure,
      "whoever comes later hears it too",
    );
    assert.equal(lab.ended, null);
  });
});

describe("administrative requests", () => {
  const endless = "x".repeat(513);
  const newcomer = {
    ...{ memberId: "d#1", address: "d:1", valueName: "counter" },
    ...{ valueVersion: 1, compatibleVersions: [] },
  };
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["fly", null, "invalidArgument"],
    ["remove", { id: 5 }, "invalidArgument"],
    ["remove", null, "invalidArgument"],
    ["remove", { id: "z" }, "notMember"],
    ["transfer", { id: "z" }, "notMember"],
    ["transfer", {}, "invalidArgument"],
    ["forceRemove", { id: "z" }, "notMember"],
    ["forceRemove", { id: "a" }, "invalidArgument"],
    ["changeConfig", { heartbeatMs: -1 }, "invalidConfig"],
    ["changeConfig", 7, "invalidConfig"],
    ["join", { memberId: "nohash" }, "invalidArgument"],
    ["join", null, "invalidArgument"],
    ["join", { ...newcomer, memberId: `d#${endless}` }, "invalidArgument"],
    ["join", { ...newcomer, address: endless }, "invalidArgument"],
    ["join", { ...newcomer, valueName: endless }, "invalidArgument"],
    ["join", { ...newcomer, address: "d:1\nd:2" }, "invalidArgument"],
    ["remove", { id: endless }, "invalidArgument"],
    ["move", { memberId: "d#1" }, "invalidArgument"],
    ["move", { memberId: "a#1", address: "a:1\na:2" }, "invalidArgument"],
    ["move", { memberId: "d#1", address: "d:1" }, "notMember"],
  ];
  test("that make no sense are refused, applied `no`, whatever their bodies hold", async () => {
    const lab = new Lab(counter);
    await lab.restore();
    lab.lead();
    for (const [at, [verb, body, code]] of cases.entries()) {
      const request = 100 + at;
      lab.member.request(lab.sink, { type: "admin", request, verb, body: codec.encode(body) });
      lab.settle();
      const [reply] = lab.repliesTo(request);
      assert.deepEqual([reply?.status, reply?.applied], [code, "no"], verb);
    }
    assert.deepEqual(
      lab.member.membership.members.map(({ id }) => id),
      ["a#1", "b#1", "c#1"],
    );
    const garbage = Uint8Array.of(0xff, 0x00, 0x9f);
    lab.member.request(lab.sink, { type: "admin", request: 99, verb: "remove", body: garbage });
    lab.settle();
    assert.equal(lab.repliesTo(99)[0]?.status, "invalidArgument");
    assert.equal(lab.ended, null);
  });
});
