/**
 * `npm run chaos -- --minutes 5`: real processes over TCP under attack. Exit code 1 if the history is
 * not linearizable, if somebody broke, or if the run has shown nothing.
 */
import { writeFileSync } from "node:fs";
import { formatHistory } from "../../src/sim/history.js";
import { describeCheck } from "../../src/sim/linearizability.js";
import { type ChaosOptions, type ChaosReport, runChaos } from "./chaos.js";
import { type Abilities, probeNamespaces } from "./iproute.js";
import type { NetworkKind } from "./network.js";
import { runRestarts } from "./restarts.js";
import { type Options, parseOptions, usage } from "./options.js";

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function tellReport(report: ChaosReport): void {
  const faults = [...report.struck].map(([fault, count]) => `${fault} ${count}`).join(", ");
  say(`faults: ${faults || "none"}`);
  tellCalls(report);
}

type Judged = Pick<ChaosReport, "history" | "verdict" | "problems">;

function tellCalls({ history, verdict, problems }: Judged): void {
  const count = (outcome: string): number =>
    history.filter((operation) => operation.outcome === outcome).length;
  say(`calls: ${count("ok")} ok, ${count("failed")} failed, ${count("unknown")} unknown`);
  say(verdict.type === "linearizable" ? describeCheck(verdict) : verdict.type);
  for (const problem of problems) say(`FAILED: ${problem}`);
}

/** Only how often members are killed is told beforehand, and nothing of the network. */
async function runKills(options: Options, cycles: number): Promise<number> {
  const { seed, clients, history: file } = options;
  const sinceMs = performance.now();
  const report = await runRestarts({ cycles, clients, seed, tell: say });
  const seconds = (performance.now() - sinceMs) / 1000;
  if (file !== null) writeFileSync(file, formatHistory(report.history));
  const [one, two, three] = report.killed;
  say(
    `${report.cycles} restarts in ${seconds.toFixed(0)} s: of one member ${one}, of two ${two}, of ` +
      `all three ${three}; ${report.killedWhileStarting} members were killed while they started`,
  );
  tellCalls(report);
  if (report.problems.length === 0) return 0;
  say(
    `again (the same victims, not the same timing): npm run chaos -- --restarts ${cycles} --seed ${seed}`,
  );
  return 1;
}

type Round = { readonly kind: NetworkKind; readonly network: ChaosOptions["network"] };

function tellAbilities({ netem, shaping, detours }: Abilities): void {
  const missing = [
    ...(netem ? [] : ["no delay (the kernel has no sch_netem)"]),
    ...(netem || detours ? [] : ["no loss, duplicate, reorder (nor cls_u32 and act_mirred)"]),
    ...(shaping ? [] : ["no throttle (no sch_tbf)"]),
  ];
  say(`network namespaces: possible${missing.map((what) => `; ${what}`).join("")}`);
}

/** The networks that the time is divided between, or why there is none. */
function roundsOf({ network }: Options): readonly Round[] | string {
  const proxies: Round = { kind: "proxies", network: "proxies" };
  if (network === "proxies") return [proxies];
  const found = probeNamespaces();
  if (typeof found !== "string") {
    tellAbilities(found);
    const namespaces: Round = { kind: "namespaces", network: found };
    return network === "both" ? [proxies, namespaces] : [namespaces];
  }
  if (network === "namespaces") return `--network: no network namespaces here: ${found}`;
  say(`network namespaces: skipped: ${found}`);
  return [proxies];
}

/** The rounds one after the other, whatever becomes of the first. */
async function run(options: Options): Promise<number> {
  const { restarts, minutes, seed, history: file, ...rest } = options;
  say(`seed ${seed}`);
  if (restarts !== null) return runKills(options, restarts);
  const rounds = roundsOf(options);
  if (typeof rounds === "string") {
    process.stderr.write(`${rounds}\n`);
    return 2;
  }
  const durationMs = (minutes * 60_000) / rounds.length;
  let code = 0;
  for (const { kind, network } of rounds) {
    say(`-- ${kind}`);
    const report = await runChaos({ ...rest, network, seed, durationMs, tell: say });
    if (file !== null) {
      const path = rounds.length === 1 ? file : `${file}.${kind}`;
      writeFileSync(path, formatHistory(report.history));
    }
    tellReport(report);
    if (report.problems.length === 0) continue;
    code = 1;
    say(
      `again (the same faults, not the same timing): npm run chaos -- --seed ${seed} --network ${kind}`,
    );
  }
  return code;
}

const parsed = parseOptions(process.argv.slice(2), Math.floor(Math.random() * 2 ** 32));
if (typeof parsed === "string") {
  process.stderr.write(`${parsed}\n${usage}\n`);
  process.exitCode = 2;
} else process.exitCode = await run(parsed);
