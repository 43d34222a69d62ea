import assert from "node:assert/strict";
import { test } from "node:test";
import { backup, doctor, inspect, RaftError, recover, restore } from "../../src/index.js";

/** A verb with one option misspelt; everything else would do. */
const misspelt: readonly (readonly [string, string, () => Promise<unknown>])[] = [
  ["backup", "timeout", () => backup(given({ group: "queue", hosts: ["h:1"], timeout: 5 }))],
  ["restore", "grop", () => restore(given({ file: "f", id: "foo", dir: "d", grop: "other" }))],
  ["recover", "adverise", () => recover(given({ dirs: ["d"], id: "foo", adverise: "h:1" }))],
  ["inspect", "group", () => inspect("d", given({ group: "queue" }))],
  ["doctor", "repiar", () => doctor("d", given({ repiar: true }))],
];

function given(options: object): never {
  return { ...options } as never;
}

for (const [name, option, call] of misspelt) {
  test(`${name} refuses an option that it does not have, and names those that there are`, async () => {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof RaftError, String(error));
      assert.equal(error.code, "invalidArgument");
      assert.match(error.message, new RegExp(`^${option} is no option; there are \\w+`));
      return true;
    });
  });
}

test("options that are no object are refused by name", async () => {
  const none = null as never;
  for (const call of [backup(none), restore(none), inspect("d", none), doctor("d", none)]) {
    await assert.rejects(call, {
      code: "invalidArgument",
      message: /^options: expected an object/,
    });
  }
});

test("a path that is none is refused by name, whatever it is", async () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  for (const [path, shown] of [
    [7n, "7"],
    [cycle, "an object"],
    [["d"], "an array"],
  ] as const) {
    await assert.rejects(inspect(path as never), {
      code: "invalidArgument",
      message: `dir: expected a path, got ${shown}`,
    });
  }
});
