/** Where members said themselves that they listen; they know better than the membership. */
import type { MemberId } from "../core/types.js";

export class Addresses {
  /** Another one after every change: who looked something up before has to look again. */
  version = 0;
  readonly #announced = new Map<MemberId, string>();
  /** Of those, what others said. */
  readonly #hearsay = new Set<MemberId>();

  get(id: MemberId): string | null {
    return this.#announced.get(id) ?? null;
  }

  /** The member says so itself. False if that was known already. */
  set(id: MemberId, address: string): boolean {
    this.#hearsay.delete(id);
    return this.#put(id, address);
  }

  /** Somebody else says so: good for as long as the member says nothing. False if nothing is new. */
  suggest(id: MemberId, address: string): boolean {
    if (this.#announced.has(id) && !this.#hearsay.has(id)) return false;
    this.#hearsay.add(id);
    return this.#put(id, address);
  }

  #put(id: MemberId, address: string): boolean {
    if (this.#announced.get(id) === address) return false;
    this.#announced.set(id, address);
    this.version += 1;
    return true;
  }

  get size(): number {
    return this.#announced.size;
  }

  keepOnly(known: ReadonlySet<MemberId>): void {
    for (const id of this.#announced.keys()) {
      if (known.has(id)) continue;
      this.#announced.delete(id);
      this.#hearsay.delete(id);
    }
    this.version += 1;
  }
}
