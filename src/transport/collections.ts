/** Collections of V8's heap: they are noticed, and a small one can be had. */
import { constants, type NodeGCPerformanceDetail, PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Missing in Node's types. */
type Collection = { readonly detail: NodeGCPerformanceDetail };

/**
 * Tells of each collection soon after it. A `FinalizationRegistry` would not tell full ones apart: from V8 14 on (Node 26),
 * small ones take from it what nobody holds as well.
 */
export class CollectionWatch {
  readonly #observer: PerformanceObserver;

  /** `onCollected` hears whether it was one of all objects, or of the young ones only. */
  constructor(onCollected: (isFull: boolean) => void) {
    this.#observer = new PerformanceObserver((list) => {
      const entries = list.getEntries() as unknown as readonly Collection[];
      for (const { detail } of entries) {
        const isFull = detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
        if (isFull || detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) onCollected(isFull);
      }
    });
  }

  /** Until `stop`, Node holds whoever is told. */
  watch(): void {
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  stop(): void {
    this.#observer.disconnect();
  }
}

type Collect = (options?: { readonly type: "minor" }) => void;

/** The first V8 that has no small collection for the sake of buffers in time. */
const firstWithout = 13;

/** Small collections in V8 that does not have them by itself when buffers need it; nothing in any other. */
export class YoungCollections {
  #collect: Collect | null | undefined;

  have(): void {
    if (this.#collect === undefined) this.#collect = findCollect();
    this.#collect?.({ type: "minor" });
  }
}

/** Null where there is no need for it, or no way to it. */
function findCollect(): Collect | null {
  const major = Number.parseInt(process.versions.v8, 10);
  if (!(major >= firstWithout)) return null;
  try {
    return exposedGc();
  } catch {
    return null;
  }
}

/** V8's own function. It hands it to contexts that are made while a flag is set, and only to them. */
export function exposedGc(): Collect {
  // Set for all of the process, it stays so.
  const wasSet = "gc" in globalThis;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  if (!wasSet) setFlagsFromString("--no-expose-gc");
  return collect;
}
