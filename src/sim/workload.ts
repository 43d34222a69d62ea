/** What clients of a simulation do. */
import type { SeededRandom } from "../clock/virtual.js";

export type WorkloadCall = {
  /** `stale`: a query answered from one member's own copy; not part of the history. */
  readonly kind: "command" | "query" | "stale";
  readonly name: string;
  /** undefined: called without argument. */
  readonly arg: unknown;
};

export type Workload = {
  /** The next call of one client. All chance has to come from `random`. */
  next(random: SeededRandom, client: number): WorkloadCall;
  /**
   * What tells one command from every other, if there is such a thing: then each is seen to be applied once. Needed by
   * a value whose handlers look at `applied`: only so does the checker know what they were told; else it tells them zeros.
   */
  identify?(name: string, arg: unknown): string | number | null;
};

/** Of a value of which there is a newer version. */
export type UpgradedWorkload = Workload & {
  /** A call that only the newer version has. */
  nextOfNewer(random: SeededRandom): WorkloadCall;
};
