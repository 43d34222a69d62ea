/**
 * Explicit-state search over real cores: from a start, everything that may happen within the bounds,
 * breadth first, so that what is found wrong comes with a shortest way to it.
 *
 * Nodes and messages are interned and what an action does to a node is computed once, so a state is a
 * handful of numbers. States that differ by the names of members alone count as one.
 */
import { checkCluster } from "../core/index.js";
import type { MemberId, MembershipChange } from "../core/types.js";
import { type Action, type Bounds, listActions } from "./explorer-actions.js";
import { dropReads, type Ghost, keyOfGhost, observe, openRead, use } from "./explorer-ghost.js";
import { keyOfLetter, keyOfNode } from "./explorer-key.js";
import type { Letter, Node, NodeOptions, Outcome } from "./explorer-node.js";
import { isSpent } from "./explorer-prune.js";
import { showEffect } from "./explorer-show.js";
import { Interner, renamings } from "./explorer-symmetry.js";
import { StateTable } from "./explorer-table.js";

export type Setup = {
  readonly name: string;
  readonly options: NodeOptions;
  readonly bounds: Bounds;
  readonly changes: readonly MembershipChange[];
  /** The members at the start, with what they know. */
  readonly start: readonly Node[];
  readonly ghost: Ghost;
  /** Messages that can do nothing any more stay in the bag: for deliberate mistakes. */
  readonly keepsSpent: boolean;
  /** Who may be taken for one another; others keep their names. */
  readonly alike: readonly MemberId[];
};

export type Limits = {
  readonly maxStates: number;
  /** Called now and then; false ends the search. */
  readonly goOn: (progress: Progress) => boolean;
};
export type Progress = {
  readonly states: number;
  readonly depth: number;
  /** Found at the depth that is looked at next. */
  readonly waiting: number;
};

export type Report = {
  readonly name: string;
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** Every state within the bounds was looked at. */
  readonly finished: boolean;
  readonly violation: {
    readonly what: readonly string[];
    readonly trace: readonly string[];
  } | null;
};

/** Numbers of interned things. */
type State = {
  readonly nodes: readonly number[];
  readonly letters: readonly number[];
  readonly ghost: number;
};
type Numbered = { readonly state: State; readonly number: number };
type Kept = {
  readonly node: number;
  readonly sent: readonly number[];
  readonly outcome: Outcome;
};
type Successor = {
  readonly state: State;
  readonly action: Action;
  readonly outcome: Outcome;
  readonly violations: readonly string[];
};
/** What is wrong, and the choices that lead there. */
type Found = { readonly what: readonly string[]; readonly way: readonly number[] };

export class Explorer {
  readonly #setup: Setup;
  readonly #nodes: Interner<Node>;
  readonly #letters: Interner<Letter>;
  readonly #ghosts: Interner<Ghost>;
  readonly #outcomes = new Map<string, Kept>();
  readonly #table = new StateTable();
  transitions = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
    const ids = setup.start.map(({ id }) => id);
    const names = renamings(ids, setup.alike);
    this.#nodes = new Interner(names, keyOfNode);
    this.#letters = new Interner(names, keyOfLetter);
    this.#ghosts = new Interner(names, keyOfGhost);
  }

  explore(limits: Limits): Report {
    const first = this.#start();
    this.#table.add(this.#hash(first), 0, 0);
    let frontier: Numbered[] = [{ state: first, number: 0 }];
    let depth = 0;
    const wrong = this.#check(first);
    let found: Found | null = wrong.length > 0 ? { what: wrong, way: [] } : null;
    let goesOn = true;
    while (frontier.length > 0 && found === null && goesOn) {
      const next: Numbered[] = [];
      for (const { state, number } of frontier) {
        found = this.#expand(state, number, next);
        const { size: states } = this.#table;
        goesOn = states < limits.maxStates && limits.goOn({ states, depth, waiting: next.length });
        if (found !== null || !goesOn) break;
      }
      frontier = next;
      if (next.length > 0) depth += 1;
    }
    return {
      name: this.#setup.name,
      states: this.#table.size,
      transitions: this.transitions,
      depth: found?.way.length ?? depth,
      finished: goesOn && found === null,
      violation: found === null ? null : { what: found.what, trace: this.#tell(found.way) },
    };
  }

  /** Puts the successors that are new into `next`, or returns what is wrong with one. */
  #expand(state: State, number: number, next: Numbered[]): Found | null {
    const successors = this.#successors(state);
    for (let choice = 0; choice < successors.length; choice++) {
      const { state: successor, violations } = successors[choice]!;
      this.transitions += 1;
      const known = this.#table.add(this.#hash(successor), number, choice);
      const what = violations.length > 0 || known < 0 ? violations : this.#check(successor);
      if (what.length > 0) return { what, way: [...this.#table.wayTo(number), choice] };
      if (known >= 0) next.push({ state: successor, number: known });
    }
    return null;
  }

  #start(): State {
    const { start, ghost } = this.#setup;
    const nodes = start.map((node) => this.#nodes.intern(node));
    return { nodes, letters: [], ghost: this.#ghosts.intern(ghost) };
  }

  #hash({ nodes, letters, ghost }: State) {
    return this.#nodes.hash(nodes, [
      { interner: this.#letters, numbers: letters },
      { interner: this.#ghosts, numbers: [ghost] },
    ]);
  }

  #check({ nodes }: State): string[] {
    return checkCluster(nodes.map((number) => this.#nodes.get(number).core));
  }

  #successors(state: State): Successor[] {
    const nodes = state.nodes.map((number) => this.#nodes.get(number));
    const letters = state.letters.map((number) => this.#letters.get(number));
    const ghost = this.#ghosts.get(state.ghost);
    const { bounds, changes: asked } = this.#setup;
    const { keepsSpent, options } = this.#setup;
    const { silence } = options;
    const successors: Successor[] = [];
    for (const action of listActions({ nodes, letters, ghost, bounds, changes: asked, silence })) {
      const { node, sent, outcome } = this.#outcome(state.nodes[action.at]!, action);
      const found: string[] = [];
      const after = this.#ghosts.intern(observeAction(ghost, action, outcome, found));
      const violations = outcome.violations.length > 0 ? [...outcome.violations, ...found] : found;
      // What changes nothing but that a message is gone: that one may as well stay, and be lost later.
      const changes = node !== state.nodes[action.at] || sent.length > 0 || after !== state.ghost;
      if (!changes && violations.length === 0) continue;
      const moved = state.nodes.slice();
      moved[action.at] = node;
      const taken = action.takes === null ? -1 : this.#letters.intern(action.takes);
      const all = merge(state.letters, taken, sent);
      const bag = keepsSpent ? all : this.#live(all, moved);
      for (const left of choose(bag, bounds.messages)) {
        const successor = { nodes: moved, letters: left, ghost: after };
        successors.push({ state: successor, action, outcome, violations });
      }
    }
    return successors;
  }

  /** Without those that can do nothing any more. */
  #live(letters: readonly number[], nodes: readonly number[]): readonly number[] {
    const { start } = this.#setup;
    return letters.filter((number) => {
      const letter = this.#letters.get(number);
      const at = start.findIndex(({ id }) => id === letter.to);
      return !isSpent(letter, this.#nodes.get(nodes[at]!));
    });
  }

  #outcome(node: number, action: Action): Kept {
    const about = action.about === null ? "" : this.#letters.intern(action.about);
    const key = `${node} ${about} ${action.name}`;
    const known = this.#outcomes.get(key);
    if (known !== undefined) return known;
    const outcome = action.run(this.#nodes.get(node), this.#setup.options);
    const { start, bounds } = this.#setup;
    const sent = outcome.sent
      .filter(({ to, message }) => {
        return start.some(({ id }) => id === to) && (bounds.preVotes || message.type !== "preVote");
      })
      .map((letter) => this.#letters.intern(letter));
    const kept: Kept = { node: this.#nodes.intern(outcome.node), sent, outcome };
    this.#outcomes.set(key, kept);
    return kept;
  }

  /** A way in the words of the scenario files. */
  #tell(way: readonly number[]): readonly string[] {
    const trace: string[] = [];
    let state = this.#start();
    for (const choice of way) {
      const { action, outcome, state: after } = this.#successors(state)[choice]!;
      trace.push(action.name);
      for (const effect of outcome.effects) {
        if (effect.type === "setTimer" || effect.type === "cancelTimer") continue;
        trace.push(`    ${showEffect(outcome.node.id, effect, (request) => `#${request}`)}`);
      }
      state = after;
    }
    return trace;
  }
}

/** What an onlooker knows after an action. */
export function observeAction(
  ghost: Ghost,
  { uses }: Action,
  outcome: Outcome,
  violations: string[],
): Ghost {
  const { id } = outcome.node;
  let before = ghost;
  if (uses === "reads") before = openRead(ghost, id);
  else if (uses === "crashes") before = dropReads(use(ghost, uses), id);
  else if (uses !== null) before = use(ghost, uses);
  return observe(before, outcome, violations);
}

/** The messages on their way, each once, in the order of their numbers. */
function merge(letters: readonly number[], taken: number, sent: readonly number[]): number[] {
  const bag: number[] = [];
  for (const letter of letters) if (letter !== taken) bag.push(letter);
  for (const letter of sent) if (!bag.includes(letter)) bag.push(letter);
  return bag.sort((a, b) => a - b);
}

/** All ways to keep at most `limit` of the messages: the others are lost. */
function choose(bag: readonly number[], limit: number): (readonly number[])[] {
  if (bag.length <= limit) return [bag];
  const kept: number[][] = [];
  const pick = (from: number, chosen: number[]): void => {
    if (chosen.length === limit) return void kept.push(chosen);
    for (let at = from; at <= bag.length - (limit - chosen.length); at++) {
      pick(at + 1, [...chosen, bag[at]!]);
    }
  };
  pick(0, []);
  return kept;
}
export function explore(setup: Setup, limits: Limits): Report {
  return new Explorer(setup).explore(limits);
}
