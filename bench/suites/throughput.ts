/** commands, durable, queries, payload: throughput and latency against the ceiling. */
import { compare, type CompareOptions, type Measured } from "../compare.js";
import type { LoadOptions } from "../load.js";
import { startAntietcd } from "../peers/antietcd.js";
import { startEtcd } from "../peers/etcd.js";
import { messageCeilingName, startCeiling, startOurs, type Ours, type System } from "../systems.js";

export type SuiteResult = { readonly suite: string; readonly measured: readonly Measured[] };

/** Absent peers are null. */
async function withSystems(
  systems: readonly (System | null)[],
  options: CompareOptions,
): Promise<Measured[]> {
  const present = systems.filter((system) => system !== null);
  try {
    return await compare(present, { ...options, second: messageCeilingName });
  } finally {
    for (const system of present) await system.stop();
  }
}

/** Increments of a counter, in memory, by one client process. */
export async function commandsSuite(options: CompareOptions): Promise<SuiteResult> {
  const ceiling = { durable: false, bodyBytes: 16 };
  const systems = [
    await startCeiling({ ...ceiling, messages: false }),
    await startCeiling({ ...ceiling, messages: true }),
    await startOurs(),
    await startAntietcd(),
  ];
  return { suite: "commands", measured: await withSystems(systems, options) };
}

/** The same with every member's log on disk, group commit and fdatasync on all sides. */
export async function durableSuite(options: CompareOptions): Promise<SuiteResult> {
  const ceiling = { durable: true, bodyBytes: 16 };
  const systems = [
    await startCeiling({ ...ceiling, messages: false }),
    await startCeiling({ ...ceiling, messages: true }),
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
        as("stale queries", ours, "stale"),
      ],
      options,
    );
    return { suite: "queries", measured };
  } finally {
    await ours.stop();
    await lease.stop();
  }
}

/** Commands with 1 KiB and 16 KiB of payload. */
export async function payloadSuite(options: CompareOptions): Promise<SuiteResult> {
  const measured: Measured[] = [];
  for (const bodyBytes of [1024, 16 * 1024]) {
    const size = `${bodyBytes / 1024} KiB`;
    const ceiling = await startCeiling({ durable: false, bodyBytes, messages: false });
    const ours = await startOurs({ value: "payload", kind: "payload", bodyBytes });
    const systems = [
      { ...ceiling, name: `ceiling, ${size}` },
      { ...ours, name: `rafted-value, ${size}` },
    ];
    measured.push(...(await withSystems(systems, options)));
  }
  return { suite: "payload", measured };
}
