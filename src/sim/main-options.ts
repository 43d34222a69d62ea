/** The command line of the simulator. */
import { faultNames } from "./nemesis.js";
import type { Seed, SimulationSettings } from "./settings.js";
import { parseSeed } from "./shrink.js";

export type SimOptions = {
  readonly seed: Seed | null;
  readonly seeds: number | null;
  readonly minutes: number | null;
  /** Seeds from here on, one after the other, instead of fresh ones. */
  readonly from: number | null;
  /** null: all. */
  readonly faults: readonly string[] | null;
  readonly listFaults: boolean;
  readonly durationMs: number | null;
  readonly settings: Partial<SimulationSettings>;
  readonly trace: boolean;
  readonly history: string | null;
};

export const usage = `usage: npm run sim -- [--seed N | --seeds K [--from N] | --minutes M]
  [--nemesis all|none|list|KIND,KIND,...] [--duration-ms MS] [--machines 1..7] [--groups N]
  [--clients N] [--durable true|false] [--trace] [--history FILE]
Without a choice: 100 fresh seeds. --nemesis list shows the kinds of fault.`;

type Draft = { -readonly [K in keyof SimOptions]: SimOptions[K] } & {
  settings: { -readonly [K in keyof SimulationSettings]?: SimulationSettings[K] };
};

/** The options, or one line that says what is wrong. */
export function parseOptions(args: readonly string[]): SimOptions | string {
  const draft: Draft = {
    seed: null,
    seeds: null,
    minutes: null,
    from: null,
    faults: null,
    listFaults: false,
    durationMs: null,
    settings: {},
    trace: false,
    history: null,
  };
  for (let at = 0; at < args.length; at++) {
    const flag = args[at]!;
    if (flag === "--trace") {
      draft.trace = true;
      continue;
    }
    const text = args[++at];
    if (text === undefined) return `${flag}: needs a value`;
    const problem = take(draft, flag, text);
    if (problem !== null) return problem;
  }
  const chosen = [draft.seed, draft.seeds ?? draft.minutes].filter((each) => each !== null);
  if (chosen.length > 1) return "--seed: one seed, or many (--seeds, --minutes), not both";
  return draft;
}

function take(draft: Draft, flag: string, text: string): string | null {
  switch (flag) {
    case "--seed":
      draft.seed = parseSeed(text);
      return draft.seed === null ? `--seed: ${text} is no number of 64 bits` : null;
    case "--nemesis":
      return takeFaults(draft, text);
    case "--history":
      draft.history = text;
      return null;
    case "--durable":
      draft.settings.durable = text === "true";
      return text === "true" || text === "false" ? null : "--durable: true or false";
    default:
      return takeNumber(draft, flag, Number(text));
  }
}

function takeFaults(draft: Draft, text: string): string | null {
  if (text === "list") draft.listFaults = true;
  else if (text === "none") draft.faults = [];
  else if (text !== "all") draft.faults = text.split(",");
  const unknown = draft.faults?.find((name) => !faultNames.includes(name));
  return unknown === undefined ? null : `--nemesis: no kind "${unknown}"; try --nemesis list`;
}

function takeNumber(draft: Draft, flag: string, value: number): string | null {
  if (!(value >= 0)) return `${flag}: needs a number of 0 or more`;
  switch (flag) {
    case "--seeds":
      draft.seeds = value;
      return null;
    case "--minutes":
      draft.minutes = value;
      return null;
    case "--from":
      draft.from = value;
      return null;
    case "--duration-ms":
      draft.durationMs = value;
      return null;
    case "--machines":
    case "--groups":
    case "--clients":
      draft.settings[flag.slice(2) as "machines" | "groups" | "clients"] = value;
      return flag !== "--machines" || (value >= 1 && value <= 7) ? null : "--machines: 1 to 7";
    default:
      return `${flag}: no such option`;
  }
}
