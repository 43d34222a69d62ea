/**
 * A host: one port, one storage and one clock timer for the members of many groups.
 *
 * It moves bytes and gives turns (turns.ts); what is right is decided in the members' cores.
 */
import { EntriesCache } from "../codec/entries.js";
import { hostIdOf } from "../core/index.js";
import { validateGroupConfig } from "../core/config.js";
import { RaftError } from "../errors.js";
import type { MemberOptions } from "../member/member.js";
import type {
  Connection,
  ConnectionHandlers,
  GroupIdentity,
  Listener,
  RecoveredGroup,
  StorageHandlers,
  TimerHandle,
} from "../ports.js";
import type { AnyDefinedValue } from "../value/types.js";
import { AcceptedConnections } from "./accepted-connections.js";
import { askAdmin } from "./asking.js";
import type { HostContext } from "./context.js";
import { createHandle, type GroupHandle } from "./handle.js";
import { HostedGroup } from "./hosted-group.js";
import { askToJoin } from "./join.js";
import { handOver } from "./hand-over.js";
import { dialLocal } from "./local.js";
import {
  checkDefinition,
  checkGroupName,
  checkGroupOptions,
  type GroupOptions,
  type HostPorts,
} from "./options.js";
import { PeerLinks } from "./peer-links.js";
import { RateLimit } from "./rate-limit.js";
import { becomeReady } from "./ready.js";
import { Turns } from "./turns.js";

const defaultTimeoutMs = 5000;
/** Connections that have not ended by themselves so long after `close` are broken. */
const closeGraceMs = 500;
/** More addresses of non-members than this are not kept. */
const maxAnnounced = 1024;

/** The beginning of a member: how its replica starts, and as whom. */
type Birth = {
  readonly identity: GroupIdentity;
  readonly start: MemberOptions["start"];
  /** Not null: the group has to take it in first. */
  readonly joinThrough: readonly string[] | null;
  /** A newcomer's storage begins when it knows the group's id. */
  readonly stored: boolean;
};

export class Host {
  readonly id: string;
  /** Where others reach this host: port 0 resolved, or `advertise`. */
  readonly address: string;
  /** Resolves once everything is closed. */
  readonly closed: Promise<void>;
  readonly #context: HostContext;
  readonly #listener: Listener;
  readonly #accepted: AcceptedConnections;
  readonly #recovered: Map<string, RecoveredGroup>;
  /** Ends of the handles, by group. */
  readonly #handles = new Map<string, () => Promise<void>>();
  /** Names that are being created, joined or restored right now. */
  readonly #opening = new Set<string>();
  /** Members of durable storage that have ended: only a restart reads them back. */
  readonly #spent = new Set<string>();
  readonly #closing = new AbortController();
  #closeDone: Promise<void> | null = null;
  #resolveClosed: () => void = () => undefined;
  #tick: TimerHandle | null = null;
  #tickDueMs = 0;

  /** Use `startHost`, or `Host.start` with every port given. */
  private constructor(
    context: HostContext,
    listener: Listener,
    accepted: AcceptedConnections,
    recovered: readonly RecoveredGroup[],
  ) {
    this.id = context.id;
    this.address = context.address;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#context = context;
    this.#listener = listener;
    this.#accepted = accepted;
    this.#recovered = new Map(recovered.map((each) => [each.identity.group, each]));
    this.#armTick();
  }

  /** Opens the storage, then the port. */
  static async start(ports: HostPorts): Promise<Host> {
    const { storage, clock, logger, id } = ports;
    const links = new PeerLinks();
    const context: HostContext = {
      ...ports,
      address: ports.advertise ?? ports.listen,
      turns: new Turns(clock, storage, (error) => {
        logger.error({ host: id, err: error }, `host ${id}: a turn failed: ${String(error)}`);
      }),
      groups: new Map(),
      links,
      announced: new Map(),
      entriesCache: new EntriesCache(),
      rateLimit: new RateLimit(clock),
      adoptGroup: (group, groupId) => adopt(context, group, groupId),
    };
    links.bind(context);
    const accepted = new AcceptedConnections(context);
    const recovered = await storage.open(id, storageHandlers(context));
    try {
      const accept = (connection: Connection): ConnectionHandlers => accepted.accept(connection);
      const listener = await ports.transport.listen(ports.listen, accept);
      if (ports.advertise === null) context.address = listener.address;
      return new Host(context, listener, accepted, recovered);
    } catch (error) {
      await storage.close();
      throw error;
    }
  }

  /**
   * Brings a member of the group to life on this host: restored if the storage holds one, otherwise
   * created or joined as `start` says. Resolves when the member can be used: a new group's when it
   * leads, a joined one when it has caught up, a restored one at once.
   *
   * Refuses with `invalidArgument`, `invalidValue`, `invalidConfig`, `closed`; joining also with
   * `connectFailed`, `protocolMismatch`, `unknownGroup`, `groupMismatch`, `alreadyMember`,
   * `timeout`; restoring with `storageCorrupt`, `storageMismatch`.
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
    this.#opening.add(name);
    try {
      const birth = await this.#birthOf(name, definition, options);
      return await this.#open(definition, options, birth);
    } finally {
      this.#opening.delete(name);
    }
  }

  #checkFree(name: string): void {
    if (this.#closing.signal.aborted) {
      throw new RaftError("closed", `host ${this.id} is closed`);
    }
    if (this.#context.groups.has(name) || this.#opening.has(name)) {
      const why = `group name: host ${this.id} serves group "${name}" already`;
      throw new RaftError("invalidArgument", why);
    }
    if (this.#spent.has(name)) {
      const why = `the member of group "${name}" on host ${this.id} has ended; start the host anew`;
      throw new RaftError("closed", why);
    }
  }

  async #birthOf(
    name: string,
    definition: AnyDefinedValue,
    { start, config }: GroupOptions,
  ): Promise<Birth> {
    const checked = validateGroupConfig(config ?? {});
    const found = this.#recovered.get(name);
    if (found !== undefined) checkRecovered(found, definition);
    const blank = found === undefined || isBlank(found);
    const { random, storage } = this.#context;
    const identity = found?.identity ?? {
      group: name,
      groupId: start === "create" ? random.id() : "",
      memberId: `${this.id}#${random.id()}`,
      address: this.address,
      valueName: definition.name,
    };
    const stored = found !== undefined;
    if (blank && start === "create") {
      return { identity, start: { type: "create", config: checked }, joinThrough: null, stored };
    }
    if (blank) {
      const { join } = start as { readonly join: readonly string[] };
      return { identity, start: { type: "join" }, joinThrough: join, stored };
    }
    const { hardState, snapshot, entries } = found;
    const pieces = snapshot === null ? [] : await storage.loadSnapshot(name);
    this.#recovered.delete(name);
    const restore = { type: "restore", hardState, snapshot, entries, pieces } as const;
    return { identity, start: restore, joinThrough: null, stored };
  }

  async #open<D extends AnyDefinedValue>(
    definition: D,
    options: GroupOptions,
    birth: Birth,
  ): Promise<GroupHandle<D>> {
    const { identity, start, joinThrough } = birth;
    if (this.#closing.signal.aborted) throw new RaftError("closed", `host ${this.id} is closed`);
    if (!birth.stored && identity.groupId !== "") this.#context.storage.createGroup(identity);
    const group = this.#host(definition, options, birth);
    const accept = (connection: Connection): ConnectionHandlers =>
      this.#accepted.accept(connection);
    try {
      const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
      const { signal } = this.#closing;
      if (joinThrough !== null) {
        const reply = await askToJoin(this.#context, group, {
          addresses: joinThrough,
          timeoutMs,
          signal,
        });
        if (group.member.groupId === null) adopt(this.#context, group, reply.groupId);
      }
      if (start.type !== "restore") await becomeReady(this.#context, group, timeoutMs, signal);
    } catch (error) {
      // The id of this try is not used again, so nothing of it has to stay.
      group.member.stop();
      throw error;
    }
    const stop = (): Promise<void> => this.#stopGroup(group);
    const { handle, end } = createHandle(this.#context, group, definition, accept, stop);
    this.#handles.set(group.name, end);
    if (group.ended !== null) await end();
    return handle;
  }

  #host(definition: AnyDefinedValue, options: GroupOptions, birth: Birth): HostedGroup {
    const { identity, start } = birth;
    const { groups } = this.#context;
    const group = new HostedGroup(
      this.#context,
      {
        name: identity.group,
        groupId: identity.groupId === "" ? null : identity.groupId,
        self: { id: identity.memberId, address: this.address },
        definition,
        hooks: options.hooks ?? {},
        start,
      },
      (ended, error) => this.#ended(ended, error),
    );
    groups.set(identity.group, group);
    return group;
  }

  /** A member has come to its end, whatever the reason: nothing leads to it any more. */
  #ended(group: HostedGroup, error: RaftError | null): void {
    const { groups, links, storage } = this.#context;
    groups.delete(group.name);
    links.dropGroup(group);
    const why = error?.message ?? `member ${group.member.id} was closed`;
    this.#accepted.dropGroup(group, error?.code ?? "closed", why);
    if (error?.code === "removed" || !storage.durable || this.#opening.has(group.name)) {
      if (group.member.groupId !== null) storage.deleteGroup(group.name);
      this.#context.turns.storageTouched();
    } else this.#spent.add(group.name);
    const end = this.#handles.get(group.name);
    this.#handles.delete(group.name);
    if (end !== undefined) void end();
  }

  async #stopGroup(group: HostedGroup): Promise<void> {
    if (group.ended !== null) return;
    await handOver(this.#context, [group]);
    group.member.stop();
  }

  /**
   * UNSAFE: makes this host's member forget another one for good, without asking anybody, so that a
   * group that lost its majority can go on. Only for members that will never come back.
   */
  async forceRemoveMember(group: string, id: string): Promise<void> {
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
    return dialLocal(
      this.#context.turns,
      (connection) => this.#accepted.accept(connection),
      handlers,
    );
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
    if (this.#closing.signal.aborted) return;
    const { clock, turns, links, announced } = this.#context;
    const nowMs = clock.nowMs();
    turns.noteDelay(nowMs - this.#tickDueMs);
    links.tick(nowMs);
    this.#accepted.tick(nowMs);
    if (announced.size > maxAnnounced) this.#forgetStrangers();
    this.#armTick();
  }

  #forgetStrangers(): void {
    const { announced, groups } = this.#context;
    const known = new Set<string>();
    for (const { member } of groups.values()) {
      for (const { id } of member.membership.members) known.add(id);
    }
    for (const id of announced.keys()) if (!known.has(id)) announced.delete(id);
  }

  /**
   * Closes everything: leaders hand over first if that is possible within an election timeout, whoever
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
    this.#closing.abort(new RaftError("closed", `host ${this.id} was closed`));
    const listenerClosed = this.#listener.close();
    await handOver(this.#context, [...groups.values()]);
    this.#tick?.cancel();
    for (const group of [...groups.values()]) group.member.stop();
    await this.#soon();
    links.close();
    await this.#accepted.close(closeGraceMs);
    await listenerClosed;
    turns.stop();
    await storage.close();
    this.#resolveClosed();
  }

  /** Lets the turn pass that carries the last answers. */
  #soon(): Promise<void> {
    return new Promise((resolve) => this.#context.clock.soon(() => resolve()));
  }
}

function adopt(context: HostContext, group: HostedGroup, groupId: string): void {
  context.storage.createGroup({
    group: group.name,
    groupId,
    memberId: group.member.id,
    address: context.address,
    valueName: group.definition.name,
  });
  group.member.adopt(groupId);
}

/** Created in storage, and nothing was ever stored of it: it has promised nothing to anybody. */
function isBlank({ hardState, snapshot, entries }: RecoveredGroup): boolean {
  return hardState.currentTerm === 0 && snapshot === null && entries.length === 0;
}

function checkRecovered({ identity, damage }: RecoveredGroup, definition: AnyDefinedValue): void {
  const { group, valueName } = identity;
  if (damage !== null) {
    throw new RaftError("storageCorrupt", `group "${group}" is damaged in this storage: ${damage}`);
  }
  if (valueName === definition.name) return;
  throw new RaftError(
    "storageMismatch",
    `the storage holds group "${group}" of value "${valueName}", not of "${definition.name}"`,
  );
}

function storageHandlers(context: HostContext): StorageHandlers {
  const { groups, logger, id } = context;
  return {
    onStored: (group, ticket) => groups.get(group)?.member.storedTicket(ticket),
    onSnapshotChunkWritten: (group, index, term, sizeBytes) =>
      groups.get(group)?.member.snapshotChunkWritten(index, term, sizeBytes),
    onSnapshotSaved: (group, snapshot, ok) => groups.get(group)?.member.snapshotSaved(snapshot, ok),
    onSnapshotChunkRead: (group, to, index, offset, data) =>
      groups.get(group)?.member.snapshotChunkRead(to, index, offset, data),
    onFailed(error) {
      const line = `host ${id}: the storage failed, its members stop accepting: ${error.message}`;
      logger.error({ host: id, err: error }, line);
      for (const { member } of groups.values()) member.storageFailed(error.message);
    },
    onWarning: (message) => logger.warn({ host: id }, `host ${id}: storage: ${message}`),
  };
}
