/** What a process holds and has used, garbage not counted. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export type Usage = {
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** Heap and buffers. */
  readonly retainedBytes: number;
};

export function usage(): Usage {
  collectGarbage();
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return {
    cpuMs: (cpu.user + cpu.system) / 1000,
    rssBytes: memory.rss,
    retainedBytes: memory.heapUsed + memory.external,
  };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
}
