/** Leader changes, lost replies, redirects and refusals: one session, one sequence, one effect. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { codec, ok, refusal } from "./fake-server.js";
import { identities, World } from "./world.js";

describe("a command that has to be sent again", () => {
  test("keeps its session and sequence when the leader dies, and is applied once", async () => {
    const world = await World.create(3);
    const client = world.client();
    await world.value(client.command("push", 1));
    const a = world.host("a");
    a.answer = (request) => (request.type === "command" ? "applyOnly" : "serve");
    const calls = [client.command("push", 2), client.command("push", 3)];
    await world.settle();
    assert.deepEqual(world.group.applied, [1, 2, 3]);
    await a.stop();
    await world.pass(500);
    world.group.elect(1);
    assert.deepEqual(await Promise.all(calls.map((call) => world.value(call))), [2, 3]);
    assert.deepEqual(world.group.applied, [1, 2, 3]);
    assert.deepEqual(identities(world.host("b")), identities(a).slice(1));
  });

  test("is taken from a leader that has gone silent as soon as another one is heard of", async () => {
    const world = await World.create(3);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").silent = true;
    const call = client.command("push", 2, { timeoutMs: 5000 });
    await world.pass(10);
    world.group.elect(2, [world.host("b"), world.host("c")]);
    const began = world.clock.nowMs();
    assert.equal(await world.value(call), 2);
    assert.ok(world.clock.nowMs() - began < 1000, "scouting found the new leader");
    assert.deepEqual(world.group.applied, [1, 2]);
  });

  test("gets the reply of the first try when that reply was lost", async () => {
    const world = await World.create(1);
    const client = world.client();
    const a = world.host("a");
    let lost = 0;
    a.answer = (request) => (request.type === "command" && lost++ === 0 ? "applyOnly" : "serve");
    const call = client.command("push", 7);
    await world.settle();
    a.breakConnections();
    assert.equal(await world.value(call), 1);
    assert.deepEqual(world.group.applied, [7]);
    const [first, second, ...more] = identities(a);
    assert.equal(first, second);
    assert.deepEqual(more, []);
  });

  test("stays in order with the others", async () => {
    const world = await World.create(2);
    const client = world.client();
    await world.value(client.command("push", 0));
    const a = world.host("a");
    a.answer = (request) => (request.type === "command" ? "ignore" : "serve");
    const calls = [1, 2, 3, 4].map((item) => client.command("push", item));
    await world.settle();
    await a.stop();
    calls.push(client.command("push", 5));
    world.group.elect(1);
    assert.deepEqual(await Promise.all(calls.map((call) => world.value(call))), [2, 3, 4, 5, 6]);
    assert.deepEqual(world.group.applied, [0, 1, 2, 3, 4, 5]);
  });

  test("tells the servers which replies have arrived", async () => {
    const world = await World.create(1);
    const client = world.client();
    for (const item of [1, 2, 3]) await world.value(client.command("push", item));
    const lowest = world
      .host("a")
      .requests.flatMap((request) =>
        request.type === "command" ? [request.lowestOutstanding] : [],
      );
    assert.deepEqual(lowest, [1, 2, 3]);
  });
});

describe("finding the leader", () => {
  test("follows the hint of a follower", async () => {
    const world = await World.create(3);
    world.group.elect(2);
    const client = world.client();
    assert.equal(await world.value(client.command("push", 1)), 1);
    assert.equal(identities(world.host("a")).length, 0);
    assert.equal(identities(world.host("c")).length, 1);
  });

  test("learns members that it was not told of", async () => {
    const world = await World.create(4);
    world.group.elect(3);
    const client = world.client({ hosts: ["a:1"] });
    assert.equal(await world.value(client.command("push", 1)), 1);
    await world.host("d").stop();
    await world.host("a").stop();
    world.group.elect(1);
    assert.equal(await world.value(client.command("push", 2)), 2);
  });

  test("does not follow hints in a circle", async () => {
    const world = await World.create(2);
    const [a, b] = [world.host("a"), world.host("b")];
    a.hint = () => ({ term: 5, leader: "b#1", address: "b:1" });
    b.hint = () => ({ term: 5, leader: "a#1", address: "a:1" });
    a.answer = () => ({ status: "notLeader" });
    b.answer = () => ({ status: "notLeader" });
    const client = world.client();
    const error = await world.error(client.command("push", 1, { timeoutMs: 3000 }));
    assert.equal(error.code, "timeout");
    assert.equal(error.applied, "no");
    assert.ok(a.frames.length + b.frames.length <= 4, `${a.frames.length} + ${b.frames.length}`);
  });

  test("pauses longer and longer when every hint comes with a new term", async () => {
    const world = await World.create(2);
    let term = 1;
    for (const [host, other] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      world.host(host).hint = () => ({ term: term++, leader: `${other}#1`, address: `${other}:1` });
      world.host(host).answer = () => {
        world.host(host).hintAll();
        return { status: "notLeader" };
      };
    }
    const client = world.client();
    const error = await world.error(client.command("push", 1, { timeoutMs: 5000 }));
    assert.equal(error.code, "timeout");
    const frames = world.host("a").frames.length + world.host("b").frames.length;
    assert.ok(frames > 5 && frames < 40, `${frames} frames`);
  });

  test("leaves an isolated member that still takes an old leader for the leader", async () => {
    const world = await World.create(3);
    const client = world.client();
    await world.value(client.command("push", 1));
    // The old leader cannot reach a majority, and nothing reaches it.
    world.host("a").answer = () => ({ status: "unavailable", applied: "maybe" });
    world.host("a").hint = () => ({ term: 1, leader: "a#1", address: "a:1" });
    world.group.elect(1, [world.host("b"), world.host("c")]);
    assert.equal(await world.value(client.command("push", 2, { timeoutMs: 3000 })), 2);
    assert.deepEqual(world.group.applied, [1, 2]);
  });

  test("is not misled by a higher term in which nobody leads", async () => {
    const world = await World.create(3);
    world.host("b").hint = () => ({ term: 99, leader: null, address: null });
    const client = world.client({ hosts: ["b:1", "a:1", "c:1"] });
    assert.equal(await world.value(client.command("push", 1)), 1);
  });

  test("goes on when nobody can be reached, until somebody can", async () => {
    const world = await World.create(2);
    for (const host of world.group.hosts) await host.stop();
    const client = world.client();
    const call = client.command("push", 1);
    const box = world.watch(call);
    await world.pass(2500);
    assert.equal(box.outcome, null);
    await world.host("a").start();
    assert.equal(await world.value(call), 1);
    assert.ok(world.clock.nowMs() < 3700, `${world.clock.nowMs()} ms`);
    assert.ok(world.host("a").connections <= 2);
  });
});

describe("a refusal that passes", () => {
  test("is forgotten with the next answer: the next pause is short again", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 0));
    let refuse = false;
    world.host("a").answer = () => {
      refuse = !refuse;
      return refuse ? { status: "overloaded" } : "serve";
    };
    for (let item = 1; item <= 10; item += 1) {
      const began = world.clock.nowMs();
      await world.value(client.command("push", item));
      assert.ok(world.clock.nowMs() - began < 30, `push ${item}`);
    }
  });

  test("that comes from an older try does not hold up the newer one", async () => {
    const world = await World.create(2);
    const client = world.client();
    await world.value(client.command("push", 1));
    const [a, b] = [world.host("a"), world.host("b")];
    a.answer = () => "ignore";
    const call = client.command("push", 2);
    await world.settle();
    b.answer = (request) => (request.type === "command" ? "ignore" : "serve");
    // The client needs to know b before it can be redirected there.
    await world.pass(400);
    world.group.elect(1);
    await world.settle();
    assert.equal(identities(b).length, 1);
    b.answer = () => "serve";
    const [link] = a.links;
    link!.reply(a.requests.map((request) => refusal(request, "notLeader", "no", "not me")));
    await world.settle();
    assert.equal(identities(b).length, 1, "the newer try is still under way");
    const [newer] = b.links;
    for (const request of b.requests) {
      if (request.type === "command") newer!.reply([world.group.apply(request)]);
    }
    assert.equal(await world.value(call), 2);
  });

  test("leaves open what became of an earlier try", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    const a = world.host("a");
    a.answer = () => "applyOnly";
    const call = client.command("push", 2);
    await world.settle();
    a.answer = () => ({ status: "commandTooLarge" });
    a.breakConnections();
    const error = await world.error(call);
    assert.deepEqual([error.code, error.applied], ["commandTooLarge", "maybe"]);
    assert.deepEqual(world.group.applied, [1, 2]);
  });

  for (const status of ["overloaded", "unavailable", "pendingLeaderChange", "storageFailed"]) {
    test(`${status} is tried again after a pause`, async () => {
      const world = await World.create(1);
      const client = world.client();
      await world.value(client.command("push", 1));
      const times: number[] = [];
      world.host("a").answer = (request) => {
        if (request.type !== "command") return "serve";
        times.push(world.clock.nowMs());
        return times.length <= 6 ? { status } : "serve";
      };
      assert.equal(await world.value(client.command("push", 2)), 2);
      const pauses = times.slice(1).map((at, i) => at - times[i]!);
      assert.ok(
        pauses.every((pause) => pause >= 5),
        pauses.join(" "),
      );
      assert.ok(pauses[5]! > 4 * pauses[0]!, pauses.join(" "));
      assert.deepEqual(world.group.applied, [1, 2]);
    });
  }

  test("ends as a timeout that certainly had no effect, if it never passes", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => ({ status: "overloaded", message: "too much at once" });
    const error = await world.error(client.command("push", 2, { timeoutMs: 800 }));
    assert.equal(error.code, "timeout");
    assert.equal(error.applied, "no");
    assert.match(error.message, /800 ms.*overloaded: too much at once/);
  });

  test("is final when it is about the command itself, and says so at once", async () => {
    const world = await World.create(1);
    const client = world.client();
    const failed = await world.error(client.command("fail"));
    assert.deepEqual(
      [failed.code, failed.applied, failed.message],
      ["commandFailed", "no", "it threw"],
    );
    world.host("a").answer = (request) =>
      request.type === "command" ? { status: "commandTooLarge", message: "too large" } : "serve";
    const tooLarge = await world.error(client.command("push", 1));
    assert.deepEqual([tooLarge.code, tooLarge.applied], ["commandTooLarge", "no"]);
    assert.equal(world.clock.nowMs() < 100, true);
  });

  test("a snapshot for which there was no room is not tried again and again", async () => {
    const world = await World.create(2);
    const client = world.client();
    for (const id of ["a", "b"] as const) {
      world.host(id).answer = () => ({ status: "storageFailed", message: "no room" });
    }
    const error = await world.error(client.snapshot());
    assert.deepEqual([error.code, error.message], ["storageFailed", "no room"]);
    assert.equal(world.host("a").requests.length + world.host("b").requests.length, 1);
  });

  test("an unknown code becomes internal", async () => {
    const world = await World.create(1);
    const client = world.client();
    world.host("a").answer = (request) =>
      request.type === "query" ? { status: "fromTheFuture", message: "what?" } : "serve";
    const error = await world.error(client.query("length"));
    assert.deepEqual([error.code, error.message], ["internal", "what?"]);
  });
});

describe("connections", () => {
  test("are few while the leader answers, however long calls overlap", async () => {
    const world = await World.create(3);
    const client = world.client();
    const calls: Promise<unknown>[] = [];
    world.host("a").answer = () => "serve";
    // Held back by half a second each, so that some call is always outstanding.
    const hold = world.host("a");
    hold.answer = (request) => {
      if (request.type !== "query") return "serve";
      world.clock.after(150, () => {
        for (const link of hold.links) link.reply([ok(request, codec.encode(0))]);
      });
      return "ignore";
    };
    for (let i = 0; i < 50; i += 1) {
      calls.push(client.query("length"));
      await world.pass(100);
    }
    await Promise.all(calls.map((call) => world.value(call)));
    assert.equal(world.host("b").connections + world.host("c").connections, 0);
  });

  test("that nobody needs any more are closed", async () => {
    const world = await World.create(3);
    world.group.elect(2);
    const client = world.client();
    await world.value(client.command("push", 1));
    assert.equal(world.host("a").links.size, 1, "this is how the leader was found");
    await world.value(client.admin("status", null, { host: "a:1" }));
    for (let i = 0; i < 30; i += 1) {
      await world.value(client.command("push", i));
      await world.pass(500);
    }
    assert.deepEqual(
      world.group.hosts.map((host) => host.links.size),
      [0, 0, 1],
    );
  });
});

describe("queries", () => {
  test("go to the leader, and are sent again when it is gone", async () => {
    const world = await World.create(2);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => "ignore";
    const call = client.query("length");
    await world.settle();
    await world.host("a").stop();
    world.group.elect(1);
    assert.equal(await world.value(call), 1);
  });

  test("ask the home member first when they may be stale", async () => {
    const world = await World.create(3);
    const client = world.client({ home: "c:1" });
    assert.equal(await world.value(client.queryStale("length")), 0);
    assert.equal(world.host("c").requests.length, 1);
    assert.equal(await world.answeredBy(client.status()), "c#1");
    await world.host("c").stop();
    assert.equal(await world.value(client.queryStale("length")), 0);
  });

  test("that may be stale are asked of another member when one refuses", async () => {
    const world = await World.create(2);
    world.host("a").answer = () => ({ status: "unavailable" });
    const client = world.client();
    assert.equal(await world.value(client.queryStale("length")), 0);
    assert.equal(world.host("b").requests.length, 1);
  });
});
