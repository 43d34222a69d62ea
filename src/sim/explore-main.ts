/**
 * `npm run explore`: searches every named configuration; `npm run explore -- NAME ...` these.
 * `--max-states N` gives up a configuration there and says so; `--seconds S` likewise.
 */
import { parseArgs } from "node:util";
import { explore, type Report } from "./explorer.js";
import { setupNames, setupOf } from "./explorer-setups.js";

function show(report: Report, seconds: number): string {
  const end = report.finished ? "finished" : "NOT FINISHED";
  const perSecond = Math.round(report.states / Math.max(seconds, 0.001));
  return (
    `${report.name}: ${report.states} states, ${report.transitions} transitions, depth ` +
    `${report.depth}, ${seconds.toFixed(1)} s (${perSecond} states/s), ${end}`
  );
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "max-states": { type: "string", default: "5000000" },
      seconds: { type: "string", default: "600" },
    },
  });
  const unknown = positionals.filter((name) => !setupNames.includes(name));
  if (unknown.length > 0) {
    console.error(
      `no such configuration: ${unknown.join(", ")}; there are ${setupNames.join(", ")}`,
    );
    return 2;
  }
  let broken = 0;
  for (const name of positionals.length > 0 ? positionals : setupNames) {
    const since = performance.now();
    const untilMs = since + Number(values.seconds) * 1000;
    const goOn = (): boolean => performance.now() < untilMs;
    const report = explore(setupOf(name), { maxStates: Number(values["max-states"]), goOn });
    console.log(show(report, (performance.now() - since) / 1000));
    if (report.violation === null) continue;
    broken += 1;
    console.log([...report.violation.what, ...report.violation.trace].join("\n"));
  }
  return broken > 0 ? 1 : 0;
}

process.exitCode = main();
