/**
 * What an idle group's members say to each other all the time is that they are there. A host with a
 * thousand idle groups hears it ten thousand times a second, so it is worth to know it at a glance. A
 * busy leader hears much of the kind as well: whoever acknowledges after the quorum changes nothing.
 */
import { storedByQuorum } from "./commit.js";
import { lastIndex } from "./log.js";
import { findPeer } from "./progress.js";
import type { Core, LeaderRole, Peer } from "./state.js";
import type { LogIndex, MemberId, Message } from "./types.js";

/**
 * True: to `step` this message is to note when its sender was heard, and a `flush` after it would find
 * nothing to do. The shell may step it at once, between two turns, and let no turn follow.
 *
 * An acknowledgement with which no more is committed than before and nothing waits to be sent, while no
 * read waits for an echo and no learner for its promotion. The random walk of the tests holds it against
 * what `flush` does.
 */
export function isSignOfLife(core: Core, from: MemberId, message: Message): boolean {
  const { role } = core;
  if (message.type !== "appendEntriesReply") return false;
  // A change of membership may have made more committed than the last turn knew.
  if (role.type !== "leader" || role.matchChanged) return false;
  if (!message.success || message.term !== core.currentTerm) return false;
  const peer = findPeer(role, from);
  if (peer === null || peer.mode !== "replicate") return false;
  if (message.matchIndex > peer.matchIndex && isNews(core, role, peer, message.matchIndex)) {
    return false;
  }
  const { rounds, pendingReads, pendingRemoteReads } = role;
  const reads = rounds.length + pendingReads.length + pendingRemoteReads.length;
  return reads === 0 && core.membership.learners.length === 0;
}

/** Whether something follows from it that this peer has stored up to `matchIndex`, more than it had. */
function isNews(core: Core, role: LeaderRole, peer: Peer, matchIndex: LogIndex): boolean {
  // It makes room for more, or is to lead once it has everything.
  if (peer.nextIndex <= lastIndex(core.log) || role.transfer !== null) return true;
  const reached = storedByQuorum(core, role, (one) => (one === peer ? matchIndex : one.matchIndex));
  return reached > core.commitIndex;
}
