/**
 * Every byte of a small directory is flipped, and every file cut at every length. Each time either all
 * that was acknowledged is there, or the group says where it is damaged, or the directory is refused.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import type { Job, Outcome } from "./damage-cases.js";

type Message = { readonly counts?: Map<Outcome, number>; readonly error?: string };

function run(job: Job): Promise<Map<Outcome, number>> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./damage-cases.js", import.meta.url), { workerData: job });
    worker.on("error", reject);
    worker.on("message", ({ counts, error }: Message) => {
      if (counts === undefined) reject(new Error(error));
      else resolve(counts);
    });
  });
}

for (const end of ["closed", "killed"] as const) {
  for (const [change, what] of [
    ["flip", "a flipped bit anywhere"],
    ["cut", "a file cut anywhere"],
    ["blank", "a blanked sector anywhere"],
    ["delete", "a missing file"],
  ] as const) {
    test(`${what} is harmless, reported or refused, in a directory that was ${end}`, async (t) => {
      const counts = await run({ end, change });
      t.diagnostic(JSON.stringify([...counts]));
      // A run in which nothing of the kind happened would prove nothing.
      for (const outcome of ["whole", "damaged", "refused"] as const) {
        assert.ok((counts.get(outcome) ?? 0) > 0, `no case was ${outcome}`);
      }
    });
  }
}
