/**
 * A network of its own for every process, and a switch between them:
 *
 *     namespace of m1                  namespace of the switch                  namespace of c1
 *     eth0 10.77.0.2 ------ cable ------ m1 [ bridge ] c1 ------ cable ------ eth0 10.77.0.7
 *
 * Nothing of it is seen by the machine's own network. Names bear the process id, so that runs do not meet.
 */
import { atExit } from "./at-exit.js";
import { type Abilities, runBatch, runTool, type Tool } from "./iproute.js";

const subnet = "10.77.0";
const mtu = 1500;
/** A packet that is sent here is lost. */
export const pit = "pit";
/** A packet that is sent here comes back to the bridge later than those behind it. */
export const detour = "detour";
const detourEnd = "detour-end";

type Command = { readonly tool: Tool; readonly namespace: string; readonly undo: string };

export class Lab {
  readonly switch = `rv-${process.pid}-switch`;
  readonly #places: readonly string[];
  readonly #abilities: Abilities;
  readonly #made: string[] = [];
  readonly #leave: () => void;
  /** What heals the harm that was done, by its line. */
  readonly #undo = new Map<string, Command>();

  /** One namespace for each of `places`, with a port of that name on the switch. */
  constructor(places: readonly string[], abilities: Abilities) {
    this.#places = places;
    this.#abilities = abilities;
    this.#leave = atExit(() => this.close());
    try {
      this.#makeSwitch();
      for (const place of places) this.#makePlace(place);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  namespaceOf(place: string): string {
    return `rv-${process.pid}-${place}`;
  }

  ipOf(place: string): string {
    return `${subnet}.${this.#places.indexOf(place) + 2}`;
  }

  #makeNamespace(name: string): void {
    runTool("ip", ["netns", "add", name]);
    this.#made.push(name);
  }

  #makeSwitch(): void {
    this.#makeNamespace(this.switch);
    runBatch("ip", this.switch, ["link add name bridge type bridge", "link set bridge up"]);
    if (!this.#abilities.detours) return;
    // At its other end nobody has the address of anybody: what goes in is lost.
    runBatch("ip", this.switch, [
      `link add name ${pit} type veth peer name pit-end`,
      `link set ${pit} up`,
      "link set pit-end up",
    ]);
    if (!this.#abilities.shaping) return;
    runBatch("ip", this.switch, [
      `link add name ${detour} type veth peer name ${detourEnd}`,
      `link set ${detourEnd} master bridge`,
      `link set ${detour} up`,
      `link set ${detourEnd} up`,
    ]);
    // Senders are not behind it, though what they send comes out of it; and nobody is reached through it.
    const silent = "learning off flood off mcast_flood off bcast_flood off";
    runBatch("bridge", this.switch, [`link set dev ${detourEnd} ${silent}`]);
    runBatch("tc", this.switch, [
      `qdisc add dev ${detour} root tbf rate 60kbit burst 1600b latency 200ms`,
    ]);
  }

  #makePlace(place: string): void {
    const name = this.namespaceOf(place);
    this.#makeNamespace(name);
    runBatch("ip", this.switch, [
      `link add name ${place} mtu ${mtu} type veth peer name eth0 netns ${name}`,
      `link set ${place} master bridge`,
      `link set ${place} up`,
    ]);
    runBatch("ip", name, [
      // Rules about senders come before the one that takes in whatever is for this address.
      "rule add pref 10 lookup local",
      "rule del pref 0",
      "link set lo up",
      `addr add ${this.ipOf(place)}/24 dev eth0`,
      `link set eth0 mtu ${mtu} up`,
    ]);
    if (this.#abilities.detours) {
      runBatch("tc", this.switch, [`qdisc add dev ${place} clsact`]);
    }
    // The kernel of a machine without power does not go on saying goodbye for its processes.
    const retries = "/proc/sys/net/ipv4/tcp_orphan_retries";
    runTool("ip", ["netns", "exec", name, "sh", "-c", `echo 1 > ${retries}`]);
  }

  /** Does harm that `undo` heals; false if it is there already. Of two with one `undo`, the first holds. */
  harm(tool: Tool, namespace: string, lines: readonly string[], undo: string): boolean {
    const key = `${tool} ${namespace} ${undo}`;
    if (this.#undo.has(key)) return false;
    runBatch(tool, namespace, lines);
    this.#undo.set(key, { tool, namespace, undo });
    return true;
  }

  heal(): void {
    for (const [key, { tool, namespace, undo }] of this.#undo) {
      runBatch(tool, namespace, [undo]);
      this.#undo.delete(key);
    }
  }

  unplug(place: string): void {
    this.harm("ip", this.switch, [`link set dev ${place} down`], this.#plugLine(place));
  }

  plug(place: string): void {
    runBatch("ip", this.switch, [this.#plugLine(place)]);
    this.#undo.delete(`ip ${this.switch} ${this.#plugLine(place)}`);
  }

  #plugLine(place: string): string {
    return `link set dev ${place} up`;
  }

  /** Big packets are lost on their way to and from there, and nobody is told. */
  narrow(place: string, bytes: number): boolean {
    const line = (size: number): string => `link set dev ${place} mtu ${size}`;
    return this.harm("ip", this.switch, [line(bytes)], line(mtu));
  }

  /** Only what it made itself; a namespace is gone when the last process in it is. */
  close(): void {
    this.#leave();
    const left: string[] = [];
    for (const name of this.#made.splice(0)) {
      try {
        runTool("ip", ["netns", "del", name]);
      } catch (error) {
        left.push((error as Error).message);
      }
    }
    if (left.length > 0) throw new Error(left.join("; "));
  }
}
