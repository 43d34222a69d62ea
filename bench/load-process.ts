/** The frame of every client process: says `ready`, then answers each `start` with a `result`. */
import { runClosedLoop, type LoadOptions, type LoadResult } from "./load.js";
import { ask, startWorker, stopWorkers, type Worker } from "./processes.js";

type Start<Target> = {
  readonly type: string;
  readonly target: Target;
  readonly load: LoadOptions;
};

/** What makes the calls of a load. */
export type Caller = (load: LoadOptions) => () => Promise<unknown>;

/**
 * In the client process: `open` connects, with the first load, and what it connects to stays for those after
 * it, as a program has one client for its life. One load at a time, all of one target.
 */
export function serveLoads<Target>(open: (target: Target) => Promise<Caller>): void {
  let opened: Promise<Caller> | null = null;
  const run = async ({ target, load }: Start<Target>): Promise<LoadResult> => {
    opened ??= open(target);
    return runClosedLoop((await opened)(load), load);
  };
  process.on("message", (message: Start<Target>) => {
    if (message.type !== "start") return;
    run(message).then(
      (result) => process.send?.({ type: "result", result }),
      (error: unknown) => process.send?.({ type: "error", error: String(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
  process.send?.({ type: "ready", address: "" });
}

/** One client process, started with the first load and kept, so that later loads find it warm. */
export class LoadClient<Target> {
  readonly #module: string;
  #worker: Promise<Worker> | null = null;

  constructor(module: string) {
    this.#module = module;
  }

  async run(target: Target, load: LoadOptions): Promise<LoadResult> {
    this.#worker ??= startWorker(this.#module);
    const message = { type: "start", target, load };
    const { result } = await ask<{ result: LoadResult }>(await this.#worker, message, "result");
    return result;
  }

  async stop(): Promise<void> {
    if (this.#worker !== null) await stopWorkers([await this.#worker]);
    this.#worker = null;
  }
}
