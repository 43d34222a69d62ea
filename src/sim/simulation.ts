/**
 * One run: a cluster, clients that record what they see, a nemesis; then everything heals and the run
 * has to show that nothing was lost: progress, equal members, a linearizable history.
 */
import { validateGroupConfig } from "../core/config.js";
import { RaftError } from "../errors.js";
import type { AnyDefinedValue } from "../value/types.js";
import { SimCluster } from "./cluster.js";
import { HistoryRecorder, type History } from "./history.js";
import { ledgerOf, ledgerWorkload } from "./ledger.js";
import { newerLedgerOf } from "./ledger-newer.js";
import { checkLinearizable, describeCheck } from "./linearizability.js";
import type { GroupPlan } from "./machine.js";
import { notDeterministic } from "./oracles.js";
import { faultNames, Nemesis } from "./nemesis.js";
import { drawSettings, type Seed, type SimulationSettings } from "./settings.js";
import type { ClientCounts, SimClient } from "./sim-client.js";
import type { Workload } from "./workload.js";
import { World } from "./world.js";

export type SimulationOptions = {
  readonly seed: Seed;
  /** Virtual time under the nemesis. Default 60 election timeouts. */
  readonly durationMs?: number | undefined;
  /** Names of the kinds of fault that may strike. Default: all. */
  readonly faults?: readonly string[] | undefined;
  readonly settings?: Partial<SimulationSettings> | undefined;
  /** Default: the simulator's own value and workload. */
  readonly value?: AnyDefinedValue | undefined;
  readonly workload?: Workload | undefined;
  readonly trace?: ((line: string) => void) | undefined;
};

export type SimulationResult = {
  readonly seed: Seed;
  readonly settings: SimulationSettings;
  /** Null: everything held. Otherwise what did not, in a few lines. */
  readonly failure: {
    readonly message: string;
    readonly atMs: number;
    readonly cause: unknown;
  } | null;
  /** The same for the same seed, options and code. */
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  /** Of which so many under the nemesis. */
  readonly durationMs: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly counts: ClientCounts;
  readonly terms: number;
  /** One per group. */
  readonly histories: readonly History[];
};

/** After healing: so many election timeouts until a fresh command is answered. */
export const progressTimeouts = 20;
/** And so many until every machine is a voter again and all have applied the same. */
export const settleTimeouts = 100;
const setupTimeouts = 200;
/** A handler that throws so often and never answers is no rule of the value's, but broken. */
const manyThrows = 20;

export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const world = new World({
    seed: options.seed,
    ...(options.trace === undefined ? {} : { trace: options.trace }),
  });
  const run = new Run(world, options);
  try {
    await run.all();
  } catch (cause) {
    world.fail(cause instanceof Error ? cause : new Error(String(cause)));
  }
  return run.result();
}

/** The other way to get there than a bug. */
const blindHint =
  "\n(a value whose handlers look at index, term or timeMs needs `identify` of the workload: without it the checker tells them 0;" +
  "\na handler that reads a clock, chance or a variable outside of its arguments looks like this too)";

class Run {
  readonly #world: World;
  readonly #options: SimulationOptions;
  readonly #settings: SimulationSettings;
  readonly #cluster: SimCluster;
  readonly #plans: readonly GroupPlan[];
  readonly #workloads: readonly Workload[];
  readonly #recorders: readonly HistoryRecorder[];
  readonly #counts: ClientCounts = { ok: 0, failed: 0, unknown: 0, stale: 0 };
  readonly #electionTimeoutMs: number;
  readonly #durationMs: number;
  readonly #groupOf = new Map<SimClient, number>();
  #clients = 0;
  #failedAtMs = 0;

  constructor(world: World, options: SimulationOptions) {
    this.#world = world;
    this.#options = options;
    this.#settings = { ...drawSettings(options.seed), ...options.settings };
    const { groups, config, mutableValue, machines, durable, keys, minDelayMs } = this.#settings;
    const definition = options.value ?? newerLedgerOf(mutableValue);
    const older = options.value === undefined ? ledgerOf(mutableValue) : undefined;
    const names = Array.from({ length: groups }, (_, at) => `group${at + 1}`);
    this.#plans = names.map((name) => ({ name, definition, older, config }));
    this.#workloads = names.map(() => options.workload ?? ledgerWorkload(keys));
    this.#recorders = names.map(() => new HistoryRecorder(() => world.nowMs() * 1e6));
    this.#electionTimeoutMs = validateGroupConfig(config).electionTimeoutMs;
    this.#durationMs = options.durationMs ?? 60 * this.#electionTimeoutMs;
    this.#cluster = new SimCluster({
      world,
      machines,
      durable,
      plans: this.#plans,
      identify: (name, arg) => this.#workloads[0]!.identify?.(name, arg) ?? null,
    });
    this.#cluster.network.settings.minDelayMs = minDelayMs;
    this.#cluster.network.settings.maxDelayMs = minDelayMs + 1;
  }

  async all(): Promise<void> {
    await this.#setUp();
    this.#startClients();
    await this.#suffer();
    await this.#recover();
    await this.#finish();
  }

  result(): SimulationResult {
    const { failure, trace, faults } = this.#world;
    const message = failure?.message ?? "";
    return {
      seed: this.#options.seed,
      settings: this.#settings,
      failure: failure === null ? null : { message, atMs: this.#failedAtMs, cause: failure },
      traceHash: trace.digest(),
      events: trace.events,
      virtualMs: this.#world.nowMs(),
      durationMs: this.#durationMs,
      faults,
      counts: this.#counts,
      terms: [...this.#cluster.oracles.values()].reduce((sum, each) => sum + each.leaderTerms, 0),
      histories: this.#recorders.map(({ operations }) => operations),
    };
  }

  async #setUp(): Promise<void> {
    this.#cluster.boot();
    await this.#within(setupTimeouts, "the group is formed", () => this.#allSettled());
  }

  #startClients(): void {
    this.#cluster.replaceClient = (dead) => this.#replace(dead);
    this.#plans.forEach((_, group) => {
      for (let i = 0; i < this.#settings.clients; i++) this.#startClient(group);
    });
  }

  #startClient(group: number): void {
    const { client: settings, ownIds } = this.#settings;
    const client = this.#cluster.newClient(this.#plans[group]!, settings, ownIds);
    this.#cluster.clients.push(client);
    this.#groupOf.set(client, group);
    const number = this.#clients++;
    client.start(number, this.#workloads[group]!, this.#recorders[group]!, this.#counts);
  }

  #replace(dead: SimClient): void {
    const { clients } = this.#cluster;
    clients.splice(clients.indexOf(dead), 1);
    this.#startClient(this.#groupOf.get(dead)!);
  }

  async #suffer(): Promise<void> {
    const enabled = this.#options.faults ?? faultNames;
    const nemesis = new Nemesis(this.#cluster, enabled, this.#electionTimeoutMs);
    nemesis.start();
    await this.#cluster.runUntil(this.#world.nowMs() + this.#durationMs, () => false);
    this.#stopOnFailure();
    nemesis.stop();
  }

  /** Liveness: only now, with everything whole again, may anybody be asked for progress. */
  async #recover(): Promise<void> {
    const probes = this.#plans.map((plan, group) => this.#probe(plan, group));
    await this.#within(progressTimeouts, "a fresh command is answered after healing", () =>
      probes.every(({ done }) => done),
    );
    for (const client of this.#cluster.clients) client.stop();
    await this.#within(settleTimeouts, "all machines are voters and up to date after healing", () =>
      this.#allSettled(),
    );
  }

  /** A call of a client that has known nothing of the storm, asked again until it is answered. */
  #probe(plan: GroupPlan, group: number): { done: boolean } {
    const state = { done: false };
    const client = this.#cluster.newClient(plan, this.#settings.client);
    const workload = this.#workloads[group]!;
    const recorder = this.#recorders[group]!;
    const number = this.#clients++;
    const ask = async (): Promise<void> => {
      for (let call = 0; call < 50; call++) {
        const answered = await client.callOnce(number, workload, recorder, this.#counts);
        if (answered === "command") break;
      }
      state.done = true;
    };
    void ask();
    return state;
  }

  async #finish(): Promise<void> {
    const longestMs = this.#settings.client.maxTimeoutMs + 1000;
    await this.#cluster.runUntil(this.#world.nowMs() + longestMs, () => false);
    this.#stopOnFailure();
    await this.#within(settleTimeouts, "all machines are up to date at the end", () =>
      this.#allSettled(),
    );
    for (const { name } of this.#plans) {
      this.#checkEqual(name);
      this.#checkHeard(name);
    }
    this.#plans.forEach((plan, group) => this.#checkHistory(plan, group));
    this.#checkCounts();
  }

  #checkEqual(group: string): void {
    const members = this.#cluster.members(group);
    const hashes = members.map(({ member }) => this.#cluster.valueHash(group, member));
    if (new Set(hashes).size > 1) {
      const list = members.map(({ machine }, at) => `${machine.name}: ${hashes[at]}`).join(", ");
      this.#fail(`members of ${group} differ at the end: ${list}; ${notDeterministic}`);
    }
  }

  #checkHeard(group: string): void {
    for (const { machine, member } of this.#cluster.members(group)) {
      const differs = machine.heard.get(group)!.differsFrom(member);
      if (differs !== null) this.#fail(`events of ${group} at ${machine.name}: ${differs}`);
    }
  }

  #checkHistory({ name, definition }: GroupPlan, group: number): void {
    const workload = this.#workloads[group]!;
    const oracle = this.#cluster.oracles.get(name)!;
    const result = checkLinearizable(definition, this.#recorders[group]!.operations, {
      appliedOf: (operation) => {
        if (operation.kind !== "command") return null;
        const identity = workload.identify?.(operation.name, operation.arg) ?? null;
        return identity === null ? null : oracle.appliedBy(identity);
      },
    });
    if (result.type === "linearizable") return;
    const hint = workload.identify === undefined ? blindHint : "";
    this.#fail(`${name}: ${describeCheck(result)}${hint}`);
  }

  /** A run in which nothing happened shows nothing. */
  #checkCounts(): void {
    for (const recorder of this.#recorders) {
      const never = recorder.neverAnswered(manyThrows);
      if (never !== null) this.#fail(never);
    }
    if (this.#counts.ok === 0) this.#fail("not one call was answered in this run");
  }

  #allSettled(): boolean {
    return this.#plans.every(({ name }) => this.#cluster.settled(name));
  }

  async #within(timeouts: number, what: string, condition: () => boolean): Promise<void> {
    const limitMs = this.#world.nowMs() + timeouts * this.#electionTimeoutMs;
    const reached = await this.#cluster.runUntil(limitMs, condition);
    this.#stopOnFailure();
    if (!reached) {
      this.#fail(`not within ${timeouts} election timeouts: ${what}\n${this.#cluster.describe()}`);
    }
  }

  #fail(message: string): never {
    this.#failedAtMs = this.#world.nowMs();
    throw new RaftError("internal", message);
  }

  #stopOnFailure(): void {
    const { failure } = this.#world;
    if (failure === null) return;
    this.#failedAtMs = this.#world.nowMs();
    throw failure;
  }
}
