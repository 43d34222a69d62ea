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

/** Ticks of all cores since boot: in use, stolen by the hypervisor, in all; and those of this bench. */
export type CpuTicks = {
  readonly busy: number;
  readonly stolen: number;
  readonly all: number;
  readonly own: number;
};

export type CpuShares = {
  /** Percent of all cores. */
  readonly ownPercent: number;
  /** Other processes of this machine, and the kernel where it serves nobody in particular. */
  readonly othersPercent: number;
  /** Other machines of the same host. */
  readonly stolenPercent: number;
};

export function readCpuTicks(): CpuTicks | null {
  try {
    const line = readFileSync("/proc/stat", "utf8").split("\n")[0]!;
    const ticks = line.trim().split(/\s+/).slice(1).map(Number);
    const all = ticks.slice(0, 8).reduce((sum, one) => sum + one, 0);
    const stolen = ticks[7] ?? 0;
    return { busy: all - ticks[3]! - ticks[4]! - stolen, stolen, all, own: ownTicks() };
  } catch {
    return null;
  }
}

/** This process and all its children that have ended, with theirs. */
function ownTicks(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  // The second field is the name in brackets and may hold anything; utime is the 14th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
}

/** Between two readings, when no process of the bench is left; null where the system does not tell. */
export function cpuShares(before: CpuTicks | null, after: CpuTicks | null): CpuShares | null {
  if (before === null || after === null || after.all === before.all) return null;
  const percent = (ticks: number): number => Math.round((100 * ticks) / (after.all - before.all));
  const own = after.own - before.own;
  return {
    ownPercent: percent(own),
    othersPercent: percent(Math.max(0, after.busy - before.busy - own)),
    stolenPercent: percent(after.stolen - before.stolen),
  };
}
