/**
 * A closed loop: `outstanding` slots, each of which sends its next call when the one before was
 * answered. A call's latency counts from the moment at which its slot became free, which is when it
 * was meant to be sent, so a stall is charged to every call that it held up (no coordinated omission
 * within the slots; a closed loop does not claim to be an arrival process).
 */
import { Histogram } from "./histogram.js";

export type LoadResult = {
  readonly opsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly operations: number;
};

export type LoadOptions = {
  readonly outstanding: number;
  readonly warmupMs: number;
  readonly measureMs: number;
};

/** Rejects with the first call that does. */
export function runClosedLoop(
  call: () => Promise<unknown>,
  options: LoadOptions,
): Promise<LoadResult> {
  const histogram = new Histogram();
  const startedAt = performance.now();
  const measureFrom = startedAt + options.warmupMs;
  const measureTo = measureFrom + options.measureMs;
  let finished = 0;
  return new Promise((resolve, reject) => {
    const slot = (): void => {
      let since = performance.now();
      const done = (): void => {
        const now = performance.now();
        if (now >= measureFrom && now < measureTo) histogram.record((now - since) * 1000);
        if (now < measureTo) {
          since = now;
          call().then(done, reject);
          return;
        }
        finished += 1;
        if (finished === options.outstanding) resolve(summary(histogram, options.measureMs));
      };
      call().then(done, reject);
    };
    for (let i = 0; i < options.outstanding; i++) slot();
  });
}

function summary(histogram: Histogram, measureMs: number): LoadResult {
  return {
    opsPerSecond: histogram.count / (measureMs / 1000),
    p50Us: histogram.quantileUs(0.5),
    p99Us: histogram.quantileUs(0.99),
    maxUs: histogram.maxUs,
    operations: histogram.count,
  };
}
