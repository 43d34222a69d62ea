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
import { type CallOutcome, hasThrown, isInDoubt } from "./outcome.js";
import { insist } from "./own-ids.js";
import { SimProcess } from "./process.js";
import type { Rollout } from "./rollout.js";
import type { UpgradedWorkload, Workload, WorkloadCall } from "./workload.js";
import { between, pick, type World } from "./world.js";

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
  /** Says when calls may be made that only the newer version has. */
  readonly rollout: Rollout;
  readonly hosts: readonly string[];
  readonly settings: ClientSettings;
  /** So many of its commands, 0 to 1, bear an id of its own, if they can be told from each other. */
  readonly ownIds: number;
  /** Other clients of the group, itself among them, by which one command may be asked as well. */
  readonly others: () => readonly SimClient[];
  /** A command was said not to be applied. */
  readonly onRefused: (identity: string | number, why: string) => void;
};

/** No fault brings them about: a call or a reply that is none would only look like one more refusal. */
const mistakes: readonly RaftErrorCode[] = [
  ...(["unknownCommand", "unknownQuery", "invalidArgument", "encodeFailed"] as const),
];

/** Of calls that a client who knows them makes. */
const newerShare = 0.2;

export class SimClient {
  readonly process: SimProcess;
  readonly api: AnyClient;
  readonly group: string;
  readonly #options: SimClientOptions;
  readonly #settings: ClientSettings;
  readonly #random: SeededRandom;
  #stopped = false;

  constructor(options: SimClientOptions) {
    const { world, network, name } = options;
    this.#random = world.random.fork();
    this.#options = options;
    this.group = options.group;
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
    const early = this.#earlyCall(workload);
    if (early !== null) {
      await this.#callEarly(early, workload);
      return null;
    }
    const next = this.#next(client, workload);
    if (next === null) return null;
    const { kind, name, arg } = next;
    if (kind === "stale") {
      const { type } = await this.#call(this.api, next, { timeoutMs: this.#timeoutMs() });
      if (type === "ok") counts.stale += 1;
      return null;
    }
    const call = recorder.begin(client, kind, name, arg);
    const identity = kind === "command" ? (workload.identify?.(name, arg) ?? null) : null;
    const outcome = await this.#callUntilKnown(next, identity);
    if (outcome.type === "ok") {
      call.ok(outcome.reply);
      counts.ok += 1;
      return kind;
    }
    const why = outcome.type === "refused" ? outcome.error.message : outcome.type;
    if (hasThrown(outcome)) recorder.threw(kind, name, why);
    if (isInDoubt(outcome)) {
      call.unknown();
      counts.unknown += 1;
    } else {
      call.failed();
      counts.failed += 1;
      if (identity !== null && !hasThrown(outcome)) this.#options.onRefused(identity, why);
    }
    return null;
  }

  /** Asked once, or under an id of its own for as long as it takes. */
  #callUntilKnown(next: WorkloadCall, identity: string | number | null): Promise<CallOutcome> {
    const { ownIds } = this.#options;
    if (identity === null || this.#random.next() >= ownIds) {
      return this.#call(this.api, next, { timeoutMs: this.#timeoutMs() });
    }
    return insist({
      random: this.#random,
      attempt: () => this.#attempt(next, `operation ${identity}`),
      fail: (message) => this.process.world.fail(new Error(`command ${identity}: ${message}`)),
    });
  }

  /** One try among several, which may be given up before it is answered. */
  async #attempt(next: WorkloadCall, id: string): Promise<CallOutcome> {
    const random = this.#random;
    const others = this.#options.others().filter((other) => other.#knows(next));
    const { process, api } = random.next() < 0.5 ? this : pick(random, [this, ...others]);
    const timeoutMs = Math.ceil(this.#timeoutMs() * between(random, 0.1, 0.5));
    const aborting = new AbortController();
    const dice = random.next();
    const begun = dice >= 0.05;
    if (!begun) aborting.abort();
    else if (dice < 0.3)
      this.process.clock.after(between(random, 0, timeoutMs), () => aborting.abort());
    const outcome = await Promise.race([
      this.#call(api, next, { timeoutMs, id, signal: aborting.signal }),
      sleep(this.process, timeoutMs + 1000).then((): CallOutcome => ({ type: "lost" })),
    ]);
    const { world } = this.process;
    if (outcome.type === "lost" && process.alive) {
      world.fail(new Error(`a call of ${process.name} is not settled after its ${timeoutMs} ms`));
    }
    if (!begun && isInDoubt(outcome) && process.alive) {
      world.fail(new Error(`a call of ${process.name} that was not begun may have been applied`));
    }
    return outcome;
  }

  #knows({ name }: WorkloadCall): boolean {
    return Object.hasOwn(this.#options.definition.commands, name);
  }

  #timeoutMs(): number {
    const { minTimeoutMs, maxTimeoutMs } = this.#settings;
    return Math.round(between(this.#random, minTimeoutMs, maxTimeoutMs));
  }

  async #call(
    api: AnyClient,
    next: WorkloadCall,
    options: { readonly timeoutMs: number; readonly id?: string; readonly signal?: AbortSignal },
    isEarly = false,
  ): Promise<CallOutcome> {
    const { kind, name, arg } = next;
    const methods = api as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const method = kind === "stale" ? "queryStale" : kind;
    const rest = arg === undefined ? [options] : [arg, options];
    try {
      return { type: "ok", reply: await methods[method]!(name, ...rest) };
    } catch (cause) {
      this.#expectRefusal(cause, next, isEarly);
      return cause instanceof RaftError ? { type: "refused", error: cause } : { type: "lost" };
    }
  }

  #knowsNewer(workload: Workload): workload is UpgradedWorkload {
    const { rollout, definition } = this.#options;
    const knows = rollout.complete && definition.compatibleVersions.length > 0;
    return knows && "nextOfNewer" in workload && this.#random.next() < newerShare;
  }

  /** What no member knows yet; null: not now. */
  #earlyCall(workload: Workload): WorkloadCall | null {
    const { rollout, definition } = this.#options;
    if (!rollout.untouched || definition.compatibleVersions.length === 0) return null;
    if (!("nextOfNewer" in workload) || this.#random.next() >= newerShare / 4) return null;
    return (workload as UpgradedWorkload).nextOfNewer(this.#random);
  }

  /** It is refused, with nothing done and nothing logged that the newer version would do later. */
  async #callEarly(next: WorkloadCall, workload: Workload): Promise<void> {
    const { rollout, onRefused } = this.#options;
    const { world } = this.process;
    const { kind, name, arg } = next;
    const ended = rollout.beginEarly(this.process);
    const outcome = await this.#call(this.api, next, { timeoutMs: this.#timeoutMs() }, true);
    ended();
    const what = `${kind} "${name}", which no member knows,`;
    if (outcome.type === "ok") return world.fail(new Error(`${what} was answered`));
    const identity = kind === "command" ? (workload.identify?.(name, arg) ?? null) : null;
    if (identity !== null) onRefused(identity, "no member knew it");
    world.countFault("early");
  }

  /** Null: there is none, and the run has failed for that. */
  #next(client: number, workload: Workload): WorkloadCall | null {
    try {
      const call: unknown = this.#knowsNewer(workload)
        ? workload.nextOfNewer(this.#random)
        : workload.next(this.#random, client);
      checkWorkloadCall(call);
      return call;
    } catch (cause) {
      this.process.world.fail(cause instanceof Error ? cause : new Error(String(cause)));
      return null;
    }
  }

  /** Whatever goes wrong, callers hear a RaftError, and never of a defect. */
  #expectRefusal(cause: unknown, { kind, name }: WorkloadCall, isEarly: boolean): void {
    if (cause instanceof RaftError && cause.code !== "internal" && cause.code !== "divergence") {
      if (isEarly || !mistakes.includes(cause.code)) return;
      const why = `workload: ${kind} ${JSON.stringify(name)}: ${cause.code}: ${cause.message}`;
      this.process.world.fail(new RaftError("invalidArgument", why, { cause }));
      return;
    }
    this.process.world.fail(
      new Error(`client ${this.process.name} heard ${String(cause)}`, { cause }),
    );
  }
}
