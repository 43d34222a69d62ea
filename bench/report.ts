/** Writes what was measured to docs/performance.md, between two marks; the rest of it is prose. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { micros, thousands, type Measured } from "./compare.js";
import { plot } from "./plot.js";
import { curvesOf, type SuiteRecord } from "./results.js";
import { findingsOf } from "./targets.js";

const page = join("docs", "performance.md");
const plots = join("docs", "performance");
const from = "<!-- figures: npm run bench -- --report -->";
const to = "<!-- end of figures -->";

/** Returns what it has done, in one line. */
export function writeReport(records: readonly SuiteRecord[]): string {
  if (records.length === 0) return "there are no results yet; run: npm run bench";
  const text = readFileSync(page, "utf8");
  const [begin, end] = [text.indexOf(from), text.indexOf(to)];
  if (begin < 0 || end < begin) throw new Error(`${page}: "${from}" and "${to}" are not in it`);
  const figures = [from, "", ...figuresOf(records), ""].join("\n");
  writeFileSync(page, text.slice(0, begin) + figures + text.slice(end));
  mkdirSync(plots, { recursive: true });
  for (const { name, measured } of records.flatMap(curvesOf)) {
    writeFileSync(join(plots, `${name}.svg`), plot(measured));
  }
  return `${page}: figures of ${records.map((record) => record.suite).join(", ")}`;
}

function figuresOf(records: readonly SuiteRecord[]): string[] {
  return [
    "## Targets",
    "",
    "| target | measured | holds? |",
    "|---|---|---|",
    ...records.flatMap(({ suite, result }) =>
      findingsOf(suite, result).map(
        ({ what, target, measured, holds }) =>
          `| ${what}: ${target} | ${measured} | ${holds === null ? "-" : holds ? "yes" : "**no**"} |`,
      ),
    ),
    "",
    "## Throughput and latency",
    ...records
      .flatMap(curvesOf)
      .flatMap(({ name, measured }) => [
        ...["", `### ${name}`, "", `![${name}](performance/${name}.svg)`, ""],
        "| system | outstanding | ops/s (range) | p50 | p99 | ratio | p99 ratio |",
        "|---|---|---|---|---|---|---|",
        ...measured.map(rowOf),
      ]),
    ...["", "## When and where", ""],
    "| suite | when | machine | load before | seconds | processors: bench, others here, other machines |",
    "|---|---|---|---|---|---|",
    ...records.map(({ suite, machine, seconds, shares }) => {
      const used =
        shares === null
          ? "not known"
          : `${shares.ownPercent} %, ${shares.othersPercent} %, ${shares.stolenPercent} %`;
      const what = `${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}`;
      const when = machine.date.slice(0, 16).replace("T", " ");
      return `| ${suite} | ${when} | ${what} | ${machine.load.join(" ")} | ${seconds.toFixed(0)} | ${used} |`;
    }),
  ];
}

function rowOf(one: Measured): string {
  const rates = one.rounds.map((round) => round.opsPerSecond);
  return [
    `| ${one.system} | ${one.outstanding}`,
    `${thousands(one.opsPerSecond)} (${thousands(Math.min(...rates))}-${thousands(Math.max(...rates))})`,
    micros(one.p50Us),
    micros(one.p99Us),
    one.throughputRatio.toFixed(2),
    `${one.p99Ratio.toFixed(2)} |`,
  ].join(" | ");
}
