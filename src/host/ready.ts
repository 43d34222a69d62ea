/** Waiting until a member can be used. */
import { RaftError } from "../errors.js";
import { lastIndex } from "../core/log.js";
import type { TimerHandle } from "../ports.js";
import { answerTo } from "./asking.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/** How often a member that waits for a leader asks again. */
const askEveryMs = 20;

/**
 * Resolves once the membership in force names the member, it has applied everything that was committed
 * when it asked, as a linearizable query would be answered, and it is a voter: until then the group
 * lives without it, and whoever stops the next host may stop the group. When nothing has moved for
 * `patienceMs` it rejects, unless the member is named: then others count on it, maybe as a voter, and
 * giving it up would be a loss to them. Rejects also when the member ends, or `signal` fires.
 */
export function becomeReady(
  context: HostContext,
  group: HostedGroup,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { clock } = context;
    let timer: TimerHandle | null = null;
    let asked = false;
    let caughtUp = false;
    let seen = progressOf(group);
    let seenAtMs = clock.nowMs();
    const settle = (error: Error | null): void => {
      timer?.cancel();
      group.watchers.delete(attempt);
      signal.removeEventListener("abort", attempt);
      if (error === null) resolve();
      else reject(error);
    };
    const attempt = (): void => {
      if (signal.aborted) return settle(signal.reason as Error);
      if (group.ended !== null) return settle(group.ended.error ?? endedError(group));
      if (caughtUp) return isVoter(group) ? settle(null) : undefined;
      if (asked || !isNamed(group)) return;
      asked = true;
      const sink = answerTo((error) => {
        asked = false;
        if (error !== null) return;
        caughtUp = true;
        seenAtMs = clock.nowMs();
        attempt();
      });
      group.member.barrier(sink, 0);
    };
    const tick = (): void => {
      const progress = progressOf(group);
      const nowMs = clock.nowMs();
      if (progress !== seen && !caughtUp) {
        seen = progress;
        seenAtMs = nowMs;
      } else if (nowMs - seenAtMs >= patienceMs) {
        if (!isNamed(group)) return settle(stuckError(group, patienceMs));
        warnOfSilence(
          context,
          group,
          caughtUp ? "is no voter yet, after" : "could not catch up for",
          patienceMs,
        );
        return settle(null);
      }
      timer = clock.after(askEveryMs, tick);
      attempt();
    };
    group.watchers.add(attempt);
    signal.addEventListener("abort", attempt);
    tick();
  });
}

/** The membership in force here names the member: it was taken in. */
export function isNamed(group: HostedGroup): boolean {
  return group.member.membership.members.some((member) => member.id === group.member.id);
}

/** As if the change that made it one were behind: its predecessor does not count any more. */
function isVoter({ member }: HostedGroup): boolean {
  const { voters, outgoing } = member.membership;
  return outgoing.length === 0 && voters.includes(member.id);
}

/** Changes whenever the member has got on. */
function progressOf(group: HostedGroup): string {
  const { core } = group.member.replica;
  return `${core.lastApplied} ${lastIndex(core.log)} ${core.incoming?.heldBytes ?? 0}`;
}

function endedError(group: HostedGroup): RaftError {
  const why = `member ${group.member.id} of group "${group.name}" was closed before it was ready`;
  return new RaftError("closed", why);
}

function stuckError(group: HostedGroup, patienceMs: number): RaftError {
  const { member, name } = group;
  return new RaftError(
    "timeout",
    `member ${member.id} of group "${name}" got no further for ${patienceMs} ms: ${whyStuck(group)}`,
    { applied: "maybe" },
  );
}

/** As far as it can be told from here: why storage takes nothing is in the log. */
function whyStuck({ member }: HostedGroup): string {
  const { currentTerm, incoming } = member.replica.core;
  const leader = member.leader ?? "a leader";
  if (incoming !== null) {
    const { heldBytes, meta } = incoming;
    return (
      `${leader} sends it a snapshot of ${meta.sizeBytes} bytes, of which ${heldBytes} are stored; ` +
      `has its storage room for the rest? the host's log says more`
    );
  }
  // What a newcomer knows of terms it has from a leader.
  if (currentTerm === 0) {
    return "no leader has contacted it; can the members reach its address?";
  }
  return `${leader} has contacted it, but nothing that names it has come; the logs of both hosts may say why`;
}

function warnOfSilence(
  { logger, id }: HostContext,
  group: HostedGroup,
  what: string,
  patienceMs: number,
): void {
  const { member, name } = group;
  const line =
    `host ${id}: member ${member.id} of group "${name}" is in the group, but ${what} ` +
    `${patienceMs} ms; its leader is ${member.leader ?? "not known"}`;
  logger.warn({ host: id, group: name }, line);
}
