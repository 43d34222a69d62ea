/** The newest result of each suite, as JSON, with its plots beside it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Measured } from "./compare.js";
import type { CpuShares, MachineFacts } from "./machine.js";
import { plot } from "./plot.js";

export type SuiteRecord = {
  readonly suite: string;
  readonly machine: MachineFacts;
  readonly seconds: number;
  readonly shares: CpuShares | null;
  readonly result: unknown;
};

const folder = join(process.cwd(), "bench", "results");

/** A curve by outstanding count, and the name of its file. */
export type Curve = { readonly name: string; readonly measured: readonly Measured[] };

export function curvesOf({ suite, result }: SuiteRecord): Curve[] {
  type Shape = {
    readonly measured?: readonly Measured[];
    readonly bodies?: readonly { bodyBytes: number; measured: readonly Measured[] }[];
  };
  const { measured, bodies } = result as Shape;
  if (measured !== undefined) return [{ name: suite, measured }];
  return (bodies ?? []).map(({ bodyBytes, measured: ofBody }) => ({
    name: `${suite}-${bodyBytes / 1024}-kib`,
    measured: ofBody,
  }));
}

export function saveResult(record: SuiteRecord): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${record.suite}.json`), JSON.stringify(record, null, 2));
  for (const { name, measured } of curvesOf(record)) {
    writeFileSync(join(folder, `${name}.svg`), plot(measured));
  }
}

/** Of those suites that have run here. */
export function readResults(suites: readonly string[]): SuiteRecord[] {
  return suites
    .map((suite) => join(folder, `${suite}.json`))
    .filter((path) => existsSync(path))
    .map((path) => JSON.parse(readFileSync(path, "utf8")) as SuiteRecord);
}
