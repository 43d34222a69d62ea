/**
 * Deliberate mistakes, made from outside of an unchanged core: what it is told, what it says or what it
 * remembers is twisted. Whoever searches has to find each of them.
 */
import { lastIndex } from "../core/log.js";
import type { Tamper } from "./explorer-node.js";
import type { Bounds } from "./explorer-actions.js";

export type Mistake = {
  readonly name: string;
  readonly hazard: number;
  /** The configuration in which it shows, and bounds that suffice. */
  readonly setup: string;
  readonly bounds: Partial<Bounds>;
  readonly tamper: Tamper;
};

export const mistakes: readonly Mistake[] = Object.freeze([
  {
    ...{ name: "acknowledges entries before they are stored", hazard: 32 },
    ...{ setup: "late storage", bounds: { terms: 3, crashes: 0 } },
    tamper: {
      effects({ role }, out) {
        for (const [at, effect] of out.entries()) {
          if (effect.type !== "send" || effect.message.type !== "appendEntriesReply") continue;
          if (!effect.message.success || !("matchedIndex" in role)) continue;
          const message = { ...effect.message, matchIndex: role.matchedIndex };
          out[at] = { ...effect, message };
        }
      },
    },
  },
  {
    ...{ name: "counts a vote of an older term", hazard: 5 },
    ...{ setup: "campaigns", bounds: { crashes: 0, messages: 3 } },
    tamper: {
      event({ currentTerm: term }, event) {
        if (event.type !== "messageReceived" || event.message.type !== "requestVoteReply")
          return event;
        return {
          ...event,
          message: { ...event.message, term: Math.max(term, event.message.term) },
        };
      },
    },
  },
  {
    ...{ name: "forgets its vote in a crash", hazard: 2 },
    ...{ setup: "elections", bounds: { preVotes: false, crashes: 1 } },
    tamper: {
      restart: (disk) => ({
        ...disk,
        hardState: disk.hardState === null ? null : { ...disk.hardState, votedFor: null },
      }),
    },
  },
  {
    ...{ name: "commits an entry of an older term by counting", hazard: 19 },
    ...{ setup: "older terms", bounds: {} },
    tamper: {
      core({ role }) {
        if (role.type === "leader") role.termStartIndex = 0;
      },
    },
  },
  {
    ...{ name: "counts more than an acknowledgement says", hazard: 24 },
    ...{ setup: "replication", bounds: {} },
    tamper: {
      event({ log }, event) {
        if (event.type !== "messageReceived" || event.message.type !== "appendEntriesReply")
          return event;
        if (!event.message.success) return event;
        const matchIndex = lastIndex(log);
        return { ...event, message: { ...event.message, matchIndex } };
      },
    },
  },
  {
    ...{ name: "answers a read without asking whether it still leads", hazard: 39 },
    ...{ setup: "reads", bounds: { crashes: 0 } },
    tamper: {
      core({ role }) {
        if (role.type === "leader") for (const peer of role.peers) peer.ackedRound = 1e9;
      },
    },
  },
  {
    ...{ name: "sends a vote before it is stored", hazard: 1 },
    ...{ setup: "elections", bounds: { preVotes: false, crashes: 0 } },
    tamper: {
      core({ disk }) {
        for (const vote of disk.heldVotes) vote.ticket = 0;
      },
    },
  },
]);
