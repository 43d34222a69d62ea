/** What a process has used, and what it holds, garbage not counted. */
import { exposedGc } from "../src/transport/collections.js";

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
  const collect = exposedGc();
  collect();
  // The first one's dead buffers are counted until its sweeping, on another thread, has ended: the second waits for it.
  collect();
  const memory = process.memoryUsage();
  return {
    rssBytes: memory.rss,
    retainedBytes: memory.heapUsed + memory.external,
  };
}
