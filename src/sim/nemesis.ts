/**
 * The nemesis: draws phases (calm, storm, heal) and, in a storm, faults of several kinds at rates of
 * their own. Every kind has a stream of chance of its own, so that a run with one kind left out meets
 * the others as before: that is how a failing run is shrunk.
 */
import type { SeededRandom } from "../clock/virtual.js";
import { quickDisk } from "./disk.js";
import { calmNetwork } from "./network.js";
import type { SimCluster } from "./cluster.js";
import { clusterFaults } from "./faults-cluster.js";
import { combinedFaults } from "./faults-combined.js";
import { machineFaults } from "./faults-machine.js";
import { networkFaults } from "./faults-network.js";
import { between, shuffled } from "./world.js";

export type Strike = {
  readonly cluster: SimCluster;
  readonly random: SeededRandom;
  /** The longest election timeout in force: the measure of time. */
  readonly electionTimeoutMs: number;
  /** Ends an effect of the fault after a while, or at the end of the storm if that is sooner. */
  readonly later: (delayMs: number, undo: () => void) => void;
};

export type FaultKind = {
  readonly name: string;
  /** Mean pause between two strikes, in election timeouts. */
  readonly everyTimeouts: number;
  /** Rages in every storm, whatever else does: it takes long, and is to meet everything. */
  readonly always?: true;
  /** Does the damage; false if there was nothing to damage now. */
  readonly strike: (strike: Strike) => boolean;
};

export const faultKinds: readonly FaultKind[] = Object.freeze([
  ...networkFaults,
  ...machineFaults,
  ...clusterFaults,
  ...combinedFaults,
]);

export const faultNames: readonly string[] = Object.freeze(faultKinds.map(({ name }) => name));

type Phase = "calm" | "storm" | "heal" | "over";

export class Nemesis {
  readonly #cluster: SimCluster;
  readonly #kinds: readonly { readonly kind: FaultKind; readonly random: SeededRandom }[];
  readonly #phases: SeededRandom;
  readonly #electionTimeoutMs: number;
  /** Of this storm. */
  #undo: (() => void)[] = [];
  #storm = 0;
  phase: Phase = "calm";

  /** `enabled`: names of the kinds that may strike. */
  constructor(cluster: SimCluster, enabled: readonly string[], electionTimeoutMs: number) {
    const { random } = cluster.world;
    this.#cluster = cluster;
    this.#electionTimeoutMs = electionTimeoutMs;
    this.#phases = random.fork();
    // Streams are forked for all kinds, so that leaving one out shifts none.
    this.#kinds = faultKinds
      .map((kind) => ({ kind, random: random.fork() }))
      .filter(({ kind }) => enabled.includes(kind.name));
  }

  start(): void {
    this.#calm();
  }

  /** Ends for good; everything is made whole. */
  stop(): void {
    this.#endStorm();
    this.phase = "over";
    this.#cluster.rollout.stop();
    this.#heal();
  }

  #calm(): void {
    this.phase = "calm";
    this.#then(between(this.#phases, 1, 6), () => this.#stormBegins());
  }

  #stormBegins(): void {
    this.phase = "storm";
    this.#storm += 1;
    // How many kinds rage together: mostly a few, sometimes all of them.
    const few = 1 + this.#phases.below(4);
    const order = shuffled(this.#phases, faultKinds);
    const chosen = this.#phases.next() < 0.15 ? order : order.slice(0, few * 2);
    for (const { kind, random } of this.#kinds) {
      if (kind.always === true || chosen.includes(kind)) this.#rage(kind, random, this.#storm);
    }
    this.#then(between(this.#phases, 5, 40), () => {
      this.#endStorm();
      this.phase = "heal";
      this.#heal();
      this.#then(between(this.#phases, 2, 10), () => this.#calm());
    });
  }

  #rage(kind: FaultKind, random: SeededRandom, storm: number): void {
    const meanMs = kind.everyTimeouts * this.#electionTimeoutMs;
    const again = (first: boolean): void => {
      const pauseMs = first ? between(random, 0, meanMs) : -Math.log(1 - random.next()) * meanMs;
      this.#cluster.world.after(pauseMs, () => {
        if (this.phase !== "storm" || this.#storm !== storm) return;
        this.#strike(kind, random);
        again(false);
      });
    };
    again(true);
  }

  #strike(kind: FaultKind, random: SeededRandom): void {
    const { world } = this.#cluster;
    const struck = kind.strike({
      cluster: this.#cluster,
      random,
      electionTimeoutMs: this.#electionTimeoutMs,
      later: (delayMs, undo) => this.#later(delayMs, undo),
    });
    if (!struck) return;
    world.countFault(kind.name);
    world.trace.event(world.nowMs(), "nemesis", kind.name);
  }

  #later(delayMs: number, undo: () => void): void {
    let done = false;
    const once = (): void => {
      if (!done) undo();
      done = true;
    };
    this.#undo.push(once);
    this.#cluster.world.after(delayMs, once);
  }

  #endStorm(): void {
    const undo = this.#undo;
    this.#undo = [];
    for (const each of undo) each();
  }

  /** Network whole, everybody up and awake, clocks right, disks quick. */
  #heal(): void {
    const { network, machines, world } = this.#cluster;
    world.trace.event(world.nowMs(), "nemesis", "heal");
    Object.assign(network.settings, calmNetwork);
    network.heal();
    for (const machine of machines) {
      machine.wanted = true;
      machine.setRate(1);
      machine.process?.resume();
      if (machine.process !== null) machine.process.busyMs = 0;
      machine.recoverDisk();
      // Of two slownesses that overlap the earlier one ends first, and the later one restores it.
      if (machine.disk !== null) Object.assign(machine.disk.settings, quickDisk);
      if (!machine.running) machine.boot(false);
    }
  }

  #then(timeouts: number, next: () => void): void {
    this.#cluster.world.after(timeouts * this.#electionTimeoutMs, () => {
      if (this.phase !== "over") next();
    });
  }
}
