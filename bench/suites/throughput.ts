/** commands, durable, queries, payload: throughput and latency against the ceiling. */
import { compare, thousands, type CompareOptions, type Measured } from "../compare.js";
import { LoadClient } from "../load-process.js";
import type { LoadOptions, LoadResult } from "../load.js";
import { startAntietcd } from "../peers/antietcd.js";
import { startEtcd } from "../peers/etcd.js";
import { startCeiling, startOurs, type Ours, type System } from "../systems.js";

export type SuiteResult = { readonly suite: string; readonly measured: readonly Measured[] };
export type CommandsResult = SuiteResult & { readonly inProcess: readonly LoadResult[] };
export type PayloadResult = {
  readonly suite: string;
  readonly bodies: readonly {
    readonly bodyBytes: number;
    readonly measured: readonly Measured[];
  }[];
};

/** Absent peers are null. */
async function withSystems(
  systems: readonly (System | null)[],
  options: CompareOptions,
): Promise<Measured[]> {
  const present = systems.filter((system) => system !== null);
  try {
    return await compare(present, options);
  } finally {
    for (const system of present) await system.stop();
  }
}

/** Increments of a counter, in memory, by one client process. */
export async function commandsSuite(options: CompareOptions): Promise<CommandsResult> {
  const systems = [
    await startCeiling({ durable: false, bodyBytes: 16 }),
    await startOurs(),
    await startAntietcd(),
  ];
  const measured = await withSystems(systems, options);
  return { suite: "commands", measured, inProcess: await inProcess(options) };
}

/** All three members and their caller in one process, over a network in memory, codec included. */
async function inProcess({ rounds, warmupMs, measureMs }: CompareOptions): Promise<LoadResult[]> {
  const trio = new LoadClient<null>("./ours/in-process.js");
  const load = { outstanding: 64, warmupMs, measureMs };
  try {
    const results: LoadResult[] = [];
    await trio.run(null, load);
    for (let round = 0; round < rounds; round++) results.push(await trio.run(null, load));
    const each = results.map((one) => thousands(one.opsPerSecond)).join(", ");
    console.log(`three members in one process, 64 outstanding: ${each} commands/s`);
    return results;
  } finally {
    await trio.stop();
  }
}

/** The same with every member's log on disk, group commit and fdatasync on all sides. */
export async function durableSuite(options: CompareOptions): Promise<SuiteResult> {
  const systems = [
    await startCeiling({ durable: true, bodyBytes: 16 }),
    await startOurs({ durable: true }),
    await startEtcd(),
  ];
  return { suite: "durable", measured: await withSystems(systems, options) };
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
  try {
    const measured = await compare(
      [
        as("commands", ours, "command"),
        as("queries by ReadIndex", ours, "query"),
        as("queries by lease", lease, "query"),
        // Of the same processes as those by lease: two groups differ by as much as the two kinds do.
        as("stale queries", lease, "stale"),
      ],
      options,
    );
    return { suite: "queries", measured };
  } finally {
    await ours.stop();
    await lease.stop();
  }
}

const bodySizes = [1024, 16 * 1024];

/** Commands with 1 KiB and 16 KiB of payload. */
export async function payloadSuite(options: CompareOptions): Promise<PayloadResult> {
  const bodies: { bodyBytes: number; measured: Measured[] }[] = [];
  for (const bodyBytes of bodySizes) {
    console.log(`${bodyBytes / 1024} KiB`);
    const systems = [
      await startCeiling({ durable: false, bodyBytes }),
      await startOurs({ value: "payload", kind: "payload", bodyBytes }),
    ];
    const measured = await withSystems(systems, options);
    for (const { system, outstanding, opsPerSecond } of measured) {
      const megabytes = ((opsPerSecond * bodyBytes) / 1e6).toFixed(1);
      console.log(`${system} at ${outstanding}: ${megabytes} MB/s`);
    }
    bodies.push({ bodyBytes, measured });
  }
  return { suite: "payload", bodies };
}
