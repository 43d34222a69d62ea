/**
 * A lease that is in force when another leader is elected answers from the past as soon as that one has
 * committed something (hazards 42 to 46). Clients' histories show it where one of them asks right then; here
 * it shows in any case.
 */
import { leaseUntilMs } from "../core/reads.js";
import type { Core } from "../core/state.js";
import type { Millis, Term } from "../core/types.js";
import type { Violate } from "./oracles.js";

export type LocalCore = { readonly core: Core; readonly nowMs: Millis };

export class LeaseOracle {
  readonly #group: string;
  readonly #violate: Violate;
  #newestTerm: Term = 0;

  constructor(group: string, violate: Violate) {
    this.#group = group;
    this.#violate = violate;
  }

  /** A core may have changed. `all`: those of the group, each with the time of its own clock. */
  look({ role, currentTerm, self }: Core, all: () => readonly LocalCore[]): void {
    if (role.type !== "leader" || currentTerm <= this.#newestTerm) return;
    this.#newestTerm = currentTerm;
    for (const { core, nowMs } of all()) {
      if (core.role.type !== "leader" || core.currentTerm >= currentTerm) continue;
      const leftMs = leaseUntilMs(core, core.role) - nowMs;
      // The only voter asks nobody, and its word alone is no lease.
      if (leftMs <= 0 || leftMs === Infinity) continue;
      this.#violate(
        `group ${this.#group}: ${self.id} was elected in term ${currentTerm}, ` +
          `and ${core.self.id} of term ${core.currentTerm} counts on its lease for ${leftMs} ms yet`,
      );
    }
  }
}
