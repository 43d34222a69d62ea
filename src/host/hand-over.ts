/** Leaders that are about to go hand their leadership over, if somebody can take it soon. */
import { readStatus } from "../core/index.js";
import type { MemberId } from "../core/types.js";
import { messageOf, RaftError } from "../errors.js";
import { askAdmin } from "./asking.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/** Longer than that nobody wants to wait for an orderly end. */
const mostMs = 1000;
/** Between two tries, or two looks. */
const pauseMs = 20;

/** Resolves when it is done or hopeless; never rejects. */
export async function handOver(
  context: HostContext,
  groups: readonly HostedGroup[],
): Promise<void> {
  // A second request would take the first one back, and end the member that waits for it.
  await Promise.all(groups.map((group) => (group.handingOver ??= handOverOne(context, group))));
}

/**
 * Asks again while a membership change is under way, which is soon done: a newcomer votes, a member has moved. And asks
 * another one when the connection to the first is gone: its host may be closing like ours.
 */
async function handOverOne(context: HostContext, group: HostedGroup): Promise<void> {
  const { clock } = context;
  const untilMs = clock.nowMs() + Math.min(mostMs, group.member.electionTimeoutMs);
  const leftMs = (): number => untilMs - clock.nowMs();
  const pause = (): Promise<void> =>
    new Promise((resolve) => void clock.after(Math.min(pauseMs, leftMs()), resolve));
  for (;;) {
    const target = bestSuccessor(group);
    if (target === null || leftMs() <= 0) return;
    let outcome: Outcome | null = null;
    const asked = ask(context, group, target).then((given) => {
      outcome = given;
    });
    do await Promise.race([asked, pause()]);
    while (outcome === null && leftMs() > 0 && isConnected(group, target));
    if (outcome === "ended") return;
    if (outcome === "pending") await pause();
  }
}

/** `pending`: a membership change is in the way. */
type Outcome = "ended" | "pending";

async function ask(context: HostContext, group: HostedGroup, target: MemberId): Promise<Outcome> {
  try {
    await askAdmin(group, "transfer", { id: target });
  } catch (error) {
    if (error instanceof RaftError && error.code === "uncommittedMembershipChange") {
      return "pending";
    }
    const { logger, id } = context;
    const line = `host ${id} could not hand over group "${group.name}": ${messageOf(error)}`;
    logger.info({ host: id, group: group.name, to: target }, line);
  }
  return "ended";
}

function isConnected(group: HostedGroup, to: MemberId): boolean {
  return (group.channelTo(to)?.openedOn ?? null) !== null;
}

/** The voter that answers, is connected, and has most of the log, or null. */
function bestSuccessor(group: HostedGroup): MemberId | null {
  if (group.ended !== null || group.member.role !== "leader") return null;
  let best: MemberId | null = null;
  let bestMatch = -1;
  for (const member of readStatus(group.member.replica.core).members) {
    if (member.id === group.member.id || member.state !== "voter") continue;
    if (member.unresponsive !== false || !isConnected(group, member.id)) continue;
    const match = member.matchIndex ?? 0;
    if (match <= bestMatch) continue;
    best = member.id;
    bestMatch = match;
  }
  return best;
}
