/** Every process in a network namespace of its own (lab.ts): what strikes here are lost and late packets. */
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { Child } from "./child.js";
import type { Abilities } from "./iproute.js";
import { detour, Lab, pit } from "./lab.js";
import {
  cutStrikes,
  type Network,
  type NetworkFault,
  type Strike,
  type Targets,
} from "./network.js";
import type { FromGate, GatePlan, Routes, ToGate } from "./words.js";

const gateProgram = new URL("./gate.js", import.meta.url);
const port = 7100;
/** Where the test looks from. */
const eye = "eye";
/**
 * One packet in four of each connection, by the number that the kernel gives to a connection's packets.
 * What is sent again has another number. Those without (0) open connections, and pass.
 */
const oneInFour = "protocol ip u32 match u16 3 3 at 4";

export class NamespaceNetwork implements Network {
  readonly kind = "namespaces";
  readonly strikes: Readonly<Partial<Record<NetworkFault, Strike>>>;
  readonly cables = {
    pull: (member: string): void => this.#lab.unplug(member),
    plug: (member: string): void => this.#lab.plug(member),
  };
  readonly #lab: Lab;
  readonly #members: readonly string[];
  readonly #doors = new Map<string, string>();
  #gate: Child<FromGate> | null = null;

  private constructor(members: readonly string[], clients: readonly string[], can: Abilities) {
    this.#members = members;
    this.#lab = new Lab([...members, ...clients, eye], can);
    this.strikes = {
      ...cutStrikes((from, to) => this.#cutOneWay(from, to)),
      isolate: ({ one }) => {
        this.#lab.unplug(one);
        return true;
      },
      "no-route": ({ one, other }) => this.#unroute(one, other),
      "big-packets": ({ one, random }) => this.#lab.narrow(one, 150 + random.below(500)),
      ...(can.netem ? this.#netemStrikes() : {}),
      ...(can.detours && !can.netem ? this.#detourStrikes(can.shaping) : {}),
      ...(can.shaping ? this.#shapingStrikes() : {}),
    };
  }

  static async open(
    members: readonly string[],
    clients: readonly string[],
    can: Abilities,
  ): Promise<NamespaceNetwork> {
    const network = new NamespaceNetwork(members, clients, can);
    try {
      await network.#openGate();
      return network;
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  async #openGate(): Promise<void> {
    const plan: GatePlan = { doors: this.#members.length };
    const gate = new Child<FromGate>(gateProgram, plan, () => undefined, this.entryTo(eye));
    this.#gate = gate;
    const doors = new Map(this.#members.map((member) => [member, createServer()] as const));
    for (const [member, door] of doors) {
      door.listen(0, "127.0.0.1");
      await once(door, "listening");
      const { port: number } = door.address() as AddressInfo;
      const target: ToGate = { host: this.#lab.ipOf(member), port };
      gate.process.send(target, door);
      this.#doors.set(member, `127.0.0.1:${number}`);
    }
    const open = await gate.heard("open");
    // From here on only the gate answers there.
    for (const door of doors.values()) door.close();
    if (open === null) throw new Error(`no gate to the namespaces: it ${await gate.gone}`);
  }

  // -------------------------------------------------------------------------------------------
  // Harm

  /** Whoever sent it does not learn that the receiver threw it away. */
  #cutOneWay(from: string, to: string): void {
    const rule = `pref 5 from ${this.#lab.ipOf(from)} blackhole`;
    this.#lab.harm("ip", this.#lab.namespaceOf(to), [`rule add ${rule}`], `rule del ${rule}`);
  }

  /** The sender itself knows that there is no way. */
  #unroute(from: string, to: string): boolean {
    const route = `unreachable ${this.#lab.ipOf(to)}/32`;
    const namespace = this.#lab.namespaceOf(from);
    return this.#lab.harm("ip", namespace, [`route add ${route}`], `route del ${route}`);
  }

  /** To it at its port of the switch, or from it at its own end of the cable. */
  #queue({ one, random }: Targets, kind: string): boolean {
    const [namespace, device] =
      random.below(2) === 0 ? [this.#lab.switch, one] : [this.#lab.namespaceOf(one), "eth0"];
    const line = `qdisc replace dev ${device} root ${kind}`;
    return this.#lab.harm("tc", namespace, [line], `qdisc del dev ${device} root`);
  }

  #shapingStrikes(): Pick<Record<NetworkFault, Strike>, "throttle"> {
    return {
      throttle: (targets) => {
        const bits = 8 * (2000 + targets.random.below(50_000));
        return this.#queue(targets, `tbf rate ${bits}bit burst 3000b latency 2000ms`);
      },
    };
  }

  #netemStrikes(): Partial<Record<NetworkFault, Strike>> {
    return {
      delay: (targets) => {
        const ms = 5 + targets.random.below(300);
        return this.#queue(targets, `netem delay ${ms}ms ${Math.ceil(ms / 3)}ms`);
      },
      loss: (targets) => this.#queue(targets, `netem loss ${5 + targets.random.below(30)}%`),
      reorder: (targets) => this.#queue(targets, "netem delay 20ms reorder 50% 50%"),
      duplicate: (targets) => this.#queue(targets, "netem duplicate 30%"),
    };
  }

  /** Some of what kernels without netem can do as well. */
  #detourStrikes(shaping: boolean): Partial<Record<NetworkFault, Strike>> {
    const send = (place: string, match: string, action: string): boolean =>
      this.#lab.harm(
        "tc",
        this.#lab.switch,
        [`filter add dev ${place} ingress ${match} action mirred egress ${action}`],
        `filter del dev ${place} ingress`,
      );
    const repeat = ({ one, other }: Targets): boolean =>
      send(one, `${oneInFour} match ip dst ${this.#lab.ipOf(other)}/32`, `mirror dev ${other}`);
    return {
      loss: ({ one }) => send(one, oneInFour, `redirect dev ${pit}`),
      duplicate: repeat,
      ...(shaping ? { reorder: ({ one }) => send(one, oneInFour, `redirect dev ${detour}`) } : {}),
    };
  }

  heal(): void {
    if (this.#gate?.alive !== true) throw new Error("the gate to the namespaces has ended");
    this.#lab.heal();
  }

  // -------------------------------------------------------------------------------------------
  // Addresses

  addressOf(member: string): string {
    return `${this.#lab.ipOf(member)}:${port}`;
  }

  listenOf(member: string): string {
    return this.addressOf(member);
  }

  entryTo(id: string): readonly string[] {
    return ["ip", "netns", "exec", this.#lab.namespaceOf(id)];
  }

  async place(): Promise<void> {
    // A member has the same address for all its lives.
  }

  async remove(): Promise<void> {
    // What is sent to it from now on is answered by its kernel.
  }

  routesOf(): Routes {
    return Object.fromEntries(
      this.#members.map((id) => [this.addressOf(id), this.addressOf(id)] as const),
    );
  }

  directRoutes(...only: readonly string[]): Routes {
    const routes = [...this.#doors].filter(([id]) => only.length === 0 || only.includes(id));
    return Object.fromEntries(routes.map(([id, door]) => [this.addressOf(id), door] as const));
  }

  async close(): Promise<void> {
    await this.#gate?.kill();
    this.#lab.close();
  }
}
