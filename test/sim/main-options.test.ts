import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "../../src/sim/main-options.js";
import { parseSeed, reproduce, seedText } from "../../src/sim/shrink.js";

test("a seed is any number of 64 bits and is printed as it was given", () => {
  for (const text of ["0", "42", "4294967296", "18446744073709551615"]) {
    assert.equal(seedText(parseSeed(text)!), text);
  }
  assert.deepEqual(parseSeed("0x100000002"), [2, 1]);
  for (const text of ["", "-1", "1.5", "18446744073709551616", "abc"]) {
    assert.equal(parseSeed(text), null, text);
  }
});

test("the command that shows a run again means that run", () => {
  const options = {
    seed: [7, 9] as const,
    durationMs: 1234,
    faults: ["crash", "delay"],
    settings: { machines: 5, clients: 2, durable: true },
  };
  const command = reproduce(options);
  const parsed = parseOptions(command.split(" ").slice(4));
  assert.ok(typeof parsed === "object", String(parsed));
  const { seed, durationMs, faults, settings } = parsed;
  assert.deepEqual({ seed, durationMs, faults, settings }, options);
});

test("what makes no sense is refused by its name", () => {
  const cases: [string, RegExp][] = [
    ["--seed x", /--seed/],
    ["--seed 1 --seeds 3", /--seed: one seed, or many/],
    ["--seeds -1", /--seeds/],
    ["--minutes", /--minutes: needs a value/],
    ["--nemesis crash,frob", /no kind "frob"/],
    ["--machines 9", /--machines: 1 to 7/],
    ["--frob 1", /--frob: no such option/],
  ];
  for (const [line, message] of cases) {
    const parsed = parseOptions(line.split(" "));
    assert.ok(typeof parsed === "string" && message.test(parsed), `${line}: ${String(parsed)}`);
  }
});
