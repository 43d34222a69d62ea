/** Runs systems in alternation and weighs them by ratios within one session. */
import type { LoadResult } from "./load.js";
import type { System } from "./systems.js";

export type Measured = {
  readonly system: string;
  readonly outstanding: number;
  readonly rounds: readonly LoadResult[];
  /** Medians over the rounds. */
  readonly opsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Medians of the ratios to the baseline, round by round; 1 for the baseline itself. */
  readonly throughputRatio: number;
  readonly p99Ratio: number;
  /** The same to the second baseline, if there is one. */
  readonly secondThroughputRatio: number | null;
  readonly secondP99Ratio: number | null;
};

export type CompareOptions = {
  readonly outstandings: readonly number[];
  readonly rounds: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** The name of a system to which ratios are taken as well. */
  readonly second?: string;
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** On two busy cores the optimizing compiler needs seconds; until then everybody gets faster from round to round. */
export const warmUp = { outstanding: 64, warmupMs: 0, measureMs: 2000 };
/** Another count takes other ways through the code, and what was compiled for the last one is compiled anew. */
const warmUpForCount = { warmupMs: 0, measureMs: 400 };

/** The first system is the baseline. All are running; each round runs them one after the other. */
export async function compare(
  systems: readonly System[],
  options: CompareOptions,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const system of systems) await system.run(warmUp);
  const second = systems.findIndex(({ name }) => name === options.second);
  console.log(rowHeader.slice(0, second < 0 ? -16 : undefined));
  for (const outstanding of options.outstandings) {
    for (const system of systems) await system.run({ outstanding, ...warmUpForCount });
    const results: LoadResult[][] = systems.map(() => []);
    for (let round = 0; round < options.rounds; round++) {
      for (const [at, system] of systems.entries()) {
        const { warmupMs, measureMs } = options;
        results[at]!.push(await system.run({ outstanding, warmupMs, measureMs }));
      }
    }
    for (const [at, system] of systems.entries()) {
      const mine = results[at]!;
      const toFirst = ratios(mine, results[0]!);
      const toSecond = second < 0 ? null : ratios(mine, results[second]!);
      measured.push({
        system: system.name,
        outstanding,
        rounds: mine,
        opsPerSecond: median(mine.map((one) => one.opsPerSecond)),
        p50Us: median(mine.map((one) => one.p50Us)),
        p99Us: median(mine.map((one) => one.p99Us)),
        throughputRatio: toFirst.throughput,
        p99Ratio: toFirst.p99,
        secondThroughputRatio: toSecond?.throughput ?? null,
        secondP99Ratio: toSecond?.p99 ?? null,
      });
    }
    for (const one of measured.slice(-systems.length)) console.log(row(one));
  }
  return measured;
}

/** Medians of the ratios of two systems, round by round. */
function ratios(mine: readonly LoadResult[], base: readonly LoadResult[]) {
  return {
    throughput: median(mine.map((one, at) => one.opsPerSecond / base[at]!.opsPerSecond)),
    p99: median(mine.map((one, at) => one.p99Us / base[at]!.p99Us)),
  };
}

export function row(one: Measured): string {
  const range = one.rounds.map((round) => round.opsPerSecond);
  return [
    one.system.padEnd(24),
    String(one.outstanding).padStart(6),
    thousands(one.opsPerSecond).padStart(9),
    `${thousands(Math.min(...range))}-${thousands(Math.max(...range))}`.padStart(17),
    micros(one.p50Us).padStart(9),
    micros(one.p99Us).padStart(9),
    one.throughputRatio.toFixed(2).padStart(7),
    one.p99Ratio.toFixed(2).padStart(7),
    ...[one.secondThroughputRatio, one.secondP99Ratio].map((ratio) =>
      (ratio?.toFixed(2) ?? "").padStart(7),
    ),
  ]
    .join(" ")
    .trimEnd();
}

export const rowHeader = [
  "system".padEnd(24),
  "outst.".padStart(6),
  "ops/s".padStart(9),
  "range".padStart(17),
  "p50".padStart(9),
  "p99".padStart(9),
  "ratio".padStart(7),
  "p99 r.".padStart(7),
  "2nd r.".padStart(7),
  "p99 r.".padStart(7),
].join(" ");

export function thousands(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(0)}k` : value.toFixed(0);
}

export function micros(us: number): string {
  return us >= 10_000 ? `${(us / 1000).toFixed(1)} ms` : `${us.toFixed(0)} us`;
}
