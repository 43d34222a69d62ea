/** The frame of every client process: says `ready`, then answers each `start` with a `result`. */
import type { LoadOptions, LoadResult } from "./load.js";
import { ask, startWorker, stopWorkers, type Worker } from "./processes.js";

export type LoadRequest<Target> = { readonly target: Target; readonly load: LoadOptions };

/** In the client process: `run` connects, loads, closes. One load at a time. */
export function serveLoads<Target>(
  run: (request: LoadRequest<Target>) => Promise<LoadResult>,
): void {
  process.on("message", (message: LoadRequest<Target> & { readonly type: string }) => {
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
