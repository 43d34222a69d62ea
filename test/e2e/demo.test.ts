/** `rafted-value demo`: the story, its lines, its end, and that nothing is left behind. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { isGone, mainPath, runCli, waitFor } from "./processes.js";

type Line = {
  readonly atMs: number;
  readonly text: string;
  readonly pid?: number;
  readonly call?: string;
  readonly answer?: unknown;
  readonly answeredBy?: string;
  readonly good?: boolean;
  readonly outageMs?: number;
  readonly when?: string;
  readonly members?: readonly { readonly id: string; readonly state: string }[];
};

describe("the demo", () => {
  test("tells the whole story, right in every value, in less than half a minute", async () => {
    const { code, stdout, stderr } = await runCli(["demo", "--json"]);
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    const calls = lines.filter(({ call }) => call !== undefined);
    assert.deepEqual(
      calls.map(({ call, answer }) => [call, answer]),
      [
        ['command("enqueue", "a")', 0],
        ['command("enqueue", "b")', 1],
        ['command("enqueue", "c")', 2],
        ['command("enqueue", "d")', 3],
        ['command("enqueue", "e")', 4],
        ['command("dequeue")', "a"],
        ['command("dequeue")', "b"],
        ['command("enqueue", "f")', 3],
        ['query("length")', 4],
        ['command("dequeue")', "c"],
        ['query("length")', 3],
        ['command("dequeue")', "d"],
        ['query("length")', 2],
      ],
    );
    assert.ok(calls.every(({ answeredBy }) => /^(foo|bar|baz)$/.test(answeredBy!)));
    assert.equal(lines.filter(({ outageMs }) => outageMs !== undefined).length, 2);
    const baz = (moment: string) =>
      lines.find(({ when }) => when === moment)!.members!.filter(({ id }) => id.startsWith("baz#"));
    assert.equal(baz("before").length, 1);
    assert.equal(baz("after").length, 1);
    assert.notEqual(baz("after")[0]!.id, baz("before")[0]!.id, "a new incarnation");
    assert.ok(lines.at(-1)!.good);
    assert.ok(lines.at(-1)!.atMs < 30_000);
    const pids = lines.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    assert.equal(pids.length, 4);
    for (const pid of pids) assert.ok(isGone(pid), `process ${pid} is left`);
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    test(`leaves no process behind when it is ended by ${signal} in the middle`, async () => {
      const { child, pids } = await startDemo();
      const ended = new Promise<number | null>((resolve) => void child.once("close", resolve));
      child.kill(signal);
      const code = await ended;
      assert.equal(code, signal === "SIGKILL" ? null : 1);
      for (const pid of pids) await waitFor(`process ${pid} to end`, () => isGone(pid));
    });
  }
});

/** A demo that has its three members running. */
async function startDemo(): Promise<{ child: ChildProcess; pids: readonly number[] }> {
  const child = spawn(process.execPath, [mainPath, "demo", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pids: number[] = [];
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error("the demo ended early")));
    lines.on("line", (line) => {
      const { pid } = JSON.parse(line) as Line;
      if (pid !== undefined) pids.push(pid);
      if (pids.length === 3) resolve();
    });
  });
  return { child, pids };
}
