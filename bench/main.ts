/**
 * `npm run bench`: every suite; `npm run bench -- commands queries`: these. `--rounds N`,
 * `--seconds S` for each measurement, `--outstanding 1,16,64`.
 */
import { parseArgs } from "node:util";
import type { CompareOptions } from "./compare.js";
import { cpuShares, machineFacts, readCpuTicks } from "./machine.js";
import { saveResult } from "./report.js";
import { failoverSuite } from "./suites/failover.js";
import { joinSuite } from "./suites/join.js";
import { recoverySuite } from "./suites/recovery.js";
import { scaleSuite } from "./suites/scale.js";
import { commandsSuite, durableSuite, payloadSuite, queriesSuite } from "./suites/throughput.js";

type Suite = (options: CompareOptions, rounds: number) => Promise<unknown>;

const suites: Record<string, Suite> = {
  commands: (options) => commandsSuite(options),
  durable: (options) => durableSuite(options),
  queries: (options) => queriesSuite(options),
  payload: (options) => payloadSuite({ ...options, outstandings: [1, 16, 64] }),
  failover: async (_options, rounds) => ({ failover: await failoverSuite(Math.max(5, rounds)) }),
  join: (_options, rounds) => joinSuite(rounds),
  recovery: (_options, rounds) => recoverySuite(rounds),
  scale: (_options, rounds) => scaleSuite(rounds),
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "1" },
      outstanding: { type: "string", default: "1,16,64,256,1024" },
    },
  });
  const unknown = positionals.filter((name) => suites[name] === undefined);
  if (unknown.length > 0) {
    console.error(
      `no such suite: ${unknown.join(", ")}; there are ${Object.keys(suites).join(", ")}`,
    );
    return 2;
  }
  const rounds = Number(values.rounds);
  const options: CompareOptions = {
    outstandings: values.outstanding.split(",").map(Number),
    rounds,
    warmupMs: 300,
    measureMs: Number(values.seconds) * 1000,
  };
  for (const name of positionals.length > 0 ? positionals : Object.keys(suites)) {
    const machine = machineFacts();
    const before = readCpuTicks();
    console.log(
      `\n${name}: ${machine.cores} cores, ${machine.cpu}, node ${machine.node}, load ${machine.load.join(" ")}`,
    );
    const result = await suites[name]!(options, rounds);
    const shares = cpuShares(before, readCpuTicks());
    if (shares !== null) {
      console.log(
        `cores in use ${shares.busyPercent} %, taken by other machines ${shares.stolenPercent} %`,
      );
    }
    saveResult(name, machine, { ...(result as object), shares });
  }
  return 0;
}

process.exitCode = await main();
