/**
 * A cluster inside one test: real hosts, members and clients on a network, disks and clocks that the
 * test controls. No port is opened, and no real time passes.
 */
import type { GroupClient } from "../client/types.js";
import { validateGroupConfig } from "../core/config.js";
import type { GroupConfigChange } from "../core/types.js";
import { RaftError } from "../errors.js";
import type { AnyDefinedValue } from "../value/types.js";
import { checkMachines, checkMs, checkOptions, checkSeed, checkValue } from "./checks.js";
import { SimCluster } from "./cluster.js";
import type { Machine } from "./machine.js";
import type { Seed } from "./settings.js";
import { World } from "./world.js";

export type TestClusterOptions<D extends AnyDefinedValue> = {
  readonly value: D;
  /** 1 to 7 machines, named "a", "b" ... Default 3. */
  readonly machines?: number | undefined;
  readonly config?: GroupConfigChange | undefined;
  /** Decides every delay and election. Default 1. */
  readonly seed?: Seed | undefined;
  /** True: machines have disks that outlive their processes. Default false. */
  readonly durable?: boolean | undefined;
};

const optionNames: readonly string[] = Object.keys({
  ...{ value: true, machines: true, config: true, seed: true, durable: true },
} satisfies Record<keyof TestClusterOptions<AnyDefinedValue>, true>);

const groupName = "test";
/** Virtual milliseconds; nothing sound takes so long. */
const patienceMs = 600_000;

/**
 * Starts a cluster whose group is formed and has a leader.
 *
 * @example
 * ```ts
 * const cluster = await createTestCluster({ value: queue, machines: 3 });
 * const client = cluster.client();
 * await cluster.run(client.command("enqueue", "a"));
 * cluster.crash(cluster.leader()!);
 * console.log(await cluster.run(client.query("length"))); // 1
 * ```
 */
export async function createTestCluster<D extends AnyDefinedValue>(
  options: TestClusterOptions<D>,
): Promise<TestCluster<D>> {
  checkOptions(options, "{ value: queue }", optionNames);
  const { value, machines = 3, seed = 1, durable = false } = options;
  checkValue(value);
  checkSeed(seed);
  checkMachines(machines);
  const cluster = new SimCluster({
    world: new World({ seed }),
    machines,
    durable,
    plans: [
      { name: groupName, definition: value, config: validateGroupConfig(options.config ?? {}) },
    ],
    identify: () => null,
  });
  cluster.boot();
  const test = new TestCluster<D>(cluster);
  await test.until(() => cluster.settled(groupName));
  return test;
}

/** Made by `createTestCluster`. */
export class TestCluster<D extends AnyDefinedValue> {
  readonly #cluster: SimCluster;

  constructor(cluster: SimCluster) {
    this.#cluster = cluster;
  }

  /** Virtual milliseconds since the beginning. */
  get nowMs(): number {
    return this.#cluster.world.nowMs();
  }

  get machines(): readonly string[] {
    return this.#cluster.machines.map(({ name }) => name);
  }

  /** A client of its own, as `connect()` gives. Its calls are answered while time passes. */
  client(): GroupClient<D> {
    const settings = { pipeline: 0, pauseMs: 0, minTimeoutMs: 0, maxTimeoutMs: 0 };
    const client = this.#cluster.newClient(this.#cluster.plans[0]!, settings);
    return client.api as unknown as GroupClient<D>;
  }

  /** Lets time pass until the promise is settled, and hands on how. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    await this.until(() => settled);
    return promise;
  }

  /** Lets so many virtual milliseconds pass. */
  async advance(byMs: number): Promise<void> {
    checkMs("byMs", byMs);
    const { world } = this.#cluster;
    const untilMs = world.nowMs() + byMs;
    await this.#cluster.runUntil(untilMs, () => false);
    this.#check();
    // Nothing was due up to there: time passes all the same.
    if (world.nowMs() < untilMs) world.after(untilMs - world.nowMs(), () => undefined);
    await this.#cluster.runUntil(untilMs, () => world.nowMs() >= untilMs);
  }

  /** Lets time pass until the condition holds; rejects after ten virtual minutes. */
  async until(condition: () => boolean): Promise<void> {
    const { world } = this.#cluster;
    const reached = await this.#cluster.runUntil(world.nowMs() + patienceMs, condition);
    this.#check();
    if (!reached) {
      const state = this.#cluster.describe();
      throw new RaftError("timeout", `not within ${patienceMs} virtual milliseconds:\n${state}`);
    }
  }

  /** Name of the machine whose member leads, or null. */
  leader(): string | null {
    return this.#cluster.leader(groupName)?.machine.name ?? null;
  }

  /** Whether all machines run, are voters and have applied the same. */
  get settled(): boolean {
    return this.#cluster.settled(groupName);
  }

  /** As by SIGKILL: memory is gone; a disk keeps what it had acknowledged. */
  crash(machine: string): void {
    this.#machine(machine).kill();
  }

  /** Starts a new process there; without a disk it joins as a newcomer. */
  restart(machine: string): void {
    const found = this.#machine(machine);
    if (!found.running) found.boot(false);
  }

  /** As by SIGSTOP. */
  pause(machine: string): void {
    this.#machine(machine).process?.pause();
  }

  resume(machine: string): void {
    this.#machine(machine).process?.resume();
  }

  /** Cuts the network between two sides; clients reach both. */
  partition(side: readonly string[], other: readonly string[]): void {
    for (const a of side) {
      for (const b of other) {
        this.#cluster.network.cut(this.#machine(a).name, this.#machine(b).name);
        this.#cluster.network.cut(b, a);
      }
    }
  }

  /** Makes the network whole again. */
  heal(): void {
    this.#cluster.network.heal();
  }

  /** Shortest and longest time that a message takes from now on. */
  delay(minMs: number, maxMs: number): void {
    checkMs("minMs", minMs);
    checkMs("maxMs", maxMs, minMs);
    Object.assign(this.#cluster.network.settings, { minDelayMs: minMs, maxDelayMs: maxMs });
  }

  #machine(name: string): Machine {
    const machine = this.#cluster.machines.find((each) => each.name === name);
    if (machine === undefined) {
      const known = this.machines.join(", ");
      throw new RaftError("invalidArgument", `machine: there is no "${name}"; there are ${known}`);
    }
    return machine;
  }

  /** Oracles watch here as well: a handler that is not deterministic is found at once. */
  #check(): void {
    const { failure } = this.#cluster.world;
    if (failure !== null) throw failure;
  }
}
