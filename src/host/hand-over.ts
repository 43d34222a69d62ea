/** Leaders that are about to go hand their leadership over, if somebody can take it soon. */
import { readStatus } from "../core/index.js";
import type { MemberId } from "../core/types.js";
import { messageOf, RaftError } from "../errors.js";
import { askAdmin } from "./asking.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/** Longer than that nobody wants to wait for an orderly end. */
const mostMs = 1000;
/** Between two tries. */
const pauseMs = 20;

/** Resolves when it is done or hopeless; never rejects. */
export async function handOver(
  context: HostContext,
  groups: readonly HostedGroup[],
): Promise<void> {
  // A second request would take the first one back, and end the member that waits for it.
  await Promise.all(groups.map((group) => (group.handingOver ??= handOverOne(context, group))));
}

async function handOverOne(context: HostContext, group: HostedGroup): Promise<void> {
  const withinMs = Math.min(mostMs, group.member.electionTimeoutMs);
  let over = false;
  let giveUp: () => void = () => undefined;
  const tooLong = new Promise<void>((resolve) => (giveUp = resolve));
  const timer = context.clock.after(withinMs, giveUp);
  await Promise.race([transfer(context, group, () => over), tooLong]);
  over = true;
  timer.cancel();
}

/** Asks again while a membership change is under way, which is soon done: a newcomer votes, a member has moved. */
async function transfer(
  context: HostContext,
  group: HostedGroup,
  isOver: () => boolean,
): Promise<void> {
  const { clock, logger, id } = context;
  for (;;) {
    const target = bestSuccessor(group);
    if (target === null || isOver()) return;
    try {
      await askAdmin(group, "transfer", { id: target });
      return;
    } catch (error) {
      if (!(error instanceof RaftError && error.code === "uncommittedMembershipChange")) {
        const line = `host ${id} could not hand over group "${group.name}": ${messageOf(error)}`;
        return logger.info({ host: id, group: group.name, to: target }, line);
      }
    }
    await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
  }
}

/** The voter that answers and has most of the log, or null. */
function bestSuccessor(group: HostedGroup): MemberId | null {
  if (group.ended !== null || group.member.role !== "leader") return null;
  let best: MemberId | null = null;
  let bestMatch = -1;
  for (const member of readStatus(group.member.replica.core).members) {
    if (member.id === group.member.id || member.state !== "voter") continue;
    if (member.unresponsive !== false) continue;
    const match = member.matchIndex ?? 0;
    if (match <= bestMatch) continue;
    best = member.id;
    bestMatch = match;
  }
  return best;
}
