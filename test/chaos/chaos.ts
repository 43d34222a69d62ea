/**
 * One chaos run: a group of real processes behind proxies, clients that write down what they see, a
 * nemesis; then everything heals, everybody has to come to the same book, and the history is judged.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SeededRandom } from "../../src/clock/virtual.js";
import { HistoryRecorder, type History, type Operation } from "../../src/sim/history.js";
import {
  checkLinearizable,
  type CheckResult,
  describeCheck,
} from "../../src/sim/linearizability.js";
import { bookOfVersion1 } from "./book.js";
import { type Fault, Nemesis } from "./nemesis.js";
import { Stage } from "./stage.js";
import type { Line } from "./words.js";

export type ChaosOptions = {
  readonly members: number;
  readonly clients: number;
  readonly seed: number;
  /** Under the nemesis; before and after it come setting up and judging. */
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  readonly tell: (line: string) => void;
};

export type ChaosReport = {
  /** Empty: everything held. */
  readonly problems: readonly string[];
  readonly struck: ReadonlyMap<Fault, number>;
  readonly history: History;
  readonly verdict: CheckResult;
};

/** In a run that gives each kind of fault so much time, one that never struck is a hole in the run. */
const msPerFault = 3000;
/** Of the last keys everybody reads once more at the end. */
const finalReads = 200;
const tellEveryMs = 10_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const dir = mkdtempSync(join(tmpdir(), "rafted-value-chaos-"));
  const stage = new Stage(dir, options.seed, options.members, options.clients);
  const nemesis = new Nemesis(stage, new SeededRandom(options.seed), options.faults);
  try {
    await stage.begin(options.clients);
    options.tell(`${options.members} members and ${options.clients} clients are at work`);
    nemesis.start();
    await suffer(stage, nemesis, options);
    await nemesis.stop();
    options.tell("everything heals");
    await recover(stage);
    const history = [...readHistory(stage.files), ...(await readOnceMore(stage))];
    const verdict = checkLinearizable(bookOfVersion1, history);
    return {
      problems: problemsOf(stage, nemesis, options, history, verdict),
      struck: nemesis.struck,
      history,
      verdict,
    };
  } finally {
    await stage.end();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function suffer(stage: Stage, nemesis: Nemesis, options: ChaosOptions): Promise<void> {
  const endMs = performance.now() + options.durationMs;
  while (performance.now() < endMs && stage.problems.length === 0) {
    await pause(Math.min(tellEveryMs, Math.max(0, endMs - performance.now())));
    const faults = [...nemesis.struck.values()].reduce((sum, count) => sum + count, 0);
    const seconds = Math.max(0, Math.round((endMs - performance.now()) / 1000));
    options.tell(`${faults} faults so far, ${seconds} s to go`);
  }
}

async function recover(stage: Stage): Promise<void> {
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
function readHistory(files: readonly string[]): Operation[] {
  const history: Operation[] = [];
  files.forEach((file, client) => {
    const at = new Map<number, number>();
    for (const text of readFileSync(file, "utf8").split("\n")) {
      // A line that a kill has cut short was a call that was never made.
      if (text === "" || !text.endsWith("}")) continue;
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
async function readOnceMore(stage: Stage): Promise<History> {
  const recorder = new HistoryRecorder(() => Number(process.hrtime.bigint() - stage.baseNs));
  const known = readHistory(stage.files).filter(({ kind }) => kind === "command");
  const keys = [...new Set(known.map(({ arg }) => (arg as { key: string }).key))];
  for (const key of keys.slice(-finalReads)) {
    const call = recorder.begin(stage.files.length, "query", "read", key);
    try {
      call.ok(await stage.observer.query("read", key));
    } catch (error) {
      call.failed();
      stage.problems.push(`the last read of ${key} failed: ${String(error)}`);
    }
  }
  return recorder.operations;
}

function problemsOf(
  stage: Stage,
  nemesis: Nemesis,
  { faults, durationMs }: ChaosOptions,
  history: History,
  verdict: CheckResult,
): readonly string[] {
  const problems = [...stage.problems];
  const missing = faults.filter((fault) => !nemesis.struck.has(fault));
  if (nemesis.struck.size === 0) problems.push("no fault has struck: this run has shown nothing");
  else if (missing.length > 0 && durationMs >= msPerFault * faults.length) {
    problems.push(`these faults never struck: ${missing.join(", ")}`);
  }
  if (!history.some(({ kind, outcome }) => kind === "command" && outcome === "ok")) {
    problems.push("not one command was answered");
  }
  if (verdict.type !== "linearizable") problems.push(describeCheck(verdict));
  return problems;
}
