/**
 * A host: one port, one storage and one clock timer for the members of many groups.
 *
 * It moves bytes and gives turns (turns.ts); what is right is decided in the members' cores.
 */
import { EntriesCache } from "../codec/entries.js";
import { hostIdOf } from "../core/index.js";
import { messageOf, RaftError } from "../errors.js";
import { guarded, RateLimit } from "../logging.js";
import type { Connection, ConnectionHandlers, Listener, TimerHandle } from "../ports.js";
import type { AnyDefinedValue } from "../value/types.js";
import { AcceptedConnections } from "./accepted-connections.js";
import { askAdmin } from "./asking.js";
import { Addresses } from "./addresses.js";
import { adopt, beginBirth, type Birth, undoBirth } from "./birth.js";
import type { HostContext } from "./context.js";
import { createHandle, type GroupHandle } from "./handle.js";
import { HostedGroup } from "./hosted-group.js";
import { askToJoin } from "./join.js";
import { handOver } from "./hand-over.js";
import { Intake } from "./intake.js";
import { Ending } from "./ending.js";
import { dialLocal } from "./local.js";
import { OutOfTouch } from "./out-of-touch.js";
import {
  checkDefinition,
  checkGroupName,
  checkGroupOptions,
  type GroupOptions,
  type HostPorts,
} from "./options.js";
import { PeerLinks } from "./peer-links.js";
import { becomeReady, isNamed } from "./ready.js";
import { Resting } from "./resting.js";
import { storageHandlers } from "./storage-handlers.js";
import { Turns } from "./turns.js";

const defaultTimeoutMs = 5000;
/** Connections that have not ended by themselves so long after `close` are broken. */
const closeGraceMs = 500;
/** Above it, and above twice those that are in use, addresses that nobody needs are forgotten. */
const maxAnnounced = 1024;

export class Host {
  readonly id: string;
  /** Where others reach this host: port 0 resolved, or `advertise`. */
  readonly address: string;
  /** Resolves once everything is closed, also if something did not close in order (`close` rejects then). */
  readonly closed: Promise<void>;
  readonly #context: HostContext;
  readonly #listener: Listener;
  readonly #accepted: AcceptedConnections;
  readonly #outOfTouch: OutOfTouch;
  /** Ends of the handles, by group. */
  readonly #handles = new Map<string, () => Promise<void>>();
  /** Members of durable storage that have ended: only a restart reads them back. */
  readonly #spent = new Set<string>();
  /** One for each group that is being opened: a signal shared by all has more listeners than Node likes. */
  readonly #openings = new Set<AbortController>();
  #closing = false;
  #closeDone: Promise<void> | null = null;
  #resolveClosed: () => void = () => undefined;
  #tick: TimerHandle | null = null;
  #tickDueMs = 0;
  #maxAnnounced = maxAnnounced;

  /** Use `startHost`, or `Host.start` with every port given. */
  private constructor(context: HostContext, listener: Listener, accepted: AcceptedConnections) {
    this.id = context.id;
    this.address = context.address;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#context = context;
    this.#listener = listener;
    this.#accepted = accepted;
    this.#outOfTouch = new OutOfTouch(context);
    this.#armTick();
  }

  /** Opens the storage, then the port. */
  static async start(ports: HostPorts): Promise<Host> {
    const { storage, clock, id } = ports;
    const logger = guarded(ports.logger);
    const links = new PeerLinks();
    const entriesCache = new EntriesCache();
    const turns = new Turns({
      clock,
      storage,
      transport: ports.transport,
      onDefect(error) {
        logger.error({ host: id, err: error }, `host ${id}: a turn failed: ${messageOf(error)}`);
      },
      onTurnEnd: () => entriesCache.clear(),
    });
    const context: HostContext = {
      ...ports,
      logger,
      address: ports.advertise ?? ports.listen,
      turns,
      intake: new Intake(turns, ports.limits),
      groups: new Map(),
      recovered: new Map(),
      opening: new Set(),
      endings: new Map(),
      links,
      resting: new Resting(turns),
      announced: new Addresses(clock, () => accepted),
      entriesCache,
      rateLimit: new RateLimit(clock),
      dial: (address, handlers) =>
        address === context.address
          ? dialLocal(turns, (connection) => accepted.accept(connection, true), handlers)
          : ports.transport.dial(address, handlers),
      adoptGroup: (group, groupId) => adopt(context, group, groupId),
    };
    links.bind(context);
    const accepted = new AcceptedConnections(context);
    for (const found of await storage.open(id, storageHandlers(context))) {
      context.recovered.set(found.identity.group, found);
    }
    try {
      const listener = await ports.transport.listen(ports.listen, (connection) =>
        accepted.accept(connection),
      );
      if (ports.advertise === null) context.address = listener.address;
      return new Host(context, listener, accepted);
    } catch (error) {
      await new Ending(context).step(() => storage.close());
      throw error;
    }
  }

  /**
   * Brings a member of the group to life on this host: restored if the storage holds one, otherwise
   * created or joined as `start` says. Resolves when the member can be used: a new group's when it
   * leads, a joined one when it has caught up and votes, a restored one at once, or, at another address than the group
   * knows, when a leader has written that down or none was heard for four election timeouts.
   *
   * Refuses with `invalidArgument`, `invalidValue`, `invalidConfig`, `closed`; joining also with
   * `connectFailed`, `protocolMismatch`, `unknownGroup`, `groupMismatch`, `alreadyMember`,
   * `timeout`, and `uncommittedMembershipChange` or `pendingLeaderChange` if such a change is under way all the
   * time; restoring with `storageCorrupt`, `storageMismatch`. With `onDamage: "rejoin"` a damaged
   * copy is set aside and its host joins anew (see `DamagePolicy`): `storageFailed` or `diskFull` if
   * there is no room beside the storage for what is set aside, or no right to write there.
   */
  async group<D extends AnyDefinedValue>(
    name: string,
    definition: D,
    options: GroupOptions,
  ): Promise<GroupHandle<D>> {
    checkGroupName(name);
    checkDefinition(definition);
    checkGroupOptions(options);
    this.#checkFree(name);
    this.#context.opening.add(name);
    try {
      const birth = await beginBirth(this.#context, name, definition, options);
      return await this.#open(definition, options, birth);
    } finally {
      this.#context.opening.delete(name);
    }
  }

  #checkOpen(): void {
    if (this.#closing) throw new RaftError("closed", `host ${this.id} is closed`);
  }

  #checkFree(name: string): void {
    this.#checkOpen();
    if (this.#context.groups.has(name) || this.#context.opening.has(name)) {
      const why = `group name: host ${this.id} serves group "${name}" already`;
      throw new RaftError("invalidArgument", why);
    }
    if (this.#spent.has(name)) {
      const why = `the member of group "${name}" on host ${this.id} has ended; start the host anew`;
      throw new RaftError("closed", why);
    }
  }

  async #open<D extends AnyDefinedValue>(
    definition: D,
    options: GroupOptions,
    birth: Birth,
  ): Promise<GroupHandle<D>> {
    const { identity, start, joinThrough } = birth;
    this.#checkOpen();
    if (!birth.stored && identity.groupId !== "") this.#context.storage.createGroup(identity);
    let group: HostedGroup;
    try {
      group = this.#host(definition, options, birth);
    } catch (error) {
      undoBirth(this.#context, birth);
      throw error;
    }
    const opening = new AbortController();
    this.#openings.add(opening);
    try {
      const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
      const { signal } = opening;
      if (joinThrough !== null) {
        const addresses = joinThrough;
        group.asking = true;
        const asking = askToJoin(this.#context, group, { addresses, timeoutMs, signal });
        const reply = await asking.catch((error: unknown) => {
          // Taken in, and only the answer was lost: the others count on it already.
          if (isNamed(group) && error instanceof RaftError && error.code === "timeout") return null;
          throw error;
        });
        group.asking = false;
        if (reply !== null) this.#takenIn(group, reply.groupId);
      }
      if (start.type !== "restore") await becomeReady(this.#context, group, timeoutMs, signal);
      await this.#outOfTouch.settleIn(group, timeoutMs, signal);
    } catch (error) {
      // The id of this try is not used again, so nothing of it has to stay.
      group.member.stop();
      throw error;
    } finally {
      this.#openings.delete(opening);
    }
    const stop = (): Promise<void> => this.#stopGroup(group);
    const { handle, end } = createHandle(this.#context, group, definition, stop);
    if (group.ended === null) this.#handles.set(group.name, end);
    else await end();
    return handle;
  }

  #takenIn(group: HostedGroup, groupId: string): void {
    if (group.member.groupId === null) adopt(this.#context, group, groupId);
    else checkSameGroup(group, groupId);
  }

  #host(definition: AnyDefinedValue, options: GroupOptions, birth: Birth): HostedGroup {
    const { identity, start } = birth;
    const { groups, announced } = this.#context;
    // A durable member may have come back at another address than the membership has.
    announced.set(identity.memberId, this.address);
    const group = new HostedGroup(
      this.#context,
      {
        name: identity.group,
        groupId: identity.groupId === "" ? null : identity.groupId,
        self: { id: identity.memberId, address: this.address },
        definition,
        hooks: options.hooks ?? {},
        start,
        joinedThrough: options.start === "create" ? [] : options.start.join,
      },
      (ended, error) => this.#ended(ended, error),
    );
    groups.set(identity.group, group);
    return group;
  }

  /** A member has come to its end, whatever the reason: nothing leads to it any more. */
  #ended(group: HostedGroup, error: RaftError | null): void {
    const { groups, links, storage, endings } = this.#context;
    groups.delete(group.name);
    links.dropGroup(group);
    const why = error?.message ?? `member ${group.member.id} was closed`;
    this.#accepted.dropGroup(group, error?.code ?? "closed", why);
    // On one that came back, or was taken in already, others count: it is for the next start, as after a kill.
    const isGivenUp = this.#context.opening.has(group.name) && !isNamed(group);
    if (error?.code === "removed" || !storage.durable || isGivenUp) {
      if (group.member.groupId !== null) storage.deleteGroup(group.name);
      this.#context.turns.storageTouched();
    } else this.#spent.add(group.name);
    const end = this.#handles.get(group.name);
    this.#handles.delete(group.name);
    if (end === undefined) return;
    // After this turn, which still brings the handle's callers their answers.
    const ending = this.#soon()
      .then(end)
      .finally(() => endings.delete(ending));
    endings.set(ending, group.name);
  }

  async #stopGroup(group: HostedGroup): Promise<void> {
    if (group.ended !== null) return;
    await handOver(this.#context, [group]);
    group.member.stop();
  }

  /**
   * UNSAFE: makes this host's member forget another one for good, without asking anybody, so that a
   * group that lost its majority can go on. Only for members that will never come back.
   *
   * Refuses with `closed`, `unknownGroup`, `invalidArgument`, `notMember`, `unavailable` (its storage has failed),
   * `willBreakQuorum` (no voter would be left, where this member is a learner or on its way out: only `recover` helps).
   */
  async forceRemoveMember(group: string, id: string): Promise<void> {
    this.#checkOpen();
    checkGroupName(group);
    const hosted = this.#context.groups.get(group);
    if (hosted === undefined) {
      throw new RaftError("unknownGroup", `host ${this.id} serves no group "${group}"`);
    }
    if (typeof id !== "string" || id === "") {
      throw new RaftError("invalidArgument", "id: expected a host id or a member id");
    }
    if (id === hosted.member.id || id === hostIdOf(hosted.member.id)) {
      throw new RaftError("invalidArgument", `id: ${id} is this host's own member`);
    }
    await askAdmin(hosted, "forceRemove", { id });
  }

  /** A connection to this host without a socket. */
  dialLocal(handlers: ConnectionHandlers): Connection {
    return this.#context.dial(this.address, handlers);
  }

  /** For tests and invariant checks: the member of a group, or null. */
  memberOf(group: string): HostedGroup["member"] | null {
    return this.#context.groups.get(group)?.member ?? null;
  }

  #armTick(): void {
    const { clock, limits } = this.#context;
    this.#tickDueMs = clock.nowMs() + limits.pingIntervalMs;
    this.#tick = clock.after(limits.pingIntervalMs, () => {
      // The sockets are read first: a host that slept must not take its peers for silent.
      clock.soon(() => this.#onTick());
    });
  }

  #onTick(): void {
    if (this.#closing) return;
    const { clock, turns, links, announced } = this.#context;
    const nowMs = clock.nowMs();
    turns.noteDelay(nowMs - this.#tickDueMs, nowMs);
    links.tick(nowMs);
    this.#accepted.tick(nowMs);
    this.#outOfTouch.tick(nowMs);
    if (announced.size > this.#maxAnnounced) this.#forgetStrangers();
    this.#armTick();
  }

  /** Members keep their addresses, and so does whoever may be answered before it is known as one. */
  #forgetStrangers(): void {
    const { announced, groups } = this.#context;
    const known = new Set<string>();
    for (const { member } of groups.values()) {
      known.add(member.id);
      for (const { id } of member.membership.members) known.add(id);
    }
    this.#accepted.addPeers(known);
    announced.keepOnly(known);
    this.#maxAnnounced = Math.max(maxAnnounced, 2 * announced.size);
  }

  /**
   * Closes everything: leaders hand over first if that takes neither an election timeout nor a second, whoever
   * waits for an answer gets one. Idempotent.
   */
  close(): Promise<void> {
    this.#closeDone ??= this.#close();
    return this.#closeDone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { groups, links, storage, turns } = this.#context;
    this.#closing = true;
    for (const opening of this.#openings) {
      opening.abort(new RaftError("closed", `host ${this.id} was closed`));
    }
    const ending = new Ending(this.#context);
    const listenerClosed = ending.step(() => this.#listener.close());
    await handOver(this.#context, [...groups.values()]);
    this.#tick?.cancel();
    for (const group of [...groups.values()]) void ending.step(() => group.member.stop());
    await this.#soon();
    await Promise.all(this.#context.endings.keys());
    links.close();
    await ending.step(() => this.#accepted.close(closeGraceMs));
    await listenerClosed;
    turns.stop();
    await ending.step(() => storage.close());
    this.#resolveClosed();
    ending.check();
  }

  /** Lets the turn pass that carries the last answers. */
  #soon(): Promise<void> {
    return new Promise((resolve) => this.#context.clock.soon(() => resolve()));
  }
}

/** A member of another group of that name was quicker than the one that we asked. */
function checkSameGroup({ name, member }: HostedGroup, groupId: string): void {
  if (member.groupId === groupId) return;
  throw new RaftError(
    "groupMismatch",
    `two groups bear the name "${name}": ${groupId} took ${member.id} in, ${member.groupId} wrote to it`,
  );
}
