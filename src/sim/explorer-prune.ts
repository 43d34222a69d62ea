/**
 * Messages that can do nothing any more, by the rules that every core keeps: a reply of an older term,
 * or to a role that will not come back in that term, is ignored. What is durable counts, because a
 * crash takes the rest back. Searches for deliberate mistakes keep all of them.
 */
import type { Letter, Node } from "./explorer-node.js";

export function isSpent({ message }: Letter, { core, disk }: Node): boolean {
  const durableTerm = disk.hardState?.currentTerm ?? 0;
  const { role, currentTerm } = core;
  if (message.term > durableTerm) return false;
  switch (message.type) {
    case "requestVoteReply":
      return role.type !== "candidate" || message.term < currentTerm;
    case "appendEntriesReply":
    case "installSnapshotReply":
      return role.type !== "leader" || message.term < currentTerm;
    case "preVoteReply":
      return message.requestTerm <= durableTerm;
    // Its sender may say it again at any time, if it still leads; if not, the answer is spent.
    case "appendEntries":
    case "installSnapshot":
    case "timeoutNow":
      return message.term < durableTerm;
    case "requestVote":
    case "preVote":
    case "readIndex":
    case "readIndexReply":
    case "compareHashes":
      return false;
    default:
      return message satisfies never;
  }
}
