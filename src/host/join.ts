/**
 * How a newcomer gets into a group, and how a member that has moved says so: it asks the leader, over the
 * client's way of finding it.
 */
import { createGroupClient } from "../client/client.js";
import type { Dial } from "../client/link.js";
import type { CallOptions, GroupStatus } from "../client/types.js";
import type { JoinReply, JoinRequest } from "../codec/types.js";
import { messageOf, RaftError, type RaftErrorCode } from "../errors.js";
import type { ConnectionHandlers } from "../ports.js";
import type { HostContext } from "./context.js";
import type { HostedGroup } from "./hosted-group.js";

/** Refusals that say something about a moment. */
const passing: ReadonlySet<RaftErrorCode> = new Set([
  "uncommittedMembershipChange",
  "pendingLeaderChange",
  "notLeader",
  "unavailable",
  "overloaded",
]);
/** Hosts that are just starting serve the group a moment later. */
const unknownGroupPatienceMs = 1000;
const minPauseMs = 25;
const maxPauseMs = 250;

export type JoinOptions = {
  readonly addresses: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

/** The answer of the leader, once the newcomer is a learner by a committed entry. */
export async function askToJoin(
  context: HostContext,
  group: HostedGroup,
  options: JoinOptions,
): Promise<JoinReply> {
  const seen: Seen = { welcomed: false, malformed: new AbortController() };
  const client = createAsker(context, group, options.addresses, (address, handlers) =>
    context.transport.dial(address, watchDial(address, handlers, seen)),
  );
  const request: JoinRequest = {
    memberId: group.member.id,
    address: context.address,
    valueName: group.definition.name,
    valueVersion: group.definition.version,
    compatibleVersions: group.definition.compatibleVersions,
  };
  const signal = AbortSignal.any([options.signal, seen.malformed.signal]);
  const asking = { ...options, signal };
  try {
    const ask = (call: CallOptions) => client.admin("join", request, call);
    return await askUntilTaken(context, client, ask, asking);
  } catch (error) {
    throw explain(error, group.name, asking, seen.welcomed);
  } finally {
    await client.close();
  }
}

/** Resolves once a committed entry has the member at the host's address. */
export async function askToMove(
  context: HostContext,
  group: HostedGroup,
  options: JoinOptions,
): Promise<void> {
  const request = { memberId: group.member.id, address: context.address };
  await askWith(context, group, options.addresses, async (client) => {
    const ask = (call: CallOptions) => client.admin("move", request, call);
    await askUntilTaken(context, client, ask, options);
  });
}

type AskingClient = ReturnType<typeof createAsker>;
type StatusClient = Pick<AskingClient, "status">;

function createAsker(
  context: HostContext,
  group: HostedGroup,
  hosts: readonly string[],
  dial: Dial = context.dial,
) {
  const { clock, random, codec, logger } = context;
  const { name, member } = group;
  return createGroupClient({
    definition: null,
    group: name,
    // Another group of that name may be where one of its members was.
    groupId: member.groupId,
    hosts,
    dial,
    clock,
    random,
    codec,
    logger,
  });
}

/** A question about the group that ends with its member: nobody waits for the answer any more. */
export async function askWith<T>(
  context: HostContext,
  group: HostedGroup,
  hosts: readonly string[],
  ask: (client: AskingClient) => Promise<T>,
): Promise<T> {
  const client = createAsker(context, group, hosts);
  const look = (): void => {
    if (group.ended !== null) void client.close();
  };
  group.watchers.add(look);
  look();
  try {
    return await ask(client);
  } finally {
    group.watchers.delete(look);
    await client.close();
  }
}

async function askUntilTaken<T>(
  context: HostContext,
  client: StatusClient,
  ask: (options: CallOptions) => Promise<T>,
  { timeoutMs, signal }: JoinOptions,
): Promise<T> {
  const { clock, random } = context;
  const beganMs = clock.nowMs();
  let patience: Patience = { term: -1, untilMs: 0 };
  for (;;) {
    const leftMs = beganMs + timeoutMs - clock.nowMs();
    try {
      const call = { timeoutMs: Math.max(1, Math.round(leftMs)), signal };
      return await ask(call);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      if (error.code === "alreadyMember") {
        patience = await patienceFrom(client, clock.nowMs(), patience);
      }
      const untilMs = retryUntilMs(error.code, beganMs, timeoutMs, patience);
      const pauseMs = minPauseMs + random.next() * (maxPauseMs - minPauseMs);
      if (clock.nowMs() + pauseMs >= Math.min(untilMs, beganMs + timeoutMs)) throw error;
      await pause(context, pauseMs, signal);
    }
  }
}

function retryUntilMs(
  code: RaftErrorCode,
  beganMs: number,
  timeoutMs: number,
  patience: Patience,
): number {
  if (passing.has(code)) return beganMs + timeoutMs;
  if (code === "unknownGroup") return beganMs + unknownGroupPatienceMs;
  return code === "alreadyMember" ? patience.untilMs : 0;
}

/** With a predecessor that counts as alive, under the leader of a term. */
type Patience = { readonly term: number; readonly untilMs: number };

const unknownPatienceMs = 2000;

/**
 * A predecessor that has just died counts as alive until it has been silent for an election timeout;
 * one that answers for longer than that is really there. A new leader counts everybody as alive at first.
 */
async function patienceFrom(
  client: StatusClient,
  nowMs: number,
  before: Patience,
): Promise<Patience> {
  try {
    const { term, config }: GroupStatus = await client.status({ timeoutMs: 1000 });
    if (term === before.term) return before;
    return { term, untilMs: nowMs + config.electionTimeoutMs + 2 * config.heartbeatMs };
  } catch {
    return before.untilMs > 0 ? before : { term: -1, untilMs: nowMs + unknownPatienceMs };
  }
}

function pause(context: HostContext, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = context.clock.after(delayMs, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

type Seen = {
  /** Anybody ever answered: tells "not there" from "there, but no". */
  welcomed: boolean;
  /** Fired by an address that the transport cannot even try. */
  readonly malformed: AbortController;
};

function watchDial(address: string, handlers: ConnectionHandlers, seen: Seen): ConnectionHandlers {
  return {
    onOpen: () => handlers.onOpen(),
    onPayload(payload): void {
      seen.welcomed = true;
      handlers.onPayload(payload);
    },
    onDrain: () => handlers.onDrain(),
    onClose(error): void {
      handlers.onClose(error);
      if (!(error instanceof RaftError) || error.code !== "invalidArgument") return;
      const quoted = JSON.stringify(address);
      // TCP's own message names the address as well, as something to dial.
      const reason = error.message.replace(`dial: ${quoted} `, "it ");
      const why = `start.join: ${quoted} is no address: ${reason}`;
      seen.malformed.abort(new RaftError("invalidArgument", why));
    },
  };
}

function explain(
  error: unknown,
  group: string,
  options: JoinOptions,
  welcomed: boolean,
): RaftError {
  const { signal, addresses } = options;
  if (signal.aborted && signal.reason instanceof RaftError) return signal.reason;
  if (!(error instanceof RaftError)) {
    return new RaftError("internal", `join: ${messageOf(error)}`, { cause: error });
  }
  const code = error.code === "timeout" && !welcomed ? "connectFailed" : error.code;
  const { applied } = error;
  const message = `join of group "${group}" through ${addresses.join(", ")}: ${error.message}`;
  return new RaftError(code, message, { applied, cause: error });
}
