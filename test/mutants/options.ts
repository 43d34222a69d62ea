/** The command line of `npm run mutants`. */
import { availableParallelism } from "node:os";

export type Options = {
  /** Empty: all. */
  readonly ids: readonly string[];
  /** Where the table goes, or null. */
  readonly markdown: string | null;
  /** Ask every catcher, not only until the first one that notices. */
  readonly all: boolean;
  /** Only catchers of this type. */
  readonly only: string | null;
  readonly list: boolean;
  readonly jobs: number;
  /** How long a catcher may take. */
  readonly limitMs: number;
};

export const usage = `usage: npm run mutants -- [ID ...] [--all] [--only scenario|test|explorer|simulator]
  [--markdown FILE] [--jobs 1|2] [--limit-s SECONDS] [--list]
Without an ID: the whole catalogue. Exit code 1 if somebody's bug goes unnoticed.`;

const kinds = ["scenario", "test", "explorer", "simulator"];
const mostJobs = 2;

/** The options, or one line that says what is wrong. */
export function parseOptions(args: readonly string[], known: readonly string[]): Options | string {
  const ids: string[] = [];
  const draft = {
    markdown: null as string | null,
    all: false,
    only: null as string | null,
    list: false,
    jobs: Math.min(mostJobs, availableParallelism()),
    limitMs: 60_000,
  };
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (!word.startsWith("--")) {
      if (!known.includes(word)) return `${word}: no such mutant; --list names them`;
      ids.push(word);
    } else if (word === "--all") draft.all = true;
    else if (word === "--list") draft.list = true;
    else {
      const text = args[++at];
      if (text === undefined) return `${word}: needs a value`;
      if (word === "--markdown") draft.markdown = text;
      else if (word === "--only") draft.only = text;
      else if (word === "--jobs") draft.jobs = Number(text);
      else if (word === "--limit-s") draft.limitMs = Number(text) * 1000;
      else return `${word}: no such option`;
    }
  }
  if (draft.only !== null && !kinds.includes(draft.only)) return `--only: ${kinds.join(", ")}`;
  if (!Number.isInteger(draft.jobs) || draft.jobs < 1 || draft.jobs > mostJobs) {
    return `--jobs: 1 to ${mostJobs}`;
  }
  return draft.limitMs > 0 ? { ...draft, ids } : "--limit-s: needs a number above 0";
}
