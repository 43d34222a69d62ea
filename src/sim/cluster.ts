/** The simulated cluster: machines, the network between them, and the checks that watch over it. */
import { checkCluster } from "../core/invariants.js";
import { lastIndex } from "../core/log.js";
import { createCborCodec } from "../codec/values.js";
import type { Core } from "../core/state.js";
import type { Member } from "../member/member.js";
import type { Codec } from "../ports.js";
import { BreedingOracle } from "./breeding.js";
import { DurabilityOracle } from "./durability.js";
import { hashBytes } from "./hash.js";
import { LeaseOracle, type LocalCore } from "./leases.js";
import { Machine, type GroupPlan } from "./machine.js";
import { SimNetwork } from "./network.js";
import type { AppliedCall } from "./observe.js";
import { GroupOracle } from "./oracles.js";
import { PromotionOracle } from "./promotions.js";
import { Rollout } from "./rollout.js";
import { SentMessages } from "./sent-messages.js";
import { SimClient, type AnyClient, type ClientSettings } from "./sim-client.js";
import { settleMostly, type World } from "./world.js";

export type ClusterOptions = {
  readonly world: World;
  readonly machines: number;
  readonly durable: boolean;
  readonly plans: readonly GroupPlan[];
  /** Tells one caller's command from every other; null: not known. */
  readonly identify: (name: string, arg: unknown) => string | number | null;
};

export type LiveMember = { readonly machine: Machine; readonly member: Member };

/** Machines are named so; seven at most. */
const machineNames = ["a", "b", "c", "d", "e", "f", "g"];

/** Comparing whole logs after every event would be most of the work. */
const stepsBetweenChecks = 256;

export class SimCluster {
  readonly world: World;
  readonly network: SimNetwork;
  readonly machines: readonly Machine[];
  readonly plans: readonly GroupPlan[];
  readonly oracles: ReadonlyMap<string, GroupOracle>;
  readonly #leases: ReadonlyMap<string, LeaseOracle>;
  readonly #promotions: ReadonlyMap<string, PromotionOracle>;
  readonly clients: SimClient[] = [];
  /** Which machines have which version of the value. */
  readonly rollout: Rollout;
  /** Puts another client in the place of one that died; set while the workload runs. */
  replaceClient: ((dead: SimClient) => void) | null = null;
  readonly #codec: Codec = createCborCodec();
  readonly #identify: ClusterOptions["identify"];
  readonly #operators = new Map<string, SimClient>();
  #clientNumber = 0;
  /** Operators' removals that may still come into force. */
  removals = 0;
  #steps = 0;

  constructor(options: ClusterOptions) {
    const { world, plans } = options;
    this.world = world;
    this.plans = plans;
    this.#identify = options.identify;
    this.network = new SimNetwork(world);
    const violate = (message: string): void => world.fail(new Error(message));
    this.oracles = new Map(plans.map(({ name }) => [name, new GroupOracle(name, violate)]));
    this.#leases = new Map(plans.map(({ name }) => [name, new LeaseOracle(name, violate)]));
    this.#promotions = new Map(plans.map(({ name }) => [name, new PromotionOracle(name, violate)]));
    this.machines = machineNames.slice(0, options.machines).map(
      (name) =>
        new Machine({
          world,
          network: this.network,
          name,
          durable: options.durable,
          plans,
          others: () => this.#addressesBut(name),
          onApplied: (machine, group, call) => this.#applied(machine, group, call),
          onOutdated: (machine, why) => this.rollout.outdated(machine, why),
        }),
    );
    this.rollout = new Rollout(this);
    for (const { disk } of this.machines) {
      if (disk !== null)
        disk.onDelete = (group, member) => this.oracles.get(group)!.deletes(member);
    }
    const disks = new Map(this.machines.map((machine) => [machine.name, machine.disk]));
    const durability = new DurabilityOracle((name) => disks.get(name) ?? null, violate);
    const breeding = new BreedingOracle(plans, violate);
    const messages = new SentMessages(({ machine }, channel, message) => {
      durability.sent(machine, channel, message);
      breeding.sent(channel, message, world.nowMs());
    }, violate);
    this.network.onSend = (process, connection, payload) =>
      messages.sent(process, connection, payload);
  }

  /** Names that stay, for clients; members tell each other where they are. */
  get names(): readonly string[] {
    return this.machines.map(({ name }) => name);
  }

  /** The first machine creates the groups, the others join them. */
  boot(): void {
    this.machines.forEach((machine, at) => machine.boot(at === 0));
  }

  members(group: string): LiveMember[] {
    return this.machines.flatMap((machine) => {
      const member = machine.member(group);
      return member === null ? [] : [{ machine, member }];
    });
  }

  cores(group: string): Core[] {
    return this.members(group).map(({ member }) => member.replica.core);
  }

  #localCores(group: string): LocalCore[] {
    return this.members(group).map(({ machine, member }) => ({
      core: member.replica.core,
      nowMs: machine.process!.clock.nowMs(),
    }));
  }

  /** Of several that think so, the one of the highest term. */
  leader(group: string): LiveMember | null {
    const leaders = this.members(group).filter(({ member }) => member.role === "leader");
    leaders.sort((a, b) => b.member.term - a.member.term);
    return leaders[0] ?? null;
  }

  /** Every machine that should be a voter is one, nothing is under way, and all have applied all. */
  settled(group: string): boolean {
    const leader = this.leader(group);
    if (leader === null) return false;
    const { membership, commitIndex, log } = leader.member.replica.core;
    const wanted = this.machines.filter((machine) => machine.wanted);
    if (membership.outgoing.length > 0 || membership.learners.length > 0) return false;
    if (membership.voters.length !== wanted.length) return false;
    if (commitIndex !== lastIndex(log)) return false;
    return wanted.every((machine) => {
      const member = machine.member(group);
      if (member === null || !membership.voters.includes(member.id)) return false;
      return member.replica.core.lastApplied === commitIndex && machine.handles.has(group);
    });
  }

  /**
   * Whether a machine's memory or disk may be lost now without losing what is committed, or the
   * majority of the configuration that an operator's request is about to bring.
   */
  mayForget(victim: Machine): boolean {
    if (this.removals > 0) return false;
    return this.plans.every(({ name }) => {
      const leader = this.leader(name)?.member.replica.core;
      const membership = leader?.membership;
      if (membership === undefined || membership.outgoing.length > 0) return false;
      const text = JSON.stringify(membership);
      // Newcomers that know of no voters have nothing yet: an old version's are refused for as long as it runs.
      const known = this.cores(name).filter(({ membership: { voters } }) => voters.length > 0);
      if (known.some((core) => JSON.stringify(core.membership) !== text)) return false;
      const live = this.members(name).filter(
        ({ machine, member }) =>
          machine !== victim &&
          membership.voters.includes(member.id) &&
          (!this.#mayBeOutdated(machine) ||
            member.replica.core.lastApplied === leader!.commitIndex),
      );
      return live.length * 2 > membership.voters.length;
    });
  }

  /** Its memory ends with it when it is so far behind that it is sent what its version cannot read. */
  #mayBeOutdated({ disk, newer }: Machine): boolean {
    return disk === null && !newer && this.machines.some((other) => other.newer);
  }

  /** Every voter is there, or will be when its machine starts again: a removal is no second loss. */
  mayRemove(): boolean {
    return this.plans.every(({ name }) => {
      const voters = new Set(this.cores(name).flatMap((core) => core.membership.voters));
      // None is up that knows them: one may be lost already.
      if (voters.size === 0) return false;
      return [...voters].every((id) =>
        this.machines.some((machine) => {
          const stored = machine.disk?.groups.get(name)?.identity.memberId;
          return stored === id || machine.member(name)?.id === id;
        }),
      );
    });
  }

  newClient(group: GroupPlan, settings: ClientSettings, ownIds = 0): SimClient {
    const name = `client${++this.#clientNumber}`;
    const client = new SimClient({
      world: this.world,
      network: this.network,
      name,
      group: group.name,
      definition:
        this.#clientNumber % 2 === 0 ? group.definition : (group.older ?? group.definition),
      rollout: this.rollout,
      hosts: this.names,
      settings,
      ownIds,
      others: () => this.clients.filter((other) => other.group === group.name),
      onRefused: (identity, why) => this.oracles.get(group.name)!.refused(identity, why),
    });
    return client;
  }

  /** Whom the nemesis asks to change memberships and the like. */
  operator(group: GroupPlan): AnyClient {
    let operator = this.#operators.get(group.name);
    if (operator === undefined) {
      const settings = { pipeline: 0, pauseMs: 0, minTimeoutMs: 0, maxTimeoutMs: 0 };
      operator = this.newClient(group, settings);
      this.#operators.set(group.name, operator);
    }
    return operator.api;
  }

  /** Runs events until the condition holds (true), the time is over or something failed (false). */
  async runUntil(untilMs: number, condition: () => boolean): Promise<boolean> {
    const { world } = this;
    for (;;) {
      if (world.failure !== null) return false;
      if (condition()) return true;
      const dueMs = world.nextDueMs();
      if (dueMs === null || dueMs > untilMs) return false;
      world.step();
      await settleMostly(this.#steps++);
      this.#look();
      if (this.#steps % stepsBetweenChecks === 0) this.#checkClusters();
    }
  }

  /** What only shows with all of a group side by side: logs that agree, who could be elected. */
  #checkClusters(): void {
    for (const { name } of this.plans) {
      const [broken] = checkCluster(this.cores(name));
      if (broken !== undefined) this.world.fail(new Error(`group ${name}: ${broken}`));
    }
  }

  /** Where everybody stands, for reports. */
  describe(): string {
    const lines = this.machines.flatMap((machine) =>
      this.plans.map(({ name }) => {
        const state = machine.running ? (machine.process!.paused ? "paused" : "up") : "down";
        const member = machine.member(name);
        if (member === null) return `  ${machine.name} ${state} ${name}: no member`;
        const { core } = member.replica;
        const { voters, learners, outgoing } = core.membership;
        return (
          `  ${machine.name} ${state} ${name}: ${member.id} version ${member.replica.applier.definition.version} ${core.role.type} term ${core.currentTerm} ` +
          `applied ${core.lastApplied} committed ${core.commitIndex} ` +
          `last ${lastIndex(core.log)} handle ${machine.handles.has(name)} ` +
          `voters ${voters.join(" ")} learners ${learners.map((learner) => learner.id).join(" ")} ` +
          `outgoing ${outgoing.join(" ")}`
        );
      }),
    );
    return lines.join("\n");
  }

  /** Hash of the value as each live member has it, in the newest version's shape. */
  valueHash(group: string, member: Member): string {
    const { value, definition } = member.replica.applier;
    const newest = this.plans.find(({ name }) => name === group)!.definition;
    const { version } = definition;
    const shaped = version < newest.version ? newest.upgrade!(value, version) : value;
    return hashBytes(this.#codecOf(group).encode(shaped));
  }

  #look(): void {
    const { touched } = this.world;
    if (touched.size === 0) return;
    for (const machine of this.machines) {
      if (!touched.has(machine.name)) continue;
      for (const { name } of this.plans) {
        const member = machine.member(name);
        if (member === null) continue;
        const { core } = member.replica;
        this.oracles.get(name)!.look(core);
        this.#promotions.get(name)!.look(core);
        this.#leases.get(name)!.look(core, () => this.#localCores(name));
      }
    }
    touched.clear();
  }

  #applied(machine: Machine, group: string, call: AppliedCall): void {
    const result = `${call.name} -> ${call.threw ? "threw" : this.#replyHash(group, call.reply)}`;
    const identity = this.#identify(call.name, call.arg);
    const name = machine.process?.name ?? machine.name;
    this.oracles.get(group)!.applied(name, call.applied, result, identity);
  }

  /** Here we are inside of the handler: what its reply's encoding has to say is not for it to hear. */
  #replyHash(group: string, reply: unknown): string {
    try {
      return hashBytes(this.#codecOf(group).encode(reply));
    } catch {
      return "no encoding";
    }
  }

  #codecOf(group: string): Codec {
    return this.plans.find(({ name }) => name === group)!.definition.codec ?? this.#codec;
  }

  #addressesBut(name: string): readonly string[] {
    return this.machines.filter((machine) => machine.name !== name).map(({ address }) => address);
  }
}
