import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { errorLine, showValue, toJson } from "../../src/cli/output.js";
import {
  addressList,
  checkAddress,
  jsonText,
  optionalText,
  readInput,
  requiredText,
  UsageError,
  type Verb,
  verbHelp,
  wholeNumber,
} from "../../src/cli/usage.js";
import { errorCodes, RaftError, type RaftErrorCode } from "../../src/errors.js";

const verb: Verb = {
  name: "fetch",
  summary: "Fetch it.",
  positionals: "NAME",
  maxPositionals: 1,
  options: {
    from: { value: "ADDR", help: "where from" },
    via: { value: "ADDR,...", help: "on the way" },
    fast: { value: null, help: "do not wait" },
  },
  notes: ["a note"],
  run: () => Promise.resolve(0),
};

function refused(work: () => unknown, pattern: RegExp): void {
  assert.throws(work, (error) => error instanceof UsageError && pattern.test(error.message));
}

describe("options", () => {
  test("are read by name, in any order, with = or without", () => {
    const input = readInput(verb, ["--fast", "x", "--from=a:1", "--timeout-ms", "70", "--json"]);
    assert.deepEqual(input.positionals, ["x"]);
    assert.equal(input.options["from"], "a:1");
    assert.equal(input.options["fast"], true);
    assert.equal(input.timeoutMs, 70);
    assert.equal(input.json, true);
    assert.equal(input.help, false);
    assert.equal(readInput(verb, ["-h"]).help, true);
    assert.equal(readInput(verb, ["a", "b", "--help"]).help, true, "whatever else is wrong");
  });

  test("are refused by name when nobody knows them, or they lack or have a value against the rule", () => {
    refused(() => readInput(verb, ["--form", "x"]), /--form.*help fetch/);
    refused(() => readInput(verb, ["--from"]), /--from/);
    refused(() => readInput(verb, ["--fast=1"]), /--fast/);
    refused(() => readInput(verb, ["a", "b"]), /unexpected argument "b"/);
    refused(() => readInput(verb, ["--via", "a:1", "--via=b:1"]), /--via is given twice.*fetch/);
    assert.equal(readInput(verb, ["--from", "a:1", "--from=b:1"]).options["from"], "b:1");
    for (const wrong of ["0", "-1", "1.5", "x", "", "99999999999999999"]) {
      refused(
        () => readInput(verb, [`--timeout-ms=${wrong}`]),
        /--timeout-ms must be a whole number/,
      );
    }
  });

  test("are not what begins with a digit: such an argument goes behind --, which the refusal says", () => {
    refused(
      () => readInput(verb, ["-1", "--fast"]),
      /'-1'; an argument that begins with - goes last, behind --; see/,
    );
    const input = readInput(verb, ["--fast", "--", "-1"]);
    assert.deepEqual([input.positionals, input.options["fast"]], [["-1"], true]);
  });

  test("have a value, or are left out", () => {
    assert.equal(optionalText(readInput(verb, ["--from", "a:1"]), "from"), "a:1");
    assert.equal(optionalText(readInput(verb, []), "from"), null);
    refused(() => optionalText(readInput(verb, ["--from="]), "from"), /--from is empty/);
    refused(
      () => requiredText(verb, readInput(verb, ["--from="]), "from"),
      /--from ADDR is missing/,
    );
  });

  test("that all verbs have are explained in a verb's own words, if it has some", () => {
    const own = { ...verb.options, "timeout-ms": { value: "N", help: "a minute if not given" } };
    const help = verbHelp({ ...verb, options: own });
    assert.match(help, /--timeout-ms N +a minute if not given\n/);
    assert.equal(help.match(/--timeout-ms/g)?.length, 1);
  });

  test("are explained by the help, each with its own line", () => {
    const help = verbHelp(verb);
    for (const part of [
      "fetch NAME",
      "--from ADDR",
      "--fast",
      "--timeout-ms N",
      "--json",
      "a note",
    ]) {
      assert.ok(help.includes(part), part);
    }
  });
});

describe("addresses", () => {
  test("are HOST:PORT, several with commas between", () => {
    const list = addressList("--hosts", "127.0.0.1:7101, foo.example:1,[::1]:65535,");
    assert.deepEqual(list, ["127.0.0.1:7101", "foo.example:1", "[::1]:65535"]);
    assert.equal(checkAddress("--listen", "0.0.0.0:0", 0), "0.0.0.0:0");
  });

  test("are refused by the option's name otherwise", () => {
    for (const wrong of ["foo", "foo:", ":1", "foo:70000", "::1:80", "a b:1", "foo:0", "foo:-1"]) {
      refused(() => addressList("--hosts", wrong), /--hosts must be HOST:PORT/);
    }
    refused(() => addressList("--hosts", " , "), /--hosts needs addresses/);
  });
});

test("an argument that is not JSON is refused, with the quotes that it lacks", () => {
  assert.deepEqual(jsonText("the argument", '{"a":[1]}'), { a: [1] });
  refused(() => jsonText("the argument", "abc"), /not JSON: "abc"; a string needs quotes: '"abc"'/);
  refused(() => jsonText("the argument", "{a:1}"), /the argument is not JSON/);
  assert.equal(wholeNumber("--n", "12", 12), 12);
});

describe("results", () => {
  test("are JSON where JSON says all, and whole in --json where it does not", () => {
    assert.equal(showValue({ a: ["x", 1, null] }), '{"a":["x",1,null]}');
    assert.equal(showValue("a"), '"a"');
    assert.match(showValue(new Map([["k", 1]])), /Map\(1\) \{ 'k' => 1 \}/);
    assert.equal(showValue(undefined), "undefined");
    assert.equal(showValue(-0), "-0");
    assert.equal(toJson(undefined), "null");
    assert.equal(toJson(new Map([["k", 10n]])), '[["k","10"]]');
    assert.equal(toJson(new Set([1])), "[1]");
    assert.equal(toJson(new Uint8Array([1, 2])), '"AQI="');
  });
});

describe("an error", () => {
  test("is one line, whatever its message holds", () => {
    for (const code of Object.keys(errorCodes) as RaftErrorCode[]) {
      const line = errorLine(new RaftError(code, "first\nsecond", { applied: "maybe" }));
      assert.equal(line.code, code);
      assert.ok(!line.message.includes("\n"));
      assert.match(line.message, /^first second.*may have been applied/);
    }
    assert.equal(errorLine(new TypeError("a\n  b")).message, "a b");
    assert.equal(errorLine("thrown").message, "thrown");
  });
});
