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
};

export type CompareOptions = {
  readonly outstandings: readonly number[];
  readonly rounds: number;
  readonly warmupMs: number;
  readonly measureMs: number;
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Loads it until it gets no faster: three pieces in a row that are not a thirtieth faster than the best before. On two
 * busy cores an optimizing compiler needs seconds for a big program and one for a small one; what is compared is
 * what they do for the hours after that. Resolves with the milliseconds that it took.
 */
export async function warmUp(
  system: Pick<System, "run">,
  outstanding = 64,
  pieceMs = 500,
): Promise<number> {
  let best = 0;
  let noFaster = 0;
  let pieces = 0;
  for (; pieces < mostPieces && noFaster < 3; pieces++) {
    const { opsPerSecond } = await system.run({ outstanding, warmupMs: 0, measureMs: pieceMs });
    noFaster = opsPerSecond > best * (1 + 1 / 30) ? 0 : noFaster + 1;
    best = Math.max(best, opsPerSecond);
  }
  return pieces * pieceMs;
}

const mostPieces = 12;
/** Another count takes other ways through the code, and what was compiled for the last one is compiled anew. */
const countPieceMs = 120;

/** The first system is the baseline. All are running; each round runs them one after the other. */
export async function compare(
  systems: readonly System[],
  options: CompareOptions,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const system of systems) {
    const tookMs = await warmUp(system);
    console.log(`${system.name}: no faster after ${(tookMs / 1000).toFixed(1)} s of load`);
  }
  console.log(rowHeader);
  for (const outstanding of options.outstandings) {
    for (const system of systems) await warmUp(system, outstanding, countPieceMs);
    const results: LoadResult[][] = systems.map(() => []);
    for (let round = 0; round < options.rounds; round++) {
      for (const [at, system] of inTurn([...systems.entries()], round)) {
        const { warmupMs, measureMs } = options;
        results[at]!.push(await system.run({ outstanding, warmupMs, measureMs }));
      }
    }
    for (const [at, system] of systems.entries()) {
      const mine = results[at]!;
      const toFirst = ratios(mine, results[0]!);
      measured.push({
        system: system.name,
        outstanding,
        rounds: mine,
        opsPerSecond: median(mine.map((one) => one.opsPerSecond)),
        p50Us: median(mine.map((one) => one.p50Us)),
        p99Us: median(mine.map((one) => one.p99Us)),
        throughputRatio: toFirst.throughput,
        p99Ratio: toFirst.p99,
      });
    }
    for (const one of measured.slice(-systems.length)) console.log(row(one));
  }
  return measured;
}

/** Whoever comes after somebody else's load finds the disk and the processors as that one left them. */
export function inTurn<T>(items: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? items : [...items].reverse();
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
  ].join(" ");
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
].join(" ");

export function thousands(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(0)}k` : value.toFixed(0);
}

export function micros(us: number): string {
  return us >= 10_000 ? `${(us / 1000).toFixed(1)} ms` : `${us.toFixed(0)} us`;
}
