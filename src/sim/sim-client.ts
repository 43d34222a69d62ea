/** A client of the simulated cluster: a process of its own that calls, waits and records. */
import { createGroupClient, type AdminCalls } from "../client/client.js";
import type { GroupClient } from "../client/types.js";
import { createCborCodec } from "../codec/values.js";
import type { SeededRandom } from "../clock/virtual.js";
import { RaftError, type RaftErrorCode } from "../errors.js";
import { silentLogger } from "../host/options.js";
import type { AnyDefinedValue } from "../value/types.js";
import { checkWorkloadCall } from "./checks.js";
import type { HistoryRecorder } from "./history.js";
import { sleep } from "./machine.js";
import type { SimNetwork } from "./network.js";
import { SimProcess } from "./process.js";
import type { Workload, WorkloadCall } from "./workload.js";
import { between, type World } from "./world.js";

export type AnyClient = GroupClient<AnyDefinedValue> & AdminCalls;

export type ClientSettings = {
  /** Calls under way at a time. */
  readonly pipeline: number;
  /** Mean pause between two calls of one lane. */
  readonly pauseMs: number;
  readonly minTimeoutMs: number;
  readonly maxTimeoutMs: number;
};

export type ClientCounts = { ok: number; failed: number; unknown: number; stale: number };

export type SimClientOptions = {
  readonly world: World;
  readonly network: SimNetwork;
  readonly name: string;
  readonly group: string;
  readonly definition: AnyDefinedValue;
  readonly hosts: readonly string[];
  readonly settings: ClientSettings;
};

/** No fault brings them about: a call or a reply that is none would only look like one more refusal. */
const mistakes: readonly RaftErrorCode[] = [
  ...(["unknownCommand", "unknownQuery", "invalidArgument", "encodeFailed"] as const),
];

export class SimClient {
  readonly process: SimProcess;
  readonly api: AnyClient;
  readonly #settings: ClientSettings;
  readonly #random: SeededRandom;
  #stopped = false;

  constructor(options: SimClientOptions) {
    const { world, network, name } = options;
    this.#random = world.random.fork();
    this.process = new SimProcess(world, name, name, world.random.fork());
    this.#settings = options.settings;
    this.api = createGroupClient({
      definition: options.definition,
      group: options.group,
      hosts: options.hosts,
      dial: (address, handlers) => network.transport(this.process).dial(address, handlers),
      clock: this.process.clock,
      random: this.process.random,
      codec: createCborCodec(),
      logger: silentLogger,
    });
  }

  /** Begins to call; each lane makes one call after the other. */
  start(client: number, workload: Workload, recorder: HistoryRecorder, counts: ClientCounts): void {
    for (let lane = 0; lane < this.#settings.pipeline; lane++) {
      const run = () => void this.#lane(client, workload, recorder, counts);
      this.process.clock.after(between(this.#random, 0, this.#settings.pauseMs), run);
    }
  }

  /** No new calls; those under way go on. */
  stop(): void {
    this.#stopped = true;
  }

  async #lane(
    client: number,
    workload: Workload,
    recorder: HistoryRecorder,
    counts: ClientCounts,
  ): Promise<void> {
    while (!this.#stopped && this.process.alive) {
      await this.callOnce(client, workload, recorder, counts);
      // Most pauses are short, a few are long.
      await sleep(this.process, -Math.log(1 - this.#random.next()) * this.#settings.pauseMs);
    }
  }

  /** One call; resolves with its kind if it was answered, else with null. */
  async callOnce(
    client: number,
    workload: Workload,
    recorder: HistoryRecorder,
    counts: ClientCounts,
  ): Promise<WorkloadCall["kind"] | null> {
    const next = this.#next(client, workload);
    if (next === null) return null;
    const { kind, name, arg } = next;
    const { minTimeoutMs, maxTimeoutMs } = this.#settings;
    const timeoutMs = Math.round(between(this.#random, minTimeoutMs, maxTimeoutMs));
    const rest = arg === undefined ? [{ timeoutMs }] : [arg, { timeoutMs }];
    const api = this.api as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    if (kind === "stale") {
      try {
        await api["queryStale"]!(name, ...rest);
        counts.stale += 1;
      } catch (cause) {
        this.#expectRefusal(cause, next);
      }
      return null;
    }
    const call = recorder.begin(client, kind, name, arg);
    try {
      call.ok(await api[kind]!(name, ...rest));
      counts.ok += 1;
      return kind;
    } catch (cause) {
      this.#expectRefusal(cause, next);
      if (cause instanceof RaftError && cause.code === `${kind}Failed`) {
        recorder.threw(kind, name, cause.message);
      }
      if (cause instanceof RaftError && cause.applied === "maybe") {
        call.unknown();
        counts.unknown += 1;
      } else {
        call.failed();
        counts.failed += 1;
      }
      return null;
    }
  }

  /** Null: there is none, and the run has failed for that. */
  #next(client: number, workload: Workload): WorkloadCall | null {
    try {
      const call: unknown = workload.next(this.#random, client);
      checkWorkloadCall(call);
      return call;
    } catch (cause) {
      this.process.world.fail(cause instanceof Error ? cause : new Error(String(cause)));
      return null;
    }
  }

  /** Whatever goes wrong, callers hear a RaftError, and never of a defect. */
  #expectRefusal(cause: unknown, { kind, name }: WorkloadCall): void {
    if (cause instanceof RaftError && cause.code !== "internal" && cause.code !== "divergence") {
      if (!mistakes.includes(cause.code)) return;
      const why = `workload: ${kind} ${JSON.stringify(name)}: ${cause.code}: ${cause.message}`;
      this.process.world.fail(new RaftError("invalidArgument", why, { cause }));
      return;
    }
    this.process.world.fail(
      new Error(`client ${this.process.name} heard ${String(cause)}`, { cause }),
    );
  }
}
