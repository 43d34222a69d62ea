/** What a process has used, and what it holds, garbage not counted. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export type Usage = {
  readonly rssBytes: number;
  /** Heap and buffers. */
  readonly retainedBytes: number;
};

/** Without a collection of garbage, which would be a large part of what an idle process does. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export function usage(): Usage {
  collectGarbage();
  const memory = process.memoryUsage();
  return {
    rssBytes: memory.rss,
    retainedBytes: memory.heapUsed + memory.external,
  };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
}
