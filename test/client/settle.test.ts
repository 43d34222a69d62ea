/** Every call is settled, once, with a code and the truth about its effect. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import { createCall } from "../../src/client/call.js";
import { CallQueue } from "../../src/client/queue.js";
import { emptyBytes } from "../../src/codec/bytes.js";
import { maxItemsPerFrame } from "../../src/codec/requests.js";
import { exposedGc } from "../../src/transport/collections.js";
import { World } from "./world.js";

describe("the deadline of a call", () => {
  test("is met within a few milliseconds, 5000 by default", async () => {
    const world = await World.create(1);
    world.host("a").answer = () => "ignore";
    const client = world.client();
    const outcome = await world.outcome(client.query("length"));
    assert.ok(outcome.type === "error" && outcome.error.code === "timeout");
    assert.ok(outcome.atMs >= 5000 && outcome.atMs <= 5030, `${outcome.atMs}`);
  });

  test("says that no host could be reached, and why", async () => {
    const world = await World.create(2);
    for (const host of world.group.hosts) await host.stop();
    const client = world.client();
    const error = await world.error(client.command("push", 1, { timeoutMs: 300 }));
    assert.deepEqual([error.code, error.applied], ["timeout", "no"]);
    assert.match(
      error.message,
      /command "push" got no answer within 300 ms: no host could be reached/,
    );
    assert.match(error.message, /a:1 could not be reached.*b:1 could not be reached/);
  });

  test("says that nobody leads", async () => {
    const world = await World.create(2);
    world.group.elect(null);
    const client = world.client();
    const error = await world.error(client.command("push", 1, { timeoutMs: 1000 }));
    assert.deepEqual([error.code, error.applied], ["timeout", "no"]);
    assert.match(error.message, /no leader is known to a:1, b:1/);
  });

  test("says that the leader has not answered, and that the command may have been applied", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => "applyOnly";
    const error = await world.error(client.command("push", 2, { timeoutMs: 1000 }));
    assert.deepEqual([error.code, error.applied], ["timeout", "maybe"]);
    assert.match(error.message, /sent to the leader at a:1 \(term 1\), which has not answered/);
    assert.deepEqual(world.group.applied, [1, 2]);
  });

  test("says which leader could not be reached", async () => {
    const world = await World.create(1);
    world.host("a").hint = () => ({ term: 4, leader: "z#1", address: "z:9" });
    const client = world.client();
    const error = await world.error(client.command("push", 1, { timeoutMs: 1000 }));
    assert.equal(error.applied, "no");
    assert.match(error.message, /the leader z#1 at z:9 could not be reached \(.*nobody listens/);
  });

  test("is the caller's own for each call", async () => {
    const world = await World.create(1);
    world.host("a").answer = () => "ignore";
    const client = world.client({ defaultTimeoutMs: 700 });
    const calls = [client.query("length", { timeoutMs: 100 }), client.query("length")];
    const [early, late] = await Promise.all(calls.map((call) => world.outcome(call)));
    assert.ok(early!.atMs >= 100 && early!.atMs < 130, `${early!.atMs}`);
    assert.ok(late!.atMs >= 700 && late!.atMs < 730, `${late!.atMs}`);
  });

  test("leaves nothing behind: a late answer is nobody's", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    const a = world.host("a");
    a.answer = () => "applyOnly";
    await world.error(client.command("push", 2, { timeoutMs: 100 }));
    a.answer = () => "serve";
    const [link] = a.links;
    link!.reply(
      a.requests.map(({ request }) => ({
        request,
        status: "ok",
        applied: "maybe",
        index: 0,
        body: new Uint8Array([1]),
      })),
    );
    assert.equal(await world.value(client.command("push", 3)), 3);
  });
});

describe("an AbortSignal", () => {
  test("that has fired keeps the call from being sent", async () => {
    const world = await World.create(1);
    const client = world.client();
    const signal = AbortSignal.abort("not needed any more");
    const error = await world.error(client.command("push", 1, { signal }));
    assert.deepEqual(
      [error.code, error.applied, error.cause],
      ["aborted", "no", "not needed any more"],
    );
    await world.pass(100);
    assert.equal(world.host("a").connections, 0);
  });

  test("settles at once, with no effect if it was not sent", async () => {
    const world = await World.create(1);
    world.group.elect(null);
    const client = world.client();
    const controller = new AbortController();
    const box = world.watch(client.command("push", 1, { signal: controller.signal }));
    await world.pass(50);
    controller.abort();
    await world.settle();
    assert.ok(box.outcome?.type === "error");
    assert.deepEqual([box.outcome.error.code, box.outcome.error.applied], ["aborted", "no"]);
    world.group.elect(0);
    await world.pass(1000);
    assert.deepEqual(world.group.applied, []);
  });

  test("says that a command which was sent may be applied", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => "applyOnly";
    const controller = new AbortController();
    const call = client.command("push", 2, { signal: controller.signal });
    await world.settle();
    controller.abort();
    const error = await world.error(call);
    assert.deepEqual([error.code, error.applied], ["aborted", "maybe"]);
  });
});

describe("a signal shared by many calls", () => {
  test("aborts them all, by one listener", async () => {
    const world = await World.create(1);
    world.host("a").answer = () => "ignore";
    const client = world.client();
    const controller = new AbortController();
    const { signal } = controller;
    const boxes = Array.from({ length: 40 }, () => world.watch(client.query("length", { signal })));
    const other = world.watch(client.query("length"));
    assert.equal(getEventListeners(signal, "abort").length, 1);
    controller.abort();
    await world.settle();
    for (const { outcome } of boxes) {
      assert.equal(outcome?.type === "error" && outcome.error.code, "aborted");
    }
    assert.equal(other.outcome, null);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});

describe("what a settled call leaves behind", () => {
  test("is no listener on its signal", async () => {
    const world = await World.create(1);
    const client = world.client();
    const { signal } = new AbortController();
    await world.value(client.command("push", 1, { signal }));
    await world.error(client.command("fail", { signal }));
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  test("is no entry in a queue that cannot move", () => {
    const queue = new CallQueue();
    const ignore = (): void => undefined;
    const settled = [...Array(100).keys()].map((i) => {
      const call = createCall("query", i, "q", "leader", emptyBytes, 0, 1, ignore, ignore);
      call.done = i % 10 !== 0;
      queue.push(call);
      return call;
    });
    queue.dropSettled(10);
    assert.equal(queue.length, 10);
    assert.deepEqual(
      queue.takeAll(),
      settled.filter(({ done }) => !done),
    );
  });

  test("is held by nobody when it was given up before it was sent", async () => {
    const collect = exposedGc();
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 0));
    const giveUp = async (item: number): Promise<WeakRef<Promise<unknown>>> => {
      const controller = new AbortController();
      const call = client.command("push", item, { signal: controller.signal });
      controller.abort();
      assert.equal((await world.error(call)).code, "aborted");
      return new WeakRef(call);
    };
    const calls: WeakRef<Promise<unknown>>[] = [];
    for (let item = 1; item <= 50; item++) calls.push(await giveUp(item));
    await world.settle();
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    const held = calls.filter((call) => call.deref() !== undefined).length;
    assert.ok(held <= 2, `${held} of 50 are held`);
    assert.deepEqual(world.group.applied, [0]);
  });
});

describe("close", () => {
  test("settles what is outstanding, ends the connections and refuses what comes after", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    world.host("a").answer = () => "ignore";
    const sent = world.watch(client.command("push", 2));
    const query = world.watch(client.query("length"));
    await world.settle();
    const unsent = world.watch(client.command("push", 3));
    const closing = client.close();
    assert.equal(client.close(), closing);
    await world.value(closing);
    await world.settle();
    const seen = [sent, query, unsent].map(({ outcome }) =>
      outcome?.type === "error" ? [outcome.error.code, outcome.error.applied] : outcome,
    );
    assert.deepEqual(seen, [
      ["closed", "maybe"],
      ["closed", "no"],
      ["closed", "no"],
    ]);
    assert.equal(world.host("a").links.size, 0);
    const after = await world.error(client.command("push", 4));
    assert.deepEqual([after.code, after.applied], ["closed", "no"]);
    await client.closed;
    assert.equal(world.clock.runUntilIdle(), true, "no timer is left");
  });

  test("names each call, also those that wait for the registration of their session", async () => {
    const world = await World.create(1);
    world.host("a").answer = () => "ignore";
    const client = world.client();
    const waiting = [1, 2, 3].map((n) => world.watch(client.command("push", n)));
    await world.settle();
    await world.value(client.close());
    for (const { outcome } of waiting) {
      assert.ok(outcome?.type === "error");
      assert.equal(outcome.error.message, 'command "push": the client was closed');
      assert.deepEqual([outcome.error.code, outcome.error.applied], ["closed", "no"]);
    }
  });

  test("does not wait for a host that reads nothing", async () => {
    const world = await World.create(1);
    const transport = world.network.transport("client");
    const client = world.client({
      dial(address, handlers) {
        const connection = transport.dial(address, handlers);
        // Its orderly close never comes to an end.
        return {
          ...connection,
          send: (bytes) => connection.send(bytes),
          close: () => undefined,
          destroy: (reason) => connection.destroy(reason),
        };
      },
    });
    await world.value(client.command("push", 1));
    await world.value(client.close());
    assert.ok(world.clock.nowMs() < 1500);
  });

  test("happens by itself at the end of an `await using` block", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client[Symbol.asyncDispose]());
    await client.closed;
  });
});

describe("limits", () => {
  test("on the number of outstanding calls refuse the next one", async () => {
    const world = await World.create(1);
    world.host("a").answer = () => "ignore";
    const client = world.client({ maxOutstanding: 2 });
    const kept = [client.query("length"), client.query("length")].map((call) => world.watch(call));
    const error = await world.error(client.command("push", 1));
    assert.deepEqual([error.code, error.applied], ["overloaded", "no"]);
    assert.match(error.message, /2 calls are outstanding already \(maxOutstanding\)/);
    await world.pass(6000);
    assert.ok(kept.every(({ outcome }) => outcome !== null));
    world.host("a").answer = () => "serve";
    assert.equal(await world.value(client.query("length")), 0, "there is room again");
  });

  test("on their bytes as well", async () => {
    const world = await World.create(1);
    world.host("a").answer = () => "ignore";
    const client = world.client({ maxOutstandingBytes: 25 });
    world.watch(client.command("push", 1));
    world.watch(client.command("push", 2));
    world.watch(client.command("push", 3));
    const error = await world.error(client.command("push", 4));
    assert.deepEqual([error.code, error.applied], ["overloaded", "no"]);
    assert.match(error.message, /maxOutstandingBytes/);
  });

  test("on what one frame may hold: more calls of one turn leave in two", async () => {
    const world = await World.create(1);
    const client = world.client({ maxOutstanding: 1_000_000 });
    const calls = Array.from({ length: maxItemsPerFrame + 1 }, () => client.queryStale("length"));
    const answered = calls.map(async (call) => (await call) === 0);
    assert.deepEqual(
      new Set((await world.value(Promise.all(answered))) as boolean[]),
      new Set([true]),
    );
  });

  for (const call of ["query", "queryStale"] as const) {
    test(`on the bytes of a frame: large arguments of ${call} leave in frames of their own`, async () => {
      const world = await World.create(1);
      const client = world.client();
      const large = new Uint8Array(100_000) as unknown as number;
      const calls = Array.from({ length: 5 }, () => client[call]("at", large));
      assert.deepEqual(await world.value(Promise.all(calls)), Array(5).fill(0));
      const counts = world.host("a").frames.map((requests) => requests.length);
      assert.deepEqual(counts, [1, 1, 1, 1, 1]);
    });
  }

  test("on one command: what no group would take is refused here", async () => {
    const world = await World.create(1);
    const client = world.client();
    const huge = new Uint8Array(33 * 1024 * 1024) as unknown as number;
    const error = await world.error(client.command("push", huge));
    assert.deepEqual([error.code, error.applied], ["commandTooLarge", "no"]);
  });
});

describe("arguments", () => {
  test("are refused by name before anything is sent", async () => {
    const world = await World.create(1);
    const client = world.client();
    const anyClient = client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const cases: readonly [() => Promise<unknown>, string, RegExp][] = [
      [() => client.command("push", 1, { timeoutMs: 0 }), "invalidArgument", /timeoutMs.*got 0/],
      [() => client.command("push", 1, { timeoutMs: NaN }), "invalidArgument", /timeoutMs/],
      [
        () => client.command("push", 1, { id: "" }),
        "invalidArgument",
        /id must .*, got 0 char.*: ""/,
      ],
      [() => anyClient["command"]!("push", 1, { id: 7 }), "invalidArgument", /id must .*, got 7$/],
      [
        () => client.command("push", 1, { id: "x".repeat(300) }),
        "invalidArgument",
        /id must be a string of 1 to 256 characters, got 300 characters: "x{80}"$/,
      ],
      [() => anyClient["command"]!("push", 1, { signal: "no" }), "invalidArgument", /signal/],
      [() => anyClient["query"]!("length", { timeoutMs: "5" }), "invalidArgument", /timeoutMs/],
      [() => anyClient["query"]!("length", { signal: {} }), "invalidArgument", /signal/],
      [() => anyClient["command"]!("shove", 1), "unknownCommand", /"shove".*push/],
      [() => anyClient["query"]!("size"), "unknownQuery", /"size".*length/],
      [() => anyClient["command"]!("push", () => 1), "encodeFailed", /push/],
      [() => client.removeMember(""), "invalidArgument", /id must be/],
      [() => anyClient["command"]!("push", 1, { timeout: 5 }), "invalidArgument", /^timeout is no/],
      [
        () => anyClient["query"]!("at", 0, { id: "k" }),
        "invalidArgument",
        /^id is no option; there/,
      ],
      [() => anyClient["queryStale"]!("at", 0, { x: 1 }), "invalidArgument", /^x is no option/],
      [() => anyClient["status"]!({ timeout: 5 }), "invalidArgument", /^timeout is no .*leader$/],
      [() => anyClient["status"]!("5"), "invalidArgument", /^options must be an object.*"5"/],
      [() => anyClient["removeMember"]!("b", { x: 1 }), "invalidArgument", /^x is no option/],
      [() => client.transferLeadership(1 as unknown as string), "invalidArgument", /id must be/],
      [() => client.admin("forceRemove", { id: "c" }, { host: "" }), "invalidArgument", /host/],
    ];
    for (const [call, code, message] of cases) {
      const error = await world.error(call());
      assert.deepEqual([error.code, error.applied], [code, "no"], error.message);
      assert.match(error.message, message);
    }
    assert.equal(world.host("a").connections, 0);
  });

  test("of a command are out of a client that has no definition", async () => {
    const world = await World.create(1);
    const client = world.client({ definition: null });
    const error = await world.error(client.command("push", 1));
    assert.equal(error.code, "invalidArgument");
    assert.equal(await world.answeredBy(client.status()), "a#1");
    assert.equal(world.host("a").opened?.valueName, null);
  });
});
