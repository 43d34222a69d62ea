/** Where members said themselves that they listen; they know better than the membership. */
import type { MemberId } from "../core/types.js";
import type { Clock } from "../ports.js";

/** What a member says itself outlives its connection by so much: others may not have heard it yet. */
const freshMs = 10_000;

/** Those that other hosts have opened to this one. */
export type PeerConnections = {
  isConnected(id: MemberId): boolean;
  /** Those on which the member named another address end. */
  moved(id: MemberId, address: string): void;
};

export class Addresses {
  /** Another one after every change: who looked something up before has to look again. */
  version = 0;
  readonly #announced = new Map<MemberId, string>();
  /** When it said so itself; the others are hearsay. */
  readonly #saidAtMs = new Map<MemberId, number>();
  readonly #clock: Clock;
  readonly #connections: () => PeerConnections;

  constructor(clock: Clock, connections: () => PeerConnections) {
    this.#clock = clock;
    this.#connections = connections;
  }

  get(id: MemberId): string | null {
    return this.#announced.get(id) ?? null;
  }

  /** The member says so itself. False if that was known already. */
  set(id: MemberId, address: string): boolean {
    this.#saidAtMs.set(id, Math.floor(this.#clock.nowMs()));
    return this.#put(id, address);
  }

  /**
   * Somebody else says so: good unless the member has said something itself and may still be there. One that has
   * moved since, and that nobody here could hear, would not be found by any other way. False if nothing is new.
   */
  suggest(id: MemberId, address: string): boolean {
    if (this.#announced.get(id) === address || this.#speaksForItself(id)) return false;
    this.#saidAtMs.delete(id);
    return this.#put(id, address);
  }

  /**
   * The log has it elsewhere, after that address. One that it names in between, while it is being read, takes nothing back
   * of what the member has said since.
   */
  hasLeft(id: MemberId, address: string): void {
    if (this.#announced.get(id) !== address || this.#connections().isConnected(id)) return;
    this.#announced.delete(id);
    this.#saidAtMs.delete(id);
    this.version += 1;
  }

  #speaksForItself(id: MemberId): boolean {
    const saidAtMs = this.#saidAtMs.get(id);
    if (saidAtMs === undefined) return false;
    return this.#clock.nowMs() - saidAtMs < freshMs || this.#connections().isConnected(id);
  }

  #put(id: MemberId, address: string): boolean {
    if (this.#announced.get(id) === address) return false;
    this.#announced.set(id, address);
    this.version += 1;
    this.#connections().moved(id, address);
    return true;
  }

  get size(): number {
    return this.#announced.size;
  }

  keepOnly(known: ReadonlySet<MemberId>): void {
    for (const id of this.#announced.keys()) {
      if (known.has(id)) continue;
      this.#announced.delete(id);
      this.#saidAtMs.delete(id);
    }
    this.version += 1;
  }
}
