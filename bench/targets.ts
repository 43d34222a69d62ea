/**
 * The targets of the project, each beside what a run has measured. A figure that cannot be taken
 * here (a peer is not installed) is left out; one that is only to be stated has `holds` null.
 */
import { median, thousands, type Measured } from "./compare.js";
import type { FailoverResult } from "./suites/failover.js";
import type { JoinResult } from "./suites/join.js";
import type { RecoveryResult } from "./suites/recovery.js";
import type { Ratio, ScaleResult } from "./suites/scale.js";
import type { CommandsResult, PayloadResult, SuiteResult } from "./suites/throughput.js";
import { ceilingName, oursName } from "./systems.js";

export type Finding = {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly holds: boolean | null;
};

/** What the results of one suite say about the targets; nothing for a suite that has none. */
export function findingsOf(suite: string, result: unknown): readonly Finding[] {
  switch (suite) {
    case "commands":
      return commandsFindings(result as CommandsResult);
    case "durable":
      return durableFindings(result as SuiteResult);
    case "queries":
      return queriesFindings(result as SuiteResult);
    case "payload":
      return payloadFindings(result as PayloadResult);
    case "failover":
      return failoverFindings(result as FailoverResult);
    case "join":
      return joinFindings(result as JoinResult);
    case "recovery":
      return recoveryFindings(result as RecoveryResult);
    case "scale":
      return scaleFindings(result as ScaleResult);
    default:
      return [];
  }
}

function of(measured: readonly Measured[], system: string): readonly Measured[] {
  return measured.filter((one) => one.system === system);
}

/** Figures of other systems in the issue that set the targets: another day, the same kind of machine. */
const recorded = {
  /** A ceiling of another make, which batched per turn as ours does. */
  ceiling: new Map([
    [1, 5300],
    [16, 53_000],
    [64, 97_000],
    [256, 205_000],
    [1024, 257_000],
  ]),
  ceilingDurable: new Map([
    [1, 1000],
    [16, 16_000],
    [64, 50_000],
    [256, 107_000],
    [1024, 177_000],
  ]),
  /** RaftedValue for Elixir, in memory, by outstanding calls. */
  original: new Map([
    [64, 600],
    [256, 1000],
    [1024, 800],
  ]),
  originalDurable: new Map([
    [64, 1100],
    [256, 900],
    [1024, 400],
  ]),
  ra: new Map([
    [64, 12_000],
    [256, 16_000],
    [1024, 17_000],
  ]),
} as const;

/** `mostP99`: times the ceiling's, where more than one is outstanding; Infinity: stated only. */
function againstCeiling(where: string, mostP99: number, measured: readonly Measured[]): Finding[] {
  return of(measured, oursName).map((one) => {
    const least = one.outstanding === 1 ? 0.7 : 0.8;
    const most = one.outstanding === 1 ? Infinity : mostP99;
    return {
      what: `${where}, ${one.outstanding} outstanding`,
      target:
        `at least ${fixed(least)} of the ceiling` +
        (most === Infinity ? "" : `, p99 at most ${fixed(most)} times`),
      measured: `${fixed(one.throughputRatio)}, p99 ${fixed(one.p99Ratio)}`,
      holds: one.throughputRatio >= least && one.p99Ratio <= most,
    };
  });
}

/** `least` null: stated only. */
function againstRecorded(
  name: string,
  figures: ReadonlyMap<number, number>,
  least: number | null,
  measured: readonly Measured[],
): Finding[] {
  return of(measured, oursName).flatMap((one) => {
    const figure = figures.get(one.outstanding);
    if (figure === undefined) return [];
    const times = one.opsPerSecond / figure;
    return {
      what: `against ${name}, ${one.outstanding} outstanding`,
      target:
        least === null
          ? `stated; ${thousands(figure)} ops/s`
          : `at least ${least} times its recorded ${thousands(figure)} ops/s`,
      measured: `${times.toFixed(least === null ? 2 : 1)} times (not of one run)`,
      holds: least === null ? null : times >= least,
    };
  });
}

function commandsFindings({ measured, inProcess }: CommandsResult): Finding[] {
  const perSecond = median(inProcess.map((one) => one.opsPerSecond));
  return [
    ...againstCeiling("memory, three processes", 1.5, measured),
    ...againstRecorded("the ceiling recorded in the targets", recorded.ceiling, null, measured),
    ...againstPeer("antietcd", null, measured),
    ...againstRecorded("the original", recorded.original, 50, measured),
    {
      what: "three members in one process, 64 outstanding",
      target: "at least 150k commands/s",
      measured: `${thousands(perSecond)} commands/s`,
      holds: perSecond >= 150_000,
    },
  ];
}

function durableFindings({ measured }: SuiteResult): Finding[] {
  return [
    ...againstCeiling("durable, three processes", Infinity, measured),
    ...againstRecorded(
      "the durable ceiling recorded in the targets",
      recorded.ceilingDurable,
      null,
      measured,
    ),
    ...againstPeer("etcd", 10, measured),
    ...againstRecorded("ra", recorded.ra, 4, measured),
    ...againstRecorded("the original, durable", recorded.originalDurable, 50, measured),
  ];
}

/** `least` null: stated only. */
function againstPeer(name: string, least: number | null, measured: readonly Measured[]): Finding[] {
  const peers = measured.filter((one) => one.system.startsWith(`${name} `));
  return of(measured, oursName).flatMap((ours) => {
    const peer = peers.find((one) => one.outstanding === ours.outstanding);
    if (peer === undefined) return [];
    const pairs = ours.rounds.map((round, at) => [round, peer.rounds[at]!] as const);
    const times = median(pairs.map(([mine, its]) => mine.opsPerSecond / its.opsPerSecond));
    const p99 = median(pairs.map(([mine, its]) => mine.p99Us / its.p99Us));
    const counts = least !== null && ours.outstanding >= 64;
    return {
      what: `against ${peer.system}, ${ours.outstanding} outstanding`,
      target: counts ? `at least ${least} times, lower p99` : "stated",
      measured: `${times.toFixed(1)} times, p99 ${fixed(p99)} of its`,
      holds: counts ? times >= least && p99 < 1 : null,
    };
  });
}

function queriesFindings({ measured }: SuiteResult): Finding[] {
  return of(measured, "queries by ReadIndex").flatMap((byIndex) => {
    const { outstanding } = byIndex;
    const find = (system: string): Measured =>
      of(measured, system).find((one) => one.outstanding === outstanding)!;
    const lease = find("queries by lease").throughputRatio;
    const stale = find("stale queries").throughputRatio;
    const finding = (what: string, target: string, ratio: number, holds: boolean): Finding => ({
      what: `${what}, ${outstanding} outstanding`,
      ...{ target, measured: `${fixed(ratio)} times`, holds },
    });
    const ratio = byIndex.throughputRatio;
    return [
      finding("queries by ReadIndex", "at least the rate of commands", ratio, ratio >= 1),
      finding("queries by lease", "at least twice the rate of commands", lease, lease >= 2),
      finding("stale queries", "more than by lease", stale, stale > lease),
    ];
  });
}

function payloadFindings({ bodies }: PayloadResult): Finding[] {
  return bodies.flatMap(({ bodyBytes, measured }) =>
    of(measured, oursName).map((ours) => {
      const ceiling = of(measured, ceilingName).find(
        (one) => one.outstanding === ours.outstanding,
      )!;
      const rate = (one: Measured): string => ((one.opsPerSecond * bodyBytes) / 1e6).toFixed(1);
      return {
        what: `payload of ${bodyBytes / 1024} KiB, ${ours.outstanding} outstanding`,
        target: "at least 0.80 of the ceiling's MB/s",
        measured: `${fixed(ours.throughputRatio)} (${rate(ours)} of ${rate(ceiling)} MB/s)`,
        holds: ours.throughputRatio >= 0.8,
      };
    }),
  );
}

function failoverFindings({ settings }: FailoverResult): Finding[] {
  return settings.flatMap((one) => {
    const name = `${one.name} settings (${one.heartbeatMs}/${one.electionTimeoutMs} ms)`;
    return [
      {
        what: `outage after kill -9, ${name}`,
        target: `median at most 1.20 of the expected draw of ${one.expectedDrawMs} ms`,
        measured: `${fixed(one.ratio)} (${one.medianMs.toFixed(0)} ms)`,
        holds: one.ratio <= 1.2,
      },
      {
        what: `planned transfer, ${name}`,
        target: "under 20 ms",
        measured: `${one.transferMedianMs.toFixed(1)} ms`,
        holds: one.transferMedianMs < 20,
      },
    ];
  });
}

function joinFindings(result: JoinResult): Finding[] {
  const { rounds, alone, beside, enteredMedianMs } = result;
  const most = (values: readonly number[]): string => Math.max(...values).toFixed(0);
  // Under the load under which it enters: five processes share the machine's cores.
  const codecMs = beside.encodeMs + beside.decodeMs;
  const aloneMs = alone.encodeMs + alone.decodeMs;
  const during = median(rounds.map((round) => round.writesPerSecond));
  return [
    {
      what: "a newcomer takes in 1,000,000 map entries under 64 writers",
      target:
        `at most the original's 500 ms and the codec's ${codecMs.toFixed(0)} ms beside the writers ` +
        `(${aloneMs.toFixed(0)} ms without them)`,
      measured: `${enteredMedianMs.toFixed(0)} ms`,
      holds: enteredMedianMs <= 500 + codecMs,
    },
    {
      what: "writes while it does",
      target: "stated",
      measured:
        `${fixed(during / result.writesBefore)} of those before ` +
        `(${thousands(during)} of ${thousands(result.writesBefore)}/s), longest ` +
        `${most(rounds.map((round) => round.longestWriteMs))} ms`,
      holds: null,
    },
    {
      what: "longest stall of an event loop while it does",
      target: "stated",
      measured:
        `leader ${most(rounds.map((round) => round.leaderStallMs))} ms, ` +
        `newcomer ${most(rounds.map((round) => round.newcomerStallMs))} ms`,
      holds: null,
    },
    {
      what: "leadership while it does",
      target: "kept",
      measured: result.leadershipLost ? "lost" : "kept",
      holds: !result.leadershipLost,
    },
  ];
}

function recoveryFindings({ commands, afterKill }: RecoveryResult): Finding[] {
  const wallMs = median(afterKill.map((one) => one.wallMs));
  const peakRssMiB = median(afterKill.map((one) => one.peakRssMiB));
  return [
    {
      what: `restart from ${commands.toLocaleString("en")} commands after kill -9`,
      target: "stated; the original took 26 to 28 s and 1.5 GB",
      measured: `${(wallMs / 1000).toFixed(1)} s, ${peakRssMiB.toFixed(0)} MiB at most`,
      holds: null,
    },
  ];
}

const leastRatios: Record<Ratio["name"], number> = { value: 0.9, sessions: 0.8, members: 0.6 };
const mostGrowth = 1.1;

function scaleFindings(result: ScaleResult): Finding[] {
  const { retained, idleGroups, idleMember, importCost } = result;
  const last = retained.samples.at(-1)!;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const percent = Math.max(...idleGroups.percentsOfACore);
  const added = Math.max(...idleGroups.addedRssBytes);
  return [
    ...result.ratios.map(({ name, what, ratio }) => ({
      what,
      target: `at least ${fixed(leastRatios[name])}`,
      measured: fixed(ratio),
      holds: ratio >= leastRatios[name],
    })),
    {
      what: `bytes held by a member over ${last.commands.toLocaleString("en")} commands`,
      target: "flat: second half at most 1.10 of the first",
      measured: `${fixed(retained.growth)} (${megabytes(last.retainedBytes)} MB at the end)`,
      holds: retained.growth <= mostGrowth,
    },
    {
      what: `${idleGroups.groups} idle groups on three hosts`,
      target: "under 3 % of a core and 40 MB added on each",
      measured: `at most ${percent.toFixed(1)} %, ${megabytes(added)} MB`,
      holds: percent < 3 && added < 40e6,
    },
    {
      what: "import of the package",
      target: "under 60 ms and 15 MB",
      measured: `${importCost.ms.toFixed(0)} ms, ${megabytes(importCost.rssBytes)} MB`,
      holds: importCost.ms < 60 && importCost.rssBytes < 15e6,
    },
    {
      what: "one idle member",
      target: "under 70 MB rss",
      measured: `${megabytes(idleMember.rssBytes)} MB`,
      holds: idleMember.rssBytes < 70e6,
    },
  ];
}

function fixed(value: number): string {
  return value.toFixed(2);
}
