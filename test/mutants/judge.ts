/** One mutant before its catchers, and what they are worth: the program as it is must pass them. */
import type { CompilerOptions } from "typescript";
import { ask, type Verdict } from "./catch.js";
import { putMutant, takeMutantOut, type Tree } from "./tree.js";
import { type Catcher, type Mutant, nameOf, simulator } from "./types.js";

export type Judgement = {
  readonly mutant: Mutant;
  readonly verdicts: readonly Verdict[];
  readonly caught: boolean;
};

/** How long each catcher took for the program as it is, by its name. */
export type Baseline = ReadonlyMap<string, number>;

/** A catcher that is cut off tells something only if it usually needs far less. */
const lateFactor = 3;

export type Court = {
  readonly sources: ReadonlyMap<string, string>;
  readonly options: CompilerOptions;
  readonly limitMs: number;
  readonly all: boolean;
  readonly only: string | null;
};

export function catchersOf({ only }: Court, mutant: Mutant): readonly Catcher[] {
  return mutant.catchers.filter(({ type }) => only === null || type === only);
}

/** What the program makes of it as it is; anything but `passed` makes the catcher worthless. */
export function askInnocent(court: Court, tree: Tree, catcher: Catcher): Promise<Verdict> {
  // Of the simulator the seeds that count are judged one by one, see `judge`.
  const asked = catcher.type === "simulator" ? withSeeds(catcher, "--from 1 --seeds 3") : catcher;
  return ask(tree.folder, asked, court.limitMs);
}

function withSeeds(catcher: Catcher & { type: "simulator" }, seeds: string): Catcher {
  return simulator([...catcher.args, seeds].join(" "));
}

export async function judge(
  court: Court,
  tree: Tree,
  baseline: Baseline,
  mutant: Mutant,
): Promise<Judgement> {
  const verdicts: Verdict[] = [];
  let caught = false;
  for (const catcher of catchersOf(court, mutant)) {
    putMutant(tree, mutant, court.sources.get(mutant.file)!, court.options);
    const verdict = await ask(tree.folder, catcher, court.limitMs);
    takeMutantOut(tree);
    verdicts.push(verdict);
    const counts =
      verdict.result === "caught"
        ? await isInnocentThere(court, tree, verdict)
        : verdict.result === "late" && isTelling(court, baseline, catcher);
    caught ||= counts;
    if (caught && !court.all) break;
  }
  return { mutant, verdicts, caught };
}

function isTelling({ limitMs }: Court, baseline: Baseline, catcher: Catcher): boolean {
  return (baseline.get(nameOf(catcher)) ?? Infinity) * lateFactor <= limitMs;
}

/** A seed that fails, or a state that is wrong, without the bug as well says nothing about the bug. */
async function isInnocentThere(court: Court, tree: Tree, verdict: Verdict): Promise<boolean> {
  const { catcher, count } = verdict;
  if (count === null) return true;
  const again =
    catcher.type === "simulator" ? withSeeds(catcher, `--seed ${count}`) : { ...catcher, count };
  const { result, by } = await ask(tree.folder, again, court.limitMs);
  if (result === "passed") return true;
  throw new Error(`${nameOf(catcher)} at ${count} fails without any bug: ${by || result}`);
}
