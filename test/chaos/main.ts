/**
 * `npm run chaos -- --minutes 5`: real processes over TCP under attack. Exit code 1 if the history is
 * not linearizable, if somebody broke, or if the run has shown nothing.
 */
import { writeFileSync } from "node:fs";
import { formatHistory } from "../../src/sim/history.js";
import { describeCheck } from "../../src/sim/linearizability.js";
import { type ChaosReport, runChaos } from "./chaos.js";
import { type Options, parseOptions, usage } from "./options.js";

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function tellReport({ struck, history, verdict, problems }: ChaosReport): void {
  const faults = [...struck].map(([fault, count]) => `${fault} ${count}`).join(", ");
  const count = (outcome: string): number =>
    history.filter((operation) => operation.outcome === outcome).length;
  say(`faults: ${faults || "none"}`);
  say(`calls: ${count("ok")} ok, ${count("failed")} failed, ${count("unknown")} unknown`);
  say(verdict.type === "linearizable" ? describeCheck(verdict) : verdict.type);
  for (const problem of problems) say(`FAILED: ${problem}`);
}

async function run(options: Options): Promise<number> {
  const { minutes, seed, history: file, ...rest } = options;
  say(`seed ${seed}`);
  const report = await runChaos({ ...rest, seed, durationMs: minutes * 60_000, tell: say });
  if (file !== null) writeFileSync(file, formatHistory(report.history));
  tellReport(report);
  if (report.problems.length === 0) return 0;
  say(`again (the same faults, not the same timing): npm run chaos -- --seed ${seed}`);
  return 1;
}

const parsed = parseOptions(process.argv.slice(2), Math.floor(Math.random() * 2 ** 32));
if (typeof parsed === "string") {
  process.stderr.write(`${parsed}\n${usage}\n`);
  process.exitCode = 2;
} else process.exitCode = await run(parsed);
