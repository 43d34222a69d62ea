/** The end of a host takes several steps: what one of them throws keeps none of the others from being taken. */
import { messageOf } from "../errors.js";
import type { HostContext } from "./context.js";

export class Ending {
  readonly #context: Pick<HostContext, "id" | "logger">;
  #first: { readonly error: unknown } | null = null;

  constructor(context: Pick<HostContext, "id" | "logger">) {
    this.#context = context;
  }

  /** Takes it at once. Never rejects: nobody may be there yet to hear of it. */
  async step(take: () => Promise<void> | void): Promise<void> {
    try {
      await take();
    } catch (error) {
      this.#first ??= { error };
      const { id, logger } = this.#context;
      const line = `host ${id} did not close in order: ${messageOf(error)}`;
      logger.error({ host: id, err: error }, line);
    }
  }

  /** Throws what the first of those threw that failed. */
  check(): void {
    if (this.#first !== null) throw this.#first.error;
  }
}
