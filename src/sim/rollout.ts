/**
 * The rolling upgrade of a simulated cluster: machines come back one after the other with the newer version of the value,
 * and sometimes go back before all have it. What the newer version alone has is sent when all have it, and for good, as
 * the guide says; and before any has it, when nobody may take it.
 */
import type { SeededRandom } from "../clock/virtual.js";
import type { SimCluster } from "./cluster.js";
import type { Machine } from "./machine.js";
import type { SimProcess } from "./process.js";
import { between, shuffled } from "./world.js";

/** What a machine does on which the older version refuses what the newer one has written. */
const wipeShare = 0.5;

type Course = {
  readonly random: SeededRandom;
  readonly order: readonly Machine[];
  readonly electionTimeoutMs: number;
  /** Operators change their minds when so many have the newer version. */
  readonly backAt: number;
  forward: boolean;
};

export class Rollout {
  readonly #cluster: SimCluster;
  readonly #random: SeededRandom;
  /** False: there is one version only. */
  readonly possible: boolean;
  #begun = false;
  #complete = false;
  #course: Course | null = null;
  /** Callers of what no member knows yet. */
  readonly #early = new Set<SimProcess>();

  constructor(cluster: SimCluster) {
    this.#cluster = cluster;
    this.#random = cluster.world.random.fork();
    this.possible = cluster.plans.every(({ older }) => older !== undefined);
  }

  /** All have the newer version, and none goes back any more. */
  get complete(): boolean {
    this.#complete ||= this.possible && this.#cluster.machines.every(({ newer }) => newer);
    return this.#complete;
  }

  /** No member has ever known the newer version. */
  get untouched(): boolean {
    return this.possible && !this.#begun;
  }

  /** No machine is given the newer version before it is told that the call has ended. */
  beginEarly(process: SimProcess): () => void {
    this.#early.add(process);
    return () => this.#early.delete(process);
  }

  /** False: it is under way, or over, or somebody still asks for what only comes with it. */
  begin(random: SeededRandom, electionTimeoutMs: number): boolean {
    if (!this.possible || this.complete || this.#course !== null) return false;
    if ([...this.#early].some(({ alive }) => alive)) return false;
    const { machines } = this.#cluster;
    const order = shuffled(random, machines);
    const backAt = random.next() < 0.4 ? 1 + random.below(machines.length) : Infinity;
    this.#begun = true;
    this.#course = { random, order, electionTimeoutMs, backAt, forward: true };
    this.#step(this.#course);
    return true;
  }

  /** Stays where it is, which may be anywhere. */
  stop(): void {
    this.#course = null;
  }

  /** The older version has refused what it was to read: an operator does as the refusal says, or gives it up. */
  outdated(machine: Machine, why: string): void {
    const { world } = this.#cluster;
    if (machine.newer || !this.possible) {
      return world.fail(new Error(`machine ${machine.name} cannot read what there is: ${why}`));
    }
    // Its other groups would be forgotten with it: it tries again, and is refused again, until they may be.
    if (machine.disk === null && !this.#cluster.mayForget(machine)) return;
    const back = this.#course?.forward === false && !this.complete;
    const wiped = back && this.#random.next() < wipeShare && this.#cluster.mayForget(machine);
    machine.kill();
    if (wiped) machine.wipe();
    else machine.newer = true;
    world.countFault(wiped ? "outdated-wiped" : "outdated-upgraded");
    world.after(between(this.#random, 10, 1000), () => {
      if (!machine.running) machine.boot(false);
    });
  }

  #step(course: Course): void {
    if (this.#course !== course) return;
    const { random, order, electionTimeoutMs, backAt } = course;
    const upgraded = order.filter(({ newer }) => newer).length;
    if (course.forward && upgraded >= backAt && !this.complete) course.forward = false;
    const next = order.find(({ newer }) => newer !== course.forward);
    if (next === undefined || (!course.forward && this.complete)) {
      this.#course = null;
      return;
    }
    this.#restart(next, course);
    const { world } = this.#cluster;
    world.after(between(random, 0.2, 5) * electionTimeoutMs, () => this.#step(course));
  }

  /** With the other version; not where that is not the moment for it. */
  #restart(machine: Machine, { random, electionTimeoutMs, forward }: Course): void {
    const { process } = machine;
    const { world } = this.#cluster;
    if (!machine.running || process === null) {
      machine.newer = forward;
      return;
    }
    if (machine.disk === null && !this.#cluster.mayForget(machine)) return;
    process.onDeath.push(() => {
      if (forward || !this.complete) machine.newer = forward;
    });
    const boot = (): void => {
      if (!machine.running) machine.boot(false);
    };
    process.onDeath.push(() => world.after(between(random, 0.05, 3) * electionTimeoutMs, boot));
    const inGoodOrder = random.next() < 0.7 && machine.end();
    if (!inGoodOrder) machine.kill();
  }
}
