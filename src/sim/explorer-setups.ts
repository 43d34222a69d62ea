/** The configurations of the explorer that finish: what may happen in each, and how often. */
import { bootstrapEntries, validateGroupConfig } from "../core/index.js";
import type {
  Entry,
  GroupConfig,
  MemberId,
  Membership,
  MembershipChange,
  Term,
} from "../core/types.js";
import { type Bounds, listActions, type Situation } from "./explorer-actions.js";
import { type Ghost, newGhost } from "./explorer-ghost.js";
import { bootNode, type Letter, type Node, type NodeDisk, type Tamper } from "./explorer-node.js";
import { observeAction, type Setup } from "./explorer.js";

const config: GroupConfig = {
  ...validateGroupConfig({ snapshotLogFactor: 1, trailingLogBytes: 0 }),
  // Snapshots are taken when they are asked for, and never else.
  minSnapshotLogBytes: 1e12,
  maxSnapshotLogBytes: 1e12,
};

const noBounds: Bounds = {
  ...{ terms: 2, entries: 5, messages: 2, preVotes: false },
  ...{ commands: 0, crashes: 0, duplicates: 0, reads: 0, changes: 0, transfers: 0, snapshots: 0 },
};

type Plan = {
  readonly name: string;
  readonly bounds: Partial<Bounds>;
  readonly config: Partial<GroupConfig>;
  readonly storesAtOnce: boolean;
  readonly silence: boolean;
  readonly voters: readonly MemberId[];
  /** Members with nothing on their disks. */
  readonly newcomers: readonly MemberId[];
  readonly changes: readonly MembershipChange[];
  /** Terms of further entries on the disk of each voter. */
  readonly logs: Readonly<Record<MemberId, readonly number[]>>;
  /** Actions before the search begins, by how their names begin; `...` delivers all there is. */
  readonly before: readonly string[];
};

const basePlan: Plan = {
  ...{
    name: "",
    bounds: {},
    config: {},
    storesAtOnce: true,
    silence: false,
    voters: ["a", "b", "c"],
  },
  ...{ newcomers: [], changes: [], logs: {}, before: [] },
};

const addD: MembershipChange = { type: "add", member: { id: "d", address: "d" }, promote: true };

/** In the order of their size, so that a mistake shows early. */
const plans: readonly Plan[] = [
  {
    ...{ ...basePlan, name: "older terms", logs: { a: [2], b: [], c: [3] } },
    // An entry at a time, so that one of an older term is on a majority before one of the own term.
    ...{ config: { maxAppendBytes: 1, maxInflightMessages: 1 }, bounds: { terms: 5, messages: 1 } },
  },
  {
    ...{ ...basePlan, name: "removal", changes: [{ type: "remove", id: "c" }] },
    bounds: { terms: 3, messages: 2, changes: 1 },
    before: ["elect a", "..."],
  },
  {
    ...{ ...basePlan, name: "snapshot", logs: { a: [2, 2], b: [2, 2], c: [1, 1, 1] } },
    bounds: { terms: 3, messages: 2, snapshots: 2, crashes: 1 },
  },
  {
    ...{ ...basePlan, name: "late storage", storesAtOnce: false, before: ["elect a", "..."] },
    bounds: { terms: 3, messages: 1, commands: 1, crashes: 1 },
  },
  {
    ...{ ...basePlan, name: "campaigns" },
    bounds: { terms: 3, messages: 2, crashes: 1 },
  },
  {
    ...{ ...basePlan, name: "reads", before: ["elect a", "..."] },
    bounds: { terms: 3, messages: 2, reads: 1, crashes: 1 },
  },
  {
    ...{ ...basePlan, name: "elections", storesAtOnce: false, silence: true },
    bounds: { terms: 2, messages: 2, crashes: 1, preVotes: true },
  },
  {
    ...{ ...basePlan, name: "newcomer", changes: [addD] },
    ...{ newcomers: ["d"], before: ["elect a", "..."] },
    bounds: { terms: 3, messages: 1, changes: 1 },
  },
  {
    ...{ ...basePlan, name: "restarts", before: ["elect a", "..."] },
    bounds: { terms: 3, messages: 2, commands: 1, crashes: 1 },
  },
  {
    ...{ ...basePlan, name: "transfer", before: ["elect a", "..."] },
    bounds: { terms: 3, messages: 2, transfers: 1, commands: 1 },
  },
  {
    ...{ ...basePlan, name: "replication", before: ["elect a", "..."] },
    bounds: { terms: 3, messages: 2, commands: 2 },
  },
];

export const setupNames: readonly string[] = plans.map(({ name }) => name);

function diskOf(
  voters: readonly MemberId[],
  terms: readonly number[],
  currentTerm: Term,
): NodeDisk {
  const members = voters.map((voter) => ({ id: voter, address: voter }));
  const [first, second] = bootstrapEntries(members[0]!, config, 0);
  const membership: Membership = { voters, outgoing: [], learners: [], members };
  const entries: Entry[] = [first!, { ...second!, payload: membership }];
  for (const term of terms) {
    entries.push({
      ...{ index: entries.length + 1, term, kind: "command", session: 0, sequence: 0 },
      ...{ lowestOutstanding: 0, timeMs: 0, payload: null },
      body: Uint8Array.of(96 + term),
    });
  }
  const hardState = { currentTerm, votedFor: null, forcedRemovals: [] };
  return { hardState, snapshot: null, entries };
}

const emptyDisk: NodeDisk = Object.freeze({ hardState: null, snapshot: null, entries: [] });

/** One of the named configurations, perhaps with a deliberate mistake, perhaps with other bounds. */
export function setupOf(
  name: string,
  tamper: Tamper | null = null,
  bounds: Partial<Bounds> = {},
): Setup {
  const plan = plans.find((one) => one.name === name);
  if (plan === undefined) {
    throw new Error(`no configuration "${name}"; there are ${setupNames.join(", ")}`);
  }
  const { voters, newcomers, logs, storesAtOnce, changes } = plan;
  const { silence } = plan;
  const options = { config: { ...config, ...plan.config }, storesAtOnce, silence, tamper };
  const highest = Math.max(1, ...Object.values(logs).flat());
  const nodes = [...voters, ...newcomers].map((id) => {
    const disk = newcomers.includes(id) ? emptyDisk : diskOf(voters, logs[id] ?? [], highest);
    return bootNode(id, disk, 1, false, options).node;
  });
  const all = { ...noBounds, ...plan.bounds, ...bounds };
  const stage = {
    nodes,
    letters: [],
    ghost: newGhost,
    bounds: { ...all, terms: 9 },
    changes,
    silence,
  };
  const { nodes: start, ghost } = play(stage, plan.before, { ...options, tamper: null });
  const used = newGhost.used;
  return {
    ...{ name, options, bounds: all, changes, start, ghost: { ...ghost, used } },
    keepsSpent: tamper !== null,
    // Members with other logs, and those that a change names, are no others' equals; that costs
    // nothing but states.
    alike: voters,
  };
}

type Stage = Situation & { readonly nodes: Node[]; letters: Letter[]; ghost: Ghost };

function play(stage: Stage, script: readonly string[], options: Setup["options"]): Stage {
  for (const line of script) {
    if (line !== "...") act(stage, line, options);
    const isStoring = (): boolean => stage.nodes.some(({ pending }) => pending.length > 0);
    while (isStoring() || (line === "..." && stage.letters.length > 0)) {
      act(stage, isStoring() ? "stored" : "deliver", options);
    }
  }
  return stage;
}

function act(stage: Stage, begins: string, options: Setup["options"]): void {
  const action = listActions(stage).find(({ name }) => name.startsWith(begins));
  if (action === undefined) throw new Error(`nothing to do that begins with "${begins}"`);
  const outcome = action.run(stage.nodes[action.at]!, options);
  stage.nodes[action.at] = outcome.node;
  stage.ghost = observeAction(stage.ghost, action, outcome, []);
  stage.letters = [...stage.letters.filter((letter) => letter !== action.takes), ...outcome.sent];
}
