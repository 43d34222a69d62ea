/**
 * `npm run bench`: every suite; `npm run bench -- commands queries`: these. `--rounds N`,
 * `--seconds S` for each measurement, `--outstanding 1,16,64`, `--commands N` for the bytes held over
 * so many commands; `--report` writes the figures kept in `bench/results` to `docs/performance.md`.
 */
import { parseArgs } from "node:util";
import type { CompareOptions } from "./compare.js";
import { cpuShares, machineFacts, readCpuTicks } from "./machine.js";
import { writeReport } from "./report.js";
import { readResults, saveResult, type SuiteRecord } from "./results.js";
import { failoverSuite } from "./suites/failover.js";
import { joinSuite } from "./suites/join.js";
import { recoverySuite } from "./suites/recovery.js";
import { scaleSuite } from "./suites/scale.js";
import { commandsSuite, durableSuite, payloadSuite, queriesSuite } from "./suites/throughput.js";
import { findingsOf } from "./targets.js";

type Options = CompareOptions & { readonly commands: number };
type Suite = (options: Options) => Promise<unknown>;

const leastKills = 5;
const suites: ReadonlyMap<string, Suite> = new Map<string, Suite>([
  ["commands", (options) => commandsSuite(options)],
  ["durable", (options) => durableSuite(options)],
  ["queries", (options) => queriesSuite(options)],
  ["payload", (options) => payloadSuite({ ...options, outstandings: [1, 16, 64] })],
  ["failover", ({ rounds }) => failoverSuite(Math.max(leastKills, rounds))],
  ["join", ({ rounds }) => joinSuite(rounds)],
  ["recovery", ({ rounds }) => recoverySuite(rounds)],
  ["scale", ({ rounds, commands }) => scaleSuite(rounds, commands)],
]);

async function runSuite(name: string, options: Options): Promise<SuiteRecord> {
  const machine = machineFacts();
  const before = readCpuTicks();
  const since = performance.now();
  console.log(
    `\n${name}: ${machine.cores} cores, ${machine.cpu}, node ${machine.node}, ` +
      `load ${machine.load.join(" ")}`,
  );
  const result = await suites.get(name)!(options);
  const seconds = (performance.now() - since) / 1000;
  const shares = cpuShares(before, readCpuTicks());
  for (const { what, target, measured, holds } of findingsOf(name, result)) {
    const verdict = holds === null ? "      " : holds ? "holds " : "FAILS ";
    console.log(`${verdict} ${what}: ${measured}; target: ${target}`);
  }
  const used =
    shares === null
      ? "shares of the processors are not known here"
      : `processors: bench ${shares.ownPercent} %, others on this machine ` +
        `${shares.othersPercent} %, other machines ${shares.stolenPercent} %`;
  console.log(`${seconds.toFixed(0)} s; ${used}`);
  return { suite: name, machine, seconds, shares, result };
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "0.8" },
      outstanding: { type: "string", default: "1,16,64,256,1024" },
      commands: { type: "string", default: "1000000" },
      report: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.filter((name) => !suites.has(name));
  if (unknown.length > 0) {
    const known = [...suites.keys()].join(", ");
    console.error(`no such suite: ${unknown.join(", ")}; there are ${known}`);
    return 2;
  }
  if (values.report) {
    console.log(writeReport(readResults([...suites.keys()])));
    return 0;
  }
  const options: Options = {
    outstandings: values.outstanding.split(",").map(Number),
    rounds: Number(values.rounds),
    warmupMs: 200,
    measureMs: Number(values.seconds) * 1000,
    commands: Number(values.commands),
  };
  const since = performance.now();
  for (const name of positionals.length > 0 ? positionals : suites.keys()) {
    saveResult(await runSuite(name, options));
  }
  console.log(`\n${((performance.now() - since) / 60_000).toFixed(1)} minutes`);
  return 0;
}

process.exitCode = await main();
