/**
 * A newcomer becomes a voter when it has caught up (hazard 69): at the least it then has the entry that took it in, as it
 * had to tell the leader itself. Without that nobody waits in vain, so no other check here would miss it.
 */
import { specialEntries } from "../core/log.js";
import { findPeer } from "../core/progress.js";
import { isLearner, isMember } from "../core/quorum.js";
import type { Core } from "../core/state.js";
import type { LogIndex, MemberId, Membership } from "../core/types.js";
import type { Violate } from "./oracles.js";

export class PromotionOracle {
  readonly #group: string;
  readonly #violate: Violate;
  /** Up to where the memberships of a leader were looked at. */
  readonly #seen = new WeakMap<Core, LogIndex>();

  constructor(group: string, violate: Violate) {
    this.#group = group;
    this.#violate = violate;
  }

  look(core: Core): void {
    const { role, membership, membershipIndex } = core;
    if (role.type !== "leader" || this.#seen.get(core) === membershipIndex) return;
    this.#seen.set(core, membershipIndex);
    if (membershipIndex < role.termStartIndex || membership.outgoing.length === 0) return;
    for (const id of membership.voters) {
      if (membership.outgoing.includes(id)) continue;
      const addedAt = takenInAt(core, id);
      const matchIndex = findPeer(role, id)?.matchIndex ?? 0;
      if (matchIndex >= addedAt) continue;
      this.#violate(
        `group ${this.#group}: ${core.self.id} makes ${id} a voter, which has told it of no entry behind ` +
          `${matchIndex} and was taken in by ${addedAt}`,
      );
    }
  }
}

/** The last entry that made it a learner of a stranger; 0: that is not in the log any more. */
function takenInAt({ log, membershipIndex }: Core, id: MemberId): LogIndex {
  let addedAt = 0;
  let before: Membership | null = null;
  for (const { kind, index, payload } of specialEntries(log)) {
    if (kind !== "membership" || index >= membershipIndex) continue;
    const membership = payload as Membership;
    if (before !== null && !isMember(before, id) && isLearner(membership, id)) addedAt = index;
    before = membership;
  }
  return addedAt;
}
