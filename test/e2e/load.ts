/** The other end of `load-client.ts`. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Progress, Report } from "./load-client.js";
import { waitFor } from "./processes.js";

const clientPath = fileURLToPath(new URL("load-client.js", import.meta.url));

/** A running load; it ends with the process that started it. */
export class Load {
  acknowledged = 0;
  readonly #child: ChildProcess;
  readonly #report: Promise<Report>;

  constructor(hosts: readonly string[], group: string, outstanding: number) {
    this.#child = fork(clientPath, [hosts.join(","), group, String(outstanding)]);
    this.#report = new Promise((resolve, reject) => {
      this.#child.on("message", (message) => {
        const said = message as Progress | Report;
        if (said.type === "progress") this.acknowledged = said.acknowledged;
        else resolve(said);
      });
      this.#child.once("error", reject);
      this.#child.once("exit", (code) => reject(new Error(`the load client ended with ${code}`)));
    });
    // Whoever waits for it later hears of it then.
    this.#report.catch(() => undefined);
  }

  /** Resolves once so many more were acknowledged than now. */
  async progress(more: number): Promise<void> {
    const goal = this.acknowledged + more;
    await waitFor(`${more} more increments`, () => this.acknowledged >= goal);
  }

  /** Begins no more, waits for those under way, and gives the account. */
  async finish(): Promise<Report> {
    this.#child.send("stop");
    return this.#report;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
