/** The table of a run, for the terminal and for the documentation. */
import type { Verdict } from "./catch.js";
import type { Judgement } from "./judge.js";
import { nameOf } from "./types.js";

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function describe(verdict: Verdict): string {
  const { catcher, result, by, count, ms } = verdict;
  const unit = catcher.type === "explorer" ? "states" : "seeds";
  const at = catcher.type === "explorer" ? `${count} states` : `seed ${count}`;
  const after = count === null ? seconds(ms) : `${at}, ${seconds(ms)}`;
  if (result === "late") return `${nameOf(catcher)}: hangs`;
  if (result === "passed") {
    if (count === null) return `not by ${nameOf(catcher)}`;
    return `not by ${nameOf(catcher)}, ${count} ${unit}, ${seconds(ms)}`;
  }
  if (catcher.type === "scenario") return `${nameOf(catcher)}, ${after}`;
  return `${nameOf(catcher)}: ${by}, ${after}`;
}

export function lineOf({ mutant, verdicts, caught }: Judgement): string {
  const said = verdicts.map(describe).join("; ");
  return `${caught ? "caught  " : "SURVIVED"} ${mutant.id}: ${said || "nobody was asked"}`;
}

/** What one kind of search made of it; empty if it was not asked. */
function searched(verdicts: readonly Verdict[], type: "explorer" | "simulator"): string {
  const verdict = verdicts.find(({ catcher }) => catcher.type === type);
  if (verdict === undefined) return "";
  const { result, count, ms } = verdict;
  if (type === "explorer")
    return result === "caught" ? `${count} states` : `not in ${count} states`;
  return result === "caught" ? `seed ${count}, ${seconds(ms)}` : `not in ${count} seeds`;
}

function near({ catcher, result, by }: Verdict): string {
  const who = catcher.type === "scenario" ? `\`${catcher.name}\`` : nameOf(catcher);
  if (result === "late") return `${who}: hangs`;
  return catcher.type === "scenario" ? who : `${who}: ${by}`;
}

/** For the documentation. Whoever was asked and did not notice is left out, but for the searches. */
export function tableOf(judgements: readonly Judgement[]): string {
  const rows = judgements.map(({ mutant, verdicts }) => {
    const noticed = verdicts.filter(
      ({ catcher: { type }, result }) =>
        result !== "passed" && (type === "scenario" || type === "test"),
    );
    return [
      `\`${mutant.id}\`: ${mutant.bug}`,
      mutant.hazards.join(", ") || "-",
      noticed.map(near).join("; "),
      searched(verdicts, "explorer"),
      searched(verdicts, "simulator"),
    ];
  });
  const header = ["bug", "hazards", "scenario, or test file: test", "explorer", "simulator"];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(header) + line(header.map(() => "---")) + rows.map(line).join("");
}

/** How many were noticed, and by what kind of catcher first. */
export function sumOf(judgements: readonly Judgement[]): string {
  const first = judgements
    .filter(({ caught }) => caught)
    .map(({ verdicts }) => verdicts.find(({ result }) => result !== "passed")!);
  const of = (type: string): number => first.filter(({ catcher }) => catcher.type === type).length;
  const longest = Math.max(0, ...first.map(({ ms }) => ms));
  return (
    `${first.length} of ${judgements.length} deliberate bugs noticed: ${of("scenario")} by a ` +
    `scenario, ${of("test")} by a test, ${of("explorer") + of("simulator")} by a search alone; ` +
    `the slowest after ${seconds(longest)}`
  );
}
