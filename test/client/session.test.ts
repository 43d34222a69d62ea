/** The client's session: registered when needed, replaced when expired, one sequence per command. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Session } from "../../src/client/session.js";
import { SeededRandom } from "../../src/clock/virtual.js";
import { identities, World } from "./world.js";

describe("a session", () => {
  test("is not registered before the first command", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.query("length"));
    assert.deepEqual(world.group.nonces, []);
    await Promise.all([1, 2].map((item) => world.value(client.command("push", item))));
    await world.value(client.command("push", 3));
    assert.equal(world.group.nonces.length, 1);
    assert.deepEqual(identities(world.host("a")), ["11/1", "11/2", "11/3"]);
  });

  test("is registered under the same nonce when the answer was lost", async () => {
    const world = await World.create(2);
    const a = world.host("a");
    a.answer = (request) => (request.type === "register" ? "applyOnly" : "serve");
    const client = world.client();
    const call = client.command("push", 1);
    await world.settle();
    await a.stop();
    world.group.elect(1);
    assert.equal(await world.value(call), 1);
    const [first, second, ...more] = world.group.nonces;
    assert.equal(first, second);
    assert.ok(Number.isSafeInteger(first));
    assert.deepEqual(more, []);
    assert.deepEqual(world.group.applied, [1]);
  });

  test("draws another nonce in every client", async () => {
    const world = await World.create(1);
    for (let i = 0; i < 5; i += 1) await world.value(world.client().command("push", i));
    assert.equal(new Set(world.group.nonces).size, 5);
  });

  test("that has expired settles what was sent as maybe applied, and never sends it again", async () => {
    const world = await World.create(2);
    const client = world.client();
    await world.value(client.command("push", 1));
    const a = world.host("a");
    a.answer = (request) => (request.type === "command" ? "applyOnly" : "serve");
    const calls = [client.command("push", 2), client.command("push", 3)];
    await world.settle();
    assert.deepEqual(world.group.applied, [1, 2, 3]);
    world.group.expireSessions();
    await a.stop();
    world.group.elect(1);
    for (const error of await Promise.all(calls.map((call) => world.error(call)))) {
      assert.deepEqual([error.code, error.applied], ["sessionExpired", "maybe"]);
    }
    assert.equal(await world.value(client.command("push", 4)), 4);
    assert.deepEqual(world.group.applied, [1, 2, 3, 4]);
    assert.equal(world.group.nonces.length, 2);
  });

  test("that has expired is replaced for commands that were not sent yet", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 1));
    const a = world.host("a");
    a.answer = (request) => (request.type === "query" ? { status: "overloaded" } : "ignore");
    const sent = client.command("push", 2);
    await world.settle();
    // The refusal of a query makes the client pause, so the next command has to wait.
    const query = world.watch(client.query("length"));
    await world.settle();
    const unsent = client.command("push", 3);
    await world.settle();
    assert.equal(identities(a).length, 2);
    world.group.expireSessions();
    a.answer = () => "serve";
    const [link] = a.links;
    for (const request of a.requests) {
      if (request.type === "command" && request.sequence === 2) {
        link!.reply([world.group.apply(request)]);
      }
    }
    const error = await world.error(sent);
    assert.deepEqual([error.code, error.applied], ["sessionExpired", "maybe"]);
    assert.equal(await world.value(unsent), 2);
    assert.equal(query.outcome?.type, "value");
    assert.deepEqual(world.group.applied, [1, 3]);
    assert.deepEqual(identities(a).at(-1), "12/1");
  });

  test("counts the lowest outstanding sequence over answers in any order", () => {
    const session = new Session(new SeededRandom(1));
    const sequences = [1, 2, 3, 4, 5].map(() => session.take());
    assert.deepEqual(sequences, [1, 2, 3, 4, 5]);
    const seen = [2, 4, 1, 5, 3].map((sequence) => {
      session.settle(sequence);
      return session.lowestOutstanding;
    });
    assert.deepEqual(seen, [1, 1, 3, 3, 6]);
  });
});

describe("calls made in one turn", () => {
  test("leave in one frame, in the order in which they were made", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 0));
    const before = world.host("a").frames.length;
    const calls: Promise<unknown>[] = [];
    for (let item = 1; item <= 50; item += 1) {
      calls.push(client.command("push", item));
      if (item % 10 === 0) calls.push(client.query("length"));
    }
    await Promise.all(calls.map((call) => world.value(call)));
    const frames = world.host("a").frames.slice(before);
    assert.equal(frames.length, 1);
    assert.equal(frames[0]!.length, 55);
    assert.deepEqual(
      world.group.applied,
      Array.from({ length: 51 }, (_, item) => item),
    );
  });

  test("leave in more than one frame when they are too many bytes for one", async () => {
    const world = await World.create(1);
    const client = world.client();
    await world.value(client.command("push", 0));
    const before = world.host("a").frames.length;
    const big = new Uint8Array(40 * 1024) as unknown as number;
    const calls = [1, 2, 3].map(() => client.command("push", big));
    await Promise.all(calls.map((call) => world.value(call)));
    assert.deepEqual(
      world
        .host("a")
        .frames.slice(before)
        .map((frame) => frame.length),
      [2, 1],
    );
  });

  test("wait for the session together and leave together", async () => {
    const world = await World.create(1);
    const client = world.client();
    const calls = [1, 2, 3].map((item) => client.command("push", item));
    await Promise.all(calls.map((call) => world.value(call)));
    assert.deepEqual(
      world.host("a").frames.map((frame) => frame.map(({ type }) => type).join()),
      ["register", "command,command,command"],
    );
  });

  test("a client tells its group, value and versions", async () => {
    const world = await World.create(1);
    await world.value(world.client().query("length"));
    const { channel, ...opened } = world.host("a").opened!;
    assert.equal(channel, 1);
    assert.deepEqual(opened, {
      type: "openClient",
      group: "numbers",
      valueName: "list",
      valueVersion: 3,
      compatibleVersions: [2],
    });
  });
});
