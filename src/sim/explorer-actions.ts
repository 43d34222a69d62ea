/** What may happen next in a state of the explorer, within its bounds. */
import { lastIndex } from "../core/log.js";
import { emptyBody } from "../core/state.js";
import type { Core } from "../core/state.js";
import type { CoreEvent, MembershipChange } from "../core/types.js";
import { showMessage } from "./explorer-show.js";
import type { Bound, Ghost } from "./explorer-ghost.js";
import {
  agedMs,
  type Letter,
  type Node,
  type NodeOptions,
  type Outcome,
  restartNode,
  storeOne,
  tellNode,
  timeOf,
} from "./explorer-node.js";

export type Bounds = Readonly<Record<Bound, number>> & {
  /** Nobody campaigns for a term above it. */
  readonly terms: number;
  /** Longest log of a leader that is still asked for more. */
  readonly entries: number;
  /** Messages on their way at once; of more, any may be lost. */
  readonly messages: number;
  /**
   * Pre-votes are messages like any other; otherwise whoever wants to campaign does, as if granted by
   * all. They change nothing at a voter, so that leaves nothing out.
   */
  readonly preVotes: boolean;
};

export type Action = {
  /** Which node it happens to. */
  readonly at: number;
  /** The same name and message at the same node has the same outcome. */
  readonly name: string;
  readonly about: Letter | null;
  readonly run: (node: Node, options: NodeOptions) => Outcome;
  /** The message that it takes out of the bag, or null. */
  readonly takes: Letter | null;
  readonly uses: Bound | null;
};

export type Situation = {
  readonly nodes: readonly Node[];
  readonly letters: readonly Letter[];
  readonly ghost: Ghost;
  readonly bounds: Bounds;
  readonly changes: readonly MembershipChange[];
  readonly silence: boolean;
};

export function listActions(situation: Situation): Action[] {
  const actions: Action[] = [];
  for (const letter of situation.letters) addDeliveries(situation, letter, actions);
  for (const [at, node] of situation.nodes.entries()) {
    addTimers(situation, node, at, actions);
    addDisk(situation, node, at, actions);
    addRequests(situation, node, at, actions);
  }
  return actions;
}

function has({ ghost, bounds }: Situation, bound: Bound): boolean {
  return ghost.used[bound] < bounds[bound];
}

function tell(
  at: number,
  name: string,
  event: CoreEvent | readonly CoreEvent[],
  uses: Bound | null = null,
): Action {
  const events = Array.isArray(event) ? (event as readonly CoreEvent[]) : [event as CoreEvent];
  const run = (node: Node, options: NodeOptions) => tellNode(node, events, options);
  return { at, name, run, about: null, takes: null, uses };
}

function addDeliveries(situation: Situation, letter: Letter, actions: Action[]): void {
  const { nodes, silence } = situation;
  const at = nodes.findIndex(({ id }) => id === letter.to);
  const { core } = nodes[at]!;
  const { from, message } = letter;
  const name = `deliver ${from}->${letter.to} ${showMessage(message)}`;
  const asks = message.type === "preVote" || message.type === "requestVote";
  // What was promised, or whom a leader heard, matters to those who ask for votes alone.
  const matters = core.promisedUntilMs > 0 || core.role.type === "leader";
  for (const aged of !asks ? [false] : silence && matters ? [false, true] : [true]) {
    const nowMs = timeOf(aged);
    const event: CoreEvent = { type: "messageReceived", from, message, nowMs };
    const called = aged && silence ? `${name}, after a long silence` : name;
    const delivery = { ...tell(at, called, event), about: letter };
    actions.push({ ...delivery, takes: letter });
    if (has(situation, "duplicates")) {
      actions.push({ ...delivery, name: `${called}, and keep it`, uses: "duplicates" });
    }
  }
}

function addTimers(situation: Situation, node: Node, at: number, actions: Action[]): void {
  const { bounds, silence } = situation;
  const { core, id } = node;
  const { role } = core;
  if (role.type === "leader") {
    const timer = "heartbeat";
    actions.push(tell(at, `heartbeat ${id}`, { type: "timerFired", timer, nowMs: timeOf(false) }));
    if (silence) {
      const event: CoreEvent = { type: "timerFired", timer, nowMs: agedMs };
      actions.push(tell(at, `heartbeat ${id}, after a long silence`, event));
    }
  } else if (role.type !== "removed" && core.currentTerm < bounds.terms) {
    const event: CoreEvent = { type: "timerFired", timer: "election", nowMs: agedMs };
    const granted = bounds.preVotes ? [] : preVotesFor(core);
    actions.push(tell(at, `elect ${id}`, [event, ...granted]));
  }
}

function preVotesFor({ membership, currentTerm: term, self }: Core): CoreEvent[] {
  const voters = [...new Set([...membership.voters, ...membership.outgoing])];
  return voters
    .filter((id) => id !== self.id)
    .map((from) => ({
      ...{ type: "messageReceived", from, nowMs: agedMs },
      message: { type: "preVoteReply", term, requestTerm: term + 1, granted: true, removed: false },
    }));
}

function addDisk(situation: Situation, node: Node, at: number, actions: Action[]): void {
  const { id, pending } = node;
  if (pending.length > 0) {
    actions.push({ at, name: `stored ${id}`, run: storeOne, about: null, takes: null, uses: null });
  }
  if (!has(situation, "crashes")) return;
  const firstReadBatch = 10 * (situation.ghost.used.crashes + 1);
  for (let kept = 0; kept <= pending.length; kept++) {
    const rest = pending.length === 0 ? "" : `, ${kept} of ${pending.length} writes done`;
    actions.push({
      ...{
        at,
        about: null,
        takes: null,
        uses: "crashes",
        name: `restart ${id} #${firstReadBatch}${rest}`,
      },
      run: (one, options) => restartNode(one, kept, firstReadBatch, options),
    });
  }
}

const base = { timeMs: 0, nowMs: 1 } as const;

function addRequests(situation: Situation, node: Node, at: number, actions: Action[]): void {
  const { ghost, bounds } = situation;
  const { core, id } = node;
  const { role, log } = core;
  if (has(situation, "reads") && role.leader !== null) {
    const request = ghost.used.reads + 1;
    const event: CoreEvent = { type: "readRequested", request, nowMs: 1 };
    actions.push(tell(at, `read ${id} #${request}`, event, "reads"));
  }
  if (has(situation, "snapshots") && core.lastApplied > (core.snapshot?.index ?? 0)) {
    const event: CoreEvent = { type: "snapshotRequested", request: 900 };
    actions.push(tell(at, `snapshot ${id}`, event, "snapshots"));
  }
  if (role.type !== "leader") return;
  const fits = lastIndex(log) < bounds.entries;
  if (has(situation, "commands") && fits && role.transfer === null) {
    const number = ghost.used.commands + 1;
    actions.push(tell(at, `propose ${id} ${number}`, propose(number), "commands"));
  }
  if (has(situation, "changes")) {
    for (const change of situation.changes) {
      const event: CoreEvent = { type: "membershipChangeRequested", request: 901, change, ...base };
      actions.push(tell(at, `${nameOfChange(change)} at ${id}`, event, "changes"));
    }
  }
  if (has(situation, "transfers") && role.transfer === null) {
    for (const target of core.membership.voters) {
      if (target === id) continue;
      const event: CoreEvent = { type: "transferRequested", request: 902, target, nowMs: 1 };
      actions.push(tell(at, `transfer ${id} ${target}`, event, "transfers"));
    }
  } else if (role.transfer !== null) {
    actions.push(
      tell(at, `transfer ${id} ends`, { type: "timerFired", timer: "transfer", nowMs: 1 }),
    );
  }
}

function propose(number: number): CoreEvent {
  const body = number === 0 ? emptyBody : Uint8Array.of(64 + number);
  return {
    ...{ type: "commandProposed", request: 903, kind: "command", session: 0 },
    ...{ sequence: number, lowestOutstanding: 0, timeMs: 0, body },
  };
}

function nameOfChange(change: MembershipChange): string {
  return `${change.type} ${change.type === "remove" ? change.id : change.member.id}`;
}
