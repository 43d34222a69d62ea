/** The examples as somebody runs them, line by line. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { main as jobs } from "../../examples/jobs.js";
import { main as keys } from "../../examples/keys.js";
import { main as locks } from "../../examples/locks.js";

type Example = (say: (line: string) => void) => Promise<void>;

async function linesOf(example: Example): Promise<string[]> {
  const lines: string[] = [];
  await example((line) => lines.push(line));
  return lines;
}

describe("the examples say", () => {
  test("that a lock outlives its leader, and a late holder does no harm", async () => {
    assert.deepEqual(await linesOf(locks), [
      "anna asks: granted true, token 1",
      "anna writes: true",
      "bert asks: granted false, held by anna",
      "the leader is lost: the lock is anna's with token 1",
      "bert asks until her time is over: granted true, token 2",
      "bert writes: true",
      "anna, late, writes: false",
      "anna, late, releases: false",
      "the report is by bert",
    ]);
  });

  test("that keys outlive all processes, and no change is missed", async () => {
    assert.deepEqual(await linesOf(keys), [
      "compare and set from revision 1: 2, and once more: null",
      "watched: 1 color=red, 2 color=green, 3 size=small, 4 size=null",
      "all three hosts are down",
      "started again: color is green of revision 2",
      "size is null",
    ]);
  });

  test("that a job is done once, whoever dies", async () => {
    assert.deepEqual(await linesOf(jobs), [
      "order-1 is job 1, and said again it is job 1",
      "order-2 is job 2, and said again it is job 2",
      "order-3 is job 3, and said again it is job 3",
      "job 1 was taken by a worker that died, attempt 1",
      "the leader was lost; done: pack order-1, attempt 2; pack order-2, attempt 1; pack order-3, attempt 1",
      "the dead worker's word about job 1, late: false",
      "3 added, 0 waiting, 0 held",
    ]);
  });
});
