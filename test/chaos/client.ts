/**
 * A client in a process of its own: `node client.js PLAN`, with an IPC channel. Writes every call down
 * before it is made and every return when it has come, so that a kill loses nothing that was seen.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { SeededRandom } from "../../src/clock/virtual.js";
import { connect, RaftError } from "../../src/index.js";
import { bookOf } from "./book.js";
import { RoutedTransport } from "./routed.js";
import type { ClientPlan, FromClient, Line, ToChild } from "./words.js";

const plan = JSON.parse(process.argv[2]!) as ClientPlan;
const baseNs = BigInt(plan.baseNs);
/** Keys change with time, so that the check of a long run falls into small parts. */
const epochMs = 2000;
const keysAtATime = 3;
const meanPauseMs = 20;

const nowNs = (): number => Number(process.hrtime.bigint() - baseNs);

type Planned = { readonly kind: "command" | "query"; readonly name: string; readonly arg: unknown };

class Caller {
  readonly #random = new SeededRandom([plan.seed, plan.number]);
  readonly #transport = new RoutedTransport(plan.routes);
  readonly #book = connect(bookOf(plan.version), {
    group: plan.group,
    hosts: plan.hosts,
    transport: this.#transport,
  });
  readonly #file = openSync(plan.file, "a");
  #calls = 0;
  #stopping = false;

  setRoutes(routes: Extract<ToChild, { type: "routes" }>["routes"]): void {
    this.#transport.setRoutes(routes);
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: plan.lanes }, () => this.#lane()));
    await this.#book.close();
    closeSync(this.#file);
  }

  async #lane(): Promise<void> {
    while (!this.#stopping) {
      await this.#call();
      await pause(-Math.log(1 - this.#random.next()) * meanPauseMs);
    }
  }

  #plan(n: number): Planned {
    const epoch = Math.floor(nowNs() / 1e6 / epochMs);
    const key = `${epoch}.${this.#random.below(keysAtATime)}`;
    // Unique over all clients, and over all lives of one.
    const op = plan.number * 1_000_000 + n;
    const dice = this.#random.next();
    if (dice < 0.4) return { kind: "query", name: "read", arg: key };
    if (dice < 0.9) return { kind: "command", name: "write", arg: { key, op } };
    return { kind: "command", name: "exchange", arg: { key, from: 0, op } };
  }

  async #call(): Promise<void> {
    const n = ++this.#calls;
    const { kind, name, arg } = this.#plan(n);
    const timeoutMs = 1000 + this.#random.below(4000);
    const api = this.#book as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    this.#note({ type: "call", n, at: nowNs(), kind, name, arg });
    try {
      const reply = await api[kind]!(name, arg, { timeoutMs });
      this.#note({ type: "return", n, at: nowNs(), outcome: "ok", reply });
    } catch (error) {
      const outcome = error instanceof RaftError && error.applied === "no" ? "failed" : "unknown";
      this.#note({ type: "return", n, at: nowNs(), outcome, reply: null });
      expectRefusal(error);
    }
  }

  #note(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Callers may hear of a group in trouble, and never of a defect. */
function expectRefusal(error: unknown): void {
  const defects = ["internal", "divergence", "encodeFailed", "unknownCommand", "commandFailed"];
  if (error instanceof RaftError && !defects.includes(error.code)) return;
  const said: FromClient = {
    type: "complaint",
    message: `client ${plan.number}: ${String(error)}`,
  };
  process.send!(said);
}

const caller = new Caller();
process.on("message", (message) => {
  const said = message as ToChild;
  if (said.type === "stop") caller.stop();
  else if (said.type === "routes") caller.setRoutes(said.routes);
});
process.on("disconnect", () => process.exit());
await caller.run();
process.disconnect();
