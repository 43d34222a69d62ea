/** A process that a chaos run has started, and the words that it sends. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { toolEnvironment } from "./iproute.js";
import type { ToChild } from "./words.js";

const keptLines = 10;

export class Child<From extends { readonly type: string }> {
  readonly process: ChildProcess;
  /** Resolves with how it ended, in words; null after an end in good order. */
  readonly gone: Promise<string | null>;
  readonly #heard: From[] = [];
  readonly #said: string[] = [];
  #watchers: (() => void)[] = [];
  alive = true;

  /** `entry`: what stands before the command; it has to become the command, with its process id. */
  constructor(
    program: URL,
    plan: object,
    onMessage: (message: From) => void,
    entry: readonly string[] = [],
  ) {
    const node = [process.execPath, ...process.execArgv, fileURLToPath(program)];
    const [command, ...args] = [...entry, ...node, JSON.stringify(plan)];
    this.process = spawn(command!, args, {
      ...{ stdio: ["ignore", "ignore", "pipe", "ipc"], env: toolEnvironment },
    });
    this.process.stderr!.on("data", (chunk) => {
      this.#said.push(String(chunk));
      if (this.#said.length > keptLines) this.#said.shift();
    });
    this.process.on("message", (message) => {
      this.#heard.push(message as From);
      onMessage(message as From);
      this.#wake();
    });
    this.gone = new Promise((resolve) => {
      this.process.once("error", (error) => this.#end(resolve, String(error)));
      this.process.once("close", (code, signal) => {
        const how =
          code === 0 ? null : `ended with ${signal ?? `code ${code}`}: ${this.#said.join("")}`;
        this.#end(resolve, how);
      });
    });
  }

  #end(resolve: (how: string | null) => void, how: string | null): void {
    this.alive = false;
    resolve(how);
    this.#wake();
  }

  #wake(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  /** The first word of one of these types; null if the process ended without it. */
  async heard<T extends From["type"]>(
    ...types: readonly T[]
  ): Promise<Extract<From, { type: T }> | null> {
    for (;;) {
      const found = this.#heard.find(({ type }) => types.includes(type as T));
      if (found !== undefined) return found as Extract<From, { type: T }>;
      if (!this.alive) return null;
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  tell(message: ToChild): void {
    if (this.alive && this.process.connected) this.process.send(message, () => undefined);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive) this.process.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.gone;
  }
}
