/** What comes after the harm: everybody is back, and what the clients saw is gathered. */
import { readFileSync } from "node:fs";
import { type History, HistoryRecorder, type Operation } from "../../src/sim/history.js";
import type { Stage } from "./stage.js";
import type { Line } from "./words.js";

/** Of the last keys everybody reads once more at the end; not all, if so many are in vain. */
const finalReads = 200;
const readsInVain = 3;

/** Everything heals, everybody comes back, and has to come to the same book. */
export async function recover(stage: Stage): Promise<void> {
  stage.network.heal();
  for (const id of stage.ids) {
    stage.signal(id, "SIGCONT");
    if (!stage.isUp(id)) await stage.start(id);
  }
  await stage.until("all members are voters again", () => stage.isSettled());
  await stage.stopClients();
  await stage.until("all members have the same book", () => haveSameBook(stage));
}

async function haveSameBook(stage: Stage): Promise<boolean> {
  const seen = await Promise.all(
    stage.ids.map(async (id) => {
      const client = stage.clientOf(id);
      try {
        const { lastApplied, hostId, divergedAt } = await client.status();
        if (divergedAt !== null) stage.problems.push(`${id} diverged at ${divergedAt}`);
        return hostId === id ? `${lastApplied} ${String(await client.queryStale("digest"))}` : id;
      } finally {
        await client.close();
      }
    }),
  );
  return new Set(seen).size === 1;
}

/** What clients wrote down, also those that were killed. */
export function readHistory(files: readonly string[]): Operation[] {
  const history: Operation[] = [];
  files.forEach((file, client) => {
    const at = new Map<number, number>();
    // Behind the last newline is what a kill has cut short, or is being written: a call that was never made.
    for (const text of readFileSync(file, "utf8").split("\n").slice(0, -1)) {
      const line = JSON.parse(text) as Line;
      if (line.type === "call") {
        const { at: call, kind, name, arg } = line;
        at.set(line.n, history.length);
        const base = { client, call, return: null, kind, name, arg, reply: undefined };
        history.push({ ...base, outcome: "unknown" });
      } else {
        const place = at.get(line.n)!;
        const reply = line.outcome === "ok" ? line.reply : undefined;
        history[place] = { ...history[place]!, return: line.at, reply, outcome: line.outcome };
      }
    }
  });
  return history.sort((a, b) => a.call - b.call);
}

/** Everything has healed: each of these has to be answered. */
export async function readOnceMore(stage: Stage): Promise<History> {
  const recorder = new HistoryRecorder(() => Number(process.hrtime.bigint() - stage.baseNs));
  const known = readHistory(stage.files).filter(({ kind }) => kind === "command");
  const keys = [...new Set(known.map(({ arg }) => (arg as { key: string }).key))];
  let failed = 0;
  for (const key of keys.slice(-finalReads)) {
    if (failed === readsInVain) break;
    const call = recorder.begin(stage.files.length, "query", "read", key);
    try {
      call.ok(await stage.observer.query("read", key));
    } catch (error) {
      call.failed();
      failed += 1;
      stage.problems.push(`the last read of ${key} failed: ${String(error)}`);
    }
  }
  return recorder.operations;
}
