/**
 * `rafted-value/testing`: the simulator, a cluster under your control, and the linearizability
 * checker, for the tests of your own values.
 *
 * @example
 * ```ts
 * import { test } from "node:test";
 * import { simulate } from "rafted-value/testing";
 *
 * test("the queue survives storms", async () => {
 *   await simulate({ value: queue, seed: 1, workload: { next: (random) => draw(random) } });
 * });
 * ```
 */
import { RaftError } from "../errors.js";
import type { AnyDefinedValue } from "../value/types.js";
import {
  checkMs,
  checkOptions,
  checkSeed,
  checkSettings,
  checkValue,
  checkWorkload,
} from "./checks.js";
import { faultNames } from "./nemesis.js";
import { runSimulation, type SimulationOptions, type SimulationResult } from "./simulation.js";
import type { Workload } from "./workload.js";

export type SimulateOptions = Omit<SimulationOptions, "value" | "workload"> & {
  readonly value: AnyDefinedValue;
  /** What clients do; all chance has to come from the `random` that it is given. */
  readonly workload: Workload;
};

const optionNames: readonly string[] = Object.keys({
  ...{ value: true, workload: true, seed: true, durationMs: true, faults: true },
  ...{ settings: true, trace: true },
} satisfies Record<keyof SimulateOptions, true>);

/**
 * Runs real hosts, members and clients of `value` on virtual time, network and disks, under the faults
 * of a nemesis, all drawn from `seed`; then heals everything and checks that handlers are
 * deterministic (replies and values equal on all members), that snapshots and restarts lose nothing,
 * that each command was applied once, and that what the clients saw is linearizable.
 *
 * Resolves with what happened. Rejects with RaftError `divergence` or `internal` that says what did
 * not hold and how to repeat the run; with `invalidValue` for a value that `defineValue` did not make,
 * with `invalidArgument` for an option or a fault that does not exist (see `faultNames`), and for a seed, a workload, a
 * call of it or a reply that is none (a name that is not defined, what has no encoding). A handler that throws time and
 * again and never answers fails the run. The same seed and code give the same run (`traceHash`).
 */
export async function simulate(options: SimulateOptions): Promise<SimulationResult> {
  checkOptions(options, "{ value: queue, seed: 1, workload: { next } }", optionNames);
  checkValue(options.value);
  checkSeed(options.seed);
  checkWorkload(options.workload);
  if (options.durationMs !== undefined) checkMs("durationMs", options.durationMs);
  checkSettings(options.settings ?? {});
  const unknown = (options.faults ?? []).filter((name) => !faultNames.includes(name));
  if (unknown.length > 0) {
    const known = faultNames.join(", ");
    throw new RaftError(
      "invalidArgument",
      `faults: no such fault: ${unknown.join(", ")}; there are ${known}`,
    );
  }
  const result = await runSimulation(options);
  const { failure } = result;
  if (failure !== null) {
    const { cause } = failure;
    // A call of the workload that is none: nothing of ours has failed.
    if (cause instanceof RaftError && cause.code === "invalidArgument") throw cause;
    const diverged = failure.message.includes("deterministic");
    const again = `again with the same value, workload and options, seed: ${JSON.stringify(options.seed)}`;
    const message = `${failure.message}\nat ${failure.atMs} ms; ${again}`;
    throw new RaftError(diverged ? "divergence" : "internal", message, { cause });
  }
  return result;
}

/** For who writes a Storage or a Transport: what their hosts rely on, as tests of `node:test`. */
export { storageContract } from "../contract/storage.js";
export type { StorageFactory, StorageHarness } from "../contract/storage-harness.js";
export { transportContract } from "../contract/transport.js";
export type { TransportFactory, TransportHarness } from "../contract/transport-harness.js";
export { SeededRandom, VirtualClock } from "../clock/virtual.js";
export { MemoryNetwork } from "../transport/memory.js";
export { createMemoryStorage } from "../storage/memory.js";
export { checkCluster, checkCore } from "../core/invariants.js";
export { HistoryRecorder, formatHistory, parseHistory } from "./history.js";
export type { History, Operation, OperationOutcome } from "./history.js";
export { checkLinearizable, describeCheck } from "./linearizability.js";
export type { CheckOptions, CheckResult } from "./linearizability.js";
export { faultNames } from "./nemesis.js";
export type { Seed, SimulationSettings } from "./settings.js";
export type { SimulationResult } from "./simulation.js";
export { createTestCluster, TestCluster } from "./test-cluster.js";
export type { TestClusterOptions } from "./test-cluster.js";
export type { Workload, WorkloadCall } from "./workload.js";
