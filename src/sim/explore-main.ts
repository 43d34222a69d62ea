/**
 * `npm run explore`: every named configuration to its end. `-- NAME ...` only those; `--max-states N`
 * and `--seconds S` give up a configuration there, and say so; `--mistakes` shows how soon each
 * deliberate mistake is found. Exit code 0: nothing wrong, and everything within the bounds was seen.
 */
import { parseArgs } from "node:util";
import { explore, type Report, type Setup } from "./explorer.js";
import { mistakes } from "./explorer-mistakes.js";
import { setupNames, setupOf } from "./explorer-setups.js";

type Limits = { readonly maxStates: number; readonly seconds: number };

const usage = `usage: npm run explore -- [--mistakes] [--max-states N] [--seconds S] [NAME ...]
names: ${setupNames.join(", ")}`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Looks at the states of one configuration and says how it went. */
function run(setup: Setup, { maxStates, seconds: limit }: Limits): Report {
  const startedMs = performance.now();
  let saidMs = startedMs;
  const report = explore(setup, {
    maxStates,
    goOn: ({ states, depth }) => {
      const nowMs = performance.now();
      if (process.stderr.isTTY && nowMs - saidMs > 1000) {
        saidMs = nowMs;
        process.stderr.write(`\r${setup.name}: ${states} states, depth ${depth}  `);
      }
      return nowMs - startedMs < limit * 1000;
    },
  });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const seconds = (performance.now() - startedMs) / 1000;
  const { states, transitions, depth } = report;
  const rate = Math.round(states / Math.max(seconds, 0.001));
  const end = report.violation !== null ? "WRONG" : report.finished ? "finished" : "NOT FINISHED";
  const counts = `${states} states, ${transitions} transitions, depth ${depth}`;
  say(`${setup.name}: ${end}, ${counts}, ${seconds.toFixed(1)} s, ${rate} states/s`);
  return report;
}

function showBounds({ bounds, options, start }: Setup): string {
  const used = Object.entries(bounds).filter(([, bound]) => bound !== 0 && bound !== false);
  const shown = used.map(([name, bound]) => (bound === true ? name : `${name} ${bound}`));
  const storage = options.storesAtOnce ? "" : ", storage late";
  const silence = options.silence ? ", promises and silence" : "";
  return `  ${start.length} members, ${shown.join(", ")}${storage}${silence}`;
}

function runMistakes(limits: Limits): number {
  let missed = 0;
  for (const { name, hazard, setup, tamper, bounds } of mistakes) {
    say(`hazard ${hazard}: ${name}`);
    const { violation } = run(setupOf(setup, tamper, bounds), limits);
    if (violation === null) missed += 1;
    say(violation === null ? "  NOT FOUND" : `  found: ${violation.what[0]}`);
  }
  return missed;
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "max-states": { type: "string", default: "10000000" },
      seconds: { type: "string", default: "600" },
      mistakes: { type: "boolean", default: false },
    },
  });
  const limits = { maxStates: Number(values["max-states"]), seconds: Number(values.seconds) };
  const isKnown = positionals.every((name) => setupNames.includes(name));
  if (!isKnown || !(limits.maxStates > 0) || !(limits.seconds > 0)) {
    process.stderr.write(`${usage}\n`);
    return 2;
  }
  if (values.mistakes) return runMistakes(limits) === 0 ? 0 : 1;
  let allWell = true;
  for (const name of positionals.length > 0 ? positionals : setupNames) {
    const setup = setupOf(name);
    const { violation, finished } = run(setup, limits);
    say(showBounds(setup));
    allWell &&= finished;
    if (violation !== null) for (const line of [...violation.what, ...violation.trace]) say(line);
  }
  return allWell ? 0 : 1;
}

process.exitCode = main();
