/** A logger that throws, at once or later, costs its own lines, and nothing of what they tell of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../../src/client/index.js";
import { guarded, RateLimit } from "../../src/logging.js";
import { noteUnhandled } from "../value/log.js";
import { list, World } from "./world.js";

function broken(): never {
  throw new Error("the logger is broken");
}
const logger = { debug: broken, info: broken, warn: broken, error: broken };

test("a logger whose promises reject is nobody's unhandled rejection, which would end the process", async (t) => {
  const unhandled = noteUnhandled(t);
  const told: string[] = [];
  const late = (_fields: object, message: string): unknown => {
    told.push(message);
    return Promise.reject(new Error("the logger is broken"));
  };
  const asynchronous = guarded({ debug: late, info: late, warn: late, error: late });
  const levels = ["debug", "info", "warn", "error"] as const;
  for (const level of levels) asynchronous[level]({}, level);
  assert.deepEqual(told, levels);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

test("a logger is called as what it is, each line at its level", () => {
  const lines: string[] = [];
  class Book {
    readonly #lines = lines;
    debug = (_: object, line: string): unknown => this.#lines.push(`debug ${line}`);
    info(_: object, line: string): void {
      this.#lines.push(`info ${line}`);
    }
    warn(_: object, line: string): void {
      this.#lines.push(`warn ${line}`);
    }
    error(_: object, line: string): void {
      this.#lines.push(`error ${line}`);
    }
  }
  const book = guarded(new Book());
  for (const level of ["debug", "info", "warn", "error"] as const) book[level]({}, "one");
  assert.deepEqual(lines, ["debug one", "info one", "warn one", "error one"]);
});

test("what is told once in a while is told apart by its key, of which the latest thousand are remembered", () => {
  let now = 0;
  const limit = new RateLimit({ nowMs: () => now });
  const keys = Array.from({ length: 1000 }, (_, at) => `key ${at}`);
  for (const key of keys) assert.ok(limit.admits(key));
  now = 9999;
  assert.ok(!limit.admits("key 1"));
  now = 10_000;
  assert.ok(limit.admits("key 1"));
  for (const key of ["in the place of key 0", "of key 2"]) assert.ok(limit.admits(key));
  now = 10_001;
  assert.ok(!limit.admits("key 1"));
  now = 9999;
  assert.ok(!limit.admits("key 3"));
  assert.ok(limit.admits("key 2"));
});

test("a client whose logger throws finds its leader, and comes back after a lost connection", async () => {
  const world = await World.create(2);
  const { clock, random } = world;
  const transport = world.network.transport("client");
  const options = { group: "numbers", hosts: ["b:1"], transport, clock, random, logger };
  const client = connect(list, options);
  for (const host of world.group.hosts) host.answer = () => "ignore";
  const call = client.command("push", 1);
  await world.pass(50);
  for (const host of world.group.hosts) {
    host.answer = () => "serve";
    host.breakConnections();
  }
  assert.equal(await world.value(call), 1);
});
