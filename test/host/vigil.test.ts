/** For how long a leader waits awake, and whom for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../src/clock/virtual.js";
import type { GroupHandle } from "../../src/host/handle.js";
import { checkLimits } from "../../src/host/limits.js";
import { Vigil } from "../../src/host/vigil.js";
import type { Clock, Transport } from "../../src/ports.js";
import { Cluster, type Counter, counter, microtasks } from "./cluster.js";

/** A power of two, so that sums of it are exact. */
const lookMs = 1 / 64;
const longestUs = 250;
const looksAtMost = 16;

class Watched {
  readonly base = new VirtualClock({ nowMs: 1000 });
  looks = 0;
  readonly clock: Clock = {
    nowMs: () => this.base.nowMs(),
    wallMs: () => this.base.wallMs(),
    after: (delayMs, callback) => this.base.after(delayMs, callback),
    soon: (callback) => this.base.soon(callback),
    poll: (callback) => {
      this.base.after(lookMs, () => {
        this.looks += 1;
        callback();
      });
    },
  };

  /** An answer that takes so long; returns how often it was looked for. */
  answer(vigil: Vigil, afterMs: number): number {
    const before = this.looks;
    const sentAtMs = this.base.nowMs();
    vigil.begin(sentAtMs);
    this.base.advance(afterMs);
    vigil.answered(sentAtMs);
    this.base.advance(1);
    return this.looks - before;
  }
}

/** Time passes for all of them together. */
function watchedIn({ clock }: Cluster): Watched {
  const own = new Watched();
  const { base } = own;
  base.nowMs = () => clock.nowMs();
  base.after = (delayMs, callback) => clock.after(delayMs, callback);
  base.soon = (callback) => clock.soon(callback);
  return own;
}

/** What is sent on dialled connections, as those to peers are, arrives so much later. */
function distant(clock: Clock, transport: Transport, delayMs: number): Transport {
  return {
    listen: (address, accept) => transport.listen(address, accept),
    dial(address, handlers) {
      const connection = transport.dial(address, handlers);
      return {
        remote: connection.remote,
        queuedBytes: 0,
        send: (payload) => void clock.after(delayMs, () => connection.send(payload)),
        close: () => connection.close(),
        destroy: (reason) => connection.destroy(reason),
      };
    },
  };
}

/** Three hosts, a message between two of which takes that long; `looks` of all of them. */
async function farApart(delayMs: number) {
  const cluster = new Cluster();
  const watched: Watched[] = [];
  const ids = ["a", "b", "c"];
  for (const id of ids) {
    const own = watchedIn(cluster);
    watched.push(own);
    const transport = distant(cluster.clock, cluster.network.transport(id), delayMs);
    await cluster.start(id, { clock: own.clock, transport });
  }
  const looks = (): number => watched.reduce((sum, own) => sum + own.looks, 0);
  return { cluster, ids, looks };
}

describe("a leader", () => {
  test("is awake until a follower has answered", () => {
    const watched = new Watched();
    const vigil = new Vigil(watched.clock, longestUs);
    assert.equal(watched.answer(vigil, 8 * lookMs), 9, "and the look that finds it answered");
    assert.equal(watched.answer(vigil, 8 * lookMs), 9);
  });

  test("is awake for no longer than it may, whoever is silent", () => {
    const watched = new Watched();
    const vigil = new Vigil(watched.clock, longestUs);
    vigil.begin(watched.base.nowMs());
    watched.base.advance(10_000);
    assert.equal(watched.looks, looksAtMost);
  });

  test("is awake for no longer than it may, however much it sends to who is silent", () => {
    const watched = new Watched();
    const vigil = new Vigil(watched.clock, longestUs);
    for (let sent = 0; sent < 100; sent++) {
      vigil.begin(watched.base.nowMs());
      watched.base.advance(lookMs);
    }
    assert.equal(watched.looks, looksAtMost);
  });

  test("learns nothing from answers that nobody waits for", () => {
    const watched = new Watched();
    const vigil = new Vigil(watched.clock, longestUs);
    for (let heard = 0; heard < 100; heard++) {
      watched.base.advance(1000);
      vigil.answered(watched.base.nowMs());
    }
    assert.ok(watched.answer(vigil, lookMs) > 0);
  });

  test("looks once at a time, however much it sends meanwhile", () => {
    const watched = new Watched();
    const vigil = new Vigil(watched.clock, longestUs);
    for (let sent = 0; sent < 5; sent++) vigil.begin(watched.base.nowMs());
    watched.base.advance(1);
    assert.equal(watched.looks, looksAtMost);
    // Answered and sent to again between two looks.
    vigil.answered(watched.base.nowMs());
    vigil.begin(watched.base.nowMs());
    watched.base.advance(lookMs / 2);
    vigil.answered(watched.base.nowMs());
    vigil.begin(watched.base.nowMs());
    watched.base.advance(1);
    assert.ok(watched.looks <= 2 * looksAtMost + 1, `${watched.looks} looks`);
  });

  test("sleeps where answers usually take longer, and wakes again once they do not", () => {
    const watched = new Watched();
    const vigil = new Vigil(watched.clock, longestUs);
    let slow = 0;
    while (watched.answer(vigil, 0.5) > 0) slow += 1;
    assert.ok(slow > 1 && slow < 20, `after ${slow} slow answers`);
    assert.equal(watched.answer(vigil, 50), 0);
    assert.equal(watched.answer(vigil, 0.5), 0);
    // One that came far too late weighs little.
    let quick = 1;
    while (watched.answer(vigil, 0.1) === 0) quick += 1;
    assert.ok(quick < 20, `after ${quick} quick answers`);
  });

  test("always sleeps if it is to, and where time stands still between two looks", () => {
    const watched = new Watched();
    assert.equal(watched.answer(new Vigil(watched.clock, 0), 0.1), 0);
    const clock = new VirtualClock();
    const vigil = new Vigil(clock, longestUs);
    vigil.begin(0);
    clock.advance(1);
    vigil.answered(0);
  });

  test("may be told so, and nothing that is no number of microseconds", () => {
    assert.equal(checkLimits({ maxAwakeUs: 0 }).maxAwakeUs, 0);
    for (const maxAwakeUs of [-1, 0.5, "1" as unknown as number]) {
      assert.throws(() => checkLimits({ maxAwakeUs }), {
        code: "invalidArgument",
        message: /limits\.maxAwakeUs: expected a whole number of 0 or more/,
      });
    }
  });

  test("waits awake for what its followers answer to commands and reads, and not for echoes of beats", async () => {
    const cluster = new Cluster();
    const watched = new Map<string, Watched>();
    const ids = ["a", "b", "c"];
    for (const id of ids) {
      const own = watchedIn(cluster);
      watched.set(id, own);
      await cluster.start(id, { clock: own.clock });
    }
    const [handle] = await cluster.group("counter", counter, ids);
    await cluster.pass(1000);
    const [leader] = cluster.leaders("counter");
    const looks = (): number[] => ids.map((id) => watched.get(id)!.looks);
    const before = looks();
    await cluster.pass(5000);
    assert.deepEqual(looks(), before, "an idle group is asleep");
    await cluster.run(handle!.command("inc", 1));
    const commanded = looks();
    await cluster.run(handle!.query("get"));
    const read = looks();
    for (const [at, id] of ids.entries()) {
      assert.equal(commanded[at]! > before[at]!, id === leader, `a command, at ${id}`);
      assert.equal(read[at]! > commanded[at]!, id === leader, `a query, at ${id}`);
    }
    await cluster.close();
  });

  test("sleeps where followers are far away, however many of their answers are under way", async () => {
    const { cluster, ids, looks } = await farApart(5.05);
    const handles = await cluster.group("counter", counter, ids);
    await cluster.pass(1000);
    const [leader] = cluster.leaders("counter");
    const handle = handles[ids.indexOf(leader!)]!;
    const commands: Promise<unknown>[] = [];
    const before = looks();
    for (let sent = 0; sent < 500; sent++) {
      commands.push(handle.command("inc", 1));
      await microtasks();
      cluster.clock.advance(0.2);
    }
    await cluster.run(Promise.all(commands));
    const spent = looks() - before;
    assert.ok(spent <= looksAtMost, `${spent} looks`);
    await cluster.close();
  });

  test("sleeps where followers are far away, however many groups they answer for", async () => {
    const { cluster, ids, looks } = await farApart(1.05);
    const open = async (name: string): Promise<GroupHandle<Counter>> =>
      (await cluster.group(name, counter, ids))[0]!;
    const busy = await open("busy");
    const others: GroupHandle<Counter>[] = [];
    // Each has heard nothing for longer than an answer takes when its turn comes again.
    for (let at = 0; at < 32; at++) others.push(await open(`other-${at}`));
    const commands: Promise<unknown>[] = [];
    const pass = async (byMs: number): Promise<void> => {
      await microtasks();
      cluster.clock.advance(byMs);
    };
    let before = 0;
    for (let sent = 0; sent < 1000; sent++) {
      // Until all of them know how long it takes.
      if (sent === 10 * others.length) before = looks();
      commands.push(others[sent % others.length]!.command("inc", 1));
      await pass(0.02);
      commands.push(busy.command("inc", 1));
      await pass(0.18);
    }
    await cluster.run(Promise.all(commands));
    assert.equal(looks() - before, 0);
    await cluster.close();
  });
});
