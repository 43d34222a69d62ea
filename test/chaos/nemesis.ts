/** What happens to the group: two hands, one on the network and one on the processes. */
import { setTimeout as pause } from "node:timers/promises";
import type { SeededRandom } from "../../src/clock/virtual.js";
import { type Network, type NetworkFault, networkFaults } from "./network.js";
import type { Stage } from "./stage.js";

export const processFaults = [
  "kill",
  "kill-majority",
  "lose-power",
  "pause",
  "pause-leader",
  "pause-all",
  "pause-client",
  "set-clock",
  "lose-memory",
  "remove-and-add",
  "transfer",
  "other-version",
  "kill-client",
] as const;

export type Fault = NetworkFault | (typeof processFaults)[number];
export const allFaults: readonly Fault[] = [...networkFaults, ...processFaults];

/** Between the earliest and the latest wall clock: forty years. */
const farMs = 40 * 365 * 86_400_000;

/** Of these kinds those that can strike in this network. */
export function possibleFaults(faults: readonly Fault[], network: Network): readonly Fault[] {
  const { strikes, cables } = network;
  const isOfNetwork = (fault: Fault): fault is NetworkFault =>
    (networkFaults as readonly Fault[]).includes(fault);
  return faults.filter((fault) =>
    isOfNetwork(fault) ? strikes[fault] !== undefined : fault !== "lose-power" || cables !== null,
  );
}

export class Nemesis {
  readonly struck = new Map<Fault, number>();
  readonly #stage: Stage;
  readonly #random: SeededRandom;
  readonly #enabled: readonly Fault[];
  #stopping = false;
  /** The hand on the processes needs a whole network for what it does next. */
  #calm = false;
  #hands: Promise<unknown> = Promise.resolve();

  constructor(stage: Stage, random: SeededRandom, enabled: readonly Fault[]) {
    this.#stage = stage;
    this.#random = random;
    this.#enabled = enabled;
  }

  start(): void {
    const network = networkFaults.filter((fault) => this.#enabled.includes(fault));
    const processes = processFaults.filter((fault) => this.#enabled.includes(fault));
    this.#hands = Promise.all([
      this.#hand(network, (fault) => this.#onNetwork(fault)),
      this.#hand(processes, (fault) => this.#onProcesses(fault)),
    ]).catch((error: unknown) => this.#stage.problems.push(`nemesis: ${String(error)}`));
  }

  /** Resolves when what was begun is done; what is broken stays broken. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#hands;
  }

  /** One fault after the other, each once before any comes again. */
  async #hand<F extends Fault>(
    faults: readonly F[],
    strike: (fault: F) => Promise<boolean>,
  ): Promise<void> {
    let deck: F[] = [];
    while (!this.#stopping && faults.length > 0) {
      if (deck.length === 0) deck = this.#shuffled(faults);
      const fault = deck.pop()!;
      if (await strike(fault)) this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1);
      await this.#rest(100, 1200);
    }
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    const shuffled: T[] = [];
    while (left.length > 0) shuffled.push(...left.splice(this.#random.below(left.length), 1));
    return shuffled;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.below(items.length)]!;
  }

  async #rest(leastMs: number, mostMs: number): Promise<void> {
    await pause(leastMs + this.#random.next() * (mostMs - leastMs));
  }

  // -------------------------------------------------------------------------------------------
  // The network

  /** Everybody who dials. */
  #everybody(): string[] {
    return [...this.#stage.ids, ...this.#stage.clientIds];
  }

  async #onNetwork(fault: NetworkFault): Promise<boolean> {
    const { network } = this.#stage;
    if (this.#calm) {
      network.heal();
      await this.#rest(200, 400);
      return false;
    }
    const struck = this.#harm(fault);
    await this.#rest(300, 4000);
    // Faults pile up now and then.
    if (this.#random.next() < 0.7) network.heal();
    return struck;
  }

  #harm(fault: NetworkFault): boolean {
    const { network, ids } = this.#stage;
    const [one, other, ...rest] = this.#shuffled(ids);
    const strike = network.strikes[fault]!;
    return strike({
      ...{ one: one!, other: other!, random: this.#random },
      near: [one!, ...rest.slice(2)],
      far: [other!, ...rest.slice(0, 2)],
      everybodyElse: this.#everybody().filter((each) => each !== one),
    });
  }

  // -------------------------------------------------------------------------------------------
  // The processes

  async #onProcesses(fault: (typeof processFaults)[number]): Promise<boolean> {
    const stage = this.#stage;
    const victim = this.#pick(stage.ids);
    switch (fault) {
      case "kill":
        return this.#killAndRestart([victim]);
      case "kill-majority": {
        const many = Math.floor(stage.ids.length / 2) + 1 + this.#random.below(2);
        return this.#killAndRestart(this.#shuffled(stage.ids).slice(0, many));
      }
      case "lose-power":
        return this.#losePower(victim);
      case "pause":
        return this.#pause([victim]);
      case "pause-leader":
        return this.#pause([await this.#leaderOr(victim)]);
      case "pause-all":
        return this.#pause(this.#shuffled(stage.ids));
      case "pause-client":
        return this.#pause([this.#pick(stage.clientIds)]);
      case "set-clock":
        return this.#setClock(victim);
      case "lose-memory":
        return this.#inCalm(() => this.#loseMemory(victim));
      case "remove-and-add":
        return this.#inCalm(() => this.#removeAndAdd());
      case "transfer":
        return this.#transfer(victim);
      case "other-version":
        return this.#otherVersion(victim);
      case "kill-client": {
        const client = this.#pick(stage.clientIds);
        await stage.killClient(client);
        stage.startClient(client);
        return true;
      }
      default:
        return fault satisfies never;
    }
  }

  async #leaderOr(somebody: string): Promise<string> {
    try {
      return (await this.#stage.leader()) ?? somebody;
    } catch {
      return somebody;
    }
  }

  async #killAndRestart(victims: readonly string[]): Promise<boolean> {
    for (const id of victims) await this.#stage.stop(id, "SIGKILL");
    await this.#rest(0, 2000);
    await Promise.all(victims.map((id) => this.#stage.start(id)));
    return true;
  }

  /** Nobody hears of its end: not even its kernel closes the connections. */
  async #losePower(victim: string): Promise<boolean> {
    const { cables } = this.#stage.network;
    if (cables === null) return false;
    cables.pull(victim);
    await this.#stage.stop(victim, "SIGKILL");
    await this.#rest(500, 2500);
    cables.plug(victim);
    await this.#stage.start(victim);
    return true;
  }

  /** Members or a client; several fall asleep together and wake up one after the other. */
  async #pause(victims: readonly string[]): Promise<boolean> {
    const paused = victims.filter((id) => this.#stage.isUp(id));
    for (const id of paused) this.#stage.signal(id, "SIGSTOP");
    await this.#rest(100, 4000);
    for (const id of paused) {
      this.#stage.signal(id, "SIGCONT");
      if (paused.length > 1) await this.#rest(0, 300);
    }
    return paused.length > 0;
  }

  /** Years ahead of the others or behind them, for as long as its process lives or until the next time. */
  #setClock(victim: string): boolean {
    if (!this.#stage.isUp(victim)) return false;
    this.#stage.setWallClock(victim, Math.floor((this.#random.next() - 0.5) * farMs));
    return true;
  }

  /** With a whole network until everybody is a voter again, then with whatever the other hand does. */
  async #inCalm(act: () => Promise<boolean>): Promise<boolean> {
    this.#calm = true;
    const settled = await this.#stage.until("the group has settled", async () => {
      this.#stage.network.heal();
      return await this.#stage.isSettled();
    });
    this.#calm = false;
    return settled && (await act());
  }

  /** Of one member at a time, or the group might lose what a majority had promised to keep. */
  async #loseMemory(victim: string): Promise<boolean> {
    await this.#stage.stop(victim, "SIGKILL");
    this.#stage.loseMemory(victim);
    await this.#stage.start(victim);
    return true;
  }

  async #removeAndAdd(): Promise<boolean> {
    const leader = await this.#leaderOr("");
    const others = this.#stage.ids.filter((id) => id !== leader);
    return this.#stage.removeAndAdd(this.#pick(others));
  }

  async #transfer(target: string): Promise<boolean> {
    try {
      const { members } = await this.#stage.status();
      const memberId = members.find(({ hostId }) => hostId === target)!.id;
      await this.#stage.observer.transferLeadership(memberId, { timeoutMs: 3000 });
    } catch {
      // Under attack most transfers do not come off, and that is an answer as well.
    }
    return true;
  }

  async #otherVersion(victim: string): Promise<boolean> {
    const stage = this.#stage;
    if (!stage.isUp(victim)) return false;
    await stage.stop(victim, "SIGTERM");
    const member = stage.members.get(victim)!;
    member.version = member.version === 1 ? 2 : 1;
    await stage.start(victim);
    return true;
  }
}
