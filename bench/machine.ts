/** The machine that a result was taken on, and how much of it others used meanwhile. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";

export type MachineFacts = {
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly load: readonly number[];
};

export function machineFacts(): MachineFacts {
  return {
    date: new Date().toISOString(),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg().map((value) => Math.round(value * 100) / 100),
  };
}

/** Ticks of all cores since boot: in use, stolen by the hypervisor, and in all. */
export type CpuTicks = { readonly busy: number; readonly stolen: number; readonly all: number };

export function readCpuTicks(): CpuTicks | null {
  try {
    const line = readFileSync("/proc/stat", "utf8").split("\n")[0]!;
    const ticks = line.trim().split(/\s+/).slice(1).map(Number);
    const all = ticks.slice(0, 8).reduce((sum, one) => sum + one, 0);
    const idle = ticks[3]! + ticks[4]!;
    return { busy: all - idle, stolen: ticks[7] ?? 0, all };
  } catch {
    return null;
  }
}

/** Shares of the machine between two readings, in percent; null where the system does not tell. */
export function cpuShares(before: CpuTicks | null, after: CpuTicks | null) {
  if (before === null || after === null || after.all === before.all) return null;
  const all = after.all - before.all;
  return {
    busyPercent: Math.round((100 * (after.busy - before.busy)) / all),
    stolenPercent: Math.round((100 * (after.stolen - before.stolen)) / all),
  };
}
