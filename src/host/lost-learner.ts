/**
 * A learner that was taken out of the group while it could not hear of it. A voter campaigns and is
 * told; a learner campaigns never, and nobody sends to it any more. So it asks.
 */
import { createGroupClient } from "../client/client.js";
import type { GroupStatus } from "../client/types.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/** Silence of so many election timeouts, but of a second at least, is more than a hiccup. */
const silentTimeouts = 4;
const leastSilenceMs = 1000;
const askTimeoutMs = 2000;

/** A learner that hears of nobody, and is not just asking already. */
export function isLost(group: HostedGroup, nowMs: number): boolean {
  const { member } = group;
  if (member.role !== "learner" || group.ended !== null || group.asking) return false;
  const patienceMs = Math.max(leastSilenceMs, silentTimeouts * member.electionTimeoutMs);
  return nowMs - member.lastHeardMs >= patienceMs;
}

/** Ends the member if the leader says that it does not know it. Never rejects. */
export async function askWhetherRemoved(context: HostContext, group: HostedGroup): Promise<void> {
  const { member } = group;
  const hosts = new Set(group.joinedThrough);
  for (const { id } of member.membership.members) {
    const address = member.addressOf(id);
    if (id !== member.id && address !== null) hosts.add(address);
  }
  hosts.delete(context.address);
  if (hosts.size === 0) return;
  group.asking = true;
  const client = createGroupClient({
    definition: null,
    group: group.name,
    hosts: [...hosts],
    dial: (address, handlers) => context.transport.dial(address, handlers),
    clock: context.clock,
    random: context.random,
    codec: context.codec,
    logger: context.logger,
  });
  try {
    const options = { leader: true, timeoutMs: askTimeoutMs };
    const status = (await client.admin("status", null, options)) as GroupStatus;
    const sameGroup = status.groupId === member.groupId && status.role === "leader";
    const isNamed = status.members.some(({ id }) => id === member.id);
    if (sameGroup && !isNamed) member.removedUnheard();
  } catch (error) {
    const { logger, id } = context;
    const line = `host ${id}: learner ${member.id} of group "${group.name}" hears of nobody`;
    logger.info({ host: id, group: group.name, err: error }, `${line}: ${String(error)}`);
  } finally {
    group.asking = false;
    await client.close();
  }
}
