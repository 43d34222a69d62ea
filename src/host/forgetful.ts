/**
 * A follower that has forgotten what it acknowledged: its directory is an older copy, or its disk gave up what it had
 * synced. The leader counts on those entries and passes over what it refuses below them (hazard 26), so that it gets
 * nothing more, and nobody would say why.
 */
import { findPeer } from "../core/progress.js";
import type { AppendEntriesReply, MemberId, Millis } from "../core/types.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

export class Forgetful {
  /** Who refuses entries below those that it acknowledged, and since when. */
  readonly #since = new Map<MemberId, Millis>();

  /** With every reply to entries. */
  note(context: HostContext, group: HostedGroup, from: MemberId, reply: AppendEntriesReply): void {
    if (reply.success) {
      if (this.#since.size > 0) this.#since.delete(from);
      return;
    }
    const { core } = group.member.replica;
    const { role, currentTerm, config } = core;
    if (role.type !== "leader" || reply.term !== currentTerm) return void this.#since.clear();
    const matchIndex = findPeer(role, from)?.matchIndex ?? 0;
    // One of 0 shows only that it is there.
    if (reply.matchIndex === 0 || reply.matchIndex > matchIndex) return;
    const nowMs = context.clock.nowMs();
    const sinceMs = this.#since.get(from);
    if (sinceMs === undefined) this.#since.set(from, nowMs);
    // A late answer says it once, and one that was sent since then says it again and again.
    else if (nowMs - sinceMs >= config.electionTimeoutMs) warn(context, group, from, matchIndex);
  }
}

function warn(
  { rateLimit, logger, id }: HostContext,
  { name }: HostedGroup,
  member: MemberId,
  matchIndex: number,
): void {
  if (!rateLimit.admits(`forgetful ${name} ${member}`)) return;
  logger.warn(
    { host: id, group: name, member, matchIndex },
    `host ${id}: member ${member} of group "${name}" has acknowledged entries up to ${matchIndex} and does not ` +
      "have them any more: is its directory an older copy, or did its disk lose them? It gets nothing more " +
      "from here; start its host with an empty directory, to join as a new member",
  );
}
