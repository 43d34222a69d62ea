/** commands, durable, queries, payload: throughput and latency against the ceiling. */
import { compare, rowHeader, type CompareOptions, type Measured } from "../compare.js";
import type { LoadOptions } from "../load.js";
import { startCeiling, startOurs, type Ours, type System } from "../systems.js";

export type SuiteResult = { readonly suite: string; readonly measured: readonly Measured[] };

async function withSystems<T extends System[]>(
  systems: T,
  run: (...systems: T) => Promise<Measured[]>,
): Promise<Measured[]> {
  try {
    console.log(rowHeader);
    return await run(...systems);
  } finally {
    for (const system of systems) await system.stop();
  }
}

/** Increments of a counter, in memory, by one client process. */
export async function commandsSuite(options: CompareOptions): Promise<SuiteResult> {
  const ceiling = await startCeiling({ durable: false, bodyBytes: 16 });
  const ours = await startOurs();
  const measured = await withSystems([ceiling, ours], (a, b) => compare([a, b], options));
  return { suite: "commands", measured };
}

/** The same with every member's log on disk, group commit and fdatasync on both sides. */
export async function durableSuite(options: CompareOptions): Promise<SuiteResult> {
  const ceiling = await startCeiling({ durable: true, bodyBytes: 16 });
  const ours = await startOurs({ durable: true, name: "rafted-value, durable" });
  const measured = await withSystems([ceiling, ours], (a, b) => compare([a, b], options));
  return { suite: "durable", measured };
}

function as(name: string, ours: Ours, kind: "command" | "query" | "stale"): System {
  return {
    name,
    run: (load: LoadOptions) => ours.load(kind, load),
    stop: () => Promise.resolve(),
  };
}

/** Queries by ReadIndex, by lease and stale; the baseline is the same group's commands. */
export async function queriesSuite(options: CompareOptions): Promise<SuiteResult> {
  const ours = await startOurs();
  const lease = await startOurs({
    name: "lease",
    config: { heartbeatMs: 200, electionTimeoutMs: 1000, clockDriftMarginMs: 200 },
  });
  const measured = await withSystems([ours, lease], (plain, leased) =>
    compare(
      [
        as("commands", plain, "command"),
        as("queries by ReadIndex", plain, "query"),
        as("queries by lease", leased, "query"),
        as("stale queries", plain, "stale"),
      ],
      options,
    ),
  );
  return { suite: "queries", measured };
}

/** Commands with 1 KiB and 16 KiB of payload. */
export async function payloadSuite(options: CompareOptions): Promise<SuiteResult> {
  const measured: Measured[] = [];
  for (const bodyBytes of [1024, 16 * 1024]) {
    const ceiling = await startCeiling({ durable: false, bodyBytes });
    const ours = await startOurs({
      name: `rafted-value ${bodyBytes / 1024} KiB`,
      value: "payload",
      kind: "payload",
      bodyBytes,
    });
    measured.push(...(await withSystems([ceiling, ours], (a, b) => compare([a, b], options))));
  }
  return { suite: "payload", measured };
}
