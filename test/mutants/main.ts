/**
 * `npm run mutants [-- ID ...]`: puts each deliberate bug of the catalogue into a copy of the compiled
 * program, alone, and asks its catchers in turn. A bug that nobody notices is a hole in the tests.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { catalogue } from "./catalogue.js";
import { askInnocent, catchersOf, type Court, judge, type Judgement } from "./judge.js";
import { findProblem, readCompilerOptions } from "./mutate.js";
import { type Options, parseOptions, usage } from "./options.js";
import { lineOf, sumOf, tableOf } from "./report.js";
import { copyTree, outdated, removeTree, type Tree } from "./tree.js";
import { type Catcher, type Mutant, nameOf } from "./types.js";

const compiled = fileURLToPath(new URL("../../", import.meta.url));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Does `work` for each, on as many trees at a time as there are. */
async function onTrees<T>(
  trees: readonly Tree[],
  items: readonly T[],
  work: (tree: Tree, item: T, at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (tree: Tree): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      await work(tree, items[at]!, at);
    }
  };
  await Promise.all(trees.map(lane));
}

function distinctCatchers(court: Court, mutants: readonly Mutant[]): readonly Catcher[] {
  const all = mutants.flatMap((mutant) => catchersOf(court, mutant));
  return [...new Map(all.map((catcher) => [nameOf(catcher), catcher])).values()];
}

/** How long each catcher takes for the program as it is; null if one of them does not pass it. */
async function measureInnocent(
  court: Court,
  trees: readonly Tree[],
  mutants: readonly Mutant[],
): Promise<Map<string, number> | null> {
  const baseline = new Map<string, number>();
  const catchers = distinctCatchers(court, mutants);
  let failed = 0;
  say(`${catchers.length} catchers, first of all before the program as it is ...`);
  await onTrees(trees, catchers, async (tree, catcher) => {
    const { result, by, ms } = await askInnocent(court, tree, catcher);
    baseline.set(nameOf(catcher), ms);
    if (result === "passed") return;
    failed += 1;
    say(`without any bug: ${nameOf(catcher)}: ${result === "late" ? "not done in time" : by}`);
  });
  return failed === 0 ? baseline : null;
}

async function judgeAll(
  court: Court,
  trees: readonly Tree[],
  mutants: readonly Mutant[],
  baseline: ReadonlyMap<string, number>,
): Promise<Judgement[]> {
  const judgements: Judgement[] = [];
  await onTrees(trees, mutants, async (tree, mutant, at) => {
    const judgement = await judge(court, tree, baseline, mutant);
    judgements[at] = judgement;
    say(lineOf(judgement));
  });
  return judgements;
}

async function run(options: Options): Promise<number> {
  const { ids, jobs, limitMs, all, only, markdown } = options;
  const mutants = catalogue.filter(({ id }) => ids.length === 0 || ids.includes(id));
  const sources = new Map(mutants.map(({ file }) => [file, readFileSync(file, "utf8")]));
  const court: Court = { sources, options: readCompilerOptions(), limitMs, all, only };
  const stale = outdated(compiled, sources, court.options);
  const problems = mutants.map((mutant) => findProblem(mutant, sources.get(mutant.file)!));
  if (stale.length > 0) say(`not compiled from the present sources: ${stale.join(", ")}`);
  problems.forEach((problem, at) => problem === null || say(`${mutants[at]!.id}: ${problem}`));
  if (stale.length > 0 || problems.some((problem) => problem !== null)) return 1;
  const trees = Array.from({ length: Math.min(jobs, mutants.length) }, (_, at) =>
    copyTree(compiled, join(process.cwd(), `build-mutants-${process.pid}-${at + 1}`)),
  );
  try {
    const baseline = await measureInnocent(court, trees, mutants);
    if (baseline === null) return 1;
    const judgements = await judgeAll(court, trees, mutants, baseline);
    if (markdown !== null) writeFileSync(markdown, tableOf(judgements));
    say(sumOf(judgements));
    return judgements.every(({ caught }) => caught) ? 0 : 1;
  } finally {
    for (const tree of trees) removeTree(tree);
  }
}

const options = parseOptions(
  process.argv.slice(2),
  catalogue.map(({ id }) => id),
);
if (typeof options === "string") {
  process.stderr.write(`${options}\n${usage}\n`);
  process.exitCode = 2;
} else if (options.list) {
  for (const { id, hazards, bug } of catalogue) say(`${id} (${hazards.join(", ")}): ${bug}`);
} else {
  process.exitCode = await run(options);
}
