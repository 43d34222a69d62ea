import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RaftError } from "../../src/errors.js";
import {
  formatHistory,
  HistoryRecorder,
  parseHistory,
  type Operation,
} from "../../src/sim/history.js";

test("an operation is one JSON line with the agreed fields in the agreed order", () => {
  const operation: Operation = {
    client: 0,
    call: 1000,
    return: null,
    kind: "command",
    name: "put",
    arg: { key: "a", value: 1 },
    reply: undefined,
    outcome: "unknown",
  };
  assert.equal(
    formatHistory([operation]),
    '{"client":0,"call":1000,"return":null,"kind":"command","name":"put",' +
      '"arg":{"key":"a","value":1},"outcome":"unknown"}\n',
  );
});

test("what is written is read back, whatever the arguments hold", () => {
  const oddities = [
    new Map([[1n, new Set(["a"])]]),
    new Uint8Array([1, 2, 255]),
    new Date(5),
    -0,
    Number.NaN,
    [undefined, null],
    { $map: 1, plain: [] },
  ];
  const history = oddities.map((arg, at): Operation => ({
    client: at,
    call: at,
    return: at + 1,
    kind: "command",
    name: "odd",
    arg,
    reply: arg,
    outcome: "ok",
  }));
  assert.deepEqual(parseHistory(formatHistory(history)), history);
  fc.assert(
    fc.property(fc.jsonValue(), (arg) => {
      const one: Operation = { ...history[0]!, arg, reply: arg };
      assert.deepEqual(
        JSON.parse(JSON.stringify(parseHistory(formatHistory([one]))[0]!.arg)),
        JSON.parse(JSON.stringify(arg)),
      );
    }),
  );
});

test("a line that is no operation is refused by its number and its field", () => {
  const good =
    '{"client":0,"call":1,"return":2,"kind":"query","name":"get","reply":1,"outcome":"ok"}';
  const cases: [string, RegExp][] = [
    ["{", /line 2: not a JSON object/],
    [good.replace('"client":0', '"client":"x"'), /line 2: client/],
    [good.replace('"return":2', '"return":0'), /line 2: return lies before call/],
    [good.replace('"query"', '"wish"'), /line 2: kind/],
    [good.replace('"ok"', '"fine"'), /line 2: outcome/],
    [good.replace('"return":2', '"return":null'), /line 2: an ok operation needs a return/],
  ];
  for (const [line, message] of cases) {
    assert.throws(
      () => parseHistory(`${good}\n${line}\n`),
      (error) =>
        error instanceof RaftError &&
        error.code === "invalidArgument" &&
        message.test(error.message),
    );
  }
});

test("the recorder keeps the order of events even when its clock stands still", () => {
  const recorder = new HistoryRecorder(() => 42);
  const first = recorder.begin(0, "command", "add", 1);
  first.ok(1);
  const second = recorder.begin(1, "query", "get", undefined);
  assert.equal(recorder.operations[1]!.outcome, "unknown", "still under way");
  second.ok(1);
  recorder.begin(2, "command", "add", 1).failed();
  const [a, b, c] = recorder.operations;
  assert.ok(a!.return! < b!.call && b!.return! < c!.call);
  assert.deepEqual(
    recorder.operations.map(({ outcome }) => outcome),
    ["ok", "ok", "failed"],
  );
});
