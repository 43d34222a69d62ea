/**
 * One machine of a simulated cluster: a disk (or none), and the processes that run on it one after the
 * other, each with a real `Host`. It does what an operator's supervisor would: starts the host again,
 * and lets it join again where it has lost its place.
 */
import type { GroupClient } from "../client/types.js";
import type { GroupConfig } from "../core/types.js";
import { RaftError } from "../errors.js";
import { Host } from "../host/host.js";
import { defaultHostLimits } from "../host/limits.js";
import type { GroupOptions } from "../host/options.js";
import type { Member } from "../member/member.js";
import type { Logger } from "../ports.js";
import { createMemoryStorage } from "../storage/memory.js";
import type { AnyDefinedValue } from "../value/types.js";
import type { SeededRandom } from "../clock/virtual.js";
import { createCborCodec } from "../codec/values.js";
import { SimDisk } from "./disk.js";
import { Heard } from "./heard.js";
import type { SimNetwork } from "./network.js";
import { observeValue, type AppliedCall } from "./observe.js";
import { SimProcess } from "./process.js";
import type { World } from "./world.js";

export type GroupPlan = {
  readonly name: string;
  /** The newest version there is. */
  readonly definition: AnyDefinedValue;
  /** The version with which machines begin; none: the same. */
  readonly older?: AnyDefinedValue | undefined;
  readonly config: Partial<GroupConfig>;
};

export type MachineOptions = {
  readonly world: World;
  readonly network: SimNetwork;
  readonly name: string;
  readonly durable: boolean;
  readonly plans: readonly GroupPlan[];
  /** Where others may be asked to be let in. */
  readonly others: () => readonly string[];
  readonly onApplied: (machine: Machine, group: string, call: AppliedCall) => void;
  /** Its version of the value cannot read what another one has written. */
  readonly onOutdated: (machine: Machine, why: string) => void;
};

type Handle = GroupClient<AnyDefinedValue>;

/** Pause of the supervisor before it tries again. */
const retryMs = 100;

export class Machine {
  readonly world: World;
  readonly name: string;
  /** Where its processes listen from now on; the network finds it by its name as well. */
  address: string;
  readonly disk: SimDisk | null;
  process: SimProcess | null = null;
  host: Host | null = null;
  readonly handles = new Map<string, Handle>();
  /** What the handles' events have told, by group. */
  readonly heard = new Map<string, Heard>();
  /** Should be a member; false: the supervisor lets it be. */
  wanted = true;
  /** Its processes have the newer version of the value; changed only while there is none. */
  newer = false;
  /** Clocks of this machine run at this rate. */
  clockRate = 1;
  wallJumpMs = 0;
  readonly #options: MachineOptions;
  readonly #random: SeededRandom;
  #processes = 0;
  #moves = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.world = options.world;
    this.name = options.name;
    this.address = `${options.name}:1`;
    this.#random = options.world.random.fork();
    this.disk = options.durable ? new SimDisk(options.world) : null;
  }

  get running(): boolean {
    return this.process?.alive === true;
  }

  /** Starts a process. `create`: its groups begin here, unless the disk holds them. */
  boot(create: boolean): void {
    const { world } = this;
    this.#processes += 1;
    const name = `${this.name}.${this.#processes}`;
    const process = new SimProcess(world, this.name, name, this.#random.fork());
    process.clock.setRate(this.clockRate);
    process.clock.jumpWall(this.wallJumpMs);
    this.process = process;
    this.host = null;
    this.handles.clear();
    world.after(0, () => process.run("soon", "start", () => void this.#run(process, create)));
  }

  /** As by SIGKILL or a power cut: what was not durable may be gone. */
  kill(): void {
    this.process?.kill();
    this.host = null;
    this.handles.clear();
  }

  /** Its host closes in good order and starts again in the same process; false: it has none that is open. */
  reopen(): boolean {
    const { host, process } = this;
    if (host === null || process === null || !process.alive || process.paused) return false;
    this.host = null;
    this.handles.clear();
    void host.close().then(() => (process.alive ? this.#run(process, false) : undefined));
    return true;
  }

  /** As by SIGTERM: its host closes in good order, then the process ends; false: it has none that is open. */
  end(): boolean {
    const { host, process } = this;
    if (host === null || process === null || !process.alive || process.paused) return false;
    this.host = null;
    this.handles.clear();
    void host.close().then(() => process.kill());
    return true;
  }

  /** The next process listens elsewhere. */
  move(): void {
    this.#moves += 1;
    this.address = `${this.name}:${this.#moves + 1}`;
  }

  /** The disk is replaced by an empty one. */
  wipe(): void {
    if (this.disk === null) return;
    this.disk.groups.clear();
    this.disk.marks.clear();
    this.disk.damaged.clear();
    this.disk.hostId = null;
  }

  /** A disk that failed works again for the next process; one that fails still is let be. */
  recoverDisk(): void {
    if (this.disk?.failed !== true || !this.running) return;
    this.kill();
    this.boot(false);
  }

  setRate(rate: number): void {
    this.clockRate = rate;
    if (this.running) this.process!.clock.setRate(rate);
  }

  jumpWall(byMs: number): void {
    this.wallJumpMs += byMs;
    if (this.running) this.process!.clock.jumpWall(byMs);
  }

  /** The member of a group in this machine's process, if there is one that has not ended. */
  member(group: string): Member | null {
    const member = this.host?.memberOf(group) ?? null;
    return member === null || member.stopped ? null : member;
  }

  async #run(process: SimProcess, create: boolean): Promise<void> {
    const host = await this.#startHost(process);
    if (host === null || !process.alive) return;
    this.host = host;
    for (const plan of this.#options.plans) void this.#keepGroup(process, host, plan, create);
  }

  async #startHost(process: SimProcess): Promise<Host | null> {
    const { network } = this.#options;
    try {
      return await Host.start({
        id: this.name,
        listen: this.address,
        advertise: null,
        storage: this.disk?.storage(process) ?? createMemoryStorage(),
        transport: network.transport(process),
        clock: process.clock,
        random: process.random,
        codec: createCborCodec(),
        logger: this.#logger(process),
        limits: { ...defaultHostLimits, maxRequestsPerTurn: this.#requestsPerTurn() },
        freeze: true,
        maxAppliedPerTurn: this.#appliedPerTurn(),
      });
    } catch (cause) {
      this.world.fail(new Error(`host ${this.name} did not start: ${String(cause)}`, { cause }));
      return null;
    }
  }

  /** Few enough that what clients ask is spread over several turns, in some processes. */
  #requestsPerTurn(): number {
    return [1, 3, defaultHostLimits.maxRequestsPerTurn][Math.floor(this.#random.next() * 3)]!;
  }

  /** Few enough, in some processes, that what was committed at once is applied in many turns. */
  #appliedPerTurn(): number | undefined {
    return [1, 1, 3, undefined][Math.floor(this.#random.next() * 4)];
  }

  /** Is a member for as long as it is wanted, whatever happens to it. */
  async #keepGroup(
    process: SimProcess,
    host: Host,
    plan: GroupPlan,
    create: boolean,
  ): Promise<void> {
    const chosen = this.newer ? plan.definition : (plan.older ?? plan.definition);
    const definition = observeValue(chosen, (call) =>
      this.#options.onApplied(this, plan.name, call),
    );
    let begin = create;
    while (process.alive && this.host === host) {
      if (this.wanted) {
        const { config } = plan;
        const join = this.#options.others();
        const options: GroupOptions = begin
          ? { start: "create", config }
          : { start: { join }, config, onDamage: join.length > 0 ? "rejoin" : "refuse" };
        try {
          const handle: Handle = await host.group(plan.name, definition, options);
          begin = false;
          this.handles.set(plan.name, handle);
          this.heard.set(plan.name, new Heard(handle));
          await handle.closed;
          if (this.host === host) this.handles.delete(plan.name);
        } catch (cause) {
          this.#notedEnd(process, host, cause);
        }
      }
      await sleep(process, retryMs);
    }
  }

  #notedEnd(process: SimProcess, host: Host, cause: unknown): void {
    const { world } = this;
    world.trace.note(world.nowMs(), process.name, () => `not a member: ${String(cause)}`);
    if (!(cause instanceof RaftError)) {
      world.fail(new Error(`host ${process.name} rejected with ${String(cause)}`, { cause }));
    } else if (cause.code === "storageMismatch" && process.alive && this.host === host) {
      this.#options.onOutdated(this, cause.message);
    } else if (cause.code === "closed" && process.alive && this.host === host) {
      // A member of durable storage that has ended comes back with a new process only.
      this.kill();
      this.boot(false);
    }
  }

  #logger(process: SimProcess): Logger {
    const { world } = this;
    const note = (level: string) => (_fields: object, message: string) =>
      world.trace.note(world.nowMs(), process.name, () => `${level}: ${message}`);
    return {
      debug: note("debug"),
      info: note("info"),
      warn: note("warn"),
      error: (fields: object, message: string) => {
        note("error")(fields, message);
        const cause = (fields as { readonly err?: unknown }).err;
        // A member that was sent what it cannot read says so here; on its directory it would begin as before.
        if (cause instanceof RaftError && cause.code === "storageMismatch") {
          world.after(0, () => process.alive && this.#options.onOutdated(this, message));
        }
        const unexplained = /found itself broken|defect|diverge/i.test(message);
        if (unexplained) world.fail(new Error(`${process.name}: ${message}`, { cause }));
      },
    };
  }
}

/** By the process's own clock; a dead process never wakes up. */
export function sleep(process: SimProcess, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    process.clock.after(delayMs, resolve);
  });
}
