/**
 * Members that are out of touch with their group, looked through with every tick of the host.
 *
 * - One that came back at another address than its group has in its log says so, to its leader (decision 38).
 * - One that hears of no leader asks at the addresses that it was told to join, and where it knows the others: who answers
 *   may have moved, like itself, or know who has. It asks the leader besides where it is looked for, and a learner whether it
 *   is a member still: a voter campaigns and is told; a learner never does, and nobody sends to it once it was taken out.
 */
import type { GroupStatus } from "../client/types.js";
import { messageOf } from "../errors.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";
import { askToMove, askWith } from "./join.js";
import { checkToldAddress } from "./remote-names.js";

/** Silence of so many election timeouts, but of a second at least, is more than a hiccup. */
const silentTimeouts = 4;
const leastSilenceMs = 1000;
const askTimeoutMs = 2000;
/** While `host.group` waits for a leader, so that it can tell it. */
const lookEveryMs = 250;
/** Groups that ask at the same time: a host may have thousands, and each call takes connections of its own. */
const maxAsking = 16;
/** A group that asked in vain leaves the others a turn; the pause doubles up to this. */
const maxPauseMs = 5000;

type Question = (context: HostContext, group: HostedGroup) => Promise<void>;

export class OutOfTouch {
  readonly #context: HostContext;
  #asking = 0;
  /** Of groups that are being opened. */
  #looking = 0;

  constructor(context: HostContext) {
    this.#context = context;
  }

  tick(nowMs: number): void {
    const waiting: { readonly group: HostedGroup; readonly question: Question }[] = [];
    for (const group of this.#context.groups.values()) {
      if (group.ended !== null || group.asking || nowMs < group.askAgainMs) continue;
      const question = questionOf(this.#context, group, nowMs);
      if (question !== null) waiting.push({ group, question });
      else group.askPauseMs = 0;
    }
    // Who waits longest first: however many ask in vain, each has its turn.
    waiting.sort((a, b) => a.group.askAgainMs - b.group.askAgainMs);
    const room = maxAsking - this.#asking;
    for (const { group, question } of waiting.slice(0, room)) void this.#ask(group, question);
  }

  async #ask(group: HostedGroup, question: Question): Promise<void> {
    group.asking = true;
    this.#asking += 1;
    try {
      await question(this.#context, group);
    } catch (error) {
      logOutOfTouch(this.#context, group, error);
    } finally {
      this.#asking -= 1;
      group.asking = false;
      group.askAgainMs = this.#context.clock.nowMs() + group.askPauseMs;
      group.askPauseMs = Math.min(maxPauseMs, Math.max(leastSilenceMs, 2 * group.askPauseMs));
    }
  }

  /**
   * What a member that has moved does before it is used: were the next one stopped earlier, to move as well, the two would not
   * find each other. Where no leader is heard for a while, or none takes the address, it is told later (`tick`).
   */
  async settleIn(group: HostedGroup, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const context = this.#context;
    if (!isElsewhere(context, group)) return;
    group.asking = true;
    // Of thousands that open at once nobody asks so often where its log alone has somebody.
    const joined = group.joinedThrough.filter((address) => address !== context.address);
    const look = (): void => {
      if (this.#looking >= maxAsking) return;
      this.#looking += 1;
      lookAround(context, group, joined)
        .catch((error: unknown) => logOutOfTouch(context, group, error))
        .finally(() => (this.#looking -= 1));
    };
    try {
      const patienceMs = Math.min(timeoutMs, patienceOf(group));
      const untilMs = context.clock.nowMs() + patienceMs;
      let isHeard = false;
      // A rest that is no whole millisecond may be too little for a clock to move on by.
      for (let leftMs = patienceMs; !isHeard && leftMs >= 1 && group.ended === null;) {
        // Again and again: who answers knows more of the others a moment later.
        look();
        isHeard = await hearLeader(context, group, Math.min(leftMs, lookEveryMs), signal);
        leftMs = untilMs - context.clock.nowMs();
      }
      if (isHeard) await tellAddress(context, group, timeoutMs, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      logOutOfTouch(context, group, error);
    } finally {
      group.asking = false;
    }
  }
}

/** What there is to ask, if anything. */
function questionOf(context: HostContext, group: HostedGroup, nowMs: number): Question | null {
  if (knowsNoLeader(group, nowMs)) return lookAround;
  return group.member.leader !== null && isElsewhere(context, group) ? tellAddress : null;
}

/** The log has it at another address. */
function isElsewhere({ address }: HostContext, { member }: HostedGroup): boolean {
  return member.membership.members.some((one) => one.id === member.id && one.address !== address);
}

/** Resolves once the group has the member's address in its log. */
async function tellAddress(
  context: HostContext,
  group: HostedGroup,
  timeoutMs = askTimeoutMs,
  signal = new AbortController().signal,
): Promise<void> {
  const addresses = [...othersOf(context, group), context.address];
  await askToMove(context, group, { addresses, timeoutMs, signal });
}

/** False: none for so long, or the member has ended. */
function hearLeader(
  context: HostContext,
  group: HostedGroup,
  patienceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const isHeard = group.member.leader !== null;
      if (signal.aborted) settle(() => reject(signal.reason as Error));
      else if (isHeard || group.ended !== null) settle(() => resolve(isHeard));
    };
    const timer = context.clock.after(patienceMs, () => settle(() => resolve(false)));
    const settle = (answer: () => void): void => {
      timer.cancel();
      group.watchers.delete(look);
      signal.removeEventListener("abort", look);
      answer();
    };
    group.watchers.add(look);
    signal.addEventListener("abort", look);
    look();
  });
}

function logOutOfTouch({ logger, id }: HostContext, group: HostedGroup, error: unknown): void {
  if (group.ended !== null) return;
  const line = `host ${id}: member ${group.member.id} of group "${group.name}" is out of touch`;
  logger.info({ host: id, group: group.name, err: error }, `${line}: ${messageOf(error)}`);
}

/** A learner keeps its leader in silence; others give one up, and may go on to hear of each other. */
function knowsNoLeader(group: HostedGroup, nowMs: number): boolean {
  const { member } = group;
  if (member.groupId === null) return false;
  if (member.role === "learner") return nowMs - member.lastHeardMs >= patienceOf(group);
  if (member.leader !== null) group.leaderSeenMs = nowMs;
  return nowMs - group.leaderSeenMs >= patienceOf(group);
}

function patienceOf({ member }: HostedGroup): number {
  return Math.max(leastSilenceMs, silentTimeouts * member.electionTimeoutMs);
}

/** Others that it was told of, or that its log names. */
function othersOf(context: HostContext, group: HostedGroup): string[] {
  const { member, joinedThrough } = group;
  const addresses = new Set(joinedThrough);
  for (const { id } of member.membership.members) {
    const address = member.addressOf(id);
    if (id !== member.id && address !== null) addresses.add(address);
  }
  addresses.delete(context.address);
  return [...addresses];
}

async function lookAround(
  context: HostContext,
  group: HostedGroup,
  addresses: readonly string[] = othersOf(context, group),
): Promise<void> {
  const asked = addresses.map((address) => {
    return once(group, address, () => meet(context, group, address));
  });
  asked.push(once(group, null, () => askWhetherMissed(context, group)));
  const answers = await Promise.allSettled(asked);
  for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
}

/** Not while it is asking that: the silent ones keep nobody from asking the others again. */
async function once(
  group: HostedGroup,
  what: string | null,
  ask: () => Promise<void>,
): Promise<void> {
  if (group.asked.has(what)) return;
  group.asked.add(what);
  try {
    await ask();
  } finally {
    group.asked.delete(what);
  }
}

/** Who is there now, and where does it know the others? */
async function meet(context: HostContext, group: HostedGroup, address: string): Promise<void> {
  const status = await askStatus(context, group, [address], false);
  const { member } = group;
  if (status.groupId !== member.groupId) return;
  // One whose log ends before our membership knows no better than that where the others are.
  const isBehind = status.lastLogIndex < member.replica.core.membershipIndex;
  let isNews = false;
  for (const { id } of member.membership.members) {
    const told = status.members.find((other) => other.id === id);
    if (told === undefined || id === member.id) continue;
    checkToldAddress(told.address);
    const { announced } = context;
    if (id === status.id) isNews = announced.set(id, told.address) || isNews;
    else if (!isBehind) isNews = announced.suggest(id, told.address) || isNews;
  }
  if (isNews) group.leaderChanged();
}

/**
 * Where the leader looks for it elsewhere it says where it is: a learner never dials by itself, and a voter not one that
 * joined since. Ends a learner if the leader says that it does not know it.
 */
async function askWhetherMissed(context: HostContext, group: HostedGroup): Promise<void> {
  const { member } = group;
  const hosts = othersOf(context, group);
  if (hosts.length === 0) return;
  const status = await askStatus(context, group, hosts, true);
  if (status.groupId !== member.groupId || status.role !== "leader") return;
  // One that stood still leads on in a term that is over, and knows nothing of what others have done since.
  if (status.term < member.replica.core.currentTerm) return;
  const known = status.members.find(({ id }) => id === member.id);
  if (known !== undefined) {
    if (known.address !== context.address) await tellAddress(context, group);
  } else if (member.role === "learner") member.removedUnheard();
}

async function askStatus(
  context: HostContext,
  group: HostedGroup,
  hosts: readonly string[],
  leader: boolean,
): Promise<GroupStatus> {
  const options = { leader, timeoutMs: askTimeoutMs };
  const status = await askWith(context, group, hosts, (client) => {
    return client.admin("status", null, options);
  });
  return status as GroupStatus;
}
