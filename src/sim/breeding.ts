/**
 * Messages must not breed messages (hazard 96): a member asks the same of another again when a timer
 * says so, and not because an answer came. So within an election timeout nothing is said much more
 * often than there are heartbeats.
 */
import { validateGroupConfig } from "../core/config.js";
import type { Message, Millis } from "../core/types.js";
import type { GroupPlan } from "./machine.js";
import type { Violate } from "./oracles.js";
import type { Channel } from "./sent-messages.js";

/** Beside heartbeats there are other reasons: broken connections, changes of roles. */
const allowance = 20;

type Limits = { readonly windowMs: Millis; readonly most: number };
type Said = { readonly sinceMs: Millis; times: number };

export class BreedingOracle {
  readonly #limits: ReadonlyMap<string, Limits>;
  readonly #longestMs: Millis;
  readonly #violate: Violate;
  readonly #said = new Map<string, Said>();
  #tidiedMs: Millis = 0;

  constructor(plans: readonly GroupPlan[], violate: Violate) {
    this.#limits = new Map(plans.map(({ name, config }) => [name, limitsOf(config)]));
    this.#longestMs = Math.max(...[...this.#limits.values()].map(({ windowMs }) => windowMs));
    this.#violate = violate;
  }

  /** A message is handed to the network. */
  sent({ group, from, to }: Channel, message: Message, nowMs: Millis): void {
    const question = questionOf(message);
    const limits = this.#limits.get(group);
    if (question === null || limits === undefined) return;
    const key = `group ${group}: ${from} to ${to}: ${question}`;
    const said = this.#said.get(key);
    if (said === undefined || nowMs - said.sinceMs > limits.windowMs) {
      this.#said.set(key, { sinceMs: nowMs, times: 1 });
      this.#tidy(nowMs);
      return;
    }
    said.times += 1;
    if (said.times > limits.most) {
      this.#violate(`${key}: ${said.times} times within ${nowMs - said.sinceMs} ms`);
    }
  }

  #tidy(nowMs: Millis): void {
    if (nowMs - this.#tidiedMs < this.#longestMs) return;
    this.#tidiedMs = nowMs;
    for (const [key, { sinceMs }] of this.#said) {
      if (nowMs - sinceMs > this.#longestMs) this.#said.delete(key);
    }
  }
}

function limitsOf(change: GroupPlan["config"]): Limits {
  const { heartbeatMs, electionTimeoutMs } = validateGroupConfig(change);
  const beats = Math.ceil(electionTimeoutMs / heartbeatMs);
  return { windowMs: electionTimeoutMs, most: 2 * beats + allowance };
}

/** The same text for the same question, whenever it is asked; null: it is an answer. */
function questionOf(message: Message): string | null {
  switch (message.type) {
    case "appendEntries": {
      const { term, prevLogIndex, entries, commitIndex, round } = message;
      return `append ${term}: ${prevLogIndex}+${entries.length} ${commitIndex} ${round}`;
    }
    case "installSnapshot":
      return `install ${message.term}: ${message.snapshot.index} ${message.offset}`;
    case "preVote":
    case "requestVote":
      return `${message.type} ${message.term}`;
    case "readIndex":
      return `read ${message.term}: ${message.batch}`;
    case "timeoutNow":
      return `timeoutNow ${message.term}`;
    case "appendEntriesReply":
    case "installSnapshotReply":
    case "preVoteReply":
    case "requestVoteReply":
    case "readIndexReply":
    case "compareHashes":
      return null;
    default:
      return message satisfies never;
  }
}
