/** The command line of `npm run chaos`. */
import { allFaults, type Fault } from "./nemesis.js";
import { type NetworkKind, networkKinds } from "./network.js";

export type Options = {
  /** Not null: instead of all kinds of faults, so many times some or all members are killed. */
  readonly restarts: number | null;
  readonly minutes: number;
  readonly seed: number;
  readonly members: number;
  readonly clients: number;
  readonly faults: readonly Fault[];
  /** `both`: one after the other, if this machine has namespaces. */
  readonly network: NetworkKind | "both";
  readonly history: string | null;
};

export const usage = `usage: npm run chaos -- [--minutes M] [--seed N] [--members 3..7] [--clients N]
  [--network proxies|namespaces|both] [--faults KIND,KIND,...] [--history FILE]
   or: npm run chaos -- --restarts N [--seed N] [--clients N] [--history FILE]
Kinds of fault: ${allFaults.join(", ")}`;

/** The options, or one line that says what is wrong. */
export function parseOptions(args: readonly string[], freshSeed: number): Options | string {
  const draft = {
    restarts: null as number | null,
    minutes: 1,
    seed: freshSeed,
    members: 5,
    clients: 4,
    faults: allFaults,
    network: "both" as NetworkKind | "both",
    history: null as string | null,
  };
  for (let at = 0; at < args.length; at += 2) {
    const flag = args[at]!;
    const text = args[at + 1];
    if (text === undefined) return `${flag}: needs a value`;
    if (flag === "--history") draft.history = text;
    else if (flag === "--faults") draft.faults = text.split(",") as Fault[];
    else if (flag === "--network") draft.network = text as NetworkKind | "both";
    else if (flag === "--restarts") draft.restarts = Number(text);
    else if (flag === "--minutes") draft.minutes = Number(text);
    else if (flag === "--seed") draft.seed = Number(text);
    else if (flag === "--members") draft.members = Number(text);
    else if (flag === "--clients") draft.clients = Number(text);
    else return `${flag}: no such option`;
  }
  const unknown = draft.faults.find((fault) => !allFaults.includes(fault));
  if (unknown !== undefined) return `--faults: no kind "${unknown}"`;
  const { restarts, network } = draft;
  if (network !== "both" && !networkKinds.includes(network)) {
    return `--network: proxies, namespaces or both, not "${network}"`;
  }
  if (restarts !== null && network === "namespaces") return "--restarts: needs no namespaces";
  if (restarts !== null && !(Number.isSafeInteger(restarts) && restarts > 0)) {
    return "--restarts: needs a whole number above 0";
  }
  if (!(draft.minutes > 0)) return "--minutes: needs a number above 0";
  if (!Number.isSafeInteger(draft.seed) || draft.seed < 0) return "--seed: needs a whole number";
  const { members, clients } = draft;
  if (!Number.isInteger(members) || members < 3 || members > 7) return "--members: 3 to 7";
  if (!Number.isInteger(clients) || clients < 1) return "--clients: 1 or more";
  return draft;
}
