/**
 * One chaos run: a group of real processes in a network that can be harmed, clients that write down what they see, a
 * nemesis; then everything heals, everybody has to come to the same book, and the history is judged.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SeededRandom } from "../../src/clock/virtual.js";
import type { History } from "../../src/sim/history.js";
import {
  checkLinearizable,
  type CheckResult,
  describeCheck,
} from "../../src/sim/linearizability.js";
import { readHistory, readOnceMore, recover } from "./aftermath.js";
import { atExit } from "./at-exit.js";
import { bookOfVersion1 } from "./book.js";
import type { Abilities } from "./iproute.js";
import { NamespaceNetwork } from "./namespaces.js";
import { type Fault, Nemesis, possibleFaults } from "./nemesis.js";
import { ProxyNetwork } from "./proxies.js";
import { clientIds, memberIds, Stage } from "./stage.js";

export type ChaosOptions = {
  /** Proxies, or namespaces of a machine that is able to do this. */
  readonly network: "proxies" | Abilities;
  readonly members: number;
  readonly clients: number;
  readonly seed: number;
  /** Under the nemesis; before and after it come setting up and judging. */
  readonly durationMs: number;
  /** Those that the network cannot do are left out. */
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
const tellEveryMs = 10_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const ids = memberIds(options.members);
  const dialling = clientIds(options.clients);
  const network =
    options.network === "proxies"
      ? new ProxyNetwork([...ids, ...dialling])
      : await NamespaceNetwork.open(ids, dialling, options.network);
  const dir = mkdtempSync(join(tmpdir(), "rafted-value-chaos-"));
  const stage = new Stage(dir, options.seed, ids, network);
  const leave = atExit(() => stage.abandon());
  const faults = possibleFaults(options.faults, network);
  const nemesis = new Nemesis(stage, new SeededRandom(options.seed), faults);
  try {
    await stage.begin(dialling);
    options.tell(`${options.members} members and ${options.clients} clients are at work`);
    nemesis.start();
    await suffer(stage, nemesis, options);
    await nemesis.stop();
    options.tell("everything heals");
    await recover(stage);
    const history = [...readHistory(stage.files), ...(await readOnceMore(stage))];
    const verdict = checkLinearizable(bookOfVersion1, history);
    return {
      problems: problemsOf(stage, nemesis, { ...options, faults }, history, verdict),
      struck: nemesis.struck,
      history,
      verdict,
    };
  } finally {
    await stage.end();
    leave();
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
