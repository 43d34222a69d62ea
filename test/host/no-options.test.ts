/** What is given in place of options and of settings, and is neither. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RaftError, type RaftErrorCode } from "../../src/errors.js";
import { Cluster, counter } from "./cluster.js";

function refused(promise: Promise<unknown>, code: RaftErrorCode, message: RegExp): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof RaftError, String(error));
    assert.match(error.message, message);
    assert.equal(error.code, code);
    return true;
  });
}

test("a change of configuration that is none is refused by the name of its field", async () => {
  const cluster = new Cluster();
  const [foo] = await cluster.group("counter", counter, ["foo"]);
  const cycle: Record<string, unknown> = {};
  cycle["heartbeatMs"] = cycle;
  for (const [given, message] of [
    [() => 5, /^config: expected an object such as .*, got a function$/],
    [new Map([["heartbeatMs", 50]]), /^config: .*, got a Map$/],
    [[50], /^config: .*, got an array$/],
    [null, /^config: .*, got null$/],
    [cycle, /^config\.heartbeatMs: expected a number, got an object$/],
    [{ heartbeatMs: () => 50 }, /^config\.heartbeatMs: expected a number, got a function$/],
    [{ heartbeatMs: new Date(50) }, /^config\.heartbeatMs: expected a number, got a Date$/],
    [{ heartbeatMs: 50n }, /^config\.heartbeatMs: expected a number, got 50$/],
  ] as const) {
    await refused(foo!.changeConfig(given as object), "invalidConfig", message);
  }
  const unchanged = (await cluster.run(foo!.changeConfig({ heartbeatMs: undefined }))) as object;
  assert.deepEqual(unchanged, await cluster.run(foo!.changeConfig({})));
  await cluster.close();
});

test("what is no object of options is none, although it has no names to be wrong", async () => {
  const cluster = new Cluster();
  const [foo] = await cluster.group("counter", counter, ["foo"]);
  const ask = foo!.query as (...given: unknown[]) => Promise<unknown>;
  const never = Promise.resolve({});
  for (const given of [null, [], new Map(), new Set(), new Date(), never, /x/, new Error("x")]) {
    const options = given as object;
    const why = /^options .*must be an object.*, got (null|an? [A-Za-z]+)$/;
    for (const call of [
      () => foo!.command("inc", 1, options),
      () => ask("get", undefined, options),
      () => foo!.status(options),
      () => foo!.changeConfig({}, options),
      () => foo!.snapshot(options),
      () => foo!.removeMember("bar", options),
      () => foo!.transferLeadership(null, options),
      () => foo!.events(options).next(),
    ]) {
      await refused(call(), "invalidArgument", why);
    }
    await refused(
      cluster.run(cluster.start("bad", { limits: options })),
      "invalidArgument",
      /^limits: expected an object of numbers, got (null|an? [A-Za-z]+)$/,
    );
    const bar = cluster.hosts.get("bar") ?? (await cluster.start("bar"));
    await refused(
      bar.group("other", counter, { start: "create", hooks: options as never }),
      "invalidArgument",
      /^hooks: expected an object of functions, got /,
    );
    await refused(
      cluster.run(bar.group("other", counter, { start: "create", config: options })),
      "invalidConfig",
      /^config: expected an object such as .*, got /,
    );
  }
  class Patience {
    readonly timeoutMs = 2000;
  }
  assert.equal(await cluster.run(foo!.command("inc", 1, new Patience())), 1);
  await cluster.close();
});
